"""`lambent rm`: delete functions by name."""

from __future__ import annotations

from typing import Annotated

import typer

from lambent_cli.connection import lambda_client
from lambent_cli.options import Options
from lambent_cli.output import write_json, write_line


def run(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(help="The functions.")],
) -> None:
    """Delete functions by name, with their URLs and settings. It stops at the first that can't be deleted."""
    options: Options = ctx.obj
    client = lambda_client(options)
    for name in names:
        client.delete_function(FunctionName=name)
        if options.output == "table":
            write_line(f"{name} deleted")
    if options.output == "json":
        write_json([{"function": name, "result": "deleted"} for name in names])
