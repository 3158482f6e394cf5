"""What every environment provider does: start agents that will dial in, and end them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from lambent_core.runtime_pool import AgentId
from lambent_gateway.environments.agents import Decided
from lambent_gateway.environments.link_bodies import Hello

Ended = Callable[[str], None]
"""Called with the reason where one is known, in words for whoever waits; else with an empty text."""


class EnvironmentProvider(Protocol):
    """`ProcessProvider` starts child processes; on Kubernetes, pods."""

    def admit(self, hello: Hello, decided: Decided) -> asyncio.Task[None] | None:
        """Whether an agent is one of ours, and itself: as `Listener.admit`."""

    async def spawn(self, agent: AgentId, runtime: str, ended: Ended) -> None:
        """
        Starts a code-less agent of a runtime under this name. `ended` is called at most once, when it is over or can't be had.

        Raises `OSError` where the machine refuses (processes, memory, disk).
        """

    def expect(self, agent: AgentId, revision: str) -> str:
        """An agent is to be opened for this revision beside the first of its pod; the secret that lets it in."""

    def forget(self, agent: AgentId) -> None:
        """An agent that was to be opened is not expected any more."""

    def size(self, agent: AgentId, memory_mb: int, environments: int) -> bool:
        """
        Gives the agent's sandbox its function's memory, megabytes, for so many environments.

        False: the agent must hold the limit itself.
        """

    def end(self, agent: AgentId) -> None:
        """Ends what is left of an agent and all it started, at once."""
