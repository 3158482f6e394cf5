"""PostgreSQL killed with SIGKILL at any moment, with all its children: what was acknowledged is there, and work goes on."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sized
from contextlib import AsyncExitStack

import pytest

from lambent_core.errors import ServiceUnavailable
from lambent_core.invocation import Invocation, Outcome
from lambent_core.link import Report, ReportStatus
from lambent_core.retry import RetryPolicy
from lambent_gateway.clock import SystemClock
from lambent_gateway.drivers.async_invocations import AsyncInvocations, AsyncLimits, Functions
from lambent_gateway.stores.events import SqlEventQueue
from lambent_gateway.stores.events_base import Event, Room
from tests.postgres_server import PostgresServer

ROUNDS = 4
ACCEPTORS = 16
OK = Outcome(b"null", None, "", "$LATEST", Report(1, 0, 1, ReportStatus.SUCCESS, ""))


@pytest.fixture
def durable() -> Iterator[PostgresServer]:
    with PostgresServer(durable=True) as server:
        yield server


async def until_more_than(count: int, of: Sized) -> None:
    async with asyncio.timeout(60):
        while len(of) <= count:
            await asyncio.sleep(0.01)


@pytest.mark.timeout(180)
async def test_every_acknowledged_event_is_there_after_its_recovery(durable: PostgresServer) -> None:
    seed = random.randrange(10**9)
    chance = random.Random(seed)
    queue = await SqlEventQueue.open(durable.new_schema())
    acknowledged: set[str] = set()
    refused: Counter[int] = Counter()

    async def accept_until_refused(name: str, round: int) -> None:
        number = 0
        while True:
            try:
                await queue.accept(Event(f"{name}-{number}", "f", chance.randbytes(1024), time.time()))
            except ServiceUnavailable:
                refused[round] += 1
                return
            acknowledged.add(f"{name}-{number}")
            number += 1

    for round in range(ROUNDS):
        enough = len(acknowledged) + chance.randint(1, 300)
        async with asyncio.TaskGroup() as tasks:
            for acceptor in range(ACCEPTORS):
                tasks.create_task(accept_until_refused(f"{round}-{acceptor}", round))
            await until_more_than(enough, acknowledged)
            await asyncio.to_thread(durable.kill)
        assert refused[round] == ACCEPTORS, "each was told, and nothing came after it"
        with pytest.raises(ServiceUnavailable, match="does not answer"):
            await queue.backlog()
        await asyncio.to_thread(durable.start)
        await queue.accept(Event(f"{round}-after", "f", b"", time.time()))
        acknowledged.add(f"{round}-after")

    found: list[str] = []
    while (claimed := await queue.claim(time.time(), Room(500, 500, {}), lease_seconds=60, owner="me")).events:
        found += [queued.event.request_id for queued in claimed.events]
        await queue.settle([queued.lease for queued in claimed.events])
    await queue.close()
    assert len(found) == len(set(found)), f"seed {seed}: an event was there twice"
    assert not acknowledged - set(found), f"seed {seed}: acknowledged events lost"
    assert len(set(found) - acknowledged) <= ROUNDS * ACCEPTORS, "at most those whose answer was lost"


class Gateway:
    """A driver of its own over a queue of its own, and what it ran."""

    def __init__(self, queue: SqlEventQueue, name: str, ran: Counter[str], *, at_once: int) -> None:
        self.ran: list[str] = []
        self._all = ran
        self.driver = AsyncInvocations(
            queue,
            run=self._run,
            functions=Functions(self._policy, self._reserved, lambda function, condition: None, list),
            clock=SystemClock(),
            chance=random.random,
            owner=name,
            limits=AsyncLimits(at_once, at_once),
        )

    async def _run(self, invocation: Invocation) -> Outcome:
        await asyncio.sleep(random.uniform(0, 0.02))
        self.ran.append(invocation.request_id)
        self._all[invocation.request_id] += 1
        return OK

    def _policy(self, function: str, qualifier: str | None) -> RetryPolicy:
        return RetryPolicy()

    def _reserved(self) -> Mapping[str, int]:
        return {}

    async def accept(self, name: str) -> None:
        await self.driver.accept(Invocation(name, "f", b"{}", kind="Event"))


async def test_gateways_that_share_it_run_each_event_once_and_help_one_another(postgres: PostgresServer) -> None:
    where, ran = postgres.new_schema(), Counter[str]()
    async with AsyncExitStack() as stack:
        gateways = []
        for name in ("first", "second"):
            queue = await SqlEventQueue.open(where)
            stack.push_async_callback(queue.close)
            gateway = Gateway(queue, name, ran, at_once=2)
            gateway.driver.start()
            stack.push_async_callback(gateway.driver.stop)
            gateways.append(gateway)
        names = [str(number) for number in range(500)]
        await asyncio.gather(*(gateways[0].accept(name) for name in names))
        await until_more_than(len(names) - 1, ran)
    assert ran == Counter(names), "each once"
    assert gateways[1].ran, "what the first had no room for"


@pytest.mark.timeout(180)
async def test_events_go_on_being_run_when_it_is_back(durable: PostgresServer) -> None:
    ran, accepted = Counter[str](), set[str]()
    async with AsyncExitStack() as stack:
        queue = await SqlEventQueue.open(durable.new_schema())
        stack.push_async_callback(queue.close)
        gateway = Gateway(queue, "me", ran, at_once=20)
        gateway.driver.start()
        stack.push_async_callback(gateway.driver.stop)

        async def accept(name: str) -> None:
            try:
                await gateway.accept(name)
            except ServiceUnavailable:
                return
            accepted.add(name)

        for round in range(3):
            enough = len(ran) + 20
            callers = [asyncio.create_task(accept(f"{round}-{number}")) for number in range(400)]
            await until_more_than(enough, ran)
            await asyncio.to_thread(durable.kill)
            await asyncio.gather(*callers)
            await asyncio.to_thread(durable.start)
        async with asyncio.timeout(60):
            while not accepted <= ran.keys():
                await asyncio.sleep(0.01)
    assert max(ran.values()) == 1, "this process lived on: nothing was run twice (D2)"
