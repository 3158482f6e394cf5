"""
Execution environments as pods. The operator makes them: a spawned agent stands in the census as wanted until its pod dials in.
"""

from __future__ import annotations

import asyncio
import random

from lambent_core.errors import ServiceUnavailable
from lambent_core.runtime_pool import AgentId
from lambent_gateway.environments.agents import Decided
from lambent_gateway.environments.link_bodies import Hello
from lambent_gateway.environments.pod_identities import PodIdentities
from lambent_gateway.environments.provider import Ended

REVIEWS_MAX = 16
"""The API server is asked about so many pods at once."""
REVIEW_PAUSE_SECONDS_MIN, REVIEW_PAUSE_SECONDS_MAX = 0.2, 5.0
"""Before it is asked again about one, where it could not say."""


class PodProvider:
    """Owns who is awaited, and nothing else: what is there is connected."""

    def __init__(self, identities: PodIdentities) -> None:
        self._identities = identities
        self._awaited: dict[AgentId, Ended] = {}
        self._reviews: dict[AgentId, asyncio.Task[None]] = {}
        """Of those who are awaited; one each, of its newest connection."""
        self._at_once = asyncio.Semaphore(REVIEWS_MAX)

    def admit(self, hello: Hello, decided: Decided) -> asyncio.Task[None] | None:
        agent = AgentId(hello.environment)
        if hello.secret or agent not in self._awaited:
            decided(self._identities.shown(hello))
            return None
        if (earlier := self._reviews.get(agent)) is not None:
            earlier.cancel()
        task = self._reviews[agent] = asyncio.get_running_loop().create_task(self._review(hello, decided))
        task.add_done_callback(lambda _: self._reviewed(agent, task))
        return task

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

    async def _review(self, hello: Hello, decided: Decided) -> None:
        """For as long as it takes: the agent waits, and its pod is of no use to anybody else."""
        agent, pause, secret = AgentId(hello.environment), REVIEW_PAUSE_SECONDS_MIN, None
        while agent in self._awaited:
            try:
                async with self._at_once:
                    secret = await self._identities.first(hello)
                break
            except ServiceUnavailable:
                await asyncio.sleep(random.uniform(pause / 2, pause))
                pause = min(2 * pause, REVIEW_PAUSE_SECONDS_MAX)
        if agent not in self._awaited:
            secret = None  # the operator said meanwhile that it can't be had
        if decided(secret) and secret is not None:
            self._awaited.pop(agent, None)

    def _reviewed(self, agent: AgentId, task: asyncio.Task[None]) -> None:
        if self._reviews.get(agent) is task:
            del self._reviews[agent]
