"""`lambent dev`: deploys on save, shows the log, tells errors and goes on, ends with Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.cli.conftest import COMMAND, Lambent, environment
from tests.platform_process import wait_for


class Dev:
    def __init__(self, folder: Path, endpoint: str, *options: str) -> None:
        self._output = folder.parent / "dev.txt"
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                [*COMMAND, "dev", str(folder), *options],
                env=environment(folder.parent, LAMBENT_ENDPOINT=endpoint),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def says(self, text: str) -> None:
        wait_for(text, lambda: text in self._output.read_text(), 30)


@pytest.fixture
def folder(lambent: Lambent, tmp_path: Path) -> Path:
    lambent("init", "watched")
    return tmp_path / "watched"


@pytest.fixture
def dev(folder: Path, endpoint: str, lambent: Lambent) -> Iterator[Dev]:
    started = Dev(folder, endpoint, "--event", str(folder / "event.json"))
    started.says("Ctrl-C ends it.")
    yield started
    if started.process.poll() is None:
        started.process.kill()
    started.process.wait()
    lambent("rm", "watched")


def test_a_save_deploys_runs_and_shows_the_log(dev: Dev, folder: Path) -> None:
    dev.says("watched created")
    dev.says('watched answered: {"greeting": "Hello, Ann!"')
    dev.says("  greeting Ann")
    (folder / "app.py").write_text("def handler(event, context):\n    print('second')\n    return 2\n")
    dev.says("watched updated")
    dev.says("watched answered: 2")
    dev.says("  second")


def test_an_error_is_told_and_the_next_save_tries_again(dev: Dev, folder: Path) -> None:
    good = (folder / "function.yaml").read_text()
    (folder / "function.yaml").write_text(good.replace("timeout: 3", "timeout: 0"))
    dev.says("spec.timeout: 0 is outside 1 to 900 seconds")
    (folder / "function.yaml").write_text(good.replace("timeout: 3", "timeout: 4"))
    dev.says("watched updated")


def test_a_function_that_fails_is_shown(dev: Dev, folder: Path) -> None:
    (folder / "app.py").write_text("def handler(event, context):\n    raise ValueError('no good')\n")
    dev.says("watched failed: ")
    dev.says("[ERROR] ValueError: no good")


def test_ctrl_c_ends_it_and_the_function_stays(dev: Dev, lambent: Lambent) -> None:
    dev.process.send_signal(signal.SIGINT)
    assert dev.process.wait(30) == 0
    dev.says("Stopped.")
    assert lambent("describe", "watched").returncode == 0


def test_following_logs_shows_what_comes(dev: Dev, lambent: Lambent, endpoint: str, tmp_path: Path) -> None:
    dev.says("watched answered")
    output = tmp_path / "logs.txt"
    with output.open("w") as file:
        following = subprocess.Popen(
            [*COMMAND, "logs", "watched", "--follow"], env=environment(tmp_path, LAMBENT_ENDPOINT=endpoint), stdout=file
        )
    try:
        wait_for("what was written before", lambda: "greeting Ann" in output.read_text())
        lambent("invoke", "watched", '{"name": "Zoe"}')
        wait_for("what is written now", lambda: "greeting Zoe" in output.read_text())
        following.send_signal(signal.SIGINT)
        assert following.wait(30) == 130
    finally:
        following.kill()
        following.wait()
