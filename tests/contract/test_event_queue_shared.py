"""Several gateways, one PostgreSQL: what each may rely on while the others are at it (Q1 to Q5)."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import create_engine, text

from lambent_core.errors import ServiceUnavailable
from lambent_core.retry import Tries
from lambent_gateway.stores.events import SqlEventQueue
from lambent_gateway.stores.events_base import Event, EventStoreUnusable, Lease, Reschedule, Room
from tests.postgres_server import PostgresServer

EVENTS = 300
GATEWAYS = 3
LEASE = 100.0


async def opened(stack: AsyncExitStack, where: str, count: int) -> list[SqlEventQueue]:
    """All at once, as gateways start."""
    queues = await asyncio.gather(*(SqlEventQueue.open(where) for _ in range(count)))
    for queue in queues:
        stack.push_async_callback(queue.close)
    return queues


async def test_an_empty_database_is_set_up_by_whoever_comes_first(postgres: PostgresServer) -> None:
    async with AsyncExitStack() as stack:
        queues = await opened(stack, postgres.new_schema(), 4)
        await asyncio.gather(*(queue.accept(Event(str(n), "f", b"{}", 1)) for n, queue in enumerate(queues * 5)))
        claimed = await queues[0].claim(1, Room(99, 99, {}), lease_seconds=LEASE, owner="me")
        assert len({queued.lease.id for queued in claimed.events}) == 20, "no id was given twice"
        assert [(await queue.backlog()).depth for queue in queues] == [20] * 4


async def test_each_event_is_had_by_one_of_those_who_claim_at_once(postgres: PostgresServer) -> None:
    async with AsyncExitStack() as stack:
        queues = await opened(stack, postgres.new_schema(), GATEWAYS)
        await asyncio.gather(*(queues[0].accept(Event(str(n), f"f{n % 3}", b"{}", 1)) for n in range(EVENTS)))
        ran: Counter[str] = Counter()

        async def serve(queue: SqlEventQueue, name: str) -> None:
            while (await queue.backlog()).depth:
                claimed = await queue.claim(1, Room(7, 3, {}), lease_seconds=LEASE, owner=name)
                ran.update(queued.event.request_id for queued in claimed.events)
                await queue.settle([queued.lease for queued in claimed.events])

        await asyncio.gather(*(serve(queue, str(number)) for number, queue in enumerate(queues)))
        assert ran == Counter(map(str, range(EVENTS)))


async def test_what_another_is_just_taking_is_passed_over_and_not_awaited(postgres: PostgresServer) -> None:
    where = postgres.new_schema()
    async with AsyncExitStack() as stack:
        (queue,) = await opened(stack, where, 1)
        for number in (1, 2):
            await queue.accept(Event(str(number), "f", b"{}", number))
        engine = create_engine(where.replace("postgresql:", "postgresql+psycopg:"))
        stack.callback(engine.dispose)
        with engine.begin() as other:
            other.execute(text("SELECT 1 FROM events WHERE due = 1 FOR UPDATE")).all()
            claimed = await queue.claim(5, Room(9, 9, {}), lease_seconds=LEASE, owner="me")
        assert [queued.event.request_id for queued in claimed.events] == ["2"]
        assert claimed.next_due is None
        again = await queue.claim(5, Room(9, 9, {}), lease_seconds=LEASE, owner="me")
        assert [queued.event.request_id for queued in again.events] == ["1"]


async def test_a_dead_gateways_events_are_run_by_another(postgres: PostgresServer) -> None:
    async with AsyncExitStack() as stack:
        dead, alive = await opened(stack, postgres.new_schema(), 2)
        for number in (1, 2):
            await dead.accept(Event(str(number), "f", b"{}", 1))
        await dead.claim(1, Room(1, 1, {}), lease_seconds=LEASE, owner="dead")
        await alive.claim(2, Room(1, 1, {}), lease_seconds=LEASE + 9, owner="alive")
        assert (await alive.claim(LEASE, Room(9, 9, {}), lease_seconds=LEASE, owner="alive")).events == ()
        after_its_lease = await alive.claim(1 + LEASE, Room(9, 9, {}), lease_seconds=LEASE, owner="alive")
        assert [queued.event.request_id for queued in after_its_lease.events] == ["1"]
        assert await dead.recover("alive", now=3) == 2, "declared dead by another"


async def test_whatever_they_do_at_once_no_two_hold_an_event_and_each_ends_once(postgres: PostgresServer) -> None:
    """
    Gateways claim, end, put off, forget and declare one another dead, all at once, in an order drawn by chance.

    A gateway may always find that its lease is no longer the last (Q5); so what is settled is what `settle` counts.
    """
    seed = random.randrange(10**9)
    chance = random.Random(seed)
    accepted: set[str] = set()
    given: set[Lease] = set()
    settled: list[int] = []

    async def accept(queue: SqlEventQueue, name: str) -> None:
        for number in range(EVENTS // GATEWAYS):
            await queue.accept(Event(f"{name}-{number}", f"f{chance.randrange(4)}", b"{}", 1))
            accepted.add(f"{name}-{number}")

    async def serve(queue: SqlEventQueue, name: str) -> None:
        held: list[Lease] = []
        while len(accepted) < EVENTS or (await queue.backlog()).depth:
            now = float(chance.randrange(1, 10**6))  # each its own clock, and none a good one
            claimed = await queue.claim(now, Room(9, 4, {}), lease_seconds=LEASE, owner=name)
            for queued in claimed.events:
                assert queued.lease not in given, f"seed {seed}: Q2, two hold {queued}"
                given.add(queued.lease)
            held += [queued.lease for queued in claimed.events]
            chance.shuffle(held)
            ending, held = held[:5], held[5:]
            match chance.randrange(4):
                case 0 | 1:
                    settled.append(await queue.settle(ending))
                case 2:
                    await queue.reschedule([Reschedule(lease, now, Tries(1, 0)) for lease in ending])
                case 3:
                    await queue.recover(str(chance.randrange(GATEWAYS)), now, {lease.id for lease in held})

    async with AsyncExitStack() as stack:
        queues = await opened(stack, postgres.new_schema(), GATEWAYS)
        async with asyncio.TaskGroup() as tasks:
            for number, queue in enumerate(queues):
                tasks.create_task(accept(queue, str(number)))
                tasks.create_task(serve(queue, str(number)))
    assert sum(settled) == len(accepted) == EVENTS, f"seed {seed}: Q3, settled twice or lost"


async def test_a_connection_string_that_can_not_be_read_is_refused_without_its_password() -> None:
    with pytest.raises(EventStoreUnusable, match="must look like postgresql://USER:PASSWORD@HOST") as refused:
        await SqlEventQueue.open("postgresql://me:secret@host:port/%zz")
    assert "secret" not in str(refused.value)


async def test_a_server_that_is_not_there_is_named(postgres: PostgresServer) -> None:
    nowhere = f"{postgres.folder}-not"
    with pytest.raises(EventStoreUnusable, match=f"PostgreSQL at {nowhere} can't be opened.*Check the connection"):
        await SqlEventQueue.open(f"host={nowhere} user=lambent password=secret")


async def test_commits_wait_for_the_disk_whatever_the_server_is_told(postgres: PostgresServer) -> None:
    async with AsyncExitStack() as stack:
        where = postgres.new_schema()
        for setting, expected in (("off", "on"), ("local", "local")):
            (queue,) = await opened(stack, f"{where}%20-c%20synchronous_commit%3D{setting}", 1)
            found = await queue._writer.do(lambda connection: connection.scalar(text("SHOW synchronous_commit")))
            assert found == expected


async def test_a_statement_that_fails_for_us_alone_is_no_lost_connection(postgres: PostgresServer) -> None:
    async with AsyncExitStack() as stack:
        (queue,) = await opened(stack, postgres.new_schema(), 1)
        outcomes = await asyncio.gather(
            *(queue.accept(Event(name, "f", b"{}", 0)) for name in ("a", "\x00", "b")), return_exceptions=True
        )
        assert [type(outcome).__name__ for outcome in outcomes] == ["NoneType", "ServiceException", "NoneType"]
        assert not isinstance(outcomes[1], ServiceUnavailable)
        assert (await queue.backlog()).depth == 2
