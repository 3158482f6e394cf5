"""
Which agent becomes which execution environment: the pre-started, code-less agents of one runtime.

    R1  an agent is claimed at most once
    R2  nobody wants an agent while one is free, but for R11
    R3  when nothing is wanted, free and spawning agents together reach the target and no more than that is spawned
    R4  at most `spawning_max` agents are being spawned, and no more than hardly slow one another down (`pace`)
    R5  after a spawn that failed, the next for the pool's own sake waits: a second, and twice as long each time
    R6  no more than the target stay free
    R7  the target is `size`, or what was wanted at once in the largest burst of the last minutes, or as many as are expected to be wanted
        (R14), up to `size_max`
    R8  nothing is spawned for the pool's own sake while somebody waits: it would only slow down what is on its way to them. But for R11
    R9  functions that wait take turns: a burst of one keeps another back for one agent at most
    R10 no more agents are spawned for a function than can hold what it waits for, where one can hold several environments
    R11 a function that was given all but one of `size` agents within `BURST_SECONDS` leaves the last free one to others, where `size` is
        above one: a neighbour's cold start does not wait for a pod because of its burst
    R12 nobody despairs of a spawn that began before they waited: another is tried for them first
    R13 behind a spawn that takes longer than `SPAWN_SECONDS` another is begun for who waits; not more than two for each
    R14 a function that was deployed is expected to want an agent within `EXPECTED_SECONDS`, and those that are expected to do so at once
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil, inf
from typing import NewType, assert_never

from lambent_core.pace import Pace
from lambent_core.placement import EnvironmentId

AgentId = NewType("AgentId", str)

SPAWN_PAUSE_SECONDS_MIN, SPAWN_PAUSE_SECONDS_MAX = 1.0, 60.0
SPAWN_SECONDS = 20.0
"""
Within which an agent comes, or may never come: the kubelet tries ever more seldom what it once could not do, as for a pod that was made
when the API server went away.
"""
BURST_SECONDS = 5.0
"""What is wanted within so long is wanted at once: it is about how long starting that many takes."""
DEMAND_SECONDS = 600.0
"""A burst is expected again for so long: twice the time after which idle environments go, so that steady traffic keeps its pool."""
EXPECTED_SECONDS = 120.0
"""Who deploys tries what was deployed: by hand, or in the next step of a pipeline."""


@dataclass(frozen=True, slots=True)
class Wanted:
    environment: EnvironmentId
    function: str = ""
    per_agent: int = 1
    """Environments of the function that there may be where one agent is: with more than 1, `OpenedBeside` follows each claim."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A function was deployed and has no environment yet."""

    function: str


@dataclass(frozen=True, slots=True)
class Unwanted:
    """The environment was given up before it got its agent."""

    environment: EnvironmentId


@dataclass(frozen=True, slots=True)
class OpenedBeside:
    """These need no agent of the pool: they are opened beside such as were claimed. There may be none of them."""

    environments: tuple[EnvironmentId, ...]


@dataclass(frozen=True, slots=True)
class Connected:
    agent: AgentId


@dataclass(frozen=True, slots=True)
class Gone:
    """A free agent's connection broke, or an agent that was being spawned ended before it connected."""

    agent: AgentId


Event = Wanted | Expected | Unwanted | OpenedBeside | Connected | Gone


@dataclass(frozen=True, slots=True)
class Spawn:
    agent: AgentId


@dataclass(frozen=True, slots=True)
class Claim:
    agent: AgentId
    environment: EnvironmentId


@dataclass(frozen=True, slots=True)
class Despair:
    """No agent could be started: whoever waited longest is told."""

    environment: EnvironmentId


@dataclass(frozen=True, slots=True)
class Dismiss:
    """A free agent is one too many: whoever wanted it has got another, or the pool was made smaller."""

    agent: AgentId


Effect = Spawn | Claim | Despair | Dismiss


@dataclass(slots=True)
class RuntimePool:
    ids: Iterator[AgentId]
    """Names for agents, unique on the machine."""
    size: int
    """Agents kept ready."""
    spawning_max: int
    size_max: int
    """Agents kept ready at most, after a burst that needed so many; never less than `size`."""
    recent: deque[float] = field(default_factory=deque)
    """When environments were wanted, within the last `BURST_SECONDS`."""
    peak: int = 0
    """Of `recent`, in the last `DEMAND_SECONDS`."""
    peak_at: float = 0.0
    expected: dict[str, float] = field(default_factory=dict)
    """Functions that were deployed and want no agent yet (R14), and until when one is kept for each; the first to go first."""
    target: int = field(init=False)
    """Agents kept ready now (R7)."""
    pace: Pace = field(init=False)
    free: deque[AgentId] = field(default_factory=deque)
    spawning: dict[AgentId, float] = field(default_factory=dict)
    """Since when."""
    wanted: dict[str, deque[EnvironmentId]] = field(default_factory=dict)
    """By function; the function whose turn it is first."""
    since: dict[EnvironmentId, float] = field(default_factory=dict)
    """When what is wanted was."""
    per_agent: dict[str, int] = field(default_factory=dict)
    """By function that waits."""
    claims: deque[tuple[float, str]] = field(default_factory=deque)
    """When agents were claimed, and for which function, within the last `BURST_SECONDS`."""
    given: Counter[str] = field(default_factory=Counter)
    """Of `claims`, by function."""
    pause: float = SPAWN_PAUSE_SECONDS_MIN
    spawn_at: float = 0.0
    """No spawn for the pool's own sake before this time (R5)."""

    def __post_init__(self) -> None:
        self.target = self.size
        self.pace = Pace(self.spawning_max)

    def step(self, event: Event, *, now: float) -> list[Effect]:
        effects: list[Effect] = []
        match event:
            case Wanted(environment, function, per_agent):
                self.wanted.setdefault(function, deque()).append(environment)
                self.per_agent[function] = per_agent
                self.since[environment] = now
                self.expected.pop(function, None)
                self._note(now)
            case Expected(function):
                self.expected.pop(function, None)
                self.expected[function] = now + EXPECTED_SECONDS
            case Unwanted(environment):
                self._drop(environment)
            case OpenedBeside(environments):
                for environment in environments:
                    self._drop(environment)
            case Connected(agent):
                if agent in self.spawning:
                    self.pace.started(now - self.spawning[agent], under_way=len(self.spawning), now=now)
                    del self.spawning[agent]
                self.free.append(agent)
                self.spawn_at, self.pause = now, SPAWN_PAUSE_SECONDS_MIN
            case Gone(agent) if agent in self.spawning:
                began = self.spawning.pop(agent)
                self.spawn_at, self.pause = now + self.pause, min(2 * self.pause, SPAWN_PAUSE_SECONDS_MAX)
                told = next((name for name, waiting in self.wanted.items() if self.since[waiting[0]] <= began), None)
                if told is not None:  # R12
                    effects.append(Despair(self._next(told)))
            case Gone(agent):
                self.free.remove(agent)
            case _:
                assert_never(event)
        effects += self.adjust(now=now)
        self._check()
        return effects

    def has_one_for(self, function: str) -> bool:
        """Whether a free agent is the function's at once, should it want one."""
        return len(self.free) > self._has_its_share(function)

    @property
    def empty(self) -> bool:
        return not (self.free or self.spawning or self.wanted)

    def adjust(self, *, now: float) -> list[Effect]:
        """What brings the pool to its target as it is now, and agents to those who wait; `step` includes it."""
        while self._expected_until <= now:
            del self.expected[next(iter(self.expected))]
        burst = self.peak if now - self.peak_at <= DEMAND_SECONDS else 0
        self.target = max(self.size, min(max(burst, len(self.expected)), self.size_max))
        while self.claims and self.claims[0][0] <= now - BURST_SECONDS:
            self.given -= Counter([self.claims.popleft()[1]])
        effects: list[Effect] = []
        beside = Counter[str]()
        """Environments that may be opened beside agents that are claimed just now, by function."""
        while (function := self._turn()) is not None:
            beside[function] += self.per_agent[function] - 1
            self.given[function] += 1
            self.claims.append((now, function))
            effects.append(Claim(self.free.popleft(), self._next(function)))
        effects += [Dismiss(self.free.popleft()) for _ in range(len(self.free) - self.target)]
        for _ in range(self._lacking(now, beside)):
            agent = next(self.ids)
            self.spawning[agent] = now
            effects.append(Spawn(agent))
        return effects

    @property
    def unbegun(self) -> int:
        """Agents that what is wanted needs beyond those on their way."""
        return self._needed({}) - len(self.spawning)

    def next_look(self, now: float) -> float | None:
        """When to `adjust` again if nothing else happens."""
        if self.wanted and self.free:
            return self.claims[0][0] + BURST_SECONDS
        if self.wanted and (late := [at for at in self._late_at if at > now]):
            return min(late)
        if self.spawn_at > now:
            return self.spawn_at
        if self.target <= self.size:
            return None
        burst_until = self.peak_at + DEMAND_SECONDS + 1.0
        return min(burst_until if burst_until > now else inf, self._expected_until)

    def _turn(self) -> str | None:
        """The function that gets the next free agent (R9, R11)."""
        return next((name for name in self.wanted if self.has_one_for(name)), None)

    def _has_its_share(self, function: str) -> bool:
        return self.given[function] >= self.size - 1 > 0

    def _next(self, function: str) -> EnvironmentId:
        waiting = self.wanted.pop(function)
        environment = waiting.popleft()
        del self.since[environment]
        if waiting:
            self.wanted[function] = waiting  # behind the others
        else:
            del self.per_agent[function]
        return environment

    def _drop(self, environment: EnvironmentId) -> None:
        function = next(function for function, waiting in self.wanted.items() if environment in waiting)
        self.wanted[function].remove(environment)
        del self.since[environment]
        if not self.wanted[function]:
            del self.wanted[function], self.per_agent[function]

    @property
    def _expected_until(self) -> float:
        return next(iter(self.expected.values()), inf)

    def _note(self, now: float) -> None:
        self.recent.append(now)
        while self.recent[0] < now - BURST_SECONDS:
            self.recent.popleft()
        if len(self.recent) >= self.peak or now - self.peak_at > DEMAND_SECONDS:
            self.peak, self.peak_at = len(self.recent), now

    @property
    def _late_at(self) -> list[float]:
        """From when on what is being spawned is late (R13)."""
        return [began + SPAWN_SECONDS for began in self.spawning.values()]

    def _needed(self, beside: Mapping[str, int]) -> int:
        return sum(
            ceil(max(0, len(waiting) - beside.get(function, 0)) / self.per_agent[function])
            for function, waiting in self.wanted.items()
        )

    def _lacking(self, now: float, beside: Mapping[str, int]) -> int:
        may_spare = now >= self.spawn_at  # R5
        if self.wanted:  # R8; what is kept of R11 is no help to those who wait
            spare = int((may_spare or bool(self.free)) and all(map(self._has_its_share, self.wanted)))
        else:
            spare = self.target if may_spare else 0
        begun = len(self.spawning)
        awaited = sum(at > now for at in self._late_at)
        needed = self._needed(beside)
        unbegun = min(needed - awaited, 2 * needed - begun) if needed else -begun  # R13
        return max(0, min(unbegun + spare - len(self.free), self.pace.at_once - awaited, self.spawning_max - begun))

    def _check(self) -> None:
        assert self._turn() is None, self  # R2, R11
        assert len(self.free) <= self.target, self  # R6
        assert len(self.spawning) <= self.spawning_max, self  # R4
        assert len(set(self.free)) == len(self.free), self  # R1
        assert self.per_agent.keys() == self.wanted.keys(), self
        assert len(self.since) == sum(map(len, self.wanted.values())), self
