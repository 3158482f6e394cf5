"""`lambent logs`: what a function wrote."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from lambent_cli.connection import Platform
from lambent_cli.log_stream import records, since
from lambent_cli.options import Options
from lambent_cli.output import write_line


def run(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The function.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes; Ctrl-C ends it.")] = False,
    start: Annotated[str, typer.Option("--since", "-s", help="An age (30s, 10m, 2h, 1d) or a time (ISO 8601).")] = "1h",
) -> None:
    """
    Show what a function wrote, oldest first, with the START, END and REPORT line of each invocation.

    With --output json each line is a JSON object: timestamp (ms), stream, requestId, message.
    """
    options: Options = ctx.obj
    begin = since(start, now_ms=time.time_ns() // 1_000_000)
    for record in records(Platform(options.endpoint), name, since_ms=begin, follow=follow):
        write_line(json.dumps(record.document()) if options.output == "json" else record.line())
