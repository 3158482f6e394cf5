"""
All functions of one gateway together: admission, each version's placement, and the room they share.

A placement is of one version, and named by its key: the function's name for `$LATEST`, `name:7` for version 7.
Concurrency is the function's, whichever of its versions runs.

    S1  environments of all functions together never outnumber `environments_max`
    S2  an environment that idles gives way when another version has nobody to run its invocation
    S3  the concurrency held is the number of invocations accepted and not ended
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
    InvocationId,
    Lost,
    Placement,
    Ready,
    Removed,
    Revised,
    Start,
    Stop,
    TimePassed,
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

    def end(self, function: str) -> None:
        """An accepted invocation has been answered."""
        self.admission.release(function)

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

    def revised(self, version: str, *, now: float) -> list[Effect]:
        return self._step(version, Revised(), now)

    def removed(self, version: str, *, now: float) -> list[Effect]:
        return self._step(version, Removed(), now)

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
                self.ids, limits.idle_seconds_max, limits.patience_seconds, limits.starting_max
            )
        if type(event) is Accepted:
            warm = bool(placement.idle)
        else:
            warm = type(event) is Finished and not placement.waiting and not placement.stale
        effects = placement.step(event, now=now, room=0 if warm else self._room(version))
        if warm:  # nothing was started or stopped, and nobody waits
            return effects
        for effect in effects:
            if type(effect) is Start:
                self.homes[effect.environment] = version
            elif type(effect) is Stop:
                del self.homes[effect.environment]
        if placement.starved:
            self.starved[version] = None
        else:
            self.starved.pop(version, None)
            if not placement.size:
                del self.placements[version]
        # Stops first: the room they make is what was promised to the starts.
        return self._evict(version, now) + effects

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
