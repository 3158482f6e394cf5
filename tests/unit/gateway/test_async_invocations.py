from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from lambent_core.caller import Caller
from lambent_core.errors import LambdaError, ResourceNotFound, ServiceException, ServiceUnavailable, TooManyRequests
from lambent_core.invocation import Invocation, Outcome
from lambent_core.link import Report, ReportStatus
from lambent_core.retry import RetryPolicy
from lambent_gateway.drivers.async_invocations import AsyncInvocations, AsyncLimits, Functions
from lambent_gateway.stores.events_base import Claimed, Event, Lease, Reschedule, Room
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
    unreadable: list[str] = field(default_factory=list)
    now_running: int = 0
    most_running: int = 0

    def __post_init__(self) -> None:
        self.driver = AsyncInvocations(
            self.queue,
            run=self.run,
            functions=Functions(
                self.policies.get,
                lambda: self.reserved,
                lambda name, why: self.dropped.append((name, str(why))),
                lambda: self.unreadable,
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
        while (await self.queue.backlog()).depth:
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
        await world.driver.stop()
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
        assert logs == [
            {
                "event": "asynchronous event given up",
                "log_level": "warning",
                "condition": "RetriesExhausted",
                "function": "f",
                "request_id": "id",
                "attempts": 3,
                "setbacks": 0,
            }
        ]
        await world.driver.stop()

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
        await world.driver.stop()

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
        await world.driver.stop()

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
        await world.driver.stop()

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
        await world.driver.stop()

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
        await world.driver.stop()

    run(test())


def test_events_wait_for_a_function_that_cannot_be_read_as_long_as_lambda_keeps_any() -> None:
    """Nor are those dropped whose function has just become so, or whose version is."""

    async def test() -> None:
        world = World(answers(RAISED, ResourceNotFound("Function not found"), OK), {"f": RetryPolicy()})
        world.unreadable = ["Function f"]
        world.driver.start()
        await world.accept("id")
        await asyncio.sleep(1)
        policy = world.policies.pop("f")
        await asyncio.sleep(3_600)
        assert (world.dropped, len(world.attempts)) == ([], 1)
        world.policies["f"] = policy
        await world.until_empty()
        assert (world.dropped, len(world.attempts)) == ([], 3)
        await world.accept("late", function="h")
        await world.until_empty()
        assert world.dropped == [("h", "EventAgeExceeded")]
        await world.driver.stop()

    run(test())


def test_an_event_that_grew_too_old_while_nobody_served_is_given_up() -> None:
    async def test() -> None:
        world = World(answers(), {"f": RetryPolicy(age_seconds_max=60)})
        await world.accept("id")
        await asyncio.sleep(61)
        world.driver.start()
        await world.until_empty()
        assert world.dropped == [("f", "EventAgeExceeded")]
        await world.driver.stop()

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
        await world.driver.stop()

    run(test())


def test_a_reservation_is_not_run_into() -> None:
    async def test() -> None:
        world = World(takes(1), reserved={"f": 2})
        world.driver.start()
        await world.accept(*"abcdef")
        await world.until_empty()
        assert world.most_running == 2
        assert [round(at) for at, _ in world.attempts] == [0, 0, 1, 1, 2, 2]
        await world.driver.stop()

    run(test())


class SlowToClaim(MemoryEventQueue):
    """A claim takes a second until it is on disk."""

    def __init__(self) -> None:
        super().__init__()
        self.leased: list[int] = []
        """How many events there were, after each claim."""

    async def claim(self, now: float, room: Room, *, lease_seconds: float, owner: str) -> Claimed:
        await asyncio.sleep(1)
        claimed = await super().claim(now, room, lease_seconds=lease_seconds, owner=owner)
        self.leased.append(sum(kept.owner is not None for kept in self._kept.values()))
        return claimed


def test_a_backlog_of_short_runs_does_not_wait_for_a_claim_each() -> None:
    async def test() -> None:
        world = World(takes(0.1), queue=SlowToClaim(), limits=AsyncLimits(4, 2))
        await world.accept(*(f"{n:03}" for n in range(200)))
        world.driver.start()
        await world.until_empty()
        assert asyncio.get_running_loop().time() < 30, "a claim a second, two at a time, would take a hundred"
        assert world.most_running == 2, "D3"
        assert [id for _, id in world.attempts] == sorted(id for _, id in world.attempts), "C1"
        assert not world.driver._attempts and not world.driver._running, "nothing is remembered of what has ended"
        await world.driver.stop()

    run(test())


def test_no_more_than_64_of_a_function_are_claimed_ahead() -> None:
    async def test() -> None:
        queue = SlowToClaim()
        world = World(takes(0.01), queue=queue, limits=AsyncLimits(2, 2))
        await world.accept(*(f"{n}" for n in range(1_000)))
        world.driver.start()
        await world.until_empty()
        assert 40 < max(queue.leased) <= 2 + 64
        await world.driver.stop()

    run(test())


@pytest.mark.parametrize("seconds", [1.5, 100], ids=["somewhat", "by far"])
def test_runs_that_take_longer_than_a_second_are_not_claimed_ahead(seconds: float) -> None:
    async def test() -> None:
        world = World(takes(seconds), limits=AsyncLimits(2, 2))
        world.driver.start()
        await world.accept(*(f"{n}" for n in range(20)))
        await asyncio.sleep(5.5 * seconds)
        others = await world.queue.claim(world.clock.time(), Room(99, 99, {}), lease_seconds=1, owner="another")
        assert (len(world.attempts), len(others.events)) == (12, 8)
        await world.driver.stop()

    run(test())


def test_runs_that_have_become_long_are_claimed_ahead_no_more() -> None:
    async def test() -> None:
        async def answer(invocation: Invocation) -> Outcome:
            await asyncio.sleep(0.1 if len(world.attempts) <= 40 else 100)
            return OK

        world = World(answer, queue=SlowToClaim(), limits=AsyncLimits(2, 2))
        await world.accept(*(f"{n:03}" for n in range(200)))
        world.driver.start()
        await asyncio.sleep(3_000)
        begun = len(world.attempts)
        others = await world.queue.claim(world.clock.time(), Room(999, 999, {}), lease_seconds=1, owner="another")
        assert 90 < begun < 110
        assert len(others.events) == 200 - begun
        await world.driver.stop()

    run(test())


def test_what_waited_too_long_to_end_within_its_lease_is_given_back() -> None:
    """D2: else another gateway would run it while it runs here."""

    async def test() -> None:
        async def answer(invocation: Invocation) -> Outcome:
            await asyncio.sleep(0.1 if len(world.attempts) <= 8 else 1_700)
            return OK

        world = World(answer, limits=AsyncLimits(1, 1))
        world.driver.start()
        await world.accept(*(f"{n:02}" for n in range(20)))
        for _ in range(300):
            await asyncio.sleep(100)
            running = world.attempts[-1][1]
            others = await world.queue.claim(world.clock.time(), Room(99, 99, {}), lease_seconds=0, owner="another")
            assert running not in {queued.event.request_id for queued in others.events}
        await world.driver.stop()

    run(test())


@pytest.mark.parametrize(
    ("limits", "reserved", "begun"),
    [
        (AsyncLimits(total=3, per_function=2), {}, 3),
        (AsyncLimits(total=10, per_function=2), {}, 6),
        (AsyncLimits(total=10, per_function=3), {"f": 1}, 7),
    ],
    ids=["all together", "of one function", "of a reservation"],
)
def test_what_has_no_room_is_left_to_others(limits: AsyncLimits, reserved: dict[str, int], begun: int) -> None:
    async def test() -> None:
        policies = dict.fromkeys("fgh", RetryPolicy())
        world = World(takes(1_000), policies=policies, limits=limits, reserved=reserved)
        world.driver.start()
        for wave in range(4):
            for function in "fgh":
                await world.accept(f"{function}{wave}", function=function)
            await asyncio.sleep(10)
        others = await world.queue.claim(world.clock.time(), Room(99, 99, {}), lease_seconds=1, owner="another")
        assert (len(world.attempts), len(others.events)) == (begun, 12 - begun)
        await world.driver.stop()

    run(test())


def test_behind_what_was_claimed_ahead_nothing_more_is_claimed() -> None:
    async def test() -> None:
        async def answer(invocation: Invocation) -> Outcome:
            await asyncio.sleep(0.1 if len(world.attempts) <= 8 else 1_000)
            return OK

        world = World(answer, policies=dict.fromkeys("fg", RetryPolicy()), limits=AsyncLimits(2, 2))
        world.driver.start()
        await world.accept(*(f"{n:02}" for n in range(20)))
        await asyncio.sleep(100)
        await world.accept("late", function="g")
        await asyncio.sleep(1)
        others = await world.queue.claim(world.clock.time(), Room(99, 99, {}), lease_seconds=1, owner="another")
        assert "late" in {queued.event.request_id for queued in others.events}
        assert len(others.events) < 20 - len(world.attempts) + 1, "some were claimed ahead"
        await world.driver.stop()

    run(test())


def test_what_waits_for_its_function_is_not_joined_by_more_of_it() -> None:
    async def test() -> None:
        async def answer(invocation: Invocation) -> Outcome:
            await asyncio.sleep(0.1 if invocation.function_name == "g" or len(world.attempts) <= 8 else 1_000)
            return OK

        def leased() -> int:
            return sum(kept.owner is not None for kept in world.queue._kept.values())

        world = World(answer, policies=dict.fromkeys("fg", RetryPolicy()), limits=AsyncLimits(30, 2))
        world.driver.start()
        await world.accept(*(f"{n:02}" for n in range(40)))
        await asyncio.sleep(100)
        before = leased()
        assert before > 2, "some were claimed ahead"
        for n in range(5):
            await world.accept(f"news {n}", function="g")
            await asyncio.sleep(1)
        assert leased() == before
        await world.driver.stop()

    run(test())


def test_no_more_is_claimed_ahead_than_is_over_before_the_next_claim() -> None:
    async def test() -> None:
        queue = SlowToClaim()
        world = World(takes(0.5), queue=queue, limits=AsyncLimits(2, 9))
        await world.accept(*(f"{n:03}" for n in range(200)))
        world.driver.start()
        await world.until_empty()
        assert max(queue.leased) < 40, "it does not go on growing while some wait"
        await world.driver.stop()

    run(test())


def test_who_comes_next_does_not_wait_until_the_end_of_the_last_is_on_disk() -> None:
    class SlowToSettle(MemoryEventQueue):
        async def settle(self, leases: Sequence[Lease]) -> int:
            await asyncio.sleep(10)
            return await super().settle(leases)

    async def test() -> None:
        world = World(takes(1), queue=SlowToSettle(), limits=AsyncLimits(1, 1))
        world.driver.start()
        await world.accept("a", "b", "c")
        await world.until_empty()
        assert world.attempts == [(0, "a"), (1, "b"), (2, "c")]
        await world.driver.stop()

    run(test())


def test_a_full_gateway_does_not_look_at_the_queue() -> None:
    looks: list[float] = []

    class Watched(MemoryEventQueue):
        async def claim(self, now: float, room: Room, *, lease_seconds: float, owner: str) -> Claimed:
            looks.append(now)
            return await super().claim(now, room, lease_seconds=lease_seconds, owner=owner)

    async def test() -> None:
        world = World(takes(1_000), queue=Watched(), limits=AsyncLimits(1, 1))
        world.driver.start()
        await world.accept("a")
        await asyncio.sleep(1)
        before = len(looks)
        for n in range(9):
            await world.accept(f"{n}")
            await asyncio.sleep(1)
        assert len(looks) == before
        await world.driver.stop()

    run(test())


def test_a_retry_keeps_its_time_over_a_restart() -> None:
    async def test() -> None:
        world = World(answers(RAISED, OK))
        world.driver.start()
        await world.accept("id")
        await asyncio.sleep(10)
        await world.driver.stop()
        restarted = World(answers(OK), queue=world.queue)
        restarted.driver.start()
        await restarted.until_empty()
        assert restarted.attempts == [(pytest.approx(60, abs=0.1), "id")]
        await restarted.driver.stop()

    run(test())


def test_what_was_claimed_ahead_is_given_back() -> None:
    async def test() -> None:
        slow_from = 8

        async def answer(invocation: Invocation) -> Outcome:
            await asyncio.sleep(0.1 if len(world.attempts) <= slow_from else 1_000)
            return OK

        world = World(answer, limits=AsyncLimits(2, 2))
        world.driver.start()
        await world.accept(*(f"{n:02}" for n in range(20)))
        await asyncio.sleep(100)
        assert world.driver.running() == 2
        free = await world.queue.claim(world.clock.time(), Room(99, 99, {}), lease_seconds=0, owner="another")
        await world.driver.stop()
        claimed = await world.queue.claim(world.clock.time(), Room(99, 99, {}), lease_seconds=1, owner="another")
        assert len(free.events) < len(claimed.events), "some were claimed ahead"
        begun = {id for _, id in world.attempts[:-2]}
        assert {queued.event.request_id for queued in claimed.events} == {f"{n:02}" for n in range(20)} - begun

    run(test())


def test_it_looks_at_the_queue_when_something_happens_and_not_all_the_time() -> None:
    looks: list[float] = []
    hastened: list[float] = []
    recovered: list[float] = []

    class Watched(MemoryEventQueue):
        async def recover(self, owner: str, now: float, held: Collection[int] = ()) -> int:
            recovered.append(now)
            return await super().recover(owner, now, held)

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
        assert len(recovered) == 1, "once, at the start: no claim was lost"
        await world.driver.stop()

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
        await world.driver.stop()

    run(test())


def test_a_clock_set_back_is_noticed_within_a_minute() -> None:
    async def test() -> None:
        world = World(answers(RAISED, RAISED, OK))
        world.driver.start()
        await world.accept("id")
        await asyncio.sleep(62)
        world.clock.ahead -= 86_400
        await world.until_empty()
        first, second, third = (at for at, _ in world.attempts)
        assert (first, second) == (0, 60)
        assert third <= 120, "and not at 180, when it would have been due"
        await world.driver.stop()

    run(test())


def test_a_clock_that_is_corrected_has_not_been_set_back() -> None:
    hastened: list[float] = []

    class Watched(MemoryEventQueue):
        async def hasten(self, now: float, latest: float) -> int:
            hastened.append(now)
            return await super().hasten(now, latest)

    async def test() -> None:
        world = World(takes(0), queue=Watched())
        world.driver.start()
        for seconds, times in ((0.0, 1), (1.0, 1), (1.2, 2)):
            world.clock.ahead -= seconds
            await world.accept(f"after {seconds}")
            await asyncio.sleep(0.1)
            assert len(hastened) == times, f"set back by {seconds} s"
        await world.driver.stop()

    run(test())


def test_an_event_is_nobody_elses_for_as_long_as_an_attempt_may_take() -> None:
    async def test() -> None:
        world = World(takes(1_800))  # a quarter of an hour of waiting for an environment, and as long a run
        world.driver.start()
        await world.accept("id")
        await asyncio.sleep(1_799)
        others = await world.queue.claim(world.clock.time(), Room(9, 9, {}), lease_seconds=1, owner="another")
        assert not others.events
        await world.until_empty()
        await world.driver.stop()

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
        await world.driver.stop()

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
        await world.driver.stop()

    run(test())


def test_stopping_lets_end_what_runs_and_begins_nothing() -> None:
    async def test() -> None:
        world = World(takes(10), limits=AsyncLimits(1, 1))
        world.driver.start()
        await world.accept("a", "b")
        await asyncio.sleep(1)
        await world.driver.drain()
        await world.driver.stop()
        assert [id for _, id in world.attempts] == ["a"]
        assert asyncio.get_running_loop().time() == pytest.approx(10)
        assert ((await world.queue.backlog()).depth, world.driver.running()) == (1, 0)
        claimed = await world.queue.claim(world.clock.time(), Room(9, 9, {}), lease_seconds=1, owner="next")
        assert [queued.event.request_id for queued in claimed.events] == ["b"]

    run(test())


def test_what_did_not_end_in_time_is_free_again() -> None:
    async def test() -> None:
        world = World(takes(1_000))
        world.driver.start()
        await world.accept("a")
        await asyncio.sleep(1)
        await world.driver.stop()
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
            raise ServiceUnavailable("The store has no room.") from OSError("no space left on device")

    async def claim(self, now: float, room: Room, *, lease_seconds: float, owner: str) -> Claimed:
        self.check()
        return await super().claim(now, room, lease_seconds=lease_seconds, owner=owner)

    async def settle(self, leases: Sequence[Lease]) -> int:
        self.check()
        return await super().settle(leases)

    async def recover(self, owner: str, now: float, held: Collection[int] = ()) -> int:
        self.check()
        return await super().recover(owner, now, held)


def test_a_store_that_refuses_for_a_while_loses_nothing() -> None:
    async def test() -> None:
        queue = Refusing()
        world = World(takes(2), queue=queue)
        queue.full = True
        world.driver.start()
        await world.accept("a")
        with capture_logs() as logs:
            await asyncio.sleep(10.5)
        assert world.attempts == []
        refused = {"log_level": "error", "error": "The store has no room.", "cause": "no space left on device"}
        assert logs[0] == {"event": "the event queue can't be read", **refused}
        queue.full = False
        await asyncio.sleep(1)
        assert len(world.attempts) == 1, "it asks again each second"
        queue.full = True
        await asyncio.sleep(10)
        world.clock.ahead += 7_200
        assert (await world.queue.backlog()).depth == 1
        queue.full = False
        await world.until_empty()
        assert [id for _, id in world.attempts] == ["a"], "its end was kept until it could be written (D2)"
        assert world.dropped == []
        await world.driver.stop()

    run(test())


def test_an_event_whose_claim_was_not_answered_is_run_all_the_same_and_nothing_twice() -> None:
    class Mute(MemoryEventQueue):
        mute = False

        async def claim(self, now: float, room: Room, *, lease_seconds: float, owner: str) -> Claimed:
            claimed = await super().claim(now, room, lease_seconds=lease_seconds, owner=owner)
            if self.mute:
                raise ServiceUnavailable("connection lost")
            return claimed

    async def test() -> None:
        queue = Mute()
        world = World(takes(100), queue=queue)
        world.driver.start()
        await world.accept("a")
        await asyncio.sleep(1)
        queue.mute = True
        await world.accept("b")
        await asyncio.sleep(10)
        assert [id for _, id in world.attempts] == ["a"]
        queue.mute = False
        await asyncio.sleep(2)
        assert [id for _, id in world.attempts] == ["a", "b"], "long before its lease ends"
        await world.until_empty()
        assert len(world.attempts) == 2, "D2"
        await world.driver.stop()

    run(test())


def test_an_event_claimed_anew_while_its_end_was_written_ends_by_its_last_lease() -> None:
    class Slow(MemoryEventQueue):
        async def settle(self, leases: Sequence[Lease]) -> int:
            await asyncio.sleep(10)
            return await super().settle(leases)

    async def test() -> None:
        world = World(takes(1), queue=Slow())
        world.driver.start()
        await world.accept("a")
        await asyncio.sleep(2)
        world.clock.ahead += 7_200
        await world.accept("b")  # makes it look at the queue: the lease of "a" has ended
        await world.until_empty()
        assert [id for _, id in world.attempts] == ["a", "b"], "D2"
        await world.driver.stop()

    run(test())


def test_a_shared_queue_is_looked_at_although_nothing_happens_here() -> None:
    class Shared(MemoryEventQueue):
        shared = True

    async def test() -> None:
        world = World(takes(1), queue=Shared())
        world.driver.start()
        await asyncio.sleep(100.5)
        await world.queue.accept(Event("theirs", "f", b"{}", world.clock.time()))
        await asyncio.sleep(1)
        assert [id for _, id in world.attempts] == ["theirs"]
        await world.queue.accept(Event("leased", "f", b"{}", world.clock.time()))
        await world.queue.claim(world.clock.time(), Room(9, 9, {}), lease_seconds=30, owner="dead")
        await world.until_empty()
        assert [id for _, id in world.attempts] == ["theirs", "leased"], "when the lease of the dead has ended"
        await world.driver.stop()

    run(test())


def test_stopping_waits_until_the_last_end_is_on_disk() -> None:
    class Slow(MemoryEventQueue):
        async def settle(self, leases: Sequence[Lease]) -> int:
            await asyncio.sleep(1)
            return await super().settle(leases)

    async def test() -> None:
        world = World(takes(10), queue=Slow())
        world.driver.start()
        await world.accept("a")
        await asyncio.sleep(1)
        await world.driver.drain()
        await world.driver.stop()
        assert (await world.queue.backlog()).depth == 0

    run(test())


def test_stopping_gives_back_what_a_claim_under_way_brings() -> None:
    class Slow(MemoryEventQueue):
        async def claim(self, now: float, room: Room, *, lease_seconds: float, owner: str) -> Claimed:
            await asyncio.sleep(1)
            return await super().claim(now, room, lease_seconds=lease_seconds, owner=owner)

    async def test() -> None:
        world = World(takes(10), queue=Slow())
        await world.accept("a")
        world.driver.start()
        await asyncio.sleep(0.5)
        await world.driver.stop()
        assert world.attempts == []
        others = await world.queue.claim(world.clock.time(), Room(9, 9, {}), lease_seconds=1, owner="another")
        assert [queued.event.request_id for queued in others.events] == ["a"]

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
            await world.driver.stop()
        assert asyncio.get_running_loop().time() < 14
        assert logs[-1] == {
            "event": "the ends of events can't be stored",
            "log_level": "error",
            "error": "The store has no room.",
            "cause": "no space left on device",
        }

    run(test())


def test_stopping_what_never_started() -> None:
    async def test() -> None:
        await World(answers()).driver.stop()

    run(test())
