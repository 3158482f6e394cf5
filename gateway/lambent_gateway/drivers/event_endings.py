"""
Tells the queue how events ended, many at a time, and again until it is on disk.

A run is over long before a store that refuses can say so; until then the event's lease stays in `open`, so that it
is not run a second time in between. An event may be claimed again while it runs or while its end waits (its lease ended
under a clock set ahead): it then ends by its last lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog

from lambent_core.errors import LambdaError
from lambent_core.retry import RetryAt
from lambent_gateway.stores.events_base import EventQueue, Lease, Reschedule

log = structlog.get_logger(__name__)

STORE_RETRY_SECONDS = 1.0
"""Pause after the store refused: long enough to cost nothing, short enough for a disk that was just cleared."""


class EventEndings:
    """`written` is called after each time that something reached the disk."""

    def __init__(self, queue: EventQueue, written: Callable[[], None]) -> None:
        self._queue = queue
        self._written = written
        self._over: set[int] = set()
        self._again: dict[int, RetryAt] = {}
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.open: dict[int, Lease] = {}
        """By id, the last lease of each event begun whose end is not on disk yet."""

    def settle(self, id: int) -> None:
        self._over.add(id)
        self._wake()

    def reschedule(self, id: int, retry: RetryAt) -> None:
        self._again[id] = retry
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
                    log.error(
                        "the ends of events can't be stored", error=error.message, cause=str(error.__cause__ or "")
                    )
                    if self._closing:
                        return
                    await asyncio.sleep(STORE_RETRY_SECONDS)
        finally:
            self._task = None

    async def _write_once(self) -> None:
        over = [self.open[id] for id in sorted(self._over)]
        again = [Reschedule(self.open[id], retry.due, retry.tries) for id, retry in sorted(self._again.items())]
        if over:
            await self._queue.settle(over)
            self._over.difference_update(self._closed(over))
        if again:
            await self._queue.reschedule(again)
            for id in self._closed(change.lease for change in again):
                del self._again[id]
        self._written()

    def _closed(self, written: Iterable[Lease]) -> list[int]:
        """Those that were not claimed anew while they were written: the end of the others is written again."""
        ids = [lease.id for lease in written if self.open[lease.id] == lease]
        for id in ids:
            del self.open[id]
        return ids
