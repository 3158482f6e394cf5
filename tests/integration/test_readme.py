"""The README's five minutes, line by line as a newcomer pastes them."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.platform_process import ROOT, Platform

SECTION = re.search(r"## Five minutes\n(.*?)\n## ", (ROOT / "README.md").read_text(), re.DOTALL)
assert SECTION is not None
BLOCKS = re.findall(r"\n\n((?: {4}.*\n?)+)", SECTION[1])


def lines(start: str) -> list[str]:
    return [line.strip() for block in BLOCKS for line in block.splitlines() if line.strip().startswith(start)]


@pytest.fixture(scope="module")
def newcomer(shared_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """`make run` deploys hello; the rest is the reader's."""
    run(shared_platform, ROOT, "lambent deploy examples/hello")
    return shared_platform


def run(platform: Platform, folder: Path, command: str) -> str:
    command = command.replace("http://127.0.0.1:9000", platform.endpoint)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LAMBENT_ENDPOINT": platform.endpoint,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_curl_line_answers(newcomer: Platform, tmp_path: Path) -> None:
    assert "you" in run(newcomer, tmp_path, lines("curl")[0])


def test_a_function_of_ones_own(newcomer: Platform, tmp_path: Path) -> None:
    for line in lines("lambent"):
        if "logs -f" not in line and "apply" not in line:
            run(newcomer, tmp_path, line)
    run(newcomer, tmp_path, lines("curl")[1].replace("curl", "curl --fail --silent --show-error"))
    logged = run(newcomer, tmp_path, "lambent logs greeter")
    assert "REPORT RequestId" in logged


def test_the_boto3_lines(newcomer: Platform, tmp_path: Path) -> None:
    script = textwrap.dedent(next(block for block in BLOCKS if "import boto3" in block))
    (tmp_path / "pasted.py").write_text(script.replace("http://127.0.0.1:9000", newcomer.endpoint))
    assert "you" in run(newcomer, tmp_path, f"{sys.executable} pasted.py")


@pytest.mark.parametrize(("number", "name"), [(0, "hello"), (1, "layered")])
def test_the_manifests_apply(newcomer: Platform, number: int, name: str) -> None:
    apply = [line for line in lines("lambent") if "apply" in line]
    assert name in run(newcomer, ROOT, apply[number])
    assert len(apply) == 2
