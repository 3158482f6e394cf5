"""
Which agents there are and shall be, and what they are for: what a gateway tells the operator (docs/decisions/0006-on-kubernetes.md).

    N1  who takes the snapshot and then every change knows what the census knows
    N2  a change that was undone before it was told is told as it is in the end, or not at all
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from lambent_core.function import EnvironmentCounts


class AgentEntry(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    """The pod's name."""
    pool: str
    state: Literal["wanted", "free", "claimed"]
    function: str | None = None
    """Name of the function's resource, of a claimed one."""
    function_uid: str | None = None
    revision: str | None = None
    memory_mb: int | None = None
    init_error: str | None = None
    """Why the last initialisation of a claimed one failed, as Lambda names errors; None if it succeeded, or has not ended."""


class Rollout(msgspec.Struct, frozen=True):
    """How far the current code of a function has come: environments of its moving state, without those of published versions."""

    revision: str
    """What the gateway goes by: `revision_of` the function, empty where it can't be invoked."""
    updated: int
    """Initialised, well or badly, and of this revision."""
    old: int
    """Of earlier ones, whatever they do: they go when they come free."""


class Snapshot(msgspec.Struct, frozen=True, tag="SNAPSHOT", tag_field="type"):
    gateway: str
    agents: list[AgentEntry]
    functions: dict[str, EnvironmentCounts]
    rollouts: dict[str, Rollout] = {}
    """Of the same functions. Absent: a gateway of an earlier release does not know."""


class Changes(msgspec.Struct, frozen=True, tag="CHANGES", tag_field="type"):
    agents: list[AgentEntry]
    gone: list[str]
    functions: dict[str, EnvironmentCounts]
    rollouts: dict[str, Rollout] = {}
    """Of those of these functions that have environments left."""


class Alive(msgspec.Struct, frozen=True, tag="ALIVE", tag_field="type"):
    """Nothing has changed."""


Line = Snapshot | Changes | Alive

NONE_AT_ALL = EnvironmentCounts()


@dataclass(slots=True)
class Untold:
    """What one reader has not been told yet."""

    wake: Callable[[], None]
    """Called when there is something to tell."""
    agents: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Census:
    gateway: str
    agents: dict[str, AgentEntry] = field(default_factory=dict)
    functions: dict[str, EnvironmentCounts] = field(default_factory=dict)
    """By resource; those without environments are left out."""
    rollouts: dict[str, Rollout] = field(default_factory=dict)
    """Of the same."""
    readers: list[Untold] = field(default_factory=list)

    def put(self, entry: AgentEntry) -> None:
        if self.agents.get(entry.id) != entry:
            self.agents[entry.id] = entry
            self._changed(entry.id)

    def remove(self, id: str) -> None:
        if self.agents.pop(id, None) is not None:
            self._changed(id)

    def count(self, functions: Mapping[str, EnvironmentCounts], rollouts: Mapping[str, Rollout]) -> None:
        """Takes the environments of all functions anew."""
        counted = {name: counts for name, counts in functions.items() if counts != NONE_AT_ALL}
        changed = {
            name
            for name in counted.keys() | self.functions.keys()
            if (counted.get(name), rollouts.get(name)) != (self.functions.get(name), self.rollouts.get(name))
        }
        self.functions, self.rollouts = counted, {name: rollouts[name] for name in counted}
        for reader in self.readers if changed else ():
            reader.functions |= changed
            reader.wake()

    def read(self, wake: Callable[[], None] = lambda: None) -> tuple[Untold, Snapshot]:
        """A new reader, which is told everything; `close` it."""
        reader = Untold(wake)
        self.readers.append(reader)
        return reader, Snapshot(self.gateway, list(self.agents.values()), dict(self.functions), dict(self.rollouts))

    def changes(self, reader: Untold) -> Changes | None:
        """What has changed since it was last asked; None if nothing has."""
        if not reader.agents and not reader.functions:
            return None
        told = Changes(
            agents=[self.agents[id] for id in sorted(reader.agents) if id in self.agents],
            gone=sorted(reader.agents - self.agents.keys()),
            functions={name: self.functions.get(name, NONE_AT_ALL) for name in sorted(reader.functions)},
            rollouts={name: self.rollouts[name] for name in sorted(reader.functions) if name in self.rollouts},
        )
        reader.agents.clear()
        reader.functions.clear()
        return told

    def _changed(self, agent: str) -> None:
        for reader in self.readers:
            reader.agents.add(agent)
            reader.wake()

    def close(self, reader: Untold) -> None:
        self.readers = [other for other in self.readers if other is not reader]
