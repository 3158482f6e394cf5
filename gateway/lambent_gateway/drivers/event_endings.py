"""
Tells the queue how events ended, many at a time, and again until it is on disk.

A run is over long before a store with a full disk can say so; until then the event's id stays in `open_ids`, so that it
is not run a second time in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from lambent_core.errors import LambdaError
from lambent_gateway.stores.events_base import EventQueue, Reschedule

log = structlog.get_logger(__name__)

STORE_RETRY_SECONDS = 1.0
"""Pause after the store refused: long enough to cost nothing, short enough for a disk that was just cleared."""


class EventEndings:
    """`written` is called after each time that something reached the disk."""

    def __init__(self, queue: EventQueue, written: Callable[[], None]) -> None:
        self._queue = queue
        self._written = written
        self._over: list[int] = []
        self._again: list[Reschedule] = []
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.open_ids: set[int] = set()
        """Events begun whose end is not on disk yet."""

    def settle(self, id: int) -> None:
        self._over.append(id)
        self._wake()

    def reschedule(self, change: Reschedule) -> None:
        self._again.append(change)
        self._wake()

    async def close(self) -> None:
        """Writes what there is, if the store takes it; else the events' leases tell the next start."""
        self._closing = True
        if self._task is not None:
            await self._task

    def _wake(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._over or self._again:
                try:
                    await self._write_once()
                except LambdaError as error:
                    log.error("the ends of events can't be stored", error=error.message)
                    if self._closing:
                        return
                    await asyncio.sleep(STORE_RETRY_SECONDS)
        finally:
            self._task = None

    async def _write_once(self) -> None:
        over, again = list(self._over), list(self._again)
        if over:
            await self._queue.settle(over)
            del self._over[: len(over)]
            self.open_ids.difference_update(over)
        if again:
            await self._queue.reschedule(again)
            del self._again[: len(again)]
            self.open_ids.difference_update(change.id for change in again)
        self._written()
