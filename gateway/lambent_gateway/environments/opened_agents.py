"""
Agents that are opened beside another in its pod: who is expected, and by what secret each is known.

    O1  an agent is let in for the first time by the secret that was handed to the first agent of its pod, once, while it is expected
    O2  whoever comes back shows the same secret and says the revision that it was made for

The secret follows from the agent's id, its revision and a key, so it outlives gateways. Who has stolen it can be nothing but an
environment of that revision, and function code that could steal it runs in one already.
"""

from __future__ import annotations

import hmac

from lambent_core.runtime_pool import AgentId
from lambent_gateway.environments.link_bodies import Hello


class OpenedAgents:
    def __init__(self, key: bytes) -> None:
        self._key = key
        self._expected: dict[str, str] = {}
        """Revision by agent."""

    def expect(self, agent: AgentId, revision: str) -> str:
        """The secret of an agent that is to be opened for this revision."""
        self._expected[agent] = revision
        return self._secret(agent, revision)

    def forget(self, agent: AgentId) -> None:
        """The agent is not expected any more: if it comes for the first time, it is not let in."""
        self._expected.pop(agent, None)

    def secret_of(self, hello: Hello) -> str | None:
        """The secret of the agent that greets, or None if it isn't let in."""
        agent, slot = hello.environment, hello.slots[0]
        new = slot.state == "generic"
        revision = self._expected.get(agent) if new else slot.revision
        if revision is None or not hmac.compare_digest(self._secret(agent, revision).encode(), hello.secret.encode()):
            return None
        if new:
            del self._expected[agent]
        return hello.secret

    def _secret(self, agent: str, revision: str) -> str:
        return hmac.new(self._key, f"opened {agent} {revision}".encode(), "sha256").hexdigest()
