"""Runs commands, and waits for conditions."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where Debian's commands are; root's own PATH often lacks the `sbin` ones."""

T = TypeVar("T")


class ClusterError(Exception):
    """What went wrong and what to do, for people."""


class CommandFailed(ClusterError):
    def __init__(self, command: Sequence[str], code: int, output: str) -> None:
        super().__init__(f"{' '.join(command)}: exit code {code}\n{output.strip()[-2000:]}")
        self.output = output


def run(
    *command: str | Path,
    input: str | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """What the command printed. Raises `CommandFailed`."""
    arguments = [str(word) for word in command]
    done = subprocess.run(
        arguments,
        input=input,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}", **(environment or {})},
    )
    if done.returncode:
        raise CommandFailed(arguments, done.returncode, done.stderr or done.stdout)
    return done.stdout


def succeeds(*command: str | Path, environment: Mapping[str, str] | None = None) -> bool:
    try:
        run(*command, environment=environment)
    except (CommandFailed, OSError):
        return False
    return True


def wait_for(what: str, condition: Callable[[], T], *, seconds: float, interval: float = 0.1) -> T:
    """What `condition` answers, as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}: not within {seconds:.0f} s")
        time.sleep(interval)
    return found


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Alone among the processes of this machine; waits for the others."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    print(text, flush=True)
