"""`lambent delete`: delete the functions that manifests name."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from lambent_cli import documents
from lambent_cli.connection import NotThere, Platform
from lambent_cli.options import Options
from lambent_cli.output import write_json, write_line


def run(
    ctx: typer.Context,
    files: Annotated[list[str], typer.Option("--filename", "-f", help="File, folder, or - for stdin; repeat it.")],
) -> None:
    """Delete the functions that manifests name. One that is not there is no error: it says so and goes on."""
    options: Options = ctx.obj
    platform = Platform(options.endpoint)
    results = []
    for _, function in documents.functions(documents.read(files)):
        try:
            platform.delete(f"/functions/{quote(function.name, safe='')}")
            result = "deleted"
        except NotThere:
            result = "not there"
        results.append({"function": function.name, "result": result})
        if options.output == "table":
            write_line(f"{function.name} {result}")
    if options.output == "json":
        write_json(results)
