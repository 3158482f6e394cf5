"""
All functions of one gateway together: admission, each version's placement, and the room they share.

A placement is of one version, and named by its key: the function's name for `$LATEST`, `name:7` for version 7.
Concurrency is the function's, whichever of its versions runs.

    S1  environments of all functions together never outnumber `environments_max`
    S2  an environment that idles gives way when another version has nobody to run its invocation
    S3  the concurrency held is the number of invocations accepted and not ended
    S4  an environment idles no longer than its function says, or than `idle_seconds_max` where it says nothing
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from lambent_core.admission import Admission, ThrottleReason
from lambent_core.placement import (
    Accepted,
    Effect,
    EnvironmentId,
    Event,
    Evict,
    Finished,
    Found,
    IdleFor,
    InvocationId,
    Keep,
    Leaving,
    Lost,
    Moved,
    Placement,
    Ready,
    Removed,
    Revised,
    Start,
    Stop,
    TimePassed,
    Withdrawn,
)


@dataclass(frozen=True, slots=True)
class SchedulingLimits:
    environments_max: int
    """Execution environments that the machine can hold, all functions together."""
    idle_seconds_max: float = 300.0
    """An environment that ran nothing for so long is stopped. AWS names no figure; five minutes is the least that users report."""
    patience_seconds: float = 60.0
    """How long an admitted invocation waits for an environment when the machine is full, before its 429."""
    starting_max: int = 8
    """Starts under way at once for a function."""


@dataclass(slots=True)
class Scheduler:
    """The one owner of placements and admission."""

    limits: SchedulingLimits
    admission: Admission
    ids: Iterator[int]
    placements: dict[str, Placement] = field(default_factory=dict)
    homes: dict[EnvironmentId, str] = field(default_factory=dict)
    """Key of the version of every environment there is."""
    idle_seconds: dict[str, float] = field(default_factory=dict)
    """By function, where one has said how long its environments may idle."""
    starved: dict[str, None] = field(default_factory=dict)
    """Keys of versions someone of which waits with nothing on the way, longest first."""

    def accept(
        self, function: str, version: str, invocation: InvocationId, *, now: float
    ) -> list[Effect] | ThrottleReason:
        """What to do for a new invocation, or why it is refused. Once accepted, `end` must follow when it has ended."""
        reason = self.admission.admit(function)
        if reason is not None:
            return reason
        return self._step(version, Accepted(invocation), now)

    def take(self, function: str, version: str, invocation: InvocationId) -> EnvironmentId | None:
        """`accept` on the warm path: the environment to run it on. None: nothing has changed, and `accept` says what to do."""
        placement = self.placements.get(version)
        if placement is None or not placement.idle or self.admission.admit(function) is not None:
            return None
        return placement.take(invocation)

    def end(self, function: str) -> None:
        """An accepted invocation has been answered."""
        self.admission.release(function)

    def give_back(self, environment: EnvironmentId, *, now: float) -> bool:
        """`finished` on the warm path: nothing is to be done. False: nothing has changed, and `finished` says what to do."""
        if self.starved:  # an idle environment is room for others
            return False
        return self.placements[self.homes[environment]].give_back(environment, now)

    def finished(self, environment: EnvironmentId, *, now: float) -> list[Effect]:
        return self._step(self.homes[environment], Finished(environment), now)

    def ready(self, environment: EnvironmentId, *, now: float) -> list[Effect]:
        return self._step(self.homes[environment], Ready(environment), now)

    def found(self, version: str, environment: EnvironmentId, *, now: float) -> list[Effect]:
        """An idle environment of the version's current revision has outlived the gateway."""
        self.homes[environment] = version
        return self._step(version, Found(environment), now)

    def lost(self, environment: EnvironmentId, *, now: float) -> list[Effect]:
        version = self.homes.pop(environment, None)
        return [] if version is None else self._step(version, Lost(environment), now)

    def withdrawn(self, environment: EnvironmentId, *, now: float) -> list[Effect]:
        """An environment that nobody waited for any more is not started."""
        return self._step(self.homes.pop(environment), Withdrawn(environment), now)

    def leaving(self, environment: EnvironmentId, *, now: float) -> list[Effect]:
        """The environment will end by itself before long."""
        version = self.homes.get(environment)
        return [] if version is None else self._step(version, Leaving(environment), now)

    def keep(self, version: str, count: int, *, now: float) -> list[Effect]:
        """So many environments of the version shall be ready from now on."""
        placement = self.placements.get(version)
        if count == (placement.kept if placement else 0):
            return []
        return self._step(version, Keep(count), now)

    def idle_for(self, function: str, seconds: float | None, *, now: float) -> dict[str, list[Effect]]:
        """So long may environments of the function idle from now on; None: as long as any. What to do, by version."""
        if seconds == self.idle_seconds.get(function):
            return {}
        if seconds is None:
            del self.idle_seconds[function]
        else:
            self.idle_seconds[function] = seconds
        event = IdleFor(self._idle_seconds_max(function))
        versions = [version for version in self.placements if _function(version) == function]
        return {version: self._step(version, event, now) for version in versions}

    def revised(self, version: str, *, now: float) -> list[Effect]:
        return self._step(version, Revised(), now)

    def removed(self, version: str, *, now: float) -> list[Effect]:
        return self._step(version, Removed(), now)

    def moved(self, version: str, *, now: float) -> list[Effect]:
        """The version is another gateway's now."""
        return self._step(version, Moved(), now)

    def time_passed(self, version: str, *, now: float) -> list[Effect]:
        return self._step(version, TimePassed(), now)

    def _step(self, version: str, event: Event, now: float) -> list[Effect]:
        effects = self._step_one(version, event, now)
        if self.starved:
            for other in list(self.starved):
                if other != version and self._room(other) > 0:
                    effects += self._step_one(other, TimePassed(), now)
        return effects

    def _step_one(self, version: str, event: Event, now: float) -> list[Effect]:
        placement = self.placements.get(version)
        if placement is None:
            limits = self.limits
            placement = self.placements[version] = Placement(
                self.ids, self._idle_seconds_max(_function(version)), limits.patience_seconds, limits.starting_max
            )
        spare = self.limits.environments_max - len(self.homes)
        effects = placement.step(event, now=now, room=self._room(version), spare=spare)
        for effect in effects:
            if type(effect) is Start:
                self.homes[effect.environment] = version
            elif type(effect) is Stop:
                del self.homes[effect.environment]
        if placement.starved:
            self.starved[version] = None
        else:
            self.starved.pop(version, None)
            if not placement.size and not placement.kept:
                del self.placements[version]
        if type(event) is Evict:  # makes room and takes none; whoever asked for it counts what is still needed
            return effects
        # Stops first: the room they make is what was promised to the starts.
        return self._evict(version, now) + effects

    def _idle_seconds_max(self, function: str) -> float:
        return self.idle_seconds.get(function, self.limits.idle_seconds_max)

    def _room(self, version: str) -> int:
        """Environments that `version` may start: what is free, and what idles elsewhere."""
        free = self.limits.environments_max - len(self.homes)
        if free > self.limits.starting_max:
            return free
        return free + sum(len(other.idle) for name, other in self.placements.items() if name != version)

    def _evict(self, version: str, now: float) -> list[Effect]:
        effects: list[Effect] = []
        while len(self.homes) > self.limits.environments_max:
            _, name = min(
                (next(iter(other.idle.values())), name)
                for name, other in self.placements.items()
                if name != version and other.idle
            )
            effects += self._step_one(name, Evict(), now)
        return effects


def _function(version: str) -> str:
    return version.partition(":")[0]
