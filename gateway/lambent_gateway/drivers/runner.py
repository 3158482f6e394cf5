"""Whatever begins invocations by callback, for callers who await."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable

from lambent_core.errors import LambdaError
from lambent_core.invocation import Invocation, Outcome
from lambent_gateway.drivers.streaming import QueueSink
from lambent_gateway.sinks import Sink

Done = Callable[[Outcome | LambdaError], None]


class Runner(ABC):
    @abstractmethod
    def begin(self, invocation: Invocation, done: Done, sink: Sink | None = None) -> None:
        """Starts an invocation; `done` is called once. Raises `LambdaError` where it can't begin (404, 409, 429, 502)."""

    @abstractmethod
    def check(self, invocation: Invocation) -> None:
        """Raises the `LambdaError` that `begin` would raise for the function's own sake."""

    async def run(self, invocation: Invocation) -> Outcome:
        """The same, awaited. Raises `LambdaError`."""
        future: asyncio.Future[Outcome | LambdaError] = asyncio.get_running_loop().create_future()
        self.begin(invocation, lambda result: None if future.done() else future.set_result(result))
        result = await future
        if isinstance(result, LambdaError):
            raise result
        return result

    async def stream(
        self, invocation: Invocation, start: Callable[[str, str], None], chunk: Callable[[bytes], Awaitable[None]]
    ) -> Outcome:
        """Runs with a streamed response. Raises `LambdaError`. If the function answered whole, `start` is not called."""
        sink = QueueSink()
        self.begin(invocation, sink.finish, sink)
        return await sink.drain(start, chunk)
