"""`lambent ls`: the functions there are."""

from __future__ import annotations

import typer

from lambent_cli.connection import lambda_client
from lambent_cli.options import Options
from lambent_cli.output import Column, show_rows


def run(ctx: typer.Context) -> None:
    """List functions: name, runtime, state, memory, time-out, size and when each was last changed."""
    options: Options = ctx.obj
    pages = lambda_client(options).get_paginator("list_functions").paginate()
    functions = [function for page in pages for function in page["Functions"]]
    show_rows(options, functions, _COLUMNS, nothing="No functions yet. `lambent init NAME` writes one.")


_COLUMNS = (
    Column("NAME", lambda f: f["FunctionName"]),
    Column("RUNTIME", lambda f: f.get("Runtime", "")),
    Column("HANDLER", lambda f: f.get("Handler", "")),
    Column("MEMORY", lambda f: f"{f['MemorySize']} MB", right=True),
    Column("TIME-OUT", lambda f: f"{f['Timeout']} s", right=True),
    Column("SIZE", lambda f: f"{f['CodeSize']:,} B", right=True),
    Column("MODIFIED", lambda f: f["LastModified"][:19].replace("T", " ")),
)
