"""
Hours of asynchronous invocations in virtual time, one seed per run.

Functions fail, are throttled and deleted, the store refuses for a while or its answers are lost, the wall clock is set,
the process dies; one gateway serves the queue or several. Goal: every accepted event ends: exactly once, or at least
once where the process died in between. A failing seed replays exactly: `pytest -k seed17`.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TypeVar

import pytest

from lambent_core.errors import ResourceNotFound, ServiceException, ServiceUnavailable, TooManyRequests
from lambent_core.invocation import Invocation, Outcome
from lambent_core.link import Report, ReportStatus
from lambent_core.retry import RetryPolicy
from lambent_gateway.drivers.async_invocations import AsyncInvocations, AsyncLimits, Functions
from lambent_gateway.stores.events_base import Backlog, Claimed, Event, Lease, Reschedule, Room
from lambent_gateway.stores.events_memory import MemoryEventQueue
from tests.simulation.virtual_time import WallClock, run

T = TypeVar("T")
HOURS = 3
EVENTS = 120


class Disk:
    """The queue as one process reaches it: it may refuse for a while, and a dead process reaches it no more."""

    def __init__(self, queue: MemoryEventQueue, chance: random.Random, *, shared: bool) -> None:
        self.queue = queue
        self.chance = chance
        self.shared = shared
        self.full = False
        self.mute = False
        """What is asked for happens, but the answer is lost."""
        self.cut = False

    async def _reach(self) -> None:
        await asyncio.sleep(self.chance.uniform(0, 0.01))
        if self.cut:
            await asyncio.Future()
        if self.full:
            raise ServiceUnavailable("database or disk is full")

    async def _answered(self, answer: T) -> T:
        await asyncio.sleep(self.chance.uniform(0, 0.01))
        if self.mute:
            raise ServiceUnavailable("connection lost")
        return answer

    async def accept(self, event: Event) -> None:
        await self._reach()
        await self.queue.accept(event)

    async def claim(self, now: float, room: Room, *, lease_seconds: float, owner: str) -> Claimed:
        await self._reach()
        return await self._answered(await self.queue.claim(now, room, lease_seconds=lease_seconds, owner=owner))

    async def settle(self, leases: Sequence[Lease]) -> int:
        await self._reach()
        return await self._answered(await self.queue.settle(leases))

    async def reschedule(self, changes: Sequence[Reschedule]) -> None:
        await self._reach()
        await self._answered(await self.queue.reschedule(changes))

    async def recover(self, owner: str, now: float, held: Collection[int] = ()) -> int:
        await self._reach()
        return await self._answered(await self.queue.recover(owner, now, held))

    async def hasten(self, now: float, latest: float) -> int:
        await self._reach()
        return await self._answered(await self.queue.hasten(now, latest))

    async def backlog(self) -> Backlog:
        return await self.queue.backlog()

    async def close(self) -> None:
        pass


class World:
    def __init__(self, seed: int, *, crashes: bool, gateways: int = 1) -> None:
        self.chance = random.Random(seed)
        self.crashes = crashes
        self.gateways = gateways
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
        self.disk = Disk(self.queue, self.chance, shared=self.gateways > 1)
        self.drivers = [
            AsyncInvocations(
                self.disk,
                run=self.run,
                functions=Functions(self.policies.get, self.reserved, self.drop, unreadable=tuple),
                clock=self.clock,
                chance=self.chance.random,
                owner=f"gateway-{number}",
                limits=self.limits,
            )
            for number in range(self.gateways)
        ]
        for driver in self.drivers:
            driver.start()

    async def end(self, patience_seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_seconds):
                await asyncio.gather(*(driver.drain() for driver in self.drivers))
        await asyncio.gather(*(driver.stop() for driver in self.drivers))

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
        assert self.running_of[function] <= self.limits.per_function * self.gateways, "D3"
        assert self.running_of.total() <= self.limits.total * self.gateways, "D3"
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
                    await self.chance.choice(self.drivers).accept(
                        Invocation(f"e{number}", function, b"{}", kind="Event")
                    )
            except (ServiceUnavailable, TimeoutError):
                continue
            self.accepted.add(f"e{number}")

    async def troubles(self) -> None:
        while True:
            await asyncio.sleep(self.chance.expovariate(1 / 1_200))
            match self.chance.choice(["full disk", "lost answers", "clock", "crash", "restart"]):
                case "full disk":
                    self.disk.full = True
                    await asyncio.sleep(self.chance.uniform(0, 30))
                    self.disk.full = False
                case "lost answers":
                    self.disk.mute = True
                    await asyncio.sleep(self.chance.uniform(0, 30))
                    self.disk.mute = False
                case "clock":
                    # Leases are as good as the clocks of those who share a queue.
                    hours = [-7_200, 7_200] if self.gateways == 1 else []
                    self.clock.ahead += self.chance.choice([-3, 0.5, 3, *hours])
                case "crash" if self.crashes:
                    await self.die()
                    self.be_born()
                case "restart":
                    await self.end(patience_seconds=10_000)
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
            while (await self.queue.backlog()).depth:
                await asyncio.sleep(10)
        troubles.cancel()
        await asyncio.wait([troubles])
        self.disk.full = self.disk.mute = False
        await self.end(patience_seconds=0)


@pytest.mark.parametrize(
    ("gateways", "seed"),
    [*((1, seed) for seed in range(30)), *((3, seed) for seed in range(30, 40))],  # three take a second and a half each
    ids=lambda number: f"{number}",
)
def test_every_event_ends_exactly_once(seed: int, gateways: int) -> None:
    world = World(seed, crashes=False, gateways=gateways)
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
