"""What every environment provider does: start agents that will dial in, and end them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lambent_core.runtime_pool import AgentId


class EnvironmentProvider(Protocol):
    """`ProcessProvider` starts child processes; on Kubernetes, pods."""

    def token_of(self, agent: str) -> str | None:
        """The secret that this agent must tell; None if it is none of ours."""

    async def spawn(self, agent: AgentId, runtime: str, ended: Callable[[], None]) -> None:
        """
        Starts a code-less agent of a runtime under this name. `ended` is called once, when its process is over.

        Raises `OSError` where the machine refuses (processes, memory, disk).
        """

    def size(self, agent: AgentId, memory_mb: int) -> bool:
        """Gives the agent's sandbox its function's memory, megabytes. False: the agent must hold the limit itself."""

    def end(self, agent: AgentId) -> None:
        """Ends what is left of an agent and all it started, at once."""
