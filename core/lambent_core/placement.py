"""
Which invocation runs on which execution environment of one function version.

The caller says what happened and when; it gets back what to do. Nothing here waits, sends, starts anything or looks at a clock.
An invocation takes the warmest free environment; else an environment is started and whichever comes free first is taken.

    P1  an environment runs at most one invocation
    P2  nothing is started without room: `room` is what the machine can still hold, as the caller says at each step
    P3  nobody waits while an environment idles
    P4  every accepted invocation ends exactly once: by `Finished`, `Refuse` or `Fail`
    P5  whoever waits has an environment on the way, or starts are at their pace, or there is no room, or the scale-out rate is spent
    P6  the next wake-up lies ahead, so the clock always gets on
    P7  every environment started is starting, idle, busy, stopped or lost
    P8  a failed start fails one waiting invocation, so that nothing is started for ever
    P9  no invocation runs on an environment of an earlier revision once the revision has changed
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NewType, assert_never

from lambent_core import limits
from lambent_core.admission import ThrottleReason

InvocationId = NewType("InvocationId", int)
EnvironmentId = NewType("EnvironmentId", int)

SCALE_OUT_PER_SECOND = limits.SCALE_OUT_ENVIRONMENTS / limits.SCALE_OUT_SECONDS


# --- what can happen


@dataclass(slots=True)
class Accepted:
    invocation: InvocationId


@dataclass(slots=True)
class Finished:
    """The environment has reported: it is free again."""

    environment: EnvironmentId


@dataclass(slots=True)
class Ready:
    """An environment that was started is initialised, well or badly: it can take an invocation."""

    environment: EnvironmentId


@dataclass(slots=True)
class Found:
    """An environment of the current revision that outlived the gateway, free."""

    environment: EnvironmentId


@dataclass(slots=True)
class Lost:
    """The environment is gone: its start failed, its connection broke, its process died."""

    environment: EnvironmentId


@dataclass(slots=True)
class Revised:
    """Code or configuration changed: environments from now on are of the new revision."""


@dataclass(slots=True)
class Removed:
    """The function was deleted: what runs may end, what waits may not."""


@dataclass(slots=True)
class Evict:
    """The room of an idle environment is needed by another function."""


@dataclass(slots=True)
class TimePassed:
    """Time, or room elsewhere, has become free."""


Event = Accepted | Finished | Ready | Found | Lost | Revised | Removed | Evict | TimePassed

# --- what to do about it


@dataclass(slots=True)
class Run:
    invocation: InvocationId
    environment: EnvironmentId


@dataclass(slots=True)
class Start:
    environment: EnvironmentId


@dataclass(slots=True)
class Stop:
    environment: EnvironmentId


@dataclass(slots=True)
class Refuse:
    """Answer 429 with this reason."""

    invocation: InvocationId
    reason: ThrottleReason


@dataclass(slots=True)
class Fail:
    """Answer that the environment could not be had or was lost; `removed`: that the function is gone."""

    invocation: InvocationId
    removed: bool = False


Effect = Run | Start | Stop | Refuse | Fail


@dataclass(slots=True)
class Placement:
    """The one owner of a version's queue and pool. All state is in the fields."""

    ids: Iterator[int]
    """Names for environments, unique in the gateway."""
    idle_seconds_max: float
    patience_seconds: float
    """How long an invocation may wait for an environment before it is refused."""
    starting_max: int
    """Starts under way at once: more would only take the processors from the environments that are already there."""
    waiting: deque[tuple[InvocationId, float]] = field(default_factory=deque)
    """With the time at which patience ends, earliest first."""
    starting: set[EnvironmentId] = field(default_factory=set)
    idle: dict[EnvironmentId, float] = field(default_factory=dict)
    """Idle since, oldest first."""
    busy: dict[EnvironmentId, InvocationId] = field(default_factory=dict)
    stale: set[EnvironmentId] = field(default_factory=set)
    """Starting or busy ones of an earlier revision."""
    scale_out: float = limits.SCALE_OUT_ENVIRONMENTS
    """Environments that may be started at once by the scale-out rate."""
    scale_out_at: float = 0.0

    def step(self, event: Event, *, now: float, room: int) -> list[Effect]:
        effects: list[Effect] = []
        match event:  # all branching on events is here, none in the helpers
            case Accepted(invocation):
                if self.idle:  # the warm path: nothing else can have to be done
                    environment, _ = self.idle.popitem()
                    self.busy[environment] = invocation
                    return [Run(invocation, environment)]
                self._enqueue(invocation, now, effects)
            case Finished(environment):
                del self.busy[environment]
                if not self.waiting and environment not in self.stale:  # the warm path's other end
                    self.idle[environment] = now
                    return effects
                self._free(environment, now, effects)
            case Ready(environment):
                self.starting.remove(environment)
                self._free(environment, now, effects)
            case Found(environment):
                self._free(environment, now, effects)
            case Lost(environment):
                self._lose(environment, effects)
            case Revised() | Removed():
                effects += self._retire()
                if isinstance(event, Removed):
                    effects += [Fail(invocation, removed=True) for invocation, _ in self.waiting]
                    self.waiting.clear()
            case Evict():
                if self.idle:
                    coldest = next(iter(self.idle))
                    del self.idle[coldest]
                    effects.append(Stop(coldest))
            case TimePassed():
                pass
            case _:
                assert_never(event)
        self._place(effects)
        self._refuse(now, effects)
        self._grow(now, room + sum(isinstance(effect, Stop) for effect in effects), effects)
        self._shrink(now, effects)
        self._check(now)
        return effects

    def next_wakeup(self) -> float | None:
        """When to come back with `TimePassed` if nothing else happens."""
        wakeup = self.waiting[0][1] if self.waiting else None
        if self.starved and self.scale_out < 1:
            refilled = self.scale_out_at + max(0.001, (1 - self.scale_out) / SCALE_OUT_PER_SECOND)
            wakeup = min(self.waiting[0][1], refilled)
        for since in self.idle.values():
            expiry = since + self.idle_seconds_max
            return expiry if wakeup is None else min(wakeup, expiry)
        return wakeup

    @property
    def size(self) -> int:
        """Environments of any state."""
        return len(self.starting) + len(self.idle) + len(self.busy)

    @property
    def starved(self) -> bool:
        """Someone waits for whom nothing could be started."""
        return len(self.starting) < min(len(self.waiting), self.starting_max)

    def _enqueue(self, invocation: InvocationId, now: float, effects: list[Effect]) -> None:
        self._refill(now)
        if self.scale_out < 1 and len(self.waiting) >= len(self.starting):
            effects.append(Refuse(invocation, ThrottleReason.SCALE_OUT))
        else:
            self.waiting.append((invocation, now + self.patience_seconds))

    def _free(self, environment: EnvironmentId, now: float, effects: list[Effect]) -> None:
        if environment in self.stale:
            self.stale.remove(environment)
            effects.append(Stop(environment))
        else:
            self.idle[environment] = now

    def _lose(self, environment: EnvironmentId, effects: list[Effect]) -> None:
        self.idle.pop(environment, None)
        current = environment not in self.stale
        self.stale.discard(environment)
        if environment in self.busy:
            effects.append(Fail(self.busy.pop(environment)))
        elif environment in self.starting:
            self.starting.remove(environment)
            if self.waiting and current:
                effects.append(Fail(self.waiting.popleft()[0]))

    def _retire(self) -> list[Effect]:
        self.stale |= self.starting | self.busy.keys()
        stopped: list[Effect] = [Stop(environment) for environment in self.idle]
        self.idle.clear()
        return stopped

    def _place(self, effects: list[Effect]) -> None:
        # The warmest environment first, so that the coldest ones get to expire.
        while self.waiting and self.idle:
            environment, _ = self.idle.popitem()
            self.busy[environment] = self.waiting.popleft()[0]
            effects.append(Run(self.busy[environment], environment))

    def _refuse(self, now: float, effects: list[Effect]) -> None:
        while self.waiting and self.waiting[0][1] <= now:
            effects.append(Refuse(self.waiting.popleft()[0], ThrottleReason.ACCOUNT))

    def _grow(self, now: float, room: int, effects: list[Effect]) -> None:
        fresh = len(self.starting) - len(self.starting & self.stale) if self.stale else len(self.starting)
        wanted = min(len(self.waiting), self.starting_max) - fresh
        if wanted <= 0:
            return
        self._refill(now)
        for _ in range(min(wanted, room, int(self.scale_out))):
            environment = EnvironmentId(next(self.ids))
            self.scale_out -= 1
            self.starting.add(environment)
            effects.append(Start(environment))

    def _shrink(self, now: float, effects: list[Effect]) -> None:
        for environment, since in list(self.idle.items()):
            if since + self.idle_seconds_max > now:
                break
            del self.idle[environment]
            effects.append(Stop(environment))

    def _refill(self, now: float) -> None:
        # Refilled continuously, and what is not used does not add up beyond one burst ("Lambda scaling behavior").
        refilled = self.scale_out + (now - self.scale_out_at) * SCALE_OUT_PER_SECOND
        self.scale_out = min(float(limits.SCALE_OUT_ENVIRONMENTS), refilled)
        self.scale_out_at = now

    def _check(self, now: float) -> None:
        wakeup = self.next_wakeup()
        assert not (self.waiting and self.idle), self  # P3
        assert wakeup is None or wakeup > now, self  # P6
        assert not self.stale or self.stale <= self.starting | self.busy.keys(), self  # P9
