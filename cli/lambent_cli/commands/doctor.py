"""`lambent doctor`: what is wrong with the machine or the set-up, and the fix."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from lambent_cli import checks, places
from lambent_cli.failures import FOUND
from lambent_cli.findings import Finding, Ok, Problem
from lambent_cli.options import ENDPOINT, Options
from lambent_cli.output import write_json
from lambent_gateway.environments import sandbox
from lambent_gateway.environments.runtimes import find_pythons
from lambent_gateway.runtime_images import AgentMissing, agent_binary

_MARKS = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "problem": ("problem", "red")}


def run(
    ctx: typer.Context,
    host: Annotated[str, typer.Option(help="Address that `lambent up` would listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port that it would listen on.")] = 9000,
    data_dir: Annotated[Path | None, typer.Option(help="Its data directory. Default: as `lambent up`.")] = None,
) -> None:
    """
    Find what is wrong with the machine or set-up, and the fix. The exit code is 1 when there is a problem.

    A warning means: it works, but less well. With --output json: a list of {subject, detail, level, fix}.
    """
    options: Options = ctx.obj
    findings = list(_look(options, host, port, data_dir or places.data_dir()))
    if options.output == "json":
        write_json([asdict(finding) for finding in findings])
    else:
        _show(findings)
    if any(isinstance(finding, Problem) for finding in findings):
        raise typer.Exit(FOUND)


def _look(options: Options, host: str, port: int, data_dir: Path) -> Iterator[Finding]:
    asked_for = options.endpoint != ENDPOINT
    endpoint = checks.endpoint(options.endpoint, asked_for=asked_for)
    parts = urlsplit(options.endpoint)
    yield checks.python(sys.version_info[:2])
    yield checks.agent(_agent())
    yield checks.runtimes(find_pythons())
    yield checks.port(host, port, serves=isinstance(endpoint, Ok) and (parts.hostname, parts.port) == (host, port))
    yield checks.data_dir(data_dir)
    yield checks.disk(data_dir)
    found = sandbox.probe()
    yield checks.mount_namespace(found)
    yield checks.memory(found)
    yield checks.pids(found)
    yield endpoint


def _agent() -> Path | None:
    try:
        return agent_binary()
    except AgentMissing:
        return None


def _show(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for finding in findings:
        word, colour = _MARKS[finding.level]
        table.add_row(Text(word, style=colour), Text(finding.subject, style="bold"), Text(finding.detail))
        if not isinstance(finding, Ok):
            table.add_row("", "", Text(f"Fix: {finding.fix}"))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "160")))
    console.print(table)
    problems = sum(isinstance(finding, Problem) for finding in findings)
    warnings = sum(finding.level == "warning" for finding in findings)
    console.print(
        f"\n{problems} problem{'' if problems == 1 else 's'}, {warnings} warning{'' if warnings == 1 else 's'}."
    )
