"""
Opens further environments in pods that have room: asks the first agent of a pod, and tells who wanted one what became of it.

Decides nothing itself: `PodSharing` says in which pod, under which id, and what is overdue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar

import structlog

from lambent_core.link import FrameType
from lambent_core.placement import EnvironmentId
from lambent_core.pod_sharing import OPEN_SECONDS_MAX, PodSharing, pod_of
from lambent_core.runtime_pool import AgentId
from lambent_gateway.environments.agents import Agent
from lambent_gateway.environments.link_bodies import NotOpened
from lambent_gateway.environments.provider import EnvironmentProvider

log = structlog.get_logger(__name__)


class Wanting(Protocol):
    """Who wants an environment that may be opened in a pod."""

    @property
    def revision(self) -> str: ...
    @property
    def environments_per_pod(self) -> int:
        """At most."""

    def leaving(self) -> None:
        """The environment that it gets will end soon."""

    def lost(self, reason: str = "") -> None: ...


W = TypeVar("W", bound=Wanting)


class Openings(Generic[W]):
    """Owns who waits for an agent that is being opened. `agents` are those connected."""

    def __init__(self, provider: EnvironmentProvider, agents: Mapping[AgentId, Agent], sharing: PodSharing) -> None:
        self._provider = provider
        self._agents = agents
        self._sharing = sharing
        self._waiting: dict[AgentId, tuple[EnvironmentId, W]] = {}
        self._look: asyncio.TimerHandle | None = None

    def begin(self, environment: EnvironmentId, wanting: W) -> AgentId | None:
        """The agent that is opened for an environment; None where no pod has room."""
        now = asyncio.get_running_loop().time()
        agent = self._sharing.open(wanting.revision, wanting.environments_per_pod, now=now)
        if agent is None:
            return None
        self._waiting[agent] = (environment, wanting)
        secret = self._provider.expect(agent, wanting.revision)
        self._agents[pod_of(agent)].send(FrameType.OPEN, {"environment": agent, "secret": secret})
        self._look_later()
        return agent

    def give_up(self, environment: EnvironmentId) -> bool:
        """The environment is wanted no more: its agent comes all the same, and finds nobody who waits. False: it has none on its way."""
        agent = next((agent for agent, (wanted, _) in self._waiting.items() if wanted == environment), None)
        if agent is not None:
            del self._waiting[agent]
        return agent is not None

    def connected(self, agent: AgentId) -> W | None:
        """An agent that was opened is here: who waits for it."""
        self._sharing.connected(agent)
        entry = self._waiting.pop(agent, None)
        return None if entry is None else entry[1]

    def code_is_there(self, pod: AgentId) -> None:
        """What is opened in the pod starts at once from now on, and its time counts."""
        self._sharing.code_is_there(pod, now=asyncio.get_running_loop().time())
        self._look_later()

    def leaving(self, pod: AgentId) -> None:
        """The pod will end soon: nothing is opened in it any more, and what is on its way there won't stay."""
        self._sharing.ending(pod)
        for agent, (_, wanting) in list(self._waiting.items()):
            if pod_of(agent) == pod:
                wanting.leaving()

    def gone(self, agent: AgentId) -> None:
        """An agent is gone, and what was to be opened beside it is lost."""
        for lost in self._sharing.gone(agent):
            self._lose(lost, f"The pod {agent} is gone, in which it was being opened.")

    def failed(self, first: AgentId, failure: NotOpened) -> None:
        """The first agent of a pod could not open what it was asked to."""
        agent = AgentId(failure.environment)
        if pod_of(agent) == first and agent not in self._agents:
            self._lose(agent, failure.error)

    def close(self) -> None:
        """Nobody waits any more, and whoever still comes is not let in."""
        if self._look is not None:
            self._look.cancel()
        for agent in self._waiting:
            self._provider.forget(agent)
        self._waiting.clear()

    def _lose(self, agent: AgentId, reason: str) -> None:
        log.error("an environment could not be opened", agent=agent, reason=reason)
        self._provider.forget(agent)
        self._sharing.gone(agent)
        entry = self._waiting.pop(agent, None)
        if entry is not None:
            entry[1].lost(reason)

    def _look_later(self) -> None:
        at = self._sharing.next_look()
        if at is not None and self._look is None:
            self._look = asyncio.get_running_loop().call_at(at, self._look_now)

    def _look_now(self) -> None:
        self._look = None
        for agent in self._sharing.overdue(now=asyncio.get_running_loop().time()):
            self._sharing.ending(pod_of(agent))  # it may have no room to grow: others are not to wait for it
            self._lose(
                agent, f"It was opened in the pod {pod_of(agent)} and has not come within {OPEN_SECONDS_MAX:g} s."
            )
        self._look_later()
