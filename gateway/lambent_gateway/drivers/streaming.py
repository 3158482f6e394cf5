"""
A streamed response on its way from an agent's connection to whoever reads it, at the reader's pace.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from lambent_core.errors import LambdaError
from lambent_core.invocation import Outcome
from lambent_gateway.sinks import Source

BUFFERED_BYTES_MAX = 1024 * 1024
"""Beyond it the agent's connection is not read from until the reader has caught up."""


class QueueSink:
    """The agent's side calls `start`, `chunk` and `finish`; the reader awaits `drain`."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._started_as: tuple[str, str] | None = None
        """Content type, and the version that runs."""
        self._result: Outcome | LambdaError | None = None
        self._paused: Source | None = None
        self._news = asyncio.Event()

    def start(self, content_type: str, version: str) -> None:
        self._started_as = (content_type, version)
        self._news.set()

    def chunk(self, data: bytes, source: Source) -> None:
        self._chunks.append(data)
        self._buffered += len(data)
        if self._buffered > BUFFERED_BYTES_MAX and self._paused is None:
            self._paused = source
            source.transport.pause_reading()
        self._news.set()

    def finish(self, result: Outcome | LambdaError) -> None:
        self._result = result
        self._news.set()

    async def drain(self, start: Callable[[str, str], None], chunk: Callable[[bytes], Awaitable[None]]) -> Outcome:
        """Passes everything on. Raises the `LambdaError` that ended it."""
        try:
            return await self._drain(start, chunk)
        finally:
            self._resume()

    async def _drain(self, start: Callable[[str, str], None], chunk: Callable[[bytes], Awaitable[None]]) -> Outcome:
        started = False
        while True:
            if self._started_as is not None and not started:
                started = True
                start(*self._started_as)
            while self._chunks:
                data = self._chunks.popleft()
                self._buffered -= len(data)
                if self._buffered <= BUFFERED_BYTES_MAX // 2:
                    self._resume()
                await chunk(data)
            if self._result is not None:
                if isinstance(self._result, LambdaError):
                    raise self._result
                return self._result
            await self._news.wait()
            self._news.clear()

    def _resume(self) -> None:
        if self._paused is not None:
            if not self._paused.transport.is_closing():
                self._paused.transport.resume_reading()
            self._paused = None
