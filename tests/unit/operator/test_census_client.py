"""Against a real server on the loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from lambent_core.census import AgentEntry, Alive, Changes, Line, Snapshot
from lambent_operator.census import Census, Touched
from lambent_operator.census_client import CensusClient, GatewayUnreachable
from lambent_operator.resources import GatewayPod
from lambent_operator.troubles import Trouble

POD = GatewayPod("gateway-0", "g-1", 1, "127.0.0.1", ready=True)
AGENT = AgentEntry("a", "p", "free")


class Server:
    """Sends what a test puts into `lines`; None ends the stream."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.tokens: list[str] = []
        self.failures: list[tuple[str, object]] = []
        self.status = 200
        self.port = 0

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/lambent/v1/agents", self._tell)
        app.router.add_post("/lambent/v1/agents/{id}/failure", self._fail)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        return runner

    def say(self, *lines: Line) -> None:
        for line in lines:
            self.lines.put_nowait(msgspec.json.encode(line) + b"\n")

    async def _tell(self, request: web.Request) -> web.StreamResponse:
        self.tokens.append(request.headers["Authorization"])
        response = web.StreamResponse(status=self.status)
        await response.prepare(request)
        while (line := await self.lines.get()) is not None:
            await response.write(line)
        return response

    async def _fail(self, request: web.Request) -> web.Response:
        self.failures.append((request.match_info["id"], await request.json()))
        return web.Response(status=self.status, text="words")


class Following:
    def __init__(self, server: Server, token_file: Path) -> None:
        self.changed = asyncio.Event()
        clock = asyncio.get_running_loop().time
        self.census = Census(self._touched, now=clock())
        self.client = CensusClient(
            self.census, port=server.port, token_file=token_file, clock=clock, chance=lambda: 0.0
        )

    def _touched(self, _: Touched) -> None:
        self.changed.set()

    async def until(self, look: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not look():
                self.changed.clear()
                await self.changed.wait()


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    runner = await made.start()
    yield made
    made.lines.put_nowait(None)
    await runner.cleanup()


@pytest_asyncio.fixture
async def following(server: Server, tmp_path: Path) -> AsyncIterator[Following]:
    token_file = tmp_path / "token"
    token_file.write_text("first\n")
    made = Following(server, token_file)
    yield made
    await made.client.close()


async def test_it_follows_a_gateway_across_breaks(server: Server, following: Following, tmp_path: Path) -> None:
    census = following.census
    following.client.put_gateway(POD)
    server.say(Snapshot("gateway-0", [], {}), Alive(), Changes([AGENT], [], {}))
    await following.until(lambda: census.agent("a") is not None)
    (tmp_path / "token").write_text("second\n")
    server.lines.put_nowait(None)
    await following.until(lambda: not census.is_connected("gateway-0"))
    assert census.agent("a") is not None
    server.say(Snapshot("gateway-0", [], {}))
    await following.until(lambda: census.is_connected("gateway-0"))
    assert census.agent("a") is None
    assert server.tokens == ["Bearer first", "Bearer second"]


async def test_a_long_snapshot_in_pieces(server: Server, following: Following) -> None:
    agents = [AgentEntry(f"agent-{number}", "p", "free") for number in range(20_000)]
    text = (
        msgspec.json.encode(Snapshot("gateway-0", agents, {})) + b"\n" + msgspec.json.encode(Changes([AGENT], [], {}))
    )
    following.client.put_gateway(POD)
    for start in range(0, len(text), 100_000):
        server.lines.put_nowait(text[start : start + 100_000])
    server.lines.put_nowait(b"\n")
    await following.until(lambda: following.census.agent("a") is not None)
    assert following.census.pool_counts("p") == (20_001, 0)


@pytest.mark.parametrize("line", [b"no JSON\n", b'{"type": "OTHER"}\n', b'{"type": "SNAPSHOT", "agents": 1}\n'])
async def test_what_is_not_understood_is_asked_for_again(server: Server, following: Following, line: bytes) -> None:
    following.client.put_gateway(POD)
    server.lines.put_nowait(line)
    server.lines.put_nowait(None)
    server.say(Snapshot("gateway-0", [AGENT], {}))
    await following.until(lambda: following.census.agent("a") is not None)
    assert len(server.tokens) >= 2


async def test_a_refusal_is_tried_again(server: Server, following: Following) -> None:
    server.status = 503
    server.lines.put_nowait(None)
    following.client.put_gateway(POD)
    async with asyncio.timeout(30):
        while not server.tokens:
            await asyncio.sleep(0)
    server.status = 200
    server.say(Snapshot("gateway-0", [AGENT], {}))
    await following.until(lambda: following.census.agent("a") is not None)


async def test_a_gateway_with_another_address_or_none_is_followed_there(server: Server, following: Following) -> None:
    following.client.put_gateway(GatewayPod("gateway-0", "g-1", 1, "", ready=False))
    assert server.tokens == []
    following.client.put_gateway(POD)
    server.say(Snapshot("gateway-0", [AGENT], {}))
    await following.until(lambda: following.census.is_connected("gateway-0"))
    following.client.put_gateway(GatewayPod("gateway-0", "g-1", 2, "127.0.0.9", ready=True))
    await following.until(lambda: not following.census.is_connected("gateway-0"))
    following.client.remove_gateway("gateway-0")
    assert following.census.agent("a") is None


async def test_failures_are_told(server: Server, following: Following) -> None:
    trouble = Trouble("ImagePullFailed", "not found.")
    with pytest.raises(GatewayUnreachable):
        await following.client.report_failure("gateway-0", "a", trouble)
    following.census.put_gateway(POD, now=0.0)
    assert await following.client.report_failure("gateway-0", "a", trouble)
    server.status = 404  # it doesn't want the agent any more, or has it
    assert not await following.client.report_failure("gateway-0", "b", trouble)
    assert server.failures == [
        ("a", {"reason": "ImagePullFailed", "message": trouble.note}),
        ("b", {"reason": "ImagePullFailed", "message": trouble.note}),
    ]
    server.status = 500
    with pytest.raises(GatewayUnreachable, match="gateway gateway-0 answered 500: words"):
        await following.client.report_failure("gateway-0", "a", trouble)
