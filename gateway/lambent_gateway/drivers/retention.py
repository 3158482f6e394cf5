"""
Deletes packages that nothing refers to any more, as `lambent_core.retention` decides: the ZIP and what agents unpacked of it.

A folder is looked through and cleared in one step of the event loop, so that no function is made of a package in between. A bucket takes
its time, and other gateways look too: it keeps what was put meanwhile (B3), and what is named by then is left alone. While there is a
document that can't be read, nobody knows what it names, and nothing is deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from lambent_core.documents import KINDS, DocumentStore, PackageStore
from lambent_core.errors import LambdaError
from lambent_core.retention import PackageRetention, named_packages
from lambent_gateway.clock import Clock
from lambent_gateway.environments import trees
from lambent_gateway.environments.trees import UnpackedTrees

log = structlog.get_logger(__name__)

LOOK_SECONDS = 600.0


class Retention:
    """`in_use` are the packages that environments were made of."""

    def __init__(
        self,
        documents: DocumentStore,
        packages: PackageStore,
        unpacked: UnpackedTrees,
        *,
        in_use: Callable[[], set[str]],
        clock: Clock,
    ) -> None:
        self._documents = documents
        self._packages = packages
        self._unpacked = unpacked
        self._in_use = in_use
        self._clock = clock
        self._decision = PackageRetention()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._serve())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self) -> set[str]:
        """One look. Returns what was deleted."""
        if unreadable := self._documents.unreadable():
            log.warning("no packages are deleted while there are documents that can't be read", documents=unreadable)
            return set()
        garbage, aside = await self._take_away()
        for tree in aside:
            await asyncio.to_thread(trees.delete, tree)
        if garbage:
            log.info("packages deleted that nothing refers to", count=len(garbage))
        return garbage

    async def _serve(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except (OSError, LambdaError) as error:
                log.error("packages can't be looked through", error=str(error))

    async def _take_away(self) -> tuple[set[str], list[Path]]:
        stored = dict.fromkeys(self._unpacked.digests(), 0.0) | await self._packages.stored()
        garbage = self._decision.look(stored, self._named() | self._in_use(), now=self._clock.time())
        aside = []
        for digest in sorted(garbage):
            if digest in self._named() | self._in_use():
                garbage.remove(digest)
                continue
            tree = self._unpacked.set_aside(digest)
            if tree is not None:
                aside.append(tree)
            await self._packages.remove(digest, stored[digest])
        return garbage, aside

    def _named(self) -> set[str]:
        documents = [document for kind in KINDS.values() for document in self._documents.list(kind)]
        return set[str]().union(*map(named_packages, documents))
