"""
Which keys are worked on, and when. The queue decides; `drive` runs the work.

    Q1  a key is worked on by one at a time
    Q2  a key that is added while it is worked on is worked on once more
    Q3  a key that is added twice before its turn has one turn
    Q4  a key whose work failed waits, longer each time, until it succeeds: news of it doesn't shorten that
    Q5  first come, first served among those whose time has come
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

TICK_SECONDS = 1e-6
"""Timers may ring so much too early."""
AGAIN_SECONDS_MIN = 0.01
"""Differences of times are off by a little: a wait that is over but for that is not asked for again at once."""
BACK_OFF_SECONDS_MIN, BACK_OFF_SECONDS_MAX = 0.1, 10.0
K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class WorkQueue(Generic[K]):
    """All state is in the fields. Times are the caller's monotonic seconds."""

    ready: deque[K] = field(default_factory=deque)
    queued: set[K] = field(default_factory=set)
    """What is in `ready`."""
    working: set[K] = field(default_factory=set)
    again: set[K] = field(default_factory=set)
    """Added while worked on."""
    due: dict[K, float] = field(default_factory=dict)
    """What has its turn later."""
    failures: dict[K, int] = field(default_factory=dict)
    """In a row."""
    alarms: list[tuple[float, int, K]] = field(default_factory=list)
    """Heap over `due`; an alarm whose time isn't in `due` any more is void."""
    alarms_set: int = 0

    def add(self, key: K) -> None:
        if self._backs_off(key):
            return  # Q4
        self.due.pop(key, None)
        self._put(key)

    def add_later(self, key: K, *, at: float) -> None:
        """Has its turn at that time; nothing if it has one before."""
        if key in self.queued or key in self.again or self._backs_off(key) or self.due.get(key, at) < at:
            return
        self.due[key] = at
        self.alarms_set += 1
        heapq.heappush(self.alarms, (at, self.alarms_set, key))

    def take(self, *, now: float) -> K | None:
        """The next key, which is worked on from now; None: nothing is due."""
        while self.alarms and self.alarms[0][0] <= now:
            at, _, key = heapq.heappop(self.alarms)
            if self.due.get(key) == at:
                del self.due[key]
                self._put(key)
        if not self.ready:
            return None
        key = self.ready.popleft()
        self.queued.discard(key)
        self.working.add(key)
        return key

    def done(self, key: K) -> None:
        self.working.discard(key)
        self.failures.pop(key, None)
        if key in self.again:
            self.again.discard(key)
            self.add(key)

    def failed(self, key: K, *, now: float, chance: float) -> float:
        """The seconds that it waits. `chance`, 0 to 1, lengthens them by up to their half."""
        self.working.discard(key)
        self.again.discard(key)
        self.due.pop(key, None)
        failures = self.failures[key] = self.failures.get(key, 0) + 1
        pause = BACK_OFF_SECONDS_MIN * 2.0 ** min(failures - 1, 16) * (1 + chance / 2)
        pause = min(pause, BACK_OFF_SECONDS_MAX)
        self.add_later(key, at=now + pause)
        return pause

    def next_wakeup(self) -> float | None:
        while self.alarms and self.due.get(self.alarms[0][2]) != self.alarms[0][0]:
            heapq.heappop(self.alarms)
        return self.alarms[0][0] if self.alarms else None

    @property
    def depth(self) -> int:
        """Keys whose time has come and that are not done."""
        return len(self.ready) + len(self.working) + len(self.again)

    def _backs_off(self, key: K) -> bool:
        return key in self.failures and key in self.due and key not in self.working

    def _put(self, key: K) -> None:
        if key in self.working:
            self.again.add(key)
        elif key not in self.queued:
            self.queued.add(key)
            self.ready.append(key)


class Workers(Generic[K]):
    """Works on a queue's keys, so many at once. `clock` is the loop's. `work` says in how many seconds it wants the key again, or None."""

    def __init__(
        self,
        work: Callable[[K], Awaitable[float | None]],
        *,
        failed: Callable[[K, Exception, float], None],
        clock: Callable[[], float],
        chance: Callable[[], float],
        parallel_max: int,
    ) -> None:
        self.queue: WorkQueue[K] = WorkQueue()
        self._work = work
        self._failed = failed
        self._clock = clock
        self._chance = chance
        self._parallel_max = parallel_max
        self._running: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()

    def add(self, key: K, *, after_seconds: float = 0.0) -> None:
        if after_seconds > 0:
            self.queue.add_later(key, at=self._clock() + after_seconds)
        else:
            self.queue.add(key)
        self._news.set()

    async def run(self) -> None:
        """For ever."""
        try:
            while True:
                self._news.clear()
                self._start()
                full = len(self._running) >= self._parallel_max
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(None if full else self.queue.next_wakeup()):
                        await self._news.wait()
        finally:
            for task in self._running:
                task.cancel()

    def _start(self) -> None:
        while (
            len(self._running) < self._parallel_max
            and (key := self.queue.take(now=self._clock() + TICK_SECONDS)) is not None
        ):
            task = asyncio.create_task(self._one(key))
            self._running.add(task)
            task.add_done_callback(self._ended)

    async def _one(self, key: K) -> None:
        try:
            again_seconds = await self._work(key)
        except Exception as error:
            self._failed(key, error, self.queue.failed(key, now=self._clock(), chance=self._chance()))
            return
        self.queue.done(key)
        if again_seconds is not None:
            self.queue.add_later(key, at=self._clock() + max(again_seconds, AGAIN_SECONDS_MIN))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._news.set()
