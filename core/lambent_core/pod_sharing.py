"""
Several execution environments in one pod: which pod has room for a further one, what that is called, and what is open where.

The first agent of a pod is called as the pod is, and a further one, which is opened beside it, `<pod>/<number>`.

    E1  nothing is opened in a pod that has as many environments as its function says, wherever they are connected
    E2  no number is used twice in a pod
    E3  nothing is opened in a pod whose first environment is not here or is to end, nor for another revision than it has
    E4  of pods with room, one with the fewest environments is taken
    E5  what was opened connects, fails, or is overdue `OPEN_SECONDS_MAX` after its pod's code was there
    E6  the most environments that a pod has had never grows less
    E7  a pod is known as long as any of its environments is here or expected
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf

import msgspec

from lambent_core import limits
from lambent_core.runtime_pool import AgentId

OPEN_SECONDS_MAX = 10.0
"""What is opened where code and image are is connected within a tenth of a second; ten seconds are a machine that can't."""


class Opened(msgspec.Struct, frozen=True, rename="camel"):
    """What the first agent of a pod knows of those that were opened beside it, whichever gateway had them opened."""

    last: int
    """The highest number so far."""
    most: int
    """Environments that there were at once, its own among them."""
    alive: list[str]
    """Ids of those whose processes are there."""


@dataclass(slots=True)
class SharedPod:
    first: bool = False
    """Its first environment is here."""
    revision: str | None = None
    """That others can be opened for; None: none can be."""
    has_code: bool = False
    last: int = 0
    most: int = 0
    """Environments that it has had at once; 0: nobody has told."""
    connected: set[AgentId] = field(default_factory=set)
    """Agents that were opened and are here."""
    opening: dict[AgentId, float] = field(default_factory=dict)
    """Agents that are expected, with the time at which they are overdue."""
    elsewhere: set[AgentId] = field(default_factory=set)
    """Agents that are alive and not here: another gateway has them, or they are on their way."""

    @property
    def size(self) -> int:
        """Environments in it."""
        return self.first + len(self.connected) + len(self.opening) + len(self.elsewhere)


@dataclass(slots=True)
class PodSharing:
    """The one owner of what is open in which pod."""

    pods: dict[AgentId, SharedPod] = field(default_factory=dict)

    def joined(self, pod: AgentId, revision: str | None, opened: Opened | None, *, has_code: bool) -> None:
        """
        The first agent of a pod is an environment of this revision, just now or since before it came to this gateway.

        `revision` is None where its agent can't open others.
        """
        shared = self.pods.setdefault(pod, SharedPod())
        shared.first, shared.revision, shared.has_code = True, revision, has_code
        if opened is not None:
            shared.last = max(shared.last, opened.last)
            shared.elsewhere = {AgentId(agent) for agent in opened.alive if pod_of(agent) == pod} - shared.connected
        told = 1 if opened is None else min(opened.most, limits.ENVIRONMENTS_PER_POD_MAX)
        shared.most = max(shared.most, told, shared.size)

    def code_is_there(self, pod: AgentId, *, now: float) -> None:
        """From now on what is opened in the pod starts at once."""
        shared = self.pods[pod]
        shared.has_code = True
        shared.opening = {agent: min(at, now + OPEN_SECONDS_MAX) for agent, at in shared.opening.items()}

    def ending(self, pod: AgentId) -> None:
        """The first environment of a pod is to end, or to go elsewhere: nothing is opened beside it any more."""
        if pod in self.pods:
            self.pods[pod].revision = None

    def open(self, revision: str, per_pod: int, *, now: float) -> AgentId | None:
        """A further environment of this revision, in a pod that has fewer than `per_pod`. None: there is no such pod."""
        roomy = {
            pod: shared.size
            for pod, shared in self.pods.items()
            if shared.revision == revision and shared.size < per_pod
        }
        if not roomy:
            return None
        pod = min(roomy, key=roomy.__getitem__)
        shared = self.pods[pod]
        shared.last += 1
        agent = AgentId(f"{pod}/{shared.last}")
        shared.opening[agent] = now + OPEN_SECONDS_MAX if shared.has_code else inf
        shared.most = max(shared.most, shared.size)
        return agent

    def connected(self, agent: AgentId) -> None:
        """An agent that was opened, here or by another gateway, is here."""
        shared = self.pods.setdefault(pod_of(agent), SharedPod())
        shared.opening.pop(agent, None)
        shared.elsewhere.discard(agent)
        shared.connected.add(agent)

    def gone(self, agent: AgentId) -> list[AgentId]:
        """An agent is here no more, or not expected any more. Those that are lost with it, where it was the first of its pod."""
        pod = pod_of(agent)
        shared = self.pods.get(pod)
        if shared is None:
            return []
        lost: list[AgentId] = []
        if agent == pod:
            lost = list(shared.opening)
            shared.first, shared.revision = False, None
            shared.opening.clear()
            shared.elsewhere.clear()  # it tells again, should it come back
        else:
            shared.opening.pop(agent, None)
            shared.connected.discard(agent)
            shared.elsewhere.discard(agent)
        if not shared.size:
            del self.pods[pod]
        return lost

    def in_pod(self, pod: AgentId) -> list[AgentId]:
        """Agents that may be here of one pod, its first before the others."""
        shared = self.pods.get(pod)
        return [pod, *sorted(shared.connected)] if shared is not None else [pod]

    def most(self, pod: AgentId) -> int | None:
        """Environments that the pod has had at once; None: nobody has told."""
        shared = self.pods.get(pod)
        return shared.most or None if shared is not None else None

    def overdue(self, *, now: float) -> list[AgentId]:
        """Agents that were opened and should be here."""
        return [agent for agent, at in self._expected() if at <= now]

    def next_look(self) -> float | None:
        """When to ask for overdue ones; None: none can be."""
        return min((at for _, at in self._expected() if at < inf), default=None)

    def _expected(self) -> Iterator[tuple[AgentId, float]]:
        for shared in self.pods.values():
            yield from shared.opening.items()


def pod_of(agent: str) -> AgentId:
    """The pod that an agent is in, which has the name of its first agent. No pod's name has a slash."""
    return AgentId(agent.partition("/")[0])


def is_further(agent: str) -> bool:
    """Whether an agent was opened beside another."""
    return "/" in agent
