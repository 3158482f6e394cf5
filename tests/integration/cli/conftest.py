"""A platform started by `lambent up`, as a user would, and the command that talks to it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.platform_process import ROOT, wait_for

Completed = subprocess.CompletedProcess[str]
Lambent = Callable[..., Completed]
FOLDERS = ":".join(str(ROOT / name) for name in ("core", "gateway", "cli"))
COMMAND = [sys.executable, "-m", "lambent_cli.main"]


class Up:
    """`lambent up` in a process of its own; what it printed is in `said`."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.data_dir = folder / "data"
        self._output = folder / "up.txt"
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                [*COMMAND, "up", "--port", "0", "--data-dir", str(self.data_dir), *options],
                env=environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_for("the banner", lambda: "Ctrl-C stops" in self.said or self.process.poll() is not None, 60)
        found = re.search(r"Lambda's API at (http://\S+)", self.said)
        assert found, self.said
        self.endpoint = found[1]

    @property
    def said(self) -> str:
        return self._output.read_text()

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def end(self) -> None:
        if self.process.poll() is None:
            self.interrupt()


def environment(home: Path, **more: str) -> dict[str, str]:
    """No variable of the user's own but where programs are."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": FOLDERS, "HOME": str(home), "COLUMNS": "200", **more}


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    started = Up(tmp_path_factory.mktemp("up"))
    yield started
    started.end()


@pytest.fixture(scope="session")
def endpoint(up: Up) -> str:
    return up.endpoint


@pytest.fixture
def lambent(endpoint: str, tmp_path: Path) -> Lambent:
    """Runs the command in the test's folder against the platform."""

    def run(*arguments: str, stdin: str = "") -> Completed:
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            env=environment(tmp_path, LAMBENT_ENDPOINT=endpoint),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run
