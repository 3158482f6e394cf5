"""
Execution environments as pods. The operator makes them: a spawned agent stands in the census as wanted until its pod dials in.
"""

from __future__ import annotations

import asyncio

import structlog

from lambent_core.errors import ServiceUnavailable
from lambent_core.runtime_pool import AgentId
from lambent_gateway.environments.agents import Decided
from lambent_gateway.environments.link_bodies import Hello
from lambent_gateway.environments.pod_identities import PodIdentities
from lambent_gateway.environments.provider import Ended

log = structlog.get_logger(__name__)


class PodProvider:
    """Owns who is awaited, and nothing else: what is there is connected."""

    def __init__(self, identities: PodIdentities) -> None:
        self._identities = identities
        self._awaited: dict[AgentId, Ended] = {}
        self._checks: set[asyncio.Task[None]] = set()

    def admit(self, hello: Hello, decided: Decided) -> None:
        task = asyncio.get_running_loop().create_task(self._admit(hello, decided))
        self._checks.add(task)
        task.add_done_callback(self._checks.discard)

    async def spawn(self, agent: AgentId, runtime: str, ended: Ended) -> None:
        self._awaited[agent] = ended

    def expect(self, agent: AgentId, revision: str) -> str:
        return self._identities.opened.expect(agent, revision)

    def forget(self, agent: AgentId) -> None:
        self._identities.opened.forget(agent)

    def size(self, agent: AgentId, memory_mb: int, environments: int) -> bool:
        return False  # the operator resizes the pod, a moment later; until then and beside it the agent holds the limit

    def end(self, agent: AgentId) -> None:
        self._awaited.pop(agent, None)

    def failed(self, agent: AgentId, reason: str) -> bool:
        """The operator can't have its pod. False: nobody waits for it."""
        ended = self._awaited.pop(agent, None)
        if ended is not None:
            ended(reason)
        return ended is not None

    async def _admit(self, hello: Hello, decided: Decided) -> None:
        agent = AgentId(hello.environment)
        try:
            secret = await self._identities.secret_of(hello, expected=agent in self._awaited)
        except ServiceUnavailable:
            return  # undecided: its connection is closed when a HELLO's time is over, and it dials again
        if secret is not None and not hello.secret and self._awaited.pop(agent, None) is None:
            secret = None  # two came at once: the second is not let in
        decided(secret)
