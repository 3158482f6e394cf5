"""`lambent up`: what it prints works when pasted, Ctrl-C ends all, the next start goes on."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.cli.conftest import COMMAND, Lambent, Up, environment

GREETING = {"greeting": "Hello, Ann!", "function": "hello"}


def line(up: Up, start: str) -> str:
    return next(text.strip() for text in up.said.splitlines() if text.strip().startswith(start))


def shell(command: str) -> str:
    done = subprocess.run(
        ["/bin/sh", "-c", command], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_curl_line_works_when_pasted(up: Up) -> None:
    assert json.loads(shell(line(up, "curl "))) == GREETING


def test_the_boto3_lines_work_when_pasted(up: Up) -> None:
    lines = [text.strip() for text in up.said.splitlines()]
    start = lines.index("import boto3")
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines[start : start + 3])], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == GREETING


def test_the_aws_line_works_when_pasted(up: Up) -> None:
    if shutil.which("aws") is None or subprocess.run(["aws", "--version"], capture_output=True, check=False).returncode:
        pytest.skip("there is no aws command here")
    assert shell(line(up, "echo ")).startswith('{"greeting": "Hello, Ann!"')


def test_it_says_where_the_data_is_and_that_it_is_for_trusted_code(up: Up) -> None:
    assert f"Data directory  {up.data_dir}" in up.said
    assert "Local mode is for code that you trust" in up.said


def test_ctrl_c_ends_everything_and_the_next_start_goes_on(tmp_path: Path) -> None:
    first = Up(tmp_path)
    try:
        function = tmp_path / "kept"
        function.mkdir()
        (function / "app.py").write_text("def handler(event, context):\n    return 'kept'\n")
        call = {"env": environment(tmp_path), "capture_output": True, "text": True, "check": True}
        subprocess.run([*COMMAND, "--endpoint", first.endpoint, "deploy", str(function)], **call)  # type: ignore[call-overload]
        assert first.interrupt() == 0
        assert first.said.endswith(f"Stopped. The data stays in {first.data_dir}\n")
        assert processes_of(first.data_dir) == []
        second = Up(tmp_path, "--no-example")
        try:
            done = subprocess.run([*COMMAND, "--endpoint", second.endpoint, "invoke", "kept"], **call)  # type: ignore[call-overload]
            assert done.stdout == '"kept"'
        finally:
            second.end()
    finally:
        first.end()


def test_a_taken_port_is_told_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = subprocess.run(
            [*COMMAND, "up", "--port", str(taken.getsockname()[1]), "--data-dir", str(tmp_path / "data")],
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert str(taken) not in done.stderr
    assert "Traceback" not in done.stderr
    assert "port" in done.stderr


def test_a_data_directory_belongs_to_one_platform(up: Up, tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "up", "--port", "0", "--data-dir", str(up.data_dir)],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert str(up.data_dir) in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_finds_it(lambent: Lambent, endpoint: str, up: Up) -> None:
    number = endpoint.rpartition(":")[2]
    done = lambent("doctor", "--port", number, "--data-dir", str(up.data_dir), "-o", "json")
    found = {finding["subject"]: finding for finding in json.loads(done.stdout)}
    assert found["Endpoint"]["detail"].startswith(f"{endpoint}, version ")
    assert found[f"Port {number}"]["detail"] == f"Lambent serves on 127.0.0.1:{number}"
    assert found["Agent"]["level"] == "ok"
    assert done.returncode == 0


def processes_of(folder: Path) -> list[str]:
    """Command lines of processes that have to do with a data directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (process / "environ").read_bytes() + (process / "cmdline").read_bytes():
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found
