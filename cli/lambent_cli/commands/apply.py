"""`lambent apply`: bring functions and layer versions to what manifests say."""

from __future__ import annotations

from typing import Annotated

import typer

from lambent_cli import documents
from lambent_cli.application import apply, kind_of, name_of
from lambent_cli.connection import Platform
from lambent_cli.options import Options
from lambent_cli.output import write_json, write_line
from lambent_cli.steps import showing


def run(
    ctx: typer.Context,
    files: Annotated[list[str], typer.Option("--filename", "-f", help="File, folder, or - for stdin; repeat it.")],
) -> None:
    """
    Bring functions and layer versions to what manifests say; tell for each: created, configured or unchanged.

    All documents are checked before the first is applied; layer versions come first. spec.code gives the code as inline text, as path
    (a folder or ZIP, relative to the manifest) or as sha256 of a package uploaded before. Reference: docs/manifest.md.
    """
    options: Options = ctx.obj
    found = documents.resources(documents.read(files))
    platform = Platform(options.endpoint)
    results = []
    for document, resource in found:
        with showing() as steps:
            result = apply(platform, document, resource, steps)
        results.append({kind_of(resource): name_of(resource), "result": result})
        if options.output == "table":
            write_line(f"{name_of(resource)} {result}")
    if options.output == "json":
        write_json(results)
