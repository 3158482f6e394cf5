"""The operator's door: who may come in, and what is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI

from lambent_core.census import AgentEntry, Census, Rollout
from lambent_core.function import EnvironmentCounts
from lambent_gateway.api.agents import ALIVE_SECONDS, CHANGES_SECONDS, COUNT_SECONDS, AgentsDoor, router
from tests.simulation import virtual_time
from tests.unit.gateway.api.conftest import make_api

PATH = "/lambent/v1/agents"
OPERATOR = "operator's token"
AGENT = AgentEntry("pod-1", "python3.11", "wanted")


@dataclass
class World:
    census: Census = field(default_factory=lambda: Census("lambent-gateway-0"))
    functions: dict[str, EnvironmentCounts] = field(default_factory=dict)
    awaited: set[str] = field(default_factory=set)
    told: list[tuple[str, str]] = field(default_factory=list)
    ending: bool = False
    app: FastAPI = field(init=False)

    def __post_init__(self) -> None:
        async def is_operator(token: str) -> bool:
            return token == OPERATOR

        door = AgentsDoor(self.census, self._count, self._failed, is_operator, lambda: self.ending)
        self.app = make_api(router(door)).app

    def _count(self) -> None:
        self.census.count(
            self.functions, {name: Rollout("u/1", each.ready, 0) for name, each in self.functions.items()}
        )

    def _failed(self, agent: str, reason: str) -> bool:
        self.told.append((agent, reason))
        return agent in self.awaited

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[Reader]:
        """As the operator reads: until it goes away."""
        lines: asyncio.Queue[Any] = asyncio.Queue()
        gone = asyncio.Event()

        async def receive() -> Any:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                assert message["status"] == 200
            elif message.get("body"):
                lines.put_nowait(json.loads(message["body"]))
            elif not message.get("more_body"):
                lines.put_nowait(None)  # the end

        scope = scope_of("GET", PATH, OPERATOR)
        task = asyncio.get_running_loop().create_task(self.app(scope, receive, send))
        try:
            yield lines.get
        finally:
            gone.set()
            await task


Reader = Callable[[], Awaitable[Any]]


def scope_of(method: str, path: str, token: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {token}".encode()), (b"content-type", b"application/json")],
    }


def test_a_reader_is_told_all_that_is_there_and_then_what_changes() -> None:
    async def main() -> None:
        world = World()
        world.census.put(AGENT)
        world.functions = {"hello": EnvironmentCounts(starting=1)}
        async with world.reader() as line:
            assert await line() == {
                "type": "SNAPSHOT",
                "gateway": "lambent-gateway-0",
                "agents": [{"id": "pod-1", "pool": "python3.11", "state": "wanted"} | nothing_claimed()],
                "functions": {"hello": {"starting": 1}},
                "rollouts": {"hello": {"revision": "u/1", "updated": 0, "old": 0}},
            }
            world.census.remove("pod-1")
            nothing_counted: dict[str, Any] = {"functions": {}, "rollouts": {}}
            assert await line() == {"type": "CHANGES", "agents": [], "gone": ["pod-1"]} | nothing_counted

    virtual_time.run(main())


def nothing_claimed() -> dict[str, None]:
    return dict.fromkeys(("function", "functionUid", "revision", "memoryMb", "initError"))


def test_changes_that_come_together_are_told_together() -> None:
    async def main() -> None:
        world, clock = World(), asyncio.get_running_loop().time
        async with world.reader() as line:
            await line()
            began = clock()
            for number in range(50):
                world.census.put(AgentEntry(f"pod-{number}", "python3.11", "wanted"))
            world.census.remove("pod-0")
            told = await line()
            assert clock() - began == pytest.approx(CHANGES_SECONDS)
            assert len(told["agents"]) == 49 and told["gone"] == ["pod-0"]
            world.census.remove("pod-1")
            assert (await line())["gone"] == ["pod-1"]

    virtual_time.run(main())


def test_environments_are_counted_every_second() -> None:
    """Which of them are busy changes with each invocation, and wakes nobody."""

    async def main() -> None:
        world, clock = World(), asyncio.get_running_loop().time
        async with world.reader() as line:
            await line()
            began = clock()
            world.functions = {"hello": EnvironmentCounts(ready=1, busy=1)}
            told = await line()
            assert told["functions"] == {"hello": {"ready": 1, "busy": 1}}
            assert told["rollouts"] == {"hello": {"revision": "u/1", "updated": 1, "old": 0}}
            assert clock() - began == pytest.approx(COUNT_SECONDS + CHANGES_SECONDS)
            world.functions = {}
            assert (await line())["functions"] == {"hello": {}}

    virtual_time.run(main())


def test_without_changes_a_reader_is_told_that_the_gateway_is_alive() -> None:
    async def main() -> None:
        world, clock = World(), asyncio.get_running_loop().time
        async with world.reader() as line:
            await line()
            for _ in range(2):
                began = clock()
                assert await line() == {"type": "ALIVE"}
                assert ALIVE_SECONDS < clock() - began < ALIVE_SECONDS + 2 * (COUNT_SECONDS + CHANGES_SECONDS)

    virtual_time.run(main())


def test_a_gateway_that_ends_holds_no_reader() -> None:
    async def main() -> None:
        world = World()
        async with world.reader() as line:
            await line()
            world.ending = True
            while await line() is not None:
                pass
            assert world.census.readers == []

    virtual_time.run(main())


def test_a_reader_that_is_gone_is_forgotten() -> None:
    async def main() -> None:
        world = World()
        async with world.reader() as line, world.reader() as other:
            await line()
            await other()
            assert len(world.census.readers) == 2
        assert world.census.readers == []

    virtual_time.run(main())


async def ask(world: World, method: str, path: str, token: str, document: object = None) -> tuple[int, bytes]:
    return await sent(world, scope_of(method, path, token), json.dumps(document).encode())


async def sent(world: World, scope: dict[str, Any], body: bytes) -> tuple[int, bytes]:
    """Status and body of the answer."""
    messages: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        messages.append(message)

    await world.app(scope, receive, send)
    return messages[0]["status"], b"".join(message.get("body", b"") for message in messages[1:])


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("token", ["", "another token"])
async def test_nobody_but_the_operator_comes_in(method: str, token: str) -> None:
    world = World(awaited={"pod-1"})
    path = PATH if method == "GET" else f"{PATH}/pod-1/failure"
    status, body = await ask(world, method, path, token, {"reason": "R", "message": "m"})
    assert (status, json.loads(body)["Message"]) == (
        403,
        "Only Lambent's operator may ask this: show its service account's token, audience lambent-gateway.",
    )
    assert world.told == [] and world.census.readers == []


async def test_another_way_to_authorize_is_none() -> None:
    world = World()
    scope = scope_of("GET", PATH, OPERATOR)
    scope["headers"] = [(b"authorization", f"Basic {OPERATOR}".encode())]
    assert (await sent(world, scope, b""))[0] == 403


async def test_whoever_waits_for_a_pod_is_told_that_it_cannot_be_had() -> None:
    world = World(awaited={"pod-1"})
    told = {"reason": "ImagePullBackOff", "message": "no such image"}
    assert await ask(world, "POST", f"{PATH}/pod-1/failure", OPERATOR, told) == (204, b"")
    assert world.told == [("pod-1", "ImagePullBackOff: no such image")]


async def test_a_pod_that_nobody_waits_for_is_unknown() -> None:
    status, body = await ask(World(), "POST", f"{PATH}/pod-1/failure", OPERATOR, {"reason": "R", "message": "m"})
    assert (status, json.loads(body)["Message"]) == (404, "Nobody waits for an agent pod-1")


async def test_a_failure_without_words_is_refused() -> None:
    world = World(awaited={"pod-1"})
    status, body = await ask(world, "POST", f"{PATH}/pod-1/failure", OPERATOR, {"reason": "R"})
    assert (status, json.loads(body)["message"]) == (400, "message: Field required")
    assert world.told == []
