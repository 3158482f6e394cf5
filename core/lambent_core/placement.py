"""
Which invocation runs on which execution environment of one function version.

The caller says what happened and when; it gets back what to do. Nothing here waits, sends, starts anything or looks at a clock.
An invocation takes the warmest free environment; else an environment is started and whichever comes free first is taken.

    P1  an environment runs at most one invocation
    P2  nothing is started without room: `room` is what the machine can still hold, as the caller says at each step
    P3  nobody waits while an environment idles
    P4  every accepted invocation ends exactly once: by `Finished`, `Refuse`, `Fail` or `Forward`
    P5  whoever waits has an environment on the way, or starts are at their pace, or there is no room, or the scale-out rate is spent, or
        a start has failed just now and others serve
    P6  the next wake-up lies ahead, so the clock always gets on
    P7  every environment started is starting, idle, busy, stopped or lost
    P8  a failed start fails one waiting invocation that no environment will serve, so that nothing is started for ever
    P9  no invocation runs on an environment of an earlier revision once the revision has changed
    P10 at least `kept` environments are there or on the way, but for spare room, the starts' pace, and a pause after starts that failed
    P11 whoever starts environments hears of those that nobody has waited for, for a second; at once of those that a change has made useless
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

START_PAUSE_SECONDS_MIN, START_PAUSE_SECONDS_MAX = 1.0, 60.0
"""From a failed start to the next one that nobody depends on: doubled each time, so that what can't start costs little."""
SPARE_SECONDS = 1.0
"""A start that nobody waits for may be wanted again by the next invocation: only one that is needless for so long is told."""
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
class Withdrawn:
    """An environment that nobody waited for any more (`Spare`) is not started after all."""

    environment: EnvironmentId


@dataclass(slots=True)
class Leaving:
    """The environment will end soon (its node is drained, say): no further invocation for it."""

    environment: EnvironmentId


@dataclass(slots=True)
class Keep:
    """So many environments shall be ready from now on, whether or not somebody calls."""

    count: int


@dataclass(slots=True)
class IdleFor:
    """So long may an environment idle from now on, also one that does already."""

    seconds: float


@dataclass(slots=True)
class Revised:
    """Code or configuration changed: environments from now on are of the new revision."""


@dataclass(slots=True)
class Removed:
    """The function was deleted: what runs may end, what waits may not."""


@dataclass(slots=True)
class Moved:
    """The version is another gateway's from now on: what runs may end, what waits is begun there."""


@dataclass(slots=True)
class Evict:
    """The room of an idle environment is needed by another function."""


@dataclass(slots=True)
class TimePassed:
    """Time, or room elsewhere, has become free."""


Event = (
    Accepted
    | Finished
    | Ready
    | Found
    | Lost
    | Withdrawn
    | Leaving
    | Keep
    | IdleFor
    | Revised
    | Removed
    | Moved
    | Evict
    | TimePassed
)

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
class Spare:
    """Nobody waits for this environment: where its start has not begun, say `Withdrawn`. Else it starts, and idles."""

    environment: EnvironmentId
    useless: bool = False
    """
    It is of an earlier revision, or another gateway's: say `Withdrawn` as long as there is nothing of it yet, so that others get what
    was on its way to it.
    """


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


@dataclass(slots=True)
class Forward:
    """No environment has seen it: have it begun at the gateway that the version belongs to."""

    invocation: InvocationId


Effect = Run | Start | Stop | Spare | Refuse | Fail | Forward


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
    """Starting or busy ones that end, or go elsewhere, once they are free: of an earlier revision, leaving or another gateway's."""
    scale_out: float = limits.SCALE_OUT_ENVIRONMENTS
    """Environments that may be started at once by the scale-out rate."""
    scale_out_at: float = 0.0
    kept: int = 0
    """Environments that are kept ready while nobody calls."""
    start_pause: float = START_PAUSE_SECONDS_MIN
    keep_at: float = 0.0
    """No start for the sake of `kept` before this time."""
    needless: int = 0
    """Starts that nobody has waited for since the last look."""
    spare_at: float | None = None
    """When to look at them; None while all are waited for."""
    help_at: float | None = None
    """No start to help environments that serve before this time; None where the last one did not fail."""

    def step(self, event: Event, *, now: float, room: int, spare: int | None = None) -> list[Effect]:
        """`room` is what may be started, `spare` what of it takes no place from others; all of it if nothing is said."""
        effects: list[Effect] = []
        if self.help_at is not None and self.help_at <= now:
            self.help_at = None
        match event:  # all branching on events is here, none in the helpers
            case Accepted(invocation):
                if (warm := self.take(invocation)) is not None:
                    return [Run(invocation, warm)]
                self._enqueue(invocation, now, effects)
            case Finished(environment):
                if self.give_back(environment, now):
                    return effects
                del self.busy[environment]
                self._free(environment, now, effects)
            case Ready(environment):
                self.starting.remove(environment)
                self.keep_at, self.help_at, self.start_pause = now, None, START_PAUSE_SECONDS_MIN
                self._free(environment, now, effects)
            case Found(environment):
                self._free(environment, now, effects)
            case Lost(environment):
                self._lose(environment, now, effects)
            case Withdrawn(environment):
                self.starting.remove(environment)
                self.stale.discard(environment)
                self.scale_out += 1
            case Leaving(environment):
                if self.idle.pop(environment, None) is not None:
                    effects.append(Stop(environment))
                elif environment in self.starting or environment in self.busy:
                    self.stale.add(environment)
            case Keep(count):
                self.kept, self.keep_at = count, now
            case IdleFor(seconds):
                self.idle_seconds_max = seconds
            case Revised():
                effects += self._retire()
                self.keep_at = now
            case Removed():
                effects += self._retire()
                effects += [Fail(invocation, removed=True) for invocation in self._abandon()]
            case Moved():
                effects += self._retire()
                effects += [Forward(invocation) for invocation in self._abandon()]
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
        stopped = sum(isinstance(effect, Stop) for effect in effects)
        self._grow(now, room + stopped, (room if spare is None else spare) + stopped, effects)
        self._shrink(now, effects)
        self._spare(now, effects)
        self._check(now)
        return effects

    def take(self, invocation: InvocationId) -> EnvironmentId | None:
        """`Accepted` on the warm path: the warmest idle environment runs it, and nothing else has to be done. None: nobody idles."""
        if not self.idle:
            return None
        environment, _ = self.idle.popitem()
        self.busy[environment] = invocation
        return environment

    def give_back(self, environment: EnvironmentId, now: float) -> bool:
        """`Finished` on the warm path: it idles, and nothing else has to be done. False: others wait or start, or it is to be stopped."""
        if self.waiting or self.starting or environment in self.stale:
            return False
        del self.busy[environment]
        self.idle[environment] = now
        return True

    def next_wakeup(self) -> float | None:
        """When to come back with `TimePassed` if nothing else happens."""
        moments = [] if self.spare_at is None else [self.spare_at]
        if self.waiting:
            moments.append(self.waiting[0][1])
            if self._held_back and self.help_at is not None:
                moments.append(self.help_at)
            elif self.starved and self.scale_out < 1:
                moments.append(self.scale_out_at + max(0.001, (1 - self.scale_out) / SCALE_OUT_PER_SECOND))
        if self._lacking < 0 or not self.kept:
            for since in self.idle.values():
                moments.append(since + self.idle_seconds_max)
                break
        elif self._lacking > 0:
            moments.append(self.keep_at)
        return min(moments, default=None)

    @property
    def size(self) -> int:
        """Environments of any state."""
        return len(self.starting) + len(self.idle) + len(self.busy)

    @property
    def _lacking(self) -> int:
        """Environments of the current revision that are to be kept and are not there; below zero if there are more."""
        return self.kept - self.size + len(self.stale)

    @property
    def _serves(self) -> bool:
        """An environment of the current revision runs something, and will come free."""
        return not self.busy.keys() <= self.stale

    @property
    def _held_back(self) -> bool:
        """Someone waits, and nothing is started for it just now: the last start failed, and others serve."""
        return bool(self.waiting) and self.help_at is not None and self._serves

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

    def _lose(self, environment: EnvironmentId, now: float, effects: list[Effect]) -> None:
        self.idle.pop(environment, None)
        current = environment not in self.stale
        self.stale.discard(environment)
        if environment in self.busy:
            effects.append(Fail(self.busy.pop(environment)))
        elif environment in self.starting:
            self.starting.remove(environment)
            self.keep_at = self.help_at = now + self.start_pause
            self.start_pause = min(2 * self.start_pause, START_PAUSE_SECONDS_MAX)
            if self.waiting and current and not self._serves:
                effects.append(Fail(self.waiting.popleft()[0]))

    def _retire(self) -> list[Effect]:
        effects: list[Effect] = [Stop(environment) for environment in self.idle]
        effects += [Spare(environment, useless=True) for environment in sorted(self.starting - self.stale)]
        self.stale |= self.starting | self.busy.keys()
        self.idle.clear()
        return effects

    def _abandon(self) -> list[InvocationId]:
        """Nothing is started for the version any more. Who waited for it."""
        waiting = [invocation for invocation, _ in self.waiting]
        self.waiting.clear()
        self.kept = 0
        return waiting

    def _place(self, effects: list[Effect]) -> None:
        # The warmest environment first, so that the coldest ones get to expire.
        while self.waiting and self.idle:
            environment, _ = self.idle.popitem()
            self.busy[environment] = self.waiting.popleft()[0]
            effects.append(Run(self.busy[environment], environment))

    def _refuse(self, now: float, effects: list[Effect]) -> None:
        while self.waiting and self.waiting[0][1] <= now:
            effects.append(Refuse(self.waiting.popleft()[0], ThrottleReason.ACCOUNT))

    def _grow(self, now: float, room: int, spare: int, effects: list[Effect]) -> None:
        fresh = len(self.starting) - len(self.starting & self.stale) if self.stale else len(self.starting)
        lacking = min(self._lacking, spare) if self.keep_at <= now else 0
        waiting = 0 if self._held_back else len(self.waiting)
        wanted = min(max(waiting - fresh, lacking), self.starting_max - fresh)
        if wanted > 0:
            self._refill(now)
            for _ in range(min(wanted, room, int(self.scale_out))):
                environment = EnvironmentId(next(self.ids))
                self.scale_out -= 1
                self.starting.add(environment)
                effects.append(Start(environment))
        if self._lacking > 0 and self.keep_at <= now:
            self.keep_at = now + START_PAUSE_SECONDS_MIN  # room may come without a word

    def _shrink(self, now: float, effects: list[Effect]) -> None:
        for environment, since in list(self.idle.items()):
            if since + self.idle_seconds_max > now or self._lacking >= 0:
                break
            del self.idle[environment]
            effects.append(Stop(environment))

    def _spare(self, now: float, effects: list[Effect]) -> None:
        current = self.starting - self.stale
        needed = max(len(self.waiting), len(current) + self._lacking)
        needless = len(self.starting) - min(len(current), needed)
        if needless == 0:
            self.spare_at = None
            return
        if self.spare_at is None:
            self.spare_at, self.needless = now + SPARE_SECONDS, needless
            return
        self.needless = min(self.needless, needless)
        if self.spare_at <= now:
            # Those of an earlier revision first, then the latest.
            order = sorted(
                self.starting, key=lambda environment: (environment in self.stale, environment), reverse=True
            )
            effects += [Spare(environment) for environment in order[: self.needless]]
            self.spare_at, self.needless = now + SPARE_SECONDS, needless

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
