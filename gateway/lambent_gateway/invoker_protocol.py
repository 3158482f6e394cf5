"""What the doors and the queue ask of whoever runs invocations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from lambent_core.invocation import Invocation, Outcome


class Invoker(Protocol):
    async def run(self, invocation: Invocation) -> Outcome:
        """Raises `LambdaError` where the function was not reached, or its environment was lost."""

    async def stream(
        self, invocation: Invocation, start: Callable[[str, str], None], chunk: Callable[[bytes], Awaitable[None]]
    ) -> Outcome:
        """
        The same with a streamed response: `start` is told its content type and the version that runs, then `chunk` its bytes in order.

        If the function answered whole, neither is called and the outcome holds the payload; else that is empty, or the error
        object in which the stream ended.
        """
