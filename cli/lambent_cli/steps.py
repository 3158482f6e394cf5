"""What a command tells while it works: the step it is at, and how much of an upload is sent."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Steps:
    """By default nothing is told."""

    begin: Callable[[str], None] = lambda _: None
    """A step, in words."""
    uploading: Callable[[int], None] = lambda _: None
    """An upload of so many bytes begins."""
    sent: Callable[[int], None] = lambda _: None
    """So many more bytes are sent."""


@contextmanager
def showing() -> Iterator[Steps]:
    """A spinner and, while bytes are sent, a bar. Silent where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield Steps()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn

    waiting = (SpinnerColumn(), TextColumn("{task.description}"))
    sending = (*waiting, BarColumn(), DownloadColumn())
    with Progress(*waiting, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("")

        def begin(text: str) -> None:
            progress.columns = waiting
            progress.update(task, description=text)

        def uploading(size: int) -> None:
            progress.columns = sending
            progress.update(task, total=size, completed=0)

        yield Steps(begin, uploading, lambda size: progress.advance(task, size))
