"""Several environments in one pod: each has an agent and a link of its own, and what happens to one leaves the others alone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from agent_gateway import TOKEN, Gateway, Peer, Start, alive, children, gone, zip_of

from lambent_core.link import FrameType, ReportStatus

ECHO = "def handler(event, context):\n    return event\n"
HELD = """
import os, time
def handler(event, context):
    os.write(1, b"on ")
    while not os.path.exists(event):
        time.sleep(0.01)
    return "done"
"""
LEAVES_PROCESSES = """
import os, subprocess
def handler(event, context):
    kept = subprocess.Popen(["sleep", "600"], start_new_session=True)
    orphan = subprocess.run(["sh", "-c", "setsid sleep 600 >/dev/null & echo $!"], stdout=subprocess.PIPE, check=True)
    return [os.getpid(), kept.pid, int(orphan.stdout)]
"""


async def opened(gateway: Gateway, number: int = 1) -> Gateway:
    """A further environment that is ready for invocations."""
    beside = await gateway.open(number)
    assert (await beside.specialize_again())["status"] == "success"
    return beside


def connected(gateway: Gateway) -> Peer:
    assert gateway.peer is not None
    return gateway.peer


async def test_it_serves_beside_the_first(start: Start, client: str, mounts: bool) -> None:
    gateway = await start(HELD, client=client)
    go, seen = signal_file(gateway, mounts)
    assert gateway.hello["opens"] is True
    beside = await gateway.open()
    hello = dict(beside.hello)
    assert hello.pop("pid") != gateway.hello["pid"]
    assert hello == {
        "protocol": 1,
        "environment": "environment-1/1",
        "token": TOKEN,
        "secret": "of 1",
        "runtime": "python",
        "agentVersion": gateway.hello["agentVersion"],
        "slots": [{"slot": 0, "state": "generic", "revision": None, "requestId": None}],
    }
    assert (await beside.specialize_again())["status"] == "success"
    for environment in (gateway, beside):
        environment.send_invoke(seen)
    for environment in (gateway, beside):
        assert (await connected(environment).next(FrameType.LOG)).body.startswith(b"on")
    go.touch()
    for environment in (gateway, beside):
        assert (await environment.collect()).value == "done"
        assert (await environment.invoke(seen)).value == "done"


async def test_its_code_is_the_firsts_and_its_tmp_is_not(start: Start, mounts: bool) -> None:
    source = """
import os, sys, tempfile
import common
def handler(event, context):
    folder = tempfile.gettempdir()
    with open(os.path.join(folder, "file"), "a") as file:
        file.write("x")
        return [__file__, common.__file__, os.environ["LAMBDA_TASK_ROOT"], os.getcwd(), folder, file.tell()]
"""
    gateway = await start(source, layers=[{"python/common.py": ""}], variables={"PYTHONPATH": "/opt/python"})
    *code, tmp, size = (await gateway.invoke()).value
    gateway.specialization["packages"] = [{"sha256": "0" * 64, "size": 1, "target": "task"}]
    for number in (1, 2):
        beside = await opened(gateway, number)
        *same_code, own_tmp, size = (await beside.invoke()).value
        assert (same_code, size) == (code, 1)
        assert Path(own_tmp).parent == Path("/tmp" if mounts else tmp)
        assert own_tmp != tmp


async def test_it_comes_when_the_code_is_in_its_place(start: Start, mounts: bool) -> None:
    gateway = await start()
    held: list[Callable[[], None]] = []
    send = gateway._send_package
    gateway._send_package = lambda digest: held.append(lambda: send(digest))  # type: ignore[method-assign]
    runtime = {"protocol": "frames", "command": gateway.bootstrap(mounts=mounts)}
    specialized = asyncio.ensure_future(gateway.specialize([(zip_of({"app.py": ECHO}), "task")], runtime))
    await asyncio.sleep(0)
    beside = gateway.ask_to_open()
    while not held:
        await asyncio.sleep(0.01)
    assert agents(gateway) == []
    held.pop()()
    await specialized
    await beside.welcome()
    assert len(agents(gateway)) == 1
    beside.specialization = gateway.specialization
    await beside.specialize_again()
    assert (await beside.invoke(1)).value == 1


async def test_it_comes_when_there_is_room_for_it(start: Start) -> None:
    """Where a cgroup holds the memory of all: a pod is made larger a moment after the gateway has asked."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as group:  # the agent's /tmp is another
        limit = Path(group) / "memory.max"
        limit.write_text(f"{160 << 20}\n")
        gateway = await start(ECHO, settings={"LAMBENT_CGROUPS": group})
        first, second = gateway.ask_to_open(1), gateway.ask_to_open(2)
        assert (await gateway.invoke(1)).value == 1
        assert agents(gateway) == []
        replaced(limit, f"{(2 * 128 + 32) << 20}\n")
        await first.welcome()
        assert len(agents(gateway)) == 1, "there is no room for the second"
        replaced(limit, "max\n")
        await second.welcome()


def replaced(file: Path, text: str) -> None:
    """At once, as the kernel does it: nobody reads half of it."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.rename(file)


async def test_its_runtime_is_started_before_it_is_specialised(start: Start) -> None:
    gateway = await start(ECHO)
    beside = await gateway.open()
    (runtime,) = children(beside.hello["pid"])
    await beside.specialize_again()
    assert children(beside.hello["pid"]) == [runtime]
    assert (await beside.invoke(1)).value == 1


async def test_its_end_is_its_own(start: Start, mounts: bool) -> None:
    source = "import tempfile\ndef handler(event, context):\n    return tempfile.mkdtemp()\n"
    gateway = await start(source)
    beside = await opened(gateway)
    left = on_this_machine(gateway, (await beside.invoke()).value, mounts)
    assert left.exists()
    runtime = children(beside.hello["pid"])
    connected(beside).send(FrameType.SHUTDOWN, {"reason": "spindown"})
    await connected(beside).closed()
    for pid in (beside.hello["pid"], *runtime):
        await gone(pid)
    async with asyncio.timeout(10):
        while left.parent.exists():
            await asyncio.sleep(0.01)
    assert (await gateway.invoke()).value
    assert (await (await opened(gateway, 2)).invoke()).value


async def test_the_first_ends_before_it(start: Start) -> None:
    gateway = await start(LEAVES_PROCESSES)
    beside = await opened(gateway)
    firsts, besides = (await gateway.invoke()).value, (await beside.invoke()).value
    connected(gateway).send(FrameType.SHUTDOWN, {"reason": "spindown"})
    await connected(gateway).closed()
    for pid in firsts:
        await gone(pid)
    assert gateway.agent is not None
    assert gateway.agent.returncode is None
    assert all(alive(pid) for pid in besides)
    assert (await beside.invoke()).value
    assert gateway._arrivals["environment-1"].empty()
    connected(beside).send(FrameType.SHUTDOWN, {"reason": "spindown"})
    assert await gateway.agent_ended() == 0
    for pid in besides:
        await gone(pid)


async def test_what_the_first_was_about_to_do_is_not_done_when_it_has_ended(start: Start, mounts: bool) -> None:
    gateway = await start()
    inits = gateway.folder / "environment" / "tmp" / "inits"
    source = (
        "import os, time\n"
        f"with open({'/tmp/inits' if mounts else str(inits)!r}, 'a') as file: file.write('x')\n"
        "time.sleep(0.3)\ndef handler(event, context):\n    return os.environ['AWS_LAMBDA_RUNTIME_API']\n"
    )
    runtime = {"protocol": "frames", "command": gateway.bootstrap(mounts=mounts)}
    specialized = asyncio.ensure_future(gateway.specialize([(zip_of({"app.py": source}), "task")], runtime))
    await asyncio.sleep(0)
    gateway.send_invoke()
    beside = await gateway.open()
    async with asyncio.timeout(10):
        while not (inits.exists() and inits.stat().st_size):
            await asyncio.sleep(0.01)
    connected(gateway).send(FrameType.SHUTDOWN, {"reason": "spindown"})
    with pytest.raises(AssertionError, match="closed the connection"):
        await specialized
    beside.specialization = gateway.specialization
    assert (await beside.specialize_again())["status"] == "success"
    assert (await beside.invoke()).value.startswith("127.0.0.1:")
    assert (
        inits.read_text() == "xx"
    )  # one of either: an invocation that waited has not started the first's runtime anew
    assert children(gateway.hello["pid"]) == [beside.hello["pid"]]
    os.kill(gateway.hello["pid"], signal.SIGINT)
    assert await gateway.agent_ended() == 0
    await gone(beside.hello["pid"])


async def test_nobody_answers_where_the_runtime_api_of_an_ended_first_was(start: Start) -> None:
    gateway = await start("import os\ndef handler(event, context):\n    return os.environ['AWS_LAMBDA_RUNTIME_API']\n")
    beside = await opened(gateway)
    ports = [int((await environment.invoke()).value.rpartition(":")[2]) for environment in (gateway, beside)]
    connected(gateway).send(FrameType.SHUTDOWN, {"reason": "spindown"})
    await connected(gateway).closed()
    async with asyncio.timeout(10):
        while listens(ports[0]):
            await asyncio.sleep(0.01)
    assert listens(ports[1])


async def test_sigterm_lets_its_invocation_end(start: Start, mounts: bool) -> None:
    gateway = await start(HELD)
    go, seen = signal_file(gateway, mounts)
    beside = await opened(gateway)
    beside.send_invoke(seen)
    await connected(beside).next(FrameType.LOG)
    os.kill(gateway.hello["pid"], signal.SIGTERM)
    for environment in (gateway, beside):
        frame = await connected(environment).next(FrameType.SHUTDOWN)
        assert json.loads(frame.body) == {"reason": "leaving"}
    late = gateway.ask_to_open(2)
    refused = json.loads((await connected(gateway).next(FrameType.OPEN)).body)
    assert refused == {"environment": late.environment, "error": "the agent is leaving"}
    connected(gateway).send(FrameType.SHUTDOWN, {"reason": "spindown"})
    await connected(gateway).closed()
    go.touch()
    assert (await beside.collect()).value == "done"
    connected(beside).send(FrameType.SHUTDOWN, {"reason": "spindown"})
    assert await gateway.agent_ended() == 0
    await gone(beside.hello["pid"])


async def test_sigterm_that_comes_when_only_it_is_left(start: Start, mounts: bool) -> None:
    gateway = await start(HELD)
    go, seen = signal_file(gateway, mounts)
    beside = await opened(gateway)
    connected(gateway).send(FrameType.SHUTDOWN, {"reason": "spindown"})
    await connected(gateway).closed()
    beside.send_invoke(seen)
    await connected(beside).next(FrameType.LOG)
    os.kill(gateway.hello["pid"], signal.SIGTERM)
    await connected(beside).next(FrameType.SHUTDOWN)
    go.touch()
    assert (await beside.collect()).value == "done"
    connected(beside).send(FrameType.SHUTDOWN, {"reason": "spindown"})
    assert await gateway.agent_ended() == 0


async def test_a_first_that_leaves_does_not_look_for_a_lost_gateway(start: Start) -> None:
    gateway = await start("import time\ndef handler(event, context):\n    time.sleep(0.3)\n    return event\n")
    beside = await opened(gateway)
    os.kill(gateway.hello["pid"], signal.SIGTERM)
    for environment in (gateway, beside):
        await connected(environment).next(FrameType.SHUTDOWN)
    await connected(gateway).close()
    assert (await beside.invoke(1)).value == 1
    assert gateway._arrivals["environment-1"].empty()
    connected(beside).send(FrameType.SHUTDOWN, {"reason": "spindown"})
    assert await gateway.agent_ended() == 0


@pytest.mark.parametrize("first_fails", [True, False], ids=["first", "beside"])
async def test_a_crash_and_a_timeout_of_one_leave_the_other_alone(
    start: Start, mounts: bool, first_fails: bool
) -> None:
    source = (
        "import os, subprocess, time\ndef handler(event, context):\n    if event == 'crash': os._exit(3)\n"
        "    if event == 'hang': time.sleep(600)\n"
        "    process = subprocess.Popen(['sleep', '600'], start_new_session=True)\n    print('on', flush=True)\n"
        "    while not os.path.exists(event): time.sleep(0.01)\n    return process.poll()\n"
    )
    short_ms, long_ms = 300, 60_000
    gateway = await start(source, timeout_ms=short_ms if first_fails else long_ms)
    go, seen = signal_file(gateway, mounts)
    beside = await gateway.open()
    function = {**gateway.specialization["function"], "timeoutMs": long_ms if first_fails else short_ms}
    beside.specialization = {**gateway.specialization, "function": function}
    assert (await beside.specialize_again())["status"] == "success"
    failing, other = (gateway, beside) if first_fails else (beside, gateway)
    other.send_invoke(seen, timeout_ms=long_ms)
    await connected(other).next(FrameType.LOG)
    assert (await failing.invoke("crash")).ended.status == ReportStatus.FAILURE
    assert (await failing.invoke("hang")).ended.status == ReportStatus.TIMEOUT
    go.touch()
    assert (await other.collect()).payload == b"null"  # what it has started runs


async def test_what_a_killed_one_leaves_behind_is_ended(start: Start) -> None:
    gateway = await start(LEAVES_PROCESSES)
    beside, third = await opened(gateway, 1), await opened(gateway, 2)
    firsts, besides, thirds = [(await environment.invoke()).value for environment in (gateway, beside, third)]
    os.kill(beside.hello["pid"], signal.SIGKILL)
    await connected(beside).closed()
    for pid in besides:
        await gone(pid)
    assert all(alive(pid) for pid in firsts + thirds)
    for environment in (gateway, third):
        assert (await environment.invoke()).value
    # Nobody was told with OPEN: its link was there to be lost.
    connected(gateway).send(FrameType.PING)
    await connected(gateway).next(FrameType.PONG)


async def test_it_does_not_outlive_a_first_that_is_killed(start: Start) -> None:
    gateway = await start(ECHO)
    beside = await opened(gateway)
    runtime = children(beside.hello["pid"])
    os.kill(gateway.hello["pid"], signal.SIGKILL)
    await connected(beside).closed()
    for pid in (beside.hello["pid"], *runtime):
        await gone(pid)


async def test_it_is_told_that_it_ended_before_its_welcome(start: Start) -> None:
    gateway = await start(ECHO)
    beside = gateway.ask_to_open()
    _, hello = await asyncio.wait_for(gateway._arrivals[beside.environment].get(), 20)
    os.kill(hello["pid"], signal.SIGKILL)
    told = json.loads((await connected(gateway).next(FrameType.OPEN)).body)
    why = "its process ended before it was welcomed: signal: killed"
    assert told == {"environment": "environment-1/1", "error": why}
    assert (await (await opened(gateway, 2)).invoke(1)).value == 1


@pytest.mark.parametrize("mounts", ["folders"], indirect=True)  # what is mounted can't be taken away
async def test_it_is_told_that_it_could_not_be_started(start: Start) -> None:
    gateway = await start(ECHO)
    folder = gateway.folder / "environment" / "tmp"
    folder.rename(folder.with_name("away"))
    beside = gateway.ask_to_open()
    told = json.loads((await connected(gateway).next(FrameType.OPEN)).body)
    assert told["environment"] == beside.environment
    assert told["error"].startswith("it could not be started: ")
    assert told["error"].endswith("no such file or directory")
    assert (await gateway.invoke(1)).value == 1


async def test_code_that_can_not_be_had_is_nobodys(start: Start, mounts: bool) -> None:
    gateway = await start()
    runtime = {"protocol": "frames", "command": gateway.bootstrap(mounts=mounts)}
    specialized = asyncio.ensure_future(gateway.specialize([(b"no archive", "task")], runtime))
    await asyncio.sleep(0)
    early = gateway.ask_to_open(1)
    assert (await specialized)["errorType"] == "Runtime.InvalidZipFile"
    late = gateway.ask_to_open(2)
    for beside in (early, late):
        told = json.loads((await connected(gateway).next(FrameType.OPEN)).body)
        why = "the code can't be used: invalid ZIP file: zip: not a valid zip file"
        assert told == {"environment": beside.environment, "error": why}


async def test_each_holds_its_own_memory_limit(start: Start, mounts: bool) -> None:
    source = (
        "import os, time\ndef handler(event, context):\n    megabytes, path = event\n"
        "    kept = b'x' * (megabytes << 20)\n    print('on', flush=True)\n"
        "    while not os.path.exists(path): time.sleep(0.01)\n    return len(kept) >> 20\n"
    )
    gateway = await start(source, memory_limit_bytes=128 << 20, timeout_ms=60_000)
    go, seen = signal_file(gateway, mounts)
    beside = await opened(gateway)
    for environment in (gateway, beside):
        environment.send_invoke([70, seen], timeout_ms=60_000)
    for environment in (gateway, beside):
        assert (await connected(environment).next(FrameType.LOG)).body.startswith(b"on")
    third = await opened(gateway, 2)
    answer = await third.invoke([200, seen])
    assert answer.value["errorMessage"].endswith("Error: Runtime exited with error: signal: killed")
    go.touch()
    for environment in (gateway, beside):  # 140 MiB together: each is looked at alone, several times by now
        assert (await environment.collect()).value == 70
    assert (await third.invoke([20, seen])).value == 20


async def test_each_finds_its_gateway_again(start: Start) -> None:
    gateway = await start(ECHO)
    beside = await opened(gateway)
    await gateway.stop_listening()
    for environment in (gateway, beside):
        await connected(environment).close()
    await gateway.listen()
    for environment in (gateway, beside):
        await environment.welcome()
        assert environment.hello["secret"] == "known to both"
        assert environment.hello["slots"][0]["revision"] == "revision 1"
        assert (await environment.invoke(1)).value == 1


async def test_another_gateway_is_told_what_was_opened(start: Start) -> None:
    gateway = await start(ECHO)
    assert "opened" not in gateway.hello
    besides = [await opened(gateway, number) for number in (1, 2, 9)]
    connected(besides[0]).send(FrameType.SHUTDOWN, {"reason": "spindown"})
    async with asyncio.timeout(10):
        while besides[0].hello["pid"] in children(gateway.hello["pid"]):
            await asyncio.sleep(0.01)
    await connected(gateway).close()
    await gateway.welcome()
    alive = ["environment-1/2", "environment-1/9"]
    assert gateway.hello["opened"] == {"last": 9, "most": 4, "alive": alive}


@pytest.mark.parametrize("number", ["0", "-1", "x", "1/1"])
@pytest.mark.parametrize("mounts", ["folders"], indirect=True)
async def test_an_id_that_is_none_of_the_pods(start: Start, number: str) -> None:
    gateway = await start(ECHO)
    connected(gateway).send(FrameType.OPEN, {"environment": f"environment-1/{number}", "secret": "x"})
    await connected(gateway).closed()
    await gateway.welcome()
    assert "opened" not in gateway.hello
    assert (await gateway.invoke(1)).value == 1


async def test_each_gives_up_a_gateway_that_is_gone(start: Start) -> None:
    gateway = await start(ECHO, settings={"LAMBENT_LINK_PATIENCE_SECONDS": "0.2"})
    beside = await opened(gateway)
    await gateway.stop_listening()
    for environment in (gateway, beside):
        await connected(environment).close()
    assert await gateway.agent_ended() == 0
    await gone(beside.hello["pid"])


@pytest.mark.parametrize("mounts", ["folders"], indirect=True)  # elsewhere a /tmp of its own hides the token's file
async def test_it_belongs_to_the_gateway_that_the_first_has_moved_to(start: Start, tmp_path: Path) -> None:
    others = [Gateway(tmp_path, "tcp:127.0.0.1:0"), Gateway(tmp_path, f"unix:{tmp_path}/fallback.sock")]
    for other in others:
        await other.listen()
    token = tmp_path / "token"
    token.write_text("from a file\n")
    settings = {"LAMBENT_GATEWAY_FALLBACK": others[1].address, "LAMBENT_TOKEN": "", "LAMBENT_TOKEN_FILE": str(token)}
    gateway = await start(ECHO, settings=settings)
    connected(gateway).send(FrameType.REDIRECT, {"gateway": others[0].address})
    await others[0].welcome()
    others[0].specialization = gateway.specialization
    beside = await opened(others[0])
    assert beside.hello["token"] == "from a file"
    assert (await beside.invoke(1)).value == 1
    await others[0].stop_listening()
    await connected(beside).close()
    found, hello = await asyncio.wait_for(others[1]._arrivals["environment-1/1"].get(), 20)
    assert hello["secret"] == "known to both"
    await found.close()
    for other in others:
        await other.close()


async def test_its_secret_can_not_be_read_beside_it(start: Start) -> None:
    gateway = await start(ECHO)
    beside = await gateway.open()
    variables = Path(f"/proc/{beside.hello['pid']}/environ").read_bytes()
    assert b"of 1" not in variables
    assert TOKEN.encode() not in variables
    assert Path(f"/proc/{beside.hello['pid']}/status").stat().st_uid == 0  # as of the first: its memory is hidden


async def test_it_is_found_in_a_list_of_processes(start: Start) -> None:
    beside = await (await start(ECHO)).open()
    process = Path(f"/proc/{beside.hello['pid']}")
    assert (process / "comm").read_text() == "lambent-agent\n"
    assert (process / "cmdline").read_bytes() == b"lambent-agent\0environment-1/1\0"


async def test_what_it_was_handed_is_not_handed_on(start: Start) -> None:
    source = "import os\ndef handler(event, context):\n    return sorted(os.listdir('/proc/self/fd'))\n"
    gateway = await start(source)
    beside = await opened(gateway)
    assert (await beside.invoke()).value == (await gateway.invoke()).value


async def test_it_opens_none_itself(start: Start) -> None:
    gateway = await start(ECHO)
    beside = await opened(gateway)
    assert "opens" not in beside.hello
    connected(beside).send(FrameType.OPEN, {"environment": "environment-1/1/1", "secret": ""})
    await connected(beside).closed()
    await beside.welcome()
    assert (await beside.invoke(1)).value == 1


def on_this_machine(gateway: Gateway, path: str, mounts: bool) -> Path:
    """A path below the first environment's /tmp, which the others see too."""
    return gateway.folder / "environment" / "tmp" / Path(path).relative_to("/tmp") if mounts else Path(path)


def signal_file(gateway: Gateway, mounts: bool) -> tuple[Path, str]:
    """A file that functions wait for: where it is, and where they see it."""
    seen = "/tmp/go" if mounts else str(gateway.folder / "environment" / "tmp" / "go")
    return on_this_machine(gateway, seen, mounts), seen


def agents(gateway: Gateway) -> list[int]:
    """The agents that the first one has started."""
    program = Path(f"/proc/{gateway.hello['pid']}/exe").readlink()
    return [pid for pid in children(gateway.hello["pid"]) if Path(f"/proc/{pid}/exe").readlink() == program]


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
