"""
Which agent becomes which execution environment: the pre-started, code-less agents of one runtime.

    R1  an agent is claimed at most once
    R2  nobody wants an agent while one is free
    R3  when nothing is wanted, free and spawning agents together reach `size` and no more than that is spawned
    R4  at most `spawning_max` agents are being spawned
    R5  a spawn that fails is not repeated for the pool's own sake until something wants an agent
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NewType, assert_never

from lambent_core.placement import EnvironmentId

AgentId = NewType("AgentId", str)


@dataclass(frozen=True, slots=True)
class Wanted:
    environment: EnvironmentId


@dataclass(frozen=True, slots=True)
class Unwanted:
    """The environment was given up before it got its agent."""

    environment: EnvironmentId


@dataclass(frozen=True, slots=True)
class Connected:
    agent: AgentId


@dataclass(frozen=True, slots=True)
class Gone:
    """A free agent's connection broke, or an agent that was being spawned ended before it connected."""

    agent: AgentId


Event = Wanted | Unwanted | Connected | Gone


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


Effect = Spawn | Claim | Despair


@dataclass(slots=True)
class RuntimePool:
    ids: Iterator[AgentId]
    """Names for agents, unique on the machine."""
    size: int
    """Agents kept ready."""
    spawning_max: int
    free: deque[AgentId] = field(default_factory=deque)
    spawning: set[AgentId] = field(default_factory=set)
    wanted: deque[EnvironmentId] = field(default_factory=deque)
    discouraged: bool = False
    """The last spawn failed."""

    def step(self, event: Event) -> list[Effect]:
        effects: list[Effect] = []
        match event:
            case Wanted(environment):
                self.wanted.append(environment)
            case Unwanted(environment):
                self.wanted.remove(environment)
            case Connected(agent):
                self.spawning.discard(agent)
                self.free.append(agent)
                self.discouraged = False
            case Gone(agent) if agent in self.spawning:
                self.spawning.remove(agent)
                self.discouraged = True
                if self.wanted:
                    effects.append(Despair(self.wanted.popleft()))
            case Gone(agent):
                self.free.remove(agent)
            case _:
                assert_never(event)
        while self.wanted and self.free:
            effects.append(Claim(self.free.popleft(), self.wanted.popleft()))
        effects += self.replenish()
        self._check()
        return effects

    def replenish(self) -> list[Effect]:
        """The spawns that are lacking; `step` includes them."""
        effects: list[Effect] = []
        for _ in range(self._lacking()):
            agent = next(self.ids)
            self.spawning.add(agent)
            effects.append(Spawn(agent))
        return effects

    def _lacking(self) -> int:
        spare = 0 if self.discouraged else self.size
        under_way = len(self.spawning)
        return max(0, min(len(self.wanted) + spare - len(self.free) - under_way, self.spawning_max - under_way))

    def _check(self) -> None:
        assert not (self.wanted and self.free), self  # R2
        assert len(self.spawning) <= self.spawning_max, self  # R4
        assert len(set(self.free)) == len(self.free), self  # R1
