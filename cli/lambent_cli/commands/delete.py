"""`lambent delete`: delete the functions and layer versions that manifests name."""

from __future__ import annotations

from typing import Annotated

import typer

from lambent_cli import documents
from lambent_cli.application import address_of, kind_of, name_of
from lambent_cli.connection import NotThere, Platform
from lambent_cli.options import Options
from lambent_cli.output import write_json, write_line


def run(
    ctx: typer.Context,
    files: Annotated[list[str], typer.Option("--filename", "-f", help="File, folder, or - for stdin; repeat it.")],
) -> None:
    """Delete the functions and layer versions that manifests name. One that is not there is no error: it says so and goes on."""
    options: Options = ctx.obj
    platform = Platform(options.endpoint)
    results = []
    for _, resource in documents.resources(documents.read(files)):
        try:
            platform.delete(address_of(resource))
            result = "deleted"
        except NotThere:
            result = "not there"
        results.append({kind_of(resource): name_of(resource), "result": result})
        if options.output == "table":
            write_line(f"{name_of(resource)} {result}")
    if options.output == "json":
        write_json(results)
