"""What /metrics says of the event queue: asked of the queue by whoever reads the metrics, once a second at most."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from lambent_core.errors import LambdaError
from lambent_gateway.stores.events_base import Backlog, EventQueue

log = structlog.get_logger(__name__)

FRESH_SECONDS = 1.0
"""Counting a million events takes PostgreSQL a tenth of that; Prometheus asks every 15 seconds or less often."""


class BacklogGauge:
    """
    While the queue can't be asked, what it said last stands: its oldest event grows older, and is noticed.

    `time` is the wall clock.
    """

    def __init__(self, queue: EventQueue, time: Callable[[], float]) -> None:
        self._queue = queue
        self._time = time
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._backlog = Backlog(0, None)

    async def refresh(self) -> None:
        now = asyncio.get_running_loop().time
        async with self._asking:
            if now() - self._asked_at < FRESH_SECONDS:
                return
            try:
                self._backlog = await self._queue.backlog()
            except LambdaError as error:
                log.error("the event queue can't be counted", error=error.message, cause=str(error.__cause__ or ""))
            self._asked_at = now()

    def depth(self) -> int:
        return self._backlog.depth

    def age_seconds(self) -> float:
        """Of the oldest event."""
        oldest = self._backlog.oldest_accepted_at
        return 0.0 if oldest is None else max(0.0, self._time() - oldest)
