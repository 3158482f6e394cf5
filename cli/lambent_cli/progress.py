"""Steps of a deployment on a terminal: a spinner, a bar while bytes are sent. Silent where stderr is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lambent_cli.deployment import Steps


@contextmanager
def showing() -> Iterator[Steps]:
    if not sys.stderr.isatty():
        yield Steps(begin=lambda _: None, uploading=lambda _: None, sent=lambda _: None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield Steps(
            begin=lambda text: progress.reset(task, total=None, description=text),
            uploading=lambda size: progress.update(task, total=size, completed=0),
            sent=lambda size: progress.advance(task, size),
        )
