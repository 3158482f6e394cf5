"""Answers on stdout: tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lambent_cli.options import Options


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    cell: Callable[[Any], str]
    right: bool = False


def show_rows(options: Options, rows: Sequence[Any], columns: Sequence[Column], *, nothing: str) -> None:
    """One row each; `nothing` is said on stderr where there is none."""
    if options.output == "json":
        write_json(rows)
        return
    if not rows:
        say(nothing)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column.title, justify="right" if column.right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(column.cell(row)) for column in columns))
    console = Console(highlight=False)
    if not console.is_terminal:
        # Into a pipe a row stays a line, whatever its length.
        console = Console(highlight=False, width=1_000)
    console.print(table)


def show_fields(options: Options, document: Any, fields: Sequence[tuple[str, str]]) -> None:
    """One thing: its fields a line each, or `document` as JSON."""
    if options.output == "json":
        write_json(document)
        return
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        sys.stdout.write(f"{name.ljust(width)}   {value}\n")


def write_json(document: Any) -> None:
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")


def write_line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Something for the person in front of it, not part of the answer."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
