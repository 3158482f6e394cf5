"""The machine's faults: each gets an error that says what to do, and the platform goes on serving."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.platform_process import ROLE, Platform, package, wait_for

ECHO = "def handler(event, context):\n    return event\n"


def up(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lambent"), "up", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_port_that_is_taken_is_named_with_the_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = up("--port", str(port), "--data-dir", str(tmp_path))
    assert done.returncode != 0
    assert f"can't listen on 127.0.0.1:{port}: Address already in use" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_a_data_directory_has_one_gateway(platform: Platform) -> None:
    done = up("--port", "0", "--data-dir", str(platform.data_dir))
    assert done.returncode != 0
    assert "is in use by another `lambent up`" in done.stderr.replace("\n", " ")


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = up("--port", "0", "--data-dir", str(tmp_path / "file" / "data"))
    assert done.returncode != 0
    assert "can't be used" in done.stderr.replace("\n", " ")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("a small file system to fill needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_accepts_nothing_and_loses_nothing(small_disk: Path) -> None:
    platform = Platform(small_disk / "data").start()
    try:
        platform.function("echo", ECHO)
        assert platform.invoke("echo", {"a": 1})["Payload"] == {"a": 1}
        filler = small_disk / "filler"
        _fill(filler)
        refused = _send_until_refused(platform).response
        assert refused["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert "room" in refused["Error"]["Message"]
        with pytest.raises(ClientError) as caught:
            platform.function("other", {"app.py": ECHO, "data": os.urandom(1_000_000).hex()})
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert platform.invoke("echo", {"still": "here"})["Payload"] == {"still": "here"}
        filler.unlink()
        wait_for("events to be accepted again", lambda: _accepted(platform))
        wait_for("the queue to run dry", lambda: platform.metric("lambent_async_queue_depth") == 0)
        platform.function("other", ECHO)
    finally:
        platform.end()


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass


def _send_until_refused(platform: Platform) -> ClientError:
    for _ in range(200):
        try:
            platform.invoke("echo", {"b": "x" * 100_000}, InvocationType="Event")
        except ClientError as error:
            return error
    raise AssertionError("the disk is full, and every event was accepted")


def _accepted(platform: Platform) -> bool:
    try:
        return bool(platform.invoke("echo", {}, InvocationType="Event")["StatusCode"] == 202)
    except ClientError:
        return False


@pytest.mark.parametrize(
    ("archive", "text"),
    [
        (b"no zip at all", "Could not unzip uploaded file"),
        (b"", "Uploaded file must be a non-empty zip"),
        (package({"app.py": ECHO, "../../../../../var/tmp/slipped": "out"}), "Could not unzip uploaded file"),
    ],
    ids=["malformed", "empty", "leaves its folder"],
)
def test_a_package_that_is_no_zip_is_refused(platform: Platform, archive: bytes, text: str) -> None:
    with pytest.raises(ClientError, match=text):
        platform.client().create_function(
            FunctionName="f", Runtime="python3.11", Handler="app.handler", Role=ROLE, Code={"ZipFile": archive}
        )


def test_of_two_updates_at_once_one_wins_and_the_other_is_told(platform: Platform) -> None:
    platform.function("f", ECHO)
    client = platform.client()

    def update(number: int) -> str:
        try:
            source = f"def handler(event, context):\n    return {number}\n"
            client.update_function_code(FunctionName="f", ZipFile=package({"app.py": source}))
        except ClientError as error:
            return str(error.response["Error"]["Message"])
        return "done"

    with ThreadPoolExecutor(8) as callers:
        outcomes = set(callers.map(update, range(24)))
    assert "done" in outcomes
    resource = "arn:aws:lambda:us-east-1:000000000000:function:f"
    conflict = f"The operation cannot be performed at this time. An update is in progress for resource: {resource}"
    assert outcomes <= {"done", conflict}
    client.get_waiter("function_updated_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1})
    assert platform.invoke("f")["Payload"] in range(24)


def test_ctrl_c_stops_everything_that_was_started(platform: Platform) -> None:
    platform.function("f", ECHO)
    platform.invoke("f")
    assert platform.agents()
    platform.process.send_signal(signal.SIGINT)
    assert platform.process.wait(20) == 0
    assert platform.agents() == []
