"""
Hours of asynchronous invocations in virtual time, one seed per run.

Functions fail, are throttled and deleted, the store refuses for a while, the wall clock is set, the process dies. Goal:
every accepted event ends: exactly once, or at least once where the process died in between. A failing seed replays
exactly: `pytest -k seed17`.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

import pytest

from lambent_core.errors import ResourceNotFound, ServiceException, ServiceUnavailable, TooManyRequests
from lambent_core.invocation import Invocation, Outcome
from lambent_core.link import Report, ReportStatus
from lambent_core.retry import RetryPolicy
from lambent_gateway.drivers.async_invocations import AsyncInvocations, AsyncLimits, Functions
from lambent_gateway.stores.events_base import Claimed, Event, Reschedule, Room
from lambent_gateway.stores.events_memory import MemoryEventQueue
from tests.simulation.virtual_time import WallClock, run

HOURS = 3
EVENTS = 120


class Disk:
    """The queue as one process reaches it: it may refuse for a while, and a dead process reaches it no more."""

    def __init__(self, queue: MemoryEventQueue, chance: random.Random) -> None:
        self.queue = queue
        self.chance = chance
        self.full = False
        self.cut = False

    async def _reach(self) -> None:
        await asyncio.sleep(self.chance.uniform(0, 0.01))
        if self.cut:
            await asyncio.Future()
        if self.full:
            raise ServiceUnavailable("database or disk is full")

    async def accept(self, event: Event) -> None:
        await self._reach()
        await self.queue.accept(event)

    async def claim(self, now: float, room: Room, *, lease_seconds: float, owner: str) -> Claimed:
        await self._reach()
        return await self.queue.claim(now, room, lease_seconds=lease_seconds, owner=owner)

    async def settle(self, ids: Sequence[int]) -> int:
        await self._reach()
        return await self.queue.settle(ids)

    async def reschedule(self, changes: Sequence[Reschedule]) -> None:
        await self._reach()
        await self.queue.reschedule(changes)

    async def recover(self, owner: str, now: float) -> int:
        await self._reach()
        return await self.queue.recover(owner, now)

    async def hasten(self, now: float, latest: float) -> int:
        await self._reach()
        return await self.queue.hasten(now, latest)

    def depth(self) -> int:
        return self.queue.depth()

    def oldest_accepted_at(self) -> float | None:
        return self.queue.oldest_accepted_at()

    async def close(self) -> None:
        pass


class World:
    def __init__(self, seed: int, *, crashes: bool) -> None:
        self.chance = random.Random(seed)
        self.crashes = crashes
        self.queue = MemoryEventQueue()
        self.clock = WallClock()
        self.limits = AsyncLimits(total=self.chance.randint(2, 12), per_function=self.chance.randint(1, 4))
        self.policies = {
            f"f{number}": RetryPolicy(
                self.chance.randint(0, 2),
                self.chance.choice([60, 600, 21_600]),
                self.chance.choice([None, None, None, 0, 1]),
            )
            for number in range(4)
        }
        self.running: Counter[str] = Counter()
        self.running_of: Counter[str] = Counter()
        self.accepted: set[str] = set()
        self.ended: Counter[str] = Counter()
        self.dropped = 0
        self.errors: Counter[str] = Counter()

    def be_born(self) -> None:
        self.disk = Disk(self.queue, self.chance)
        self.driver = AsyncInvocations(
            self.disk,
            run=self.run,
            functions=Functions(self.policies.get, self.reserved, self.drop),
            clock=self.clock,
            chance=self.chance.random,
            owner="me",
            limits=self.limits,
        )
        self.driver.start()

    def reserved(self) -> dict[str, int]:
        limits = {name: policy.reserved_concurrency for name, policy in self.policies.items()}
        return {name: limit for name, limit in limits.items() if limit is not None}

    def drop(self, function: str, condition: str) -> None:
        self.dropped += 1

    async def run(self, invocation: Invocation) -> Outcome:
        id, function = invocation.request_id, invocation.function_name
        assert self.ended[id] == 0 or self.crashes, "D2: it had ended"
        self.running[id] += 1
        self.running_of[function] += 1
        assert self.running[id] == 1, "D2: twice at once"
        assert self.running_of[function] <= self.limits.per_function, "D3"
        assert self.running_of.total() <= self.limits.total, "D3"
        try:
            await asyncio.sleep(self.chance.expovariate(1 / self.chance.choice([0.05, 2, 120])))
        finally:
            self.running[id] -= 1
            self.running_of[function] -= 1
        return self.answer(id)

    def answer(self, id: str) -> Outcome:
        fate = self.chance.random()
        if fate < 0.1:
            raise TooManyRequests("Rate Exceeded.")
        if fate < 0.15:
            raise ServiceException("lost")
        if fate < 0.16:
            raise KeyError("a bug")
        if fate < 0.17:
            raise ResourceNotFound("gone")
        if fate < 0.5:
            self.errors[id] += 1
            return Outcome(b"{}", "Unhandled", "E", "1", Report(1, 0, 1, ReportStatus.ERROR, "E"))
        self.ended[id] += 1
        return Outcome(b"{}", None, "", "1", Report(1, 0, 1, ReportStatus.SUCCESS, ""))

    async def callers(self) -> None:
        for number in range(EVENTS):
            await asyncio.sleep(self.chance.expovariate(EVENTS / (HOURS * 3_600)) * self.chance.choice([0, 0, 1, 3]))
            function = f"f{self.chance.randrange(4)}"
            try:
                async with asyncio.timeout(5):  # who is told nothing tries again another day
                    await self.driver.accept(Invocation(f"e{number}", function, b"{}", kind="Event"))
            except (ServiceUnavailable, TimeoutError):
                continue
            self.accepted.add(f"e{number}")

    async def troubles(self) -> None:
        while True:
            await asyncio.sleep(self.chance.expovariate(1 / 1_200))
            match self.chance.choice(["full disk", "clock", "crash", "restart"]):
                case "full disk":
                    self.disk.full = True
                    await asyncio.sleep(self.chance.uniform(0, 30))
                    self.disk.full = False
                case "clock":
                    self.clock.ahead += self.chance.choice([-7_200, -3, 0.5, 3, 7_200])
                case "crash" if self.crashes:
                    await self.die()
                    self.be_born()
                case "restart":
                    await self.driver.stop(patience_seconds=10_000)
                    self.be_born()

    async def die(self) -> None:
        """All that was in memory is gone, and nothing more of it reaches the disk."""
        self.disk.cut = True
        while doomed := asyncio.all_tasks() - self.spared:
            for task in doomed:
                task.cancel()
            await asyncio.sleep(0)
        assert not self.running_of.total()

    async def live(self) -> None:
        self.be_born()
        callers, troubles = asyncio.create_task(self.callers()), asyncio.create_task(self.troubles())
        self.spared = {asyncio.current_task(), callers, troubles}
        await callers
        async with asyncio.timeout(24 * 3_600):
            while self.queue.depth():
                await asyncio.sleep(10)
        troubles.cancel()
        await asyncio.wait([troubles])
        self.disk.full = False
        await self.driver.stop(patience_seconds=0)


@pytest.mark.parametrize("seed", range(30), ids=lambda seed: f"seed{seed}")
def test_every_event_ends_exactly_once(seed: int) -> None:
    world = World(seed, crashes=False)
    run(world.live())
    assert len(world.accepted) > EVENTS / 2
    assert set(world.ended.values()) <= {1}
    given_up = world.accepted - world.ended.keys()
    assert len(given_up) == world.dropped
    for id, errors in world.errors.items():
        assert errors <= 3, f"R1: {id}"


@pytest.mark.parametrize("seed", range(30), ids=lambda seed: f"seed{seed}")
def test_every_event_ends_at_least_once_where_the_process_dies(seed: int) -> None:
    world = World(seed, crashes=True)
    run(world.live())
    assert len(world.accepted) > EVENTS / 2
    given_up = world.accepted - world.ended.keys()
    assert len(given_up) <= world.dropped
