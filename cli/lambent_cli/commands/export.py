"""`lambent export`: a function's manifest, as `lambent apply` reads it."""

from __future__ import annotations

import sys
from typing import Annotated
from urllib.parse import quote

import msgspec
import typer

from lambent_cli import documents
from lambent_cli.connection import Platform
from lambent_cli.options import Options
from lambent_cli.output import write_json
from lambent_core import manifest
from lambent_core.function import Function


def run(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(help="The functions.")],
) -> None:
    """
    Write a function's manifest to stdout, as `lambent apply -f -` reads it.

    The code is named by its sha256: apply finds it where it was uploaded before. What has its default value is left out.
    """
    options: Options = ctx.obj
    platform = Platform(options.endpoint)
    manifests = [
        manifest.export(msgspec.convert(platform.get(f"/functions/{quote(name, safe='')}"), Function)) for name in names
    ]
    if options.output == "json":
        write_json(manifests if len(manifests) > 1 else manifests[0])
        return
    sys.stdout.write("---\n".join(documents.write(document) for document in manifests))
