"""What every implementation of the event queue does; the one in memory is the specification."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lambent_core.caller import Caller
from lambent_core.retry import Tries
from lambent_gateway.stores.events import SqlEventQueue
from lambent_gateway.stores.events_base import Backlog, Claimed, Event, EventQueue, Lease, Reschedule, Room
from lambent_gateway.stores.events_memory import MemoryEventQueue
from tests.postgres_server import PostgresServer

LEASE = 1_800.0
PLENTY = Room(total=1_000, per_function=1_000, running={})


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def queue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventQueue]:
    made = await make(request, tmp_path)
    yield made
    await made.close()


async def make(request: pytest.FixtureRequest, folder: Path) -> EventQueue:
    match request.param:
        case "memory":
            return MemoryEventQueue()
        case "sqlite":
            return await SqlEventQueue.open(folder / "events.db")
        case _:
            server: PostgresServer = request.getfixturevalue("postgres")
            return await SqlEventQueue.open(server.new_schema())


def event(number: int, function: str = "f", at: float = 100.0) -> Event:
    return Event(f"request-{number}", function, b'{"n": %d}' % number, at)


async def claim(queue: EventQueue, now: float = 200.0, room: Room = PLENTY, owner: str = "me") -> Claimed:
    return await queue.claim(now, room, lease_seconds=LEASE, owner=owner)


def numbers(claimed: Claimed) -> list[int]:
    return [int(queued.event.request_id.removeprefix("request-")) for queued in claimed.events]


async def test_an_event_comes_back_as_it_was_accepted(queue: EventQueue) -> None:
    whole = Event("id", "name", b"\x00\xff", 123.456789, "7", "Root=1-2", Caller("123456789012", "eu-ü-1", "AKIA"))
    await queue.accept(whole)
    (queued,) = (await claim(queue)).events
    assert (queued.event, queued.tries) == (whole, Tries())


async def test_an_empty_queue(queue: EventQueue) -> None:
    assert await claim(queue) == Claimed((), None)
    assert await queue.backlog() == Backlog(0, None)
    assert await queue.settle([]) == 0
    await queue.reschedule([])


async def test_a_claimed_event_is_nobody_elses(queue: EventQueue) -> None:
    await queue.accept(event(1))
    assert numbers(await claim(queue)) == [1]
    assert await claim(queue, owner="other") == Claimed((), next_due=200 + LEASE)


async def test_an_event_is_due_from_its_second_on(queue: EventQueue) -> None:
    await queue.accept(event(1, at=100))
    assert await claim(queue, now=99.5) == Claimed((), next_due=100)
    assert numbers(await claim(queue, now=100)) == [1]


async def test_what_is_settled_is_gone(queue: EventQueue) -> None:
    await queue.accept(event(1))
    await queue.accept(event(2))
    one, two = (await claim(queue)).events
    assert await queue.settle([one.lease]) == 1
    assert await queue.settle([one.lease, two.lease]) == 1, "the first was gone"
    assert (await claim(queue, now=10**9)).events == ()


async def test_ids_are_not_used_twice(queue: EventQueue) -> None:
    """A slow runner's late settle must not take a new event with it."""
    await queue.accept(event(1))
    (first,) = (await claim(queue)).events
    await queue.settle([first.lease])
    await queue.accept(event(2))
    (second,) = (await claim(queue)).events
    assert second.lease.id != first.lease.id


async def test_many_at_once(queue: EventQueue) -> None:
    await asyncio.gather(*(queue.accept(event(number)) for number in range(1_200)))
    claimed = await claim(queue, room=Room(1_100, 1_100, {}))
    assert len({queued.lease.id for queued in claimed.events}) == 1_100
    assert await queue.settle([queued.lease for queued in claimed.events]) == 1_100
    assert (await queue.backlog()).depth == 100
    assert len((await claim(queue)).events) == 100


async def test_a_rescheduled_event_waits_and_remembers_its_tries(queue: EventQueue) -> None:
    await queue.accept(event(1))
    (queued,) = (await claim(queue)).events
    await queue.reschedule([Reschedule(queued.lease, due=260, tries=Tries(1, 4))])
    assert await claim(queue, now=259) == Claimed((), next_due=260)
    (again,) = (await claim(queue, now=260)).events
    assert (again.lease.id, again.event, again.tries) == (queued.lease.id, queued.event, Tries(1, 4))


async def test_rescheduling_what_is_gone_does_nothing(queue: EventQueue) -> None:
    await queue.reschedule([Reschedule(Lease(99, 1), due=0, tries=Tries())])
    assert (await claim(queue)).events == ()


async def test_a_lease_that_has_ended_is_due_again(queue: EventQueue) -> None:
    await queue.accept(event(1))
    await claim(queue, now=200)
    assert numbers(await claim(queue, now=200 + LEASE, owner="other")) == [1]


async def test_the_dead_owners_events_are_due_at_once(queue: EventQueue) -> None:
    for number in (1, 2, 3):
        await queue.accept(event(number))
    await claim(queue, room=Room(2, 2, {}), owner="dead")
    await claim(queue, room=Room(1, 1, {}), owner="alive")
    assert await queue.recover("dead", now=300) == 2
    assert await queue.recover("dead", now=300) == 0
    assert numbers(await claim(queue, now=300)) == [1, 2]


async def test_what_an_owner_still_holds_is_not_taken_from_it(queue: EventQueue) -> None:
    for number in (1, 2, 3):
        await queue.accept(event(number))
    known, lost, _ = (await claim(queue)).events
    await queue.settle([lost.lease])
    assert await queue.recover("me", now=300, held=[known.lease.id, lost.lease.id]) == 1
    assert numbers(await claim(queue, now=300)) == [3]
    assert await queue.settle([known.lease]) == 1


async def test_a_late_end_changes_nothing(queue: EventQueue) -> None:
    """Q5: its lease had ended, and somebody else runs the event."""
    await queue.accept(event(1))
    (slow,) = (await claim(queue, now=200, owner="slow")).events
    (quick,) = (await claim(queue, now=200 + LEASE, owner="quick")).events
    assert quick.lease == Lease(slow.lease.id, slow.lease.epoch + 1)
    assert await queue.settle([slow.lease]) == 0
    await queue.reschedule([Reschedule(slow.lease, due=0, tries=Tries(1, 0))])
    assert await claim(queue, now=200 + LEASE) == Claimed((), next_due=200 + 2 * LEASE)
    assert await queue.settle([slow.lease, quick.lease]) == 1
    assert await queue.backlog() == Backlog(0, None)


async def test_an_end_counts_as_long_as_nobody_else_has_claimed(queue: EventQueue) -> None:
    for number in (1, 2):
        await queue.accept(event(number))
    one, two = (await claim(queue)).events
    assert await queue.recover("me", now=300) == 2
    assert await queue.settle([one.lease]) == 1
    await queue.reschedule([Reschedule(two.lease, due=500, tries=Tries(1, 0))])
    assert await claim(queue, now=300) == Claimed((), next_due=500)
    (again,) = (await claim(queue, now=500)).events
    assert (again.lease.epoch, again.tries) == (two.lease.epoch + 1, Tries(1, 0))


async def test_the_longest_due_first(queue: EventQueue) -> None:
    for number, at in ((1, 30.0), (2, 10.0), (3, 20.0), (4, 10.0)):
        await queue.accept(event(number, at=at))
    assert numbers(await claim(queue)) == [2, 4, 3, 1]


async def test_room_in_all(queue: EventQueue) -> None:
    for number in range(5):
        await queue.accept(event(number))
    claimed = await claim(queue, room=Room(2, 1_000, {}))
    assert (numbers(claimed), claimed.next_due) == ([0, 1], 100)


async def test_a_long_backlog_does_not_keep_others_back(queue: EventQueue) -> None:
    for number in range(5):
        await queue.accept(event(number, "slow", at=1))
    await queue.accept(event(7, "quick", at=50))
    claimed = await claim(queue, room=Room(4, 2, {}))
    assert (numbers(claimed), claimed.next_due) == ([0, 1, 7], 200 + LEASE)


async def test_what_already_runs_takes_room(queue: EventQueue) -> None:
    for number in range(3):
        await queue.accept(event(number, "slow", at=1))
        await queue.accept(event(10 + number, "full", at=2))
    claimed = await claim(queue, room=Room(9, 3, {"slow": 1, "full": 3}))
    assert (numbers(claimed), claimed.next_due) == ([0, 1], None), "without room nothing is awaited"
    assert await claim(queue, room=Room(9, 3, {"slow": 3, "full": 4})) == Claimed((), None)


async def test_a_reservation_leaves_less_room(queue: EventQueue) -> None:
    for number in range(5):
        await queue.accept(event(number))
    assert numbers(await claim(queue, room=Room(9, 4, {"f": 1}, reserved={"f": 3}))) == [0, 1]
    assert numbers(await claim(queue, room=Room(9, 1, {}, reserved={"f": 3}))) == [2]


async def test_the_next_due_is_the_earliest_that_has_room(queue: EventQueue) -> None:
    await queue.accept(event(1, "full", at=300))
    await queue.accept(event(2, "a", at=500))
    await queue.accept(event(3, "b", at=400))
    await queue.accept(event(4, "b", at=100))
    assert (await claim(queue, room=Room(9, 2, {"full": 2}))).next_due == 400


async def test_a_clock_set_back_keeps_nothing_waiting(queue: EventQueue) -> None:
    for number, at in ((1, 5_000.0), (2, 400.0), (3, 100.0)):
        await queue.accept(event(number, at=at))
    assert numbers(await claim(queue, now=150)) == [3], "leased until later than all"
    assert await queue.hasten(now=200, latest=500) == 1
    claimed = await claim(queue, now=200)
    assert (numbers(claimed), claimed.next_due) == ([1], 400)


async def test_depth_and_age(queue: EventQueue) -> None:
    await queue.accept(event(1, at=50))
    await queue.accept(event(2, at=20))
    assert await queue.backlog() == Backlog(2, 50)
    claimed = await claim(queue)
    assert (await queue.backlog()).depth == 2, "claimed is not settled"
    first = next(queued for queued in claimed.events if queued.event.request_id == "request-1")
    await queue.settle([first.lease])
    assert await queue.backlog() == Backlog(1, 20)
