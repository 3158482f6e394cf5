"""
Runs asynchronous invocations: claims due events, runs each, and settles or reschedules it as `retry` decides.

It waits for something to happen (an event accepted, a run over, the next event due) and looks at the queue then. The
wall clock, by which events are due, may be set while it waits: so it waits for `CLOCK_CHECK_SECONDS` at most, and what
an earlier, later clock had put off too far is due at once.

    D1  every event accepted is run at least once, unless it is given up, which is told
    D2  while this process lives, no event runs twice at once, and none runs again after it has ended
    D3  no function runs more of its events at once than `per_function`, all together no more than `total`
    D4  every attempt of an event has the same request id
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
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
from lambent_gateway.drivers.event_endings import STORE_RETRY_SECONDS, EventEndings
from lambent_gateway.stores.events_base import Event, EventQueue, QueuedEvent, Reschedule, Room

log = structlog.get_logger(__name__)

LEASE_SECONDS = 3_600.0
"""Longer than any attempt: 15 minutes of run, as long again of waiting for an environment."""
CLOCK_CHECK_SECONDS = 60.0
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
    """Of a function and a qualifier. None: there is no such function, version or alias any more."""
    reserved: Callable[[], Mapping[str, int]]
    """Reserved concurrency, of those that have one."""
    dropped: Callable[[str, str], None]
    """Told of an event given up: function and condition."""


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
        self._running: dict[str, int] = {}
        """Attempts under way, by function."""
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

    async def stop(self, patience_seconds: float) -> None:
        """Lets running attempts end for so long; what is then still running is due again at the next start."""
        self._stopping = True
        self._news.set()
        if self._serving is not None:
            await self._serving
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=patience_seconds)
        for attempt in self._attempts:
            attempt.cancel()
        await asyncio.gather(*self._attempts, return_exceptions=True)
        await self._endings.close()

    def running(self) -> int:
        """Attempts under way."""
        return sum(self._running.values())

    async def _serve(self) -> None:
        recovered = False
        while not self._stopping:
            self._news.clear()
            try:
                if not recovered:
                    await self._queue.recover(self._owner, self._clock.time())
                    recovered = True
                wait = await self._claim()
            except Exception as error:  # the queue must be looked at again, whatever it was
                log.error("the event queue can't be read", error=str(error))
                wait = STORE_RETRY_SECONDS
            await self._sleep(wait)

    async def _sleep(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            pass

    async def _claim(self) -> float | None:
        """Begins what is due and has room. Returns in how many seconds to look again, if nothing happens before."""
        total = self._limits.total - self.running()
        if total <= 0:
            return None
        now = self._clock.time()
        if now < self._looked_at - CLOCK_SET_BACK_SECONDS or not self._looked_at:
            await self._queue.hasten(now, now + DELAY_SECONDS_MAX)
        self._looked_at = now
        # A reservation of zero is given up event by event, and so must be claimed.
        reserved = {function: limit for function, limit in self._functions.reserved().items() if limit > 0}
        room = Room(total, self._limits.per_function, dict(self._running), reserved)
        claimed = await self._queue.claim(now, room, lease_seconds=LEASE_SECONDS, owner=self._owner)
        for queued in claimed.events:
            self._begin(queued)
        if claimed.next_due is None or len(claimed.events) == total:
            return None
        return min(max(claimed.next_due - self._clock.time(), WAIT_SECONDS_MIN), CLOCK_CHECK_SECONDS)

    def _begin(self, queued: QueuedEvent) -> None:
        if queued.id in self._endings.open_ids:
            return  # its lease ended under a clock set ahead while it runs; claiming has renewed it (D2)
        self._endings.open_ids.add(queued.id)
        function = queued.event.function
        self._running[function] = self._running.get(function, 0) + 1
        attempt = asyncio.get_running_loop().create_task(self._attempt(queued))
        self._attempts.add(attempt)
        attempt.add_done_callback(self._attempts.discard)

    async def _attempt(self, queued: QueuedEvent) -> None:
        function = queued.event.function
        try:
            ending = await self._ending(queued)
        except asyncio.CancelledError:
            ending = RetryAt(self._clock.time(), queued.tries)
        finally:
            self._running[function] -= 1
            if not self._running[function]:
                del self._running[function]
        match ending:
            case RetryAt(due, tries):
                self._endings.reschedule(Reschedule(queued.id, due, tries))
            case condition:
                if condition is not None:
                    self._give_up(queued, condition)
                self._endings.settle(queued.id)
        self._news.set()  # there is room: the next claim can ride in the commit of this end

    async def _ending(self, queued: QueuedEvent) -> RetryAt | str | None:
        """How one attempt ended: try again, given up under a condition, or done."""
        event, policy = queued.event, self._functions.policy(queued.event.function, queued.event.qualifier or None)
        if policy is None:
            return FUNCTION_DELETED
        decision = before_attempt(policy, accepted_at=event.accepted_at, now=self._clock.time())
        if decision is not None:
            return decision.condition
        try:
            outcome = await self._run(_invocation(event))
        except ResourceNotFound:
            return FUNCTION_DELETED
        except LambdaError:
            return self._after(Failure.PLATFORM, policy, queued)
        except Exception:
            log.exception("an attempt failed in the gateway itself", request_id=event.request_id)
            return self._after(Failure.PLATFORM, policy, queued)
        return None if outcome.function_error is None else self._after(Failure.FUNCTION, policy, queued)

    def _after(self, failure: Failure, policy: RetryPolicy, queued: QueuedEvent) -> RetryAt | str:
        now, accepted_at = self._clock.time(), queued.event.accepted_at
        decision = after_failure(policy, failure, queued.tries, accepted_at=accepted_at, now=now, jitter=self._chance())
        return decision.condition if isinstance(decision, GiveUp) else decision

    def _give_up(self, queued: QueuedEvent, condition: str) -> None:
        event, tries = queued.event, queued.tries
        log.warning(
            "asynchronous event given up",
            condition=str(condition),
            function=event.function,
            request_id=event.request_id,
            attempts=tries.attempts,
            setbacks=tries.setbacks,
        )
        self._functions.dropped(event.function, condition)


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
