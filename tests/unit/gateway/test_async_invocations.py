from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from lambent_core.caller import Caller
from lambent_core.errors import LambdaError, ResourceNotFound, ServiceException, ServiceUnavailable, TooManyRequests
from lambent_core.invocation import Invocation, Outcome
from lambent_core.link import Report, ReportStatus
from lambent_core.retry import RetryPolicy
from lambent_gateway.drivers.async_invocations import AsyncInvocations, AsyncLimits, Functions
from lambent_gateway.stores.events_base import Claimed, Event, Reschedule, Room
from lambent_gateway.stores.events_memory import MemoryEventQueue
from tests.simulation.virtual_time import WallClock, run

Run = Callable[[Invocation], Awaitable[Outcome]]
OK = Outcome(b"null", None, "", "$LATEST", Report(1, 0, 1, ReportStatus.SUCCESS, ""))
RAISED = Outcome(b"{}", "Unhandled", "ValueError", "$LATEST", Report(1, 0, 1, ReportStatus.ERROR, "ValueError"))


@dataclass
class World:
    """A queue, a driver over it, and what they did."""

    answer: Run
    policies: dict[str, RetryPolicy] = field(default_factory=lambda: {"f": RetryPolicy()})
    reserved: dict[str, int] = field(default_factory=dict)
    limits: AsyncLimits = field(default_factory=lambda: AsyncLimits(total=10, per_function=4))
    queue: MemoryEventQueue = field(default_factory=MemoryEventQueue)
    clock: WallClock = field(default_factory=lambda: WallClock(1_000.0))
    attempts: list[tuple[float, str]] = field(default_factory=list)
    dropped: list[tuple[str, str]] = field(default_factory=list)
    now_running: int = 0
    most_running: int = 0

    def __post_init__(self) -> None:
        self.driver = AsyncInvocations(
            self.queue,
            run=self.run,
            functions=Functions(
                self.policies.get, lambda: self.reserved, lambda name, why: self.dropped.append((name, str(why)))
            ),
            clock=self.clock,
            chance=lambda: 0.0,
            owner="me",
            limits=self.limits,
        )

    async def run(self, invocation: Invocation) -> Outcome:
        self.attempts.append((asyncio.get_running_loop().time(), invocation.request_id))
        self.now_running += 1
        self.most_running = max(self.most_running, self.now_running)
        try:
            return await self.answer(invocation)
        finally:
            self.now_running -= 1

    async def accept(self, *ids: str, function: str = "f") -> None:
        for id in ids:
            await self.driver.accept(Invocation(id, function, b"{}", kind="Event"))

    async def until_empty(self) -> None:
        while self.queue.depth():
            await asyncio.sleep(1)


def answers(*results: Outcome | LambdaError) -> Run:
    left = list(results)

    async def answer(invocation: Invocation) -> Outcome:
        result = left.pop(0)
        if isinstance(result, LambdaError):
            raise result
        return result

    return answer


def takes(seconds: float) -> Run:
    async def answer(invocation: Invocation) -> Outcome:
        await asyncio.sleep(seconds)
        return OK

    return answer


def test_an_event_is_run_once_as_it_was_accepted() -> None:
    seen = []

    async def answer(invocation: Invocation) -> Outcome:
        seen.append(invocation)
        return OK

    async def test() -> None:
        world = World(answer)
        world.driver.start()
        asked = Invocation(
            "id", "f", b'{"a": 1}', "7", "Event", trace_id="Root=1", caller=Caller("1" * 12, "eu-west-1")
        )
        await world.driver.accept(asked)
        await world.until_empty()
        await world.driver.stop(0)
        assert seen == [asked]

    run(test())


def test_function_errors_are_tried_again_after_a_minute_and_after_two_more() -> None:
    async def test() -> None:
        world = World(answers(RAISED, RAISED, RAISED))
        world.driver.start()
        with capture_logs() as logs:
            await world.accept("id")
            await world.until_empty()
        assert world.attempts == [
            (0, "id"),
            (pytest.approx(60, abs=0.1), "id"),
            (pytest.approx(180, abs=0.1), "id"),
        ], "D4"
        assert world.dropped == [("f", "RetriesExhausted")]
        assert [entry["event"] for entry in logs] == ["asynchronous event given up"]
        assert (logs[0]["request_id"], logs[0]["condition"]) == ("id", "RetriesExhausted")
        await world.driver.stop(0)

    run(test())


def test_throttles_and_failures_of_the_platform_back_off_and_use_up_no_attempt() -> None:
    async def test() -> None:
        throttled = TooManyRequests("Rate Exceeded.")
        world = World(answers(throttled, ServiceException("lost"), throttled, RAISED, throttled, OK))
        world.driver.start()
        await world.accept("id")
        await world.until_empty()
        times = [round(at) for at, _ in world.attempts]
        assert times == [0, 1, 3, 7, 67, 68]
        assert world.dropped == []
        await world.driver.stop(0)

    run(test())


def test_a_retry_is_in_time_however_slowly_it_was_written() -> None:
    class Slow(MemoryEventQueue):
        async def reschedule(self, changes: Sequence[Reschedule]) -> None:
            await asyncio.sleep(0.5)
            await super().reschedule(changes)

    async def test() -> None:
        world = World(answers(TooManyRequests("Rate Exceeded."), OK), queue=Slow())
        world.driver.start()
        await world.accept("id")
        await world.until_empty()
        assert [at for at, _ in world.attempts] == [0, pytest.approx(1, abs=0.1)]
        await world.driver.stop(0)

    run(test())


def test_our_own_mistake_is_a_failure_of_the_platform() -> None:
    async def broken(invocation: Invocation) -> Outcome:
        if len(world.attempts) == 1:
            raise KeyError("a bug")
        return OK

    async def test() -> None:
        world.driver.start()
        with capture_logs() as logs:
            await world.accept("id")
            await world.until_empty()
        assert len(world.attempts) == 2
        assert logs[0]["event"] == "an attempt failed in the gateway itself"
        await world.driver.stop(0)

    world = World(broken)
    run(test())


def test_events_of_a_function_that_may_not_run_are_given_up_at_once() -> None:
    async def test() -> None:
        world = World(answers(), {"f": RetryPolicy(reserved_concurrency=0)}, reserved={"f": 0})
        world.driver.start()
        await world.accept(*"abcdef")
        await world.until_empty()
        assert world.attempts == []
        assert world.dropped == [("f", "ZeroReservedConcurrency")] * 6
        await world.driver.stop(0)

    run(test())


def test_events_of_a_deleted_function_are_dropped() -> None:
    async def test() -> None:
        world = World(answers(RAISED, ResourceNotFound("Function not found")), {"f": RetryPolicy(), "g": RetryPolicy()})
        world.driver.start()
        await world.accept("id")
        await asyncio.sleep(1)
        del world.policies["f"]
        await world.until_empty()
        await world.accept("other", function="g")
        await world.until_empty()
        assert world.dropped == [("f", "FunctionDeleted"), ("g", "FunctionDeleted")]
        assert len(world.attempts) == 2
        await world.driver.stop(0)

    run(test())


def test_an_event_that_grew_too_old_while_nobody_served_is_given_up() -> None:
    async def test() -> None:
        world = World(answers(), {"f": RetryPolicy(age_seconds_max=60)})
        await world.accept("id")
        await asyncio.sleep(61)
        world.driver.start()
        await world.until_empty()
        assert world.dropped == [("f", "EventAgeExceeded")]
        await world.driver.stop(0)

    run(test())


def test_no_function_takes_more_than_its_share_and_none_is_kept_back() -> None:
    async def test() -> None:
        async def answer(invocation: Invocation) -> Outcome:
            await asyncio.sleep(1_000 if invocation.function_name == "slow" else 1)
            return OK

        world = World(answer, {"slow": RetryPolicy(), "quick": RetryPolicy()}, limits=AsyncLimits(5, 3))
        world.driver.start()
        await world.accept(*(f"s{n}" for n in range(20)), function="slow")
        await world.accept(*(f"q{n}" for n in range(10)), function="quick")
        await asyncio.sleep(10)
        assert [id for _, id in world.attempts if id[0] == "s"] == ["s0", "s1", "s2"]
        assert len([id for _, id in world.attempts if id[0] == "q"]) == 10
        assert (world.most_running, world.driver.running()) == (5, 3), "D3"
        await world.until_empty()
        assert len(world.attempts) == 30
        await world.driver.stop(0)

    run(test())


def test_a_reservation_is_not_run_into() -> None:
    async def test() -> None:
        world = World(takes(1), reserved={"f": 2})
        world.driver.start()
        await world.accept(*"abcdef")
        await world.until_empty()
        assert world.most_running == 2
        assert [round(at) for at, _ in world.attempts] == [0, 0, 1, 1, 2, 2]
        await world.driver.stop(0)

    run(test())


def test_it_looks_at_the_queue_when_something_happens_and_not_all_the_time() -> None:
    looks: list[float] = []
    hastened: list[float] = []

    class Watched(MemoryEventQueue):
        async def claim(self, now: float, room: Room, *, lease_seconds: float, owner: str) -> Claimed:
            looks.append(now)
            return await super().claim(now, room, lease_seconds=lease_seconds, owner=owner)

        async def hasten(self, now: float, latest: float) -> int:
            hastened.append(now)
            return await super().hasten(now, latest)

    async def test() -> None:
        world = World(answers(RAISED, OK), queue=Watched())
        world.driver.start()
        await asyncio.sleep(10_000)
        assert len(looks) == 1, "an empty queue needs no looking at"
        await world.accept("id")
        await asyncio.sleep(50)
        assert len(looks) <= 5
        await world.until_empty()
        assert len(looks) <= 10
        assert len(hastened) == 1, "once, at the start: the clock was not set"
        await world.driver.stop(0)

    run(test())


def test_a_clock_set_back_does_not_put_off_a_retry() -> None:
    async def test() -> None:
        world = World(answers(RAISED, OK))
        world.driver.start()
        await world.accept("id")
        await asyncio.sleep(1)
        world.clock.ahead -= 86_400
        await world.until_empty()
        assert world.attempts[1][0] <= 121
        await world.driver.stop(0)

    run(test())


def test_a_clock_set_ahead_does_not_run_twice_what_is_running() -> None:
    async def test() -> None:
        world = World(takes(100))
        world.driver.start()
        await world.accept("a")
        await asyncio.sleep(1)
        world.clock.ahead += 7_200
        await world.accept("b")
        await world.until_empty()
        assert [id for _, id in world.attempts] == ["a", "b"], "D2"
        assert world.dropped == []
        await world.driver.stop(0)

    run(test())


def test_what_an_earlier_process_had_begun_is_run_again() -> None:
    async def test() -> None:
        queue = MemoryEventQueue()
        for number in range(3):
            await queue.accept(Event(str(number), "f", b"{}", 0.0))
        await queue.claim(0.0, Room(2, 2, {}), lease_seconds=10**9, owner="me")
        world = World(answers(OK, OK, OK), queue=queue, clock=WallClock(5.0))
        world.driver.start()
        await world.until_empty()
        assert sorted(id for _, id in world.attempts) == ["0", "1", "2"]
        await world.driver.stop(0)

    run(test())


def test_stopping_lets_end_what_runs_and_begins_nothing() -> None:
    async def test() -> None:
        world = World(takes(10), limits=AsyncLimits(1, 1))
        world.driver.start()
        await world.accept("a", "b")
        await asyncio.sleep(1)
        await world.driver.stop(60)
        assert [id for _, id in world.attempts] == ["a"]
        assert asyncio.get_running_loop().time() == pytest.approx(10)
        assert (world.queue.depth(), world.driver.running()) == (1, 0)
        claimed = await world.queue.claim(world.clock.time(), Room(9, 9, {}), lease_seconds=1, owner="next")
        assert [queued.event.request_id for queued in claimed.events] == ["b"]

    run(test())


def test_what_does_not_end_in_time_is_free_again() -> None:
    async def test() -> None:
        world = World(takes(1_000))
        world.driver.start()
        await world.accept("a")
        await asyncio.sleep(1)
        await world.driver.stop(5)
        claimed = await world.queue.claim(world.clock.time(), Room(9, 9, {}), lease_seconds=1, owner="next")
        assert [(queued.event.request_id, queued.tries.attempts) for queued in claimed.events] == [("a", 0)]

    run(test())


class Refusing(MemoryEventQueue):
    """A store whose disk is full from time to time."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False

    def check(self) -> None:
        if self.full:
            raise ServiceUnavailable("database or disk is full")

    async def claim(self, now: float, room: Room, *, lease_seconds: float, owner: str) -> Claimed:
        self.check()
        return await super().claim(now, room, lease_seconds=lease_seconds, owner=owner)

    async def settle(self, ids: Sequence[int]) -> int:
        self.check()
        return await super().settle(ids)

    async def recover(self, owner: str, now: float) -> int:
        self.check()
        return await super().recover(owner, now)


def test_a_store_that_refuses_for_a_while_loses_nothing() -> None:
    async def test() -> None:
        queue = Refusing()
        world = World(takes(2), queue=queue)
        queue.full = True
        world.driver.start()
        await world.accept("a")
        await asyncio.sleep(10)
        assert world.attempts == []
        queue.full = False
        await asyncio.sleep(2)
        queue.full = True
        await asyncio.sleep(10)
        world.clock.ahead += 7_200
        assert world.queue.depth() == 1
        queue.full = False
        await world.until_empty()
        assert [id for _, id in world.attempts] == ["a"], "its end was kept until it could be written (D2)"
        assert world.dropped == []
        await world.driver.stop(0)

    run(test())


def test_stopping_waits_until_the_last_end_is_on_disk() -> None:
    class Slow(MemoryEventQueue):
        async def settle(self, ids: Sequence[int]) -> int:
            await asyncio.sleep(1)
            return await super().settle(ids)

    async def test() -> None:
        world = World(takes(10), queue=Slow())
        world.driver.start()
        await world.accept("a")
        await asyncio.sleep(1)
        await world.driver.stop(60)
        assert world.queue.depth() == 0

    run(test())


def test_stopping_does_not_wait_for_a_store_that_refuses() -> None:
    async def test() -> None:
        queue = Refusing()
        world = World(takes(2), queue=queue)
        world.driver.start()
        await world.accept("a")
        await asyncio.sleep(1)
        queue.full = True
        await asyncio.sleep(10)
        with capture_logs() as logs:
            await world.driver.stop(0)
        assert asyncio.get_running_loop().time() < 14
        assert logs[-1]["event"] == "the ends of events can't be stored"

    run(test())


def test_stopping_what_never_started() -> None:
    async def test() -> None:
        await World(answers()).driver.stop(0)

    run(test())
