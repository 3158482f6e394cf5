"""Each check of `lambent doctor`, on a machine where the thing is right and where it is wrong."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from lambent_cli import checks
from lambent_cli.findings import Ok, Problem, Warning
from lambent_gateway.environments.sandbox import Sandbox

BEST = Sandbox("root", "cgroup2", "cgroup2")
WORST = Sandbox("none", "watch", "rlimit", {"mount_namespace": "no unshare", "memory": "no cgroup", "pids": "no group"})


def test_python() -> None:
    assert checks.python((3, 11)) == Ok("Python", "3.11")
    assert checks.python((3, 10)) == Problem(
        "Python", "3.10 is too old", "Install Python 3.11 or later and Lambent with it."
    )


def test_a_free_port() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    assert checks.port("127.0.0.1", number, serves=False) == Ok(f"Port {number}", "free")


def test_a_taken_port_names_who_has_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        found = checks.port("127.0.0.1", number, serves=False)
    assert isinstance(found, Problem)
    assert found.detail.startswith("taken by ")
    assert found.detail.endswith(f"(process {os.getpid()})")
    assert "lambent up --port" in found.fix


def test_a_port_on_which_lambent_serves_is_all_right() -> None:
    assert checks.port("127.0.0.1", 9000, serves=True) == Ok("Port 9000", "Lambent serves on 127.0.0.1:9000")


def test_a_data_directory_that_is_there_or_can_be_made(tmp_path: Path) -> None:
    assert checks.data_dir(tmp_path) == Ok("Data directory", str(tmp_path))
    assert checks.data_dir(tmp_path / "a" / "b") == Ok("Data directory", f"{tmp_path}/a/b (will be made)")


def test_a_data_directory_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    found = checks.data_dir(tmp_path / "a" / "b")
    assert isinstance(found, Problem)
    assert found.detail == f"{tmp_path}/a is a file"


def test_a_data_directory_that_cannot_be_written() -> None:
    found = checks.data_dir(Path("/proc/lambent"))
    assert isinstance(found, Problem)
    assert found.detail.startswith("/proc can't be written (")


def test_disk_space(tmp_path: Path) -> None:
    found = checks.disk(tmp_path / "later")
    assert found.subject == "Disk space"
    assert found.detail.endswith("GiB free")


def test_a_full_disk() -> None:
    # A file system without a byte on it that is free.
    found = checks.disk(Path("/proc/lambent"))
    assert isinstance(found, Warning)
    assert found.detail == "0.0 GiB free"


def test_what_holds_functions() -> None:
    assert checks.mount_namespace(BEST) == Ok("Files of functions", "a mount namespace each (root)")
    assert checks.memory(BEST) == Ok("Memory limit", "cgroup2")
    assert checks.pids(BEST) == Ok("Process limit", "cgroup2")


def test_what_does_not_hold_functions_says_why_and_what_to_do() -> None:
    for found, why in (
        (checks.mount_namespace(WORST), "no unshare"),
        (checks.memory(WORST), "no cgroup"),
        (checks.pids(WORST), "no group"),
    ):
        assert isinstance(found, Warning)
        assert found.detail.endswith(why)
        assert found.fix


def script(folder: Path, text: str) -> Path:
    file = folder / "agent"
    file.write_text(text)
    file.chmod(0o755)
    return file


def test_an_agent_that_runs(tmp_path: Path) -> None:
    binary = script(tmp_path, "#!/bin/sh\nexit 1\n")
    assert checks.agent(binary) == Ok("Agent", str(binary))


def test_an_agent_that_is_missing_or_for_another_machine(tmp_path: Path) -> None:
    missing = checks.agent(None)
    assert isinstance(missing, Problem)
    assert missing.detail == "it was not built"
    broken = checks.agent(script(tmp_path, "\x7fELF nonsense"))
    assert isinstance(broken, Problem)
    assert "can't be run" in broken.detail


def test_runtimes() -> None:
    assert checks.runtimes({"3.11": "/usr/bin/python3.11"}) == Ok("Runtimes", "python3.11 (/usr/bin/python3.11)")
    assert isinstance(checks.runtimes({}), Problem)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """An HTTP server that answers every GET with the parameter."""
    body: bytes = request.param

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answer) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


@pytest.mark.parametrize("server", [b'{"info": {"title": "Lambent", "version": "1.2"}}'], indirect=True)
def test_an_endpoint_that_answers(server: str) -> None:
    assert checks.endpoint(server, asked_for=True) == Ok("Endpoint", f"{server}, version 1.2")


@pytest.mark.parametrize("server", [b'{"info": {"title": "Other"}}', b"<html>", b"[]"], indirect=True)
def test_an_endpoint_that_is_something_else(server: str) -> None:
    found = checks.endpoint(server, asked_for=False)
    assert isinstance(found, Problem)
    assert found.detail == f"{server} answers, but is not Lambent"


def test_an_endpoint_that_does_not_answer_is_a_problem_only_if_asked_for() -> None:
    nowhere = "http://127.0.0.1:1"
    assert isinstance(checks.endpoint(nowhere, asked_for=False), Warning)
    found = checks.endpoint(nowhere, asked_for=True)
    assert found == Problem("Endpoint", f"nothing answers at {nowhere}", "Start the platform: lambent up")
