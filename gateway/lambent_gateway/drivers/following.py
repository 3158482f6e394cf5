"""
What the drivers that follow the document store share: one task at a time for each document that there is something to do about.

    F1  what is there already is taken up like a change, so a driver goes on with what a crash interrupted
    F2  a change is seen by the task that works on its document, or begins another: none comes between its last look and its end
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from lambent_core.documents import Document, DocumentStore, Watcher

K = TypeVar("K", bound=Hashable)


class Following(Generic[K]):
    def __init__(self, documents: DocumentStore, changed: Watcher, work: Callable[[K], Awaitable[None]]) -> None:
        """`changed` is told of every change, and of what is there as new; it calls `take_up`. `work` looks until nothing is left to do."""
        self._documents = documents
        self._changed = changed
        self._work = work
        self._tasks: dict[K, asyncio.Task[None]] = {}
        self._unsubscribe: Callable[[], None] | None = None

    def start(self, *kinds: type[Document]) -> None:
        """On the running loop. Documents of `kinds` are told as new."""
        self._unsubscribe = self._documents.subscribe(self._changed)
        for kind in kinds:
            for document in self._documents.list(kind):
                self._changed(None, document)

    async def stop(self) -> None:
        if self._unsubscribe:
            self._unsubscribe()
            self._unsubscribe = None
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def take_up(self, key: K) -> None:
        """Works on the document, unless that is under way."""
        if key not in self._tasks:
            self._tasks[key] = asyncio.get_running_loop().create_task(self._working(key))

    async def idle(self, key: K, seconds: float) -> None:
        """Returns once nothing is done about the document, or after so long."""
        task = self._tasks.get(key)
        if task is not None:
            await asyncio.wait({task}, timeout=seconds)

    async def _working(self, key: K) -> None:
        try:
            await self._work(key)
        finally:
            del self._tasks[key]  # in one step with the last look (F2)
