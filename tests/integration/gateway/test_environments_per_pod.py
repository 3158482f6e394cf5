"""Several environments in one pod, of a function that allows it: here a process agent is the pod."""

from __future__ import annotations

import os
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.platform_process import Platform, package, wait_for

HELD = """
import os, pathlib, tempfile, time

def parent(pid):
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

def handler(event, context):
    folder = pathlib.Path(event["folder"])
    (folder / context.aws_request_id).touch()
    while not (folder / event["go"]).exists():
        time.sleep(0.01)
    agent = os.getppid()
    return {
        "stream": context.log_stream_name,
        "agent": agent,
        "above": parent(agent),
        "tmp": tempfile.gettempdir(),
        "code": CODE,
    }
"""
"""Runs until a file is there, and tells what it ran in."""


def held(code: int = 1) -> str:
    return HELD.replace("CODE", str(code))


class World:
    """A platform whose function `fn` runs on at most `per_pod` environments for each agent that the gateway starts."""

    def __init__(self, platform: Platform, folder: Path) -> None:
        self.platform, self.folder = platform, folder
        self.callers = ThreadPoolExecutor(16)
        self.began = 0

    def begin(self, go: str) -> Future[dict[str, Any]]:
        """A call that has reached its handler, and runs until it is let `go`."""
        call = self.start(go)
        self.running(1)
        return call

    def start(self, go: str) -> Future[dict[str, Any]]:
        payload = {"folder": str(self.folder), "go": go}
        return self.callers.submit(lambda: self.platform.invoke("fn", payload)["Payload"])

    def running(self, more: int) -> None:
        """So many more calls have reached their handlers."""
        self.began += more
        wait_for("calls to run", lambda: len(list(self.folder.glob("????????-*"))) >= self.began)

    def go(self, name: str) -> None:
        (self.folder / name).touch()

    def call(self) -> dict[str, Any]:
        """One call that ends by itself."""
        self.go("at once")
        self.began += 1
        found: dict[str, Any] = self.platform.invoke("fn", {"folder": str(self.folder), "go": "at once"})["Payload"]
        return found

    def burst(self, calls: int) -> list[dict[str, Any]]:
        """Calls that all run at once."""
        begun = [self.start(f"burst {self.began}") for _ in range(calls)]
        name = f"burst {self.began}"
        self.running(calls)
        self.go(name)
        return [call.result() for call in begun]

    def pod(self, ran: dict[str, Any]) -> int:
        """The agent that the gateway started: the one that ran it, or the one above."""
        return int(ran["agent"] if ran["above"] == self.platform.process.pid else ran["above"])

    def pods(self, ran: list[dict[str, Any]]) -> Counter[int]:
        return Counter(self.pod(one) for one in ran)

    def environments(self) -> float:
        return self.platform.metric("lambent_environments", function="fn")

    def first_and_further(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What ran in the first environment of a pod, and in one that was opened beside it: the warmest is that one."""
        first, further = self.begin("first"), self.begin("further")
        self.go("first")
        ran = first.result()
        self.go("further")
        assert self.pod(further.result()) == ran["agent"]
        return ran, further.result()

    def end(self) -> None:
        for name in ("first", "further", "at once"):
            self.go(name)
        self.callers.shutdown()
        self.platform.end()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Nothing idles away, and no agents wait."""
    yield from _world(tmp_path, idle_seconds=3600.0, pool_size=0)


@pytest.fixture
def brief(tmp_path: Path) -> Iterator[World]:
    """What idles for a second goes."""
    yield from _world(tmp_path, idle_seconds=1.0, pool_size=0)


def _world(tmp_path: Path, **settings: Any) -> Iterator[World]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:  # functions have a /tmp of their own
        made = World(Platform(tmp_path / "data", **settings).start(), Path(folder))
        try:
            yield made
        finally:
            made.end()


def test_a_burst_from_zero_is_served_by_one_agent_and_its_children(world: World) -> None:
    world.platform.apply("fn", held(), timeout=30, environmentsPerPod=8)
    ran = world.burst(6)
    assert len({one["stream"] for one in ran}) == 6
    assert len({one["tmp"] for one in ran}) == 6
    assert list(world.pods(ran).values()) == [6]
    assert len(world.platform.agents()) == 1, "no agent was started that was not needed"


def test_a_pod_holds_no_more_than_its_function_says(world: World) -> None:
    world.platform.apply("fn", held(), timeout=30, environmentsPerPod=2)
    ran = world.burst(7)
    assert len({one["stream"] for one in ran}) == 7
    assert sorted(world.pods(ran).values()) == [1, 2, 2, 2]


def test_a_pod_is_not_shared_where_nothing_is_said_and_is_once_it_is(world: World) -> None:
    """Nothing is made anew for it: what is there takes others in."""
    world.platform.apply("fn", held(), timeout=30)
    ran = world.burst(2)
    assert len(world.pods(ran)) == 2
    world.platform.apply("fn", held(), timeout=30, environmentsPerPod=3)
    more = world.burst(6)
    assert world.pods(more).keys() == world.pods(ran).keys()
    assert {one["stream"] for one in ran} < {one["stream"] for one in more}


def test_lambdas_own_operations_leave_it_alone(world: World) -> None:
    world.platform.apply("fn", held(), timeout=30, environmentsPerPod=3)
    client = world.platform.client()
    client.update_function_configuration(FunctionName="fn", Timeout=20)
    client.get_waiter("function_updated_v2").wait(FunctionName="fn", WaiterConfig={"Delay": 1})
    assert list(world.pods(world.burst(3)).values()) == [3]


def test_published_versions_share_pods_among_themselves(world: World) -> None:
    world.platform.apply("fn", held(), timeout=30, environmentsPerPod=4)
    latest = world.burst(2)
    version = world.platform.client().publish_version(FunctionName="fn")["Version"]
    world.go("at once")
    payload = {"folder": str(world.folder), "go": "at once"}
    published = world.platform.invoke(f"fn:{version}", payload)["Payload"]
    assert world.pod(published) not in world.pods(latest)


def test_a_further_environment_idles_away_before_the_first(brief: World) -> None:
    brief.platform.apply("fn", held(), timeout=30, environmentsPerPod=2)
    first, further = brief.begin("first"), brief.begin("further")
    brief.go("further")
    further.result()
    brief.go("first")
    stays = first.result()["stream"]
    wait_for("one environment", lambda: [brief.call()["stream"], brief.environments()] == [stays, 1.0])
    wait_for("scale to zero", lambda: brief.environments() == 0)
    wait_for("all processes to end", lambda: not brief.platform.agents())


def test_the_first_environment_idles_away_before_a_further_one(brief: World) -> None:
    """Its agent stays for the other's sake, and opens no more."""
    brief.platform.apply("fn", held(), timeout=30, environmentsPerPod=2)
    first, further = brief.first_and_further()
    wait_for("one environment", lambda: [brief.call()["stream"], brief.environments()] == [further["stream"], 1.0])
    assert brief.platform.agents() == [first["agent"]]
    ran = brief.burst(2)
    assert sorted(brief.pods(ran).values()) == [1, 1]
    assert brief.pods(ran)[first["agent"]] == 1
    wait_for("scale to zero", lambda: brief.environments() == 0)
    wait_for("all processes to end", lambda: not brief.platform.agents())


def test_a_further_environment_whose_agent_is_killed_is_lost_alone(world: World) -> None:
    world.platform.apply("fn", held(), timeout=30, environmentsPerPod=2)
    first, further = world.first_and_further()
    os.kill(further["agent"], signal.SIGKILL)
    wait_for("one environment", lambda: world.environments() == 1)
    assert world.call()["stream"] == first["stream"]
    ran = world.burst(2)
    assert list(world.pods(ran).values()) == [2], "another is opened in its place"
    assert first["stream"] in {one["stream"] for one in ran}
    assert further["tmp"] not in {one["tmp"] for one in ran}


def test_all_environments_of_an_agent_that_is_killed_are_made_anew(world: World) -> None:
    world.platform.apply("fn", held(), timeout=30, environmentsPerPod=3)
    before = world.burst(3)
    os.kill(next(iter(world.pods(before))), signal.SIGKILL)
    wait_for("all to be lost", lambda: world.environments() == 0)
    after = world.burst(3)
    assert list(world.pods(after).values()) == [3]
    assert {one["stream"] for one in after}.isdisjoint({one["stream"] for one in before})


def test_new_code_gets_environments_of_its_own(world: World) -> None:
    world.platform.apply("fn", held(1), timeout=30, environmentsPerPod=3)
    before = world.burst(3)
    running = world.begin("first")
    client = world.platform.client()
    client.update_function_code(FunctionName="fn", ZipFile=package({"app.py": held(2)}))
    client.get_waiter("function_updated_v2").wait(FunctionName="fn", WaiterConfig={"Delay": 1})
    after = world.burst(3)
    assert {one["code"] for one in after} == {2}
    assert list(world.pods(after).values()) == [3]
    world.go("first")
    assert running.result()["code"] == 1
    wait_for("the old ones to go", lambda: world.platform.agents() == list(world.pods(after)))
    assert world.pods(after).keys().isdisjoint(world.pods(before))


def test_a_deleted_function_leaves_no_process(world: World) -> None:
    world.platform.apply("fn", held(), timeout=30, environmentsPerPod=3)
    ran = world.burst(3)
    world.platform.client().delete_function(FunctionName="fn")
    wait_for("all processes to end", lambda: not any(Path(f"/proc/{one['agent']}").exists() for one in ran))
    assert not world.platform.agents()


def test_the_next_gateway_finds_all_of_them_and_opens_more(world: World) -> None:
    world.platform.apply("fn", held(), timeout=30, environmentsPerPod=4)
    before = world.burst(3)
    pod = next(iter(world.pods(before)))
    running = world.begin("first")
    world.platform.kill()
    with pytest.raises(Exception, match="onnection"):
        running.result()
    world.go("first")
    world.platform.start()
    wait_for("all three", lambda: world.environments() == 3)
    after = world.burst(4)
    assert {one["stream"] for one in before} < {one["stream"] for one in after}
    assert {one["agent"] if one["agent"] == pod else one["above"] for one in after} == {pod}
    assert len({one["tmp"] for one in after}) == 4


def test_each_environment_is_held_to_its_functions_memory(world: World) -> None:
    """The first one too, though its sandbox has room for both."""
    source = (
        held()
        + "\ndef takes(event, context):\n    kept = b'x' * event['bytes']\n    time.sleep(20)\n    return len(kept)\n"
        + "\ndef either(event, context):\n    return takes(event, context) if 'bytes' in event else handler(event, context)\n"
    )
    world.platform.apply("fn", source, handler="app.either", timeout=30, memorySize=128, environmentsPerPod=2)
    world.first_and_further()
    assert world.platform.invoke("fn", {"bytes": 200_000_000})["FunctionError"] == "Unhandled"
    world.begin("further")  # the warmest is busy, so that the first one is next
    assert world.platform.invoke("fn", {"bytes": 200_000_000})["FunctionError"] == "Unhandled"
    assert world.environments() == 2
