"""
Runs asynchronous invocations: claims due events, somewhat ahead of need, runs each, and settles or reschedules it as `retry` decides.

It waits for something to happen (an event accepted, a run over, the next event due) and looks at the queue then. The
wall clock, by which events are due, may be set while it waits: so it waits for `CLOCK_CHECK_SECONDS` at most, and what
an earlier, later clock had put off too far is due at once. What happens to a queue that several gateways share is not
seen: it is looked at every `SHARED_LOOK_SECONDS`, so that one's events are run by another that has room, or outlives it.

    D1  every event accepted is run at least once, unless it is given up, which is told
    D2  while this process lives, no event runs twice at once, and none runs again after it has ended
    D3  no function runs more of its events at once than `per_function`, all together no more than `total`
    D4  every attempt of an event has the same request id
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from lambent_core.errors import LambdaError, ResourceNotFound
from lambent_core.invocation import Invocation, Outcome
from lambent_core.retry import (
    DELAY_SECONDS_MAX,
    Failure,
    GiveUp,
    RetryAt,
    RetryPolicy,
    after_failure,
    before_attempt,
)
from lambent_gateway.clock import Clock
from lambent_gateway.drivers.claimed_events import ClaimedEvents
from lambent_gateway.drivers.event_endings import STORE_RETRY_SECONDS, EventEndings
from lambent_gateway.stores.events_base import Event, EventQueue, QueuedEvent, Room

log = structlog.get_logger(__name__)

ATTEMPT_SECONDS_MAX = 1_800.0
"""15 minutes of run, as long again of waiting for an environment."""
LEASE_SECONDS = 2 * ATTEMPT_SECONDS_MAX
"""So long may what was claimed ahead wait for its turn, and still end within its lease."""
CLOCK_CHECK_SECONDS = 60.0
SHARED_LOOK_SECONDS = 1.0
"""The wait of an event whose gateway has no room; a look at an empty queue takes 0.2 ms."""
WAIT_SECONDS_MIN = 0.01
"""The loop's clock and the wall clock need not run equally fast; this keeps their difference from becoming a busy loop."""
CLOCK_SET_BACK_SECONDS = 1.0
"""Less is a clock being corrected."""
FUNCTION_DELETED = "FunctionDeleted"


@dataclass(frozen=True, slots=True)
class AsyncLimits:
    total: int
    """Asynchronous invocations at once."""
    per_function: int


@dataclass(frozen=True, slots=True)
class Functions:
    """What is asked about functions, by name."""

    policy: Callable[[str, str | None], RetryPolicy | None]
    """Of a function and a qualifier. None: there is no such function, version or alias any more, or it can't be read."""
    reserved: Callable[[], Mapping[str, int]]
    """Reserved concurrency, of those that have one."""
    dropped: Callable[[str, str], None]
    """Told of an event given up: function and condition."""
    unreadable: Callable[[], Sequence[str]]
    """What is there and can't be read."""


class AsyncInvocations:
    """The one owner of the events under way. `run` raises `LambdaError`; `chance` is from 0 to 1, new at each call."""

    def __init__(
        self,
        queue: EventQueue,
        *,
        run: Callable[[Invocation], Awaitable[Outcome]],
        functions: Functions,
        clock: Clock,
        chance: Callable[[], float],
        owner: str,
        limits: AsyncLimits,
    ) -> None:
        self._queue = queue
        self._run = run
        self._functions = functions
        self._clock = clock
        self._chance = chance
        self._owner = owner
        self._limits = limits
        self._news = asyncio.Event()
        self._endings = EventEndings(queue, self._news.set)
        self._running = Counter[str]()
        """Attempts under way, by function."""
        self._claimed = ClaimedEvents()
        self._attempts: set[asyncio.Task[None]] = set()
        self._serving: asyncio.Task[None] | None = None
        self._stopping = False
        self._looked_at = 0.0
        """Wall clock at the last claim."""

    async def accept(self, invocation: Invocation) -> None:
        """Returns when the event is on disk. Raises `ServiceUnavailable`."""
        await self._queue.accept(
            Event(
                request_id=invocation.request_id,
                function=invocation.function_name,
                payload=invocation.payload,
                accepted_at=self._clock.time(),
                qualifier=invocation.qualifier or "",
                trace_id=invocation.trace_id,
                caller=invocation.caller,
            )
        )
        self._news.set()

    def start(self) -> None:
        """What an earlier process of this owner had leased is due at once."""
        self._serving = asyncio.get_running_loop().create_task(self._serve())

    async def drain(self) -> None:
        """Begins nothing more. Returns once nothing runs."""
        self._stopping = True
        self._news.set()
        if self._attempts:
            await asyncio.wait(self._attempts)

    async def stop(self) -> None:
        """What is still running is due again at the next start."""
        self._stopping = True
        self._news.set()
        if self._serving is not None:
            await self._serving
        for queued in self._claimed.waiting():
            self._endings.reschedule(queued.lease.id, RetryAt(self._clock.time(), queued.tries))
        for attempt in self._attempts:
            attempt.cancel()
        if self._attempts:
            await asyncio.wait(self._attempts)
        await self._endings.close()

    def running(self) -> int:
        """Attempts under way."""
        return self._running.total()

    async def _serve(self) -> None:
        recovered = False
        while not self._stopping:
            self._news.clear()
            try:
                if not recovered:
                    # Of an earlier process, or claimed for this one by a claim whose answer was lost.
                    await self._queue.recover(self._owner, self._clock.time(), self._endings.open.keys())
                    recovered = True
                wait = await self._claim()
            except Exception as error:  # the queue must be looked at again, whatever it was
                log.error("the event queue can't be read", error=str(error), cause=str(error.__cause__ or ""))
                recovered, wait = False, STORE_RETRY_SECONDS
            await self._sleep(wait)

    async def _sleep(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            pass

    async def _claim(self) -> float | None:
        """Claims what is due and has room, and begins it. Returns in how many seconds to look again, if nothing happens before."""
        now, waiting, ahead = self._clock.time(), self._claimed.counts(), self._claimed.begin_claim()
        total = self._limits.total + ahead.total() - self.running() - waiting.total()
        if total <= 0:
            return None
        if now < self._looked_at - CLOCK_SET_BACK_SECONDS or not self._looked_at:
            await self._queue.hasten(now, now + DELAY_SECONDS_MAX)
        self._looked_at = now
        # A reservation of zero is given up event by event, and so must be claimed.
        reserved = {function: limit for function, limit in self._functions.reserved().items() if limit > 0}
        room = Room(total, self._limits.per_function, self._running + waiting, reserved, ahead)
        claimed = await self._queue.claim(now, room, lease_seconds=LEASE_SECONDS, owner=self._owner)
        waiting = self._claimed.counts()
        for function in {queued.event.function for queued in claimed.events}:
            if not waiting[function]:
                self._claimed.ran_out(function)
        for queued in claimed.events:
            self._take_over(queued, now + LEASE_SECONDS - ATTEMPT_SECONDS_MAX)
        self._begin_claimed()
        if len(claimed.events) == total:
            return None
        at_most = SHARED_LOOK_SECONDS if self._queue.shared else CLOCK_CHECK_SECONDS
        if claimed.next_due is None:
            return at_most if self._queue.shared else None
        return min(max(claimed.next_due - self._clock.time(), WAIT_SECONDS_MIN), at_most)

    def _take_over(self, queued: QueuedEvent, until: float) -> None:
        under_way = queued.lease.id in self._endings.open
        self._endings.open[queued.lease.id] = queued.lease
        if not under_way:  # else its lease ended under a clock set ahead, and claiming has renewed it (D2)
            self._claimed.add(queued, until)

    def _begin_claimed(self) -> None:
        while not self._stopping and self.running() < self._limits.total:
            now = self._clock.time()
            queued, late = self._claimed.take(now, self._has_room)
            for each in late:
                self._endings.reschedule(each.lease.id, RetryAt(now, each.tries))
            if queued is None:
                return
            self._running[queued.event.function] += 1
            attempt = asyncio.get_running_loop().create_task(self._attempt(queued))
            self._attempts.add(attempt)
            attempt.add_done_callback(self._attempts.discard)

    def _has_room(self, function: str) -> bool:
        most = min(self._limits.per_function, self._functions.reserved().get(function, 0) or self._limits.per_function)
        return self._running[function] < most

    async def _attempt(self, queued: QueuedEvent) -> None:
        function, clock = queued.event.function, asyncio.get_running_loop().time
        began = clock()
        try:
            ending = await self._ending(queued)
        except asyncio.CancelledError:
            ending = RetryAt(self._clock.time(), queued.tries)
        finally:
            self._running[function] -= 1
            if not self._running[function]:
                del self._running[function]
            self._claimed.ended(function, clock() - began)
        match ending:
            case RetryAt():
                self._endings.reschedule(queued.lease.id, ending)
            case _:
                if ending is not None:
                    self._give_up(queued.event, ending)
                self._endings.settle(queued.lease.id)
        self._begin_claimed()
        self._news.set()  # there is room: the next claim can ride in the commit of this end

    async def _ending(self, queued: QueuedEvent) -> RetryAt | GiveUp | None:
        """How one attempt ended: try again, given up, or done."""
        event, policy = queued.event, self._functions.policy(queued.event.function, queued.event.qualifier or None)
        if policy is None:
            return self._not_found(queued)
        decision = before_attempt(policy, queued.tries, accepted_at=event.accepted_at, now=self._clock.time())
        if decision is not None:
            return decision
        try:
            outcome = await self._run(_invocation(event))
        except ResourceNotFound:
            return self._not_found(queued)
        except LambdaError:
            return self._after(Failure.PLATFORM, policy, queued)
        except Exception:
            log.exception("an attempt failed in the gateway itself", request_id=event.request_id)
            return self._after(Failure.PLATFORM, policy, queued)
        return None if outcome.function_error is None else self._after(Failure.FUNCTION, policy, queued)

    def _not_found(self, queued: QueuedEvent) -> RetryAt | GiveUp:
        """Its function is deleted, or perhaps what can't be read: then the event waits, as long as Lambda keeps any."""
        if self._functions.unreadable():
            return self._after(Failure.PLATFORM, RetryPolicy(), queued)
        return GiveUp(FUNCTION_DELETED, queued.tries)

    def _after(self, failure: Failure, policy: RetryPolicy, queued: QueuedEvent) -> RetryAt | GiveUp:
        now, accepted_at = self._clock.time(), queued.event.accepted_at
        return after_failure(policy, failure, queued.tries, accepted_at=accepted_at, now=now, jitter=self._chance())

    def _give_up(self, event: Event, why: GiveUp) -> None:
        log.warning(
            "asynchronous event given up",
            condition=str(why.condition),
            function=event.function,
            request_id=event.request_id,
            attempts=why.tries.attempts,
            setbacks=why.tries.setbacks,
        )
        self._functions.dropped(event.function, why.condition)


def _invocation(event: Event) -> Invocation:
    return Invocation(
        request_id=event.request_id,
        function_name=event.function,
        payload=event.payload,
        qualifier=event.qualifier or None,
        kind="Event",
        trace_id=event.trace_id,
        caller=event.caller,
    )
