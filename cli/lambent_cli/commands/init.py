"""`lambent init`: a new function from a blueprint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from lambent_cli import blueprint
from lambent_cli.options import Options
from lambent_cli.output import write_json, write_line

Blueprint = Literal["plain", "http-api", "queue-worker", "scheduled-task", "file-processor"]


def run(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="The new folder; its name is the function's.")],
    kind: Annotated[Blueprint, typer.Option("--blueprint", "-b", help="What to start from.")] = "plain",
    runtime: Annotated[str | None, typer.Option(help="Lambda's name of the runtime. Default: this Python's.")] = None,
) -> None:
    """
    Write a new function: code, settings (function.yaml), requirements.txt, a test event and a README.

    \b
    plain           an event in, a value out
    http-api        an HTTP API behind a function URL
    queue-worker    works off messages of a queue
    scheduled-task  runs on a schedule
    file-processor  looks at files put into a bucket
    """
    options: Options = ctx.obj
    name = folder.resolve().name
    files = blueprint.write(kind, folder, name=name, runtime=runtime or blueprint.own_runtime())
    if options.output == "json":
        write_json({"function": name, "blueprint": kind, "files": [str(file) for file in files]})
        return
    write_line(f"{folder} written: {', '.join(file.name for file in files)}")
    write_line(f"Next: lambent deploy {folder}; lambent invoke {name} @{folder / 'event.json'}")
