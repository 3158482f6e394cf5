"""Faults of packages, memory, processes and the link: each ends in Lambda's error or none, and never in a lost environment."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import signal
import zipfile
from pathlib import Path

import pytest
from agent_gateway import Gateway, Start, children, gone, zip_of

from lambent_core.link import FrameType, ReportStatus

ECHO = "def handler(event, context):\n    return event\n"


def own_runtime(gateway: Gateway, mounts: bool) -> dict[str, object]:
    return {"protocol": "frames", "command": gateway.bootstrap(mounts=mounts)}


def archive(name: str, content: bytes = b"x", *, mode: int = 0o100644) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        file.writestr(entry, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("package", "wrong"),
    [
        (b"this is no archive", "zip: not a valid zip file"),
        (archive("../escaped"), 'entry "../escaped" has a path with .. in it'),
        (archive("/escaped"), 'entry "/escaped" has an absolute path'),
        (
            archive("link", b"/etc/passwd", mode=0o120777),
            'entry "link" is a symbolic link that leaves the package (/etc/passwd)',
        ),
        (archive("device", mode=0o020644), 'entry "device" is neither a file nor a folder nor a symbolic link'),
        (archive("zeros", bytes(262_144_001)), 'entry "zeros" makes the unzipped size larger than 262144000 bytes'),
    ],
    ids=["no zip", "slip", "absolute", "link", "device", "bomb"],
)
async def test_a_package_that_can_not_be_unpacked(start: Start, mounts: bool, package: bytes, wrong: str) -> None:
    gateway = await start()
    init = await gateway.specialize([(package, "task")], own_runtime(gateway, mounts))
    assert (init["status"], init["errorType"]) == ("error", "Runtime.InvalidZipFile")
    for number in (1, 2):
        answer = await gateway.invoke()
        assert answer.value == {
            "errorType": "Runtime.InvalidZipFile",
            "errorMessage": f"RequestId: 00000000-0000-0000-0000-{number:012} Error: invalid ZIP file: {wrong}",
        }
        assert answer.ended.status == ReportStatus.FAILURE
    assert not (gateway.folder / "escaped").exists()
    assert list((gateway.folder / "trees").iterdir()) == []


async def test_a_package_that_the_gateway_has_not(start: Start, mounts: bool) -> None:
    gateway = await start()
    assert gateway.peer is not None
    package = zip_of({"app.py": ECHO})
    digest = hashlib.sha256(package).hexdigest()

    gateway.packages = _Nothing()
    init = await gateway.specialize([(package, "task")], own_runtime(gateway, mounts))
    assert (init["status"], init["errorType"]) == ("error", "Sandbox.Failure")
    assert digest in (await gateway.invoke()).value["errorMessage"]


class _Nothing(dict[str, bytes]):
    def __setitem__(self, key: str, value: bytes) -> None: ...


async def test_packages_from_a_shared_folder_are_checked(start: Start, tmp_path: Path) -> None:
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    package = zip_of({"app.py": ECHO})
    (blobs / hashlib.sha256(package).hexdigest()).write_bytes(package)
    gateway = await start(ECHO, settings={"LAMBENT_BLOBS": str(blobs)})
    assert (await gateway.invoke(1)).value == 1
    other = zip_of({"app.py": ECHO + "# other\n"})
    (blobs / hashlib.sha256(other).hexdigest()).write_bytes(package)
    gateway = await start(ECHO + "# other\n", settings={"LAMBENT_BLOBS": str(blobs)})
    assert gateway.init["errorType"] == "Runtime.InvalidZipFile"


async def test_a_memory_hog_is_ended(start: Start) -> None:
    source = (
        "def handler(event, context):\n    kept = [bytearray(1 << 20) for _ in range(event)]\n    return len(kept)\n"
    )
    gateway = await start(source, memory_limit_bytes=128 << 20, timeout_ms=30_000)
    assert (await gateway.invoke(20)).value == 20
    answer = await gateway.invoke(100_000)
    assert answer.value["errorMessage"].endswith("Error: Runtime exited with error: signal: killed")
    assert (answer.ended.status, answer.ended.error_type) == (ReportStatus.FAILURE, "Runtime.ExitError")
    assert answer.ended.memory_max_bytes > 128 << 20
    assert (await gateway.invoke(20)).value == 20


async def test_processes_left_behind_end_with_the_runtime(start: Start) -> None:
    source = """
import os, subprocess, time
def handler(event, context):
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    print(child.pid, flush=True)
    os._exit(1)
"""
    gateway = await start(source)
    answer = await gateway.invoke()
    pid = int(answer.log.split()[0])
    await gone(pid)


async def test_the_link_is_lost_and_found_during_an_invocation(start: Start, mounts: bool) -> None:
    source = """
import os, time
def handler(event, context):
    print("started", flush=True)
    while not os.path.exists(event):
        time.sleep(0.01)
    return "done"
"""
    gateway = await start(source, timeout_ms=30_000)
    assert gateway.peer is not None
    signal_file = gateway.folder / "environment" / "tmp" / "go"
    request = gateway.send_invoke("/tmp/go" if mounts else str(signal_file))
    assert (await gateway.peer.next(FrameType.LOG)).body.startswith(b"started")
    await gateway.stop_listening()
    await gateway.peer.close()
    signal_file.touch()
    await gateway.listen()
    await gateway.welcome()
    assert gateway.hello["slots"][0]["revision"] == "revision 1"
    assert gateway.hello["slots"][0]["state"] in ("busy", "idle")
    if gateway.hello["slots"][0]["state"] == "busy":
        assert gateway.hello["slots"][0]["requestId"] == request
    assert (await gateway.collect()).value == "done"
    assert (await gateway.invoke(str("/tmp/go" if mounts else signal_file))).value == "done"


async def test_over_tcp(start: Start) -> None:
    gateway = await start(ECHO, tcp=True)
    assert (await gateway.invoke("x" * 3_000_000)).value == "x" * 3_000_000


async def test_an_agent_without_a_gateway_ends_itself(start: Start) -> None:
    gateway = await start(ECHO, settings={"LAMBENT_LINK_PATIENCE_SECONDS": "0.2"})
    assert gateway.peer is not None
    runtime = children(gateway.hello["pid"])
    await gateway.stop_listening()
    await gateway.peer.close()
    assert await gateway.agent_ended() == 0
    for pid in runtime:
        await gone(pid)


async def test_shutdown_ends_everything(start: Start) -> None:
    source = "import subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True)\n" + ECHO
    gateway = await start(source)
    assert gateway.peer is not None
    runtime = children(gateway.hello["pid"])
    runtime += [child for pid in runtime for child in children(pid)]
    assert len(runtime) == 2
    gateway.peer.send(FrameType.SHUTDOWN, {"reason": "spindown"})
    assert await gateway.agent_ended() == 0
    for pid in runtime:
        await gone(pid)


SLOW = "import time\ndef handler(event, context):\n    print('on', flush=True)\n    time.sleep(0.3)\n    return 1\n"


async def test_sigterm_leaves_it_to_the_gateway_when_to_end(start: Start) -> None:
    gateway = await start(SLOW)
    assert gateway.peer is not None
    gateway.send_invoke()
    await gateway.peer.next(FrameType.LOG)
    os.kill(gateway.hello["pid"], signal.SIGTERM)
    frame = await gateway.peer.next(FrameType.LOG, FrameType.SHUTDOWN)
    while frame.type == FrameType.LOG:
        frame = await gateway.peer.next(FrameType.LOG, FrameType.SHUTDOWN)
    assert json.loads(frame.body) == {"reason": "leaving"}
    assert (await gateway.collect()).value == 1
    assert (await gateway.invoke()).value == 1  # it was on its way when the agent said that it leaves
    gateway.peer.send(FrameType.SHUTDOWN, {"reason": "spindown"})
    assert await gateway.agent_ended() == 0


async def test_sigterm_without_a_gateway_lets_the_invocation_end(start: Start) -> None:
    gateway = await start(SLOW)
    assert gateway.peer is not None
    gateway.send_invoke()
    await gateway.peer.next(FrameType.LOG)
    await gateway.stop_listening()
    await gateway.peer.close()
    os.kill(gateway.hello["pid"], signal.SIGTERM)
    assert await gateway.agent_ended() == 0


@pytest.mark.parametrize("mounts", ["folders"], indirect=True)  # elsewhere a /tmp of its own hides the files
async def test_what_ended_without_a_gateway_is_told_to_the_next_before_it_is_free(start: Start, tmp_path: Path) -> None:
    """Else the next gateway's first invocation would get the answer of the last one's."""
    go, done = tmp_path / "go", tmp_path / "done"
    source = (
        "import pathlib, time\ndef handler(event, context):\n    print('on', flush=True)\n"
        f"    while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\n"
        f"    pathlib.Path({str(done)!r}).touch()\n    return event\n"
    )
    gateway = await start(source)
    assert gateway.peer is not None
    request_id = gateway.send_invoke(1)
    await gateway.peer.next(FrameType.LOG)
    await gateway.stop_listening()
    await gateway.peer.close()
    go.touch()
    async with asyncio.timeout(10):
        while not done.exists() or not is_asleep(gateway.hello["pid"]):
            await asyncio.sleep(0.01)
    await gateway.listen()
    await gateway.welcome()
    (slot,) = gateway.hello["slots"]
    assert (slot["state"], slot["requestId"]) == ("busy", request_id)
    assert (await gateway.collect()).value == 1
    assert (await gateway.invoke(2)).value == 2


def is_asleep(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


@pytest.mark.parametrize("mounts", ["folders"], indirect=True)  # elsewhere a /tmp of its own hides the token's file
async def test_a_second_gateway_is_dialled_when_the_first_is_gone(start: Start, tmp_path: Path) -> None:
    other = Gateway(tmp_path, "tcp:127.0.0.1:0")
    await other.listen()
    token = tmp_path / "token"
    token.write_text("first\n")
    settings = {"LAMBENT_GATEWAY_FALLBACK": other.address, "LAMBENT_TOKEN": "", "LAMBENT_TOKEN_FILE": str(token)}
    gateway = await start(ECHO, settings=settings)
    assert gateway.peer is not None
    assert gateway.hello["token"] == "first"
    assert "secret" not in gateway.hello
    token.write_text("second")
    await gateway.stop_listening()
    await gateway.peer.close()
    await other.welcome()
    assert other.hello["token"] == "second"  # it is read anew
    assert other.hello["secret"] == "known to both"  # what the first gateway said in its welcome
    assert (await other.invoke(7)).value == 7
    await other.close()


async def test_functions_can_not_look_into_the_agent(start: Start) -> None:
    source = "def handler(event, context):\n    return open(f'/proc/{event}/environ').read()\n"
    gateway = await start(source)
    status = Path(f"/proc/{gateway.hello['pid']}/status")
    assert status.stat().st_uid == 0  # a process that is not dumpable belongs to root, whoever runs it
    answer = await gateway.invoke(gateway.hello["pid"])
    assert os.geteuid() == 0 or answer.error_type == "PermissionError"


async def test_ping(start: Start) -> None:
    gateway = await start(ECHO)
    assert gateway.peer is not None
    gateway.peer.send(FrameType.PING)
    await gateway.peer.next(FrameType.PONG)


async def test_an_invocation_that_comes_during_init(start: Start, mounts: bool) -> None:
    gateway = await start()
    package = zip_of({"app.py": "import time\ntime.sleep(0.3)\n" + ECHO})
    specialized = asyncio.ensure_future(gateway.specialize([(package, "task")], own_runtime(gateway, mounts)))
    await asyncio.sleep(0)
    gateway.send_invoke(5)
    assert (await specialized)["status"] == "success"
    assert (await gateway.collect()).value == 5


@pytest.mark.parametrize("mounts", ["paths"], indirect=True)  # only a mount is read-only
async def test_code_can_not_be_written(start: Start, mounts: bool) -> None:
    source = "def handler(event, context):\n    open(event, 'w').write('x')\n"
    gateway = await start(source)
    for path in ("/var/task/x", "/opt/x", "/var/runtime/x"):
        assert (await gateway.invoke(path)).error_type == "OSError"
    assert (await gateway.invoke("/tmp/x")).payload == b"null"
