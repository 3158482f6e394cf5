"""
Packages on several gateways: each keeps its own, and takes from the others what it lacks.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import BinaryIO

import structlog

from lambent_core.documents import Document, PackagesAtHand
from lambent_core.errors import LambdaError
from lambent_core.retention import named_packages
from lambent_gateway.peers.client import PeerClient

log = structlog.get_logger(__name__)

TAKING_MAX = 4
"""At once. They pass through memory whole, 50 MB each at most; a new gateway takes all that there are."""


class SharedPackages:
    """`PackagesAtHand` over this gateway's own and those of the others."""

    def __init__(self, own: PackagesAtHand, others: Callable[[], list[PeerClient]]) -> None:
        self.own = own
        self._others = others
        self._turn = asyncio.Semaphore(TAKING_MAX)
        self._taking: dict[str, asyncio.Task[None]] = {}

    async def put(self, sha256: str, data: bytes) -> None:
        await self.own.put(sha256, data)

    async def read(self, sha256: str) -> bytes:
        await self._take(sha256)
        return await self.own.read(sha256)

    async def file(self, sha256: str) -> BinaryIO:
        await self._take(sha256)
        return await self.own.file(sha256)

    async def size(self, sha256: str) -> int | None:
        await self._take(sha256)
        return await self.own.size(sha256)

    async def stored(self) -> dict[str, float]:
        return await self.own.stored()

    async def remove(self, sha256: str, told: float) -> None:
        await self.own.remove(sha256, told)

    def changed(self, _: Document | None, document: Document | None) -> None:
        """A watcher of the document store: what documents name is taken ahead of need, so that each gateway has all of it."""
        for sha256 in named_packages(document) if document else ():
            self._start(sha256)

    async def _take(self, sha256: str) -> None:
        if await self.own.size(sha256) is None:
            await asyncio.shield(self._start(sha256))

    def _start(self, sha256: str) -> asyncio.Task[None]:
        task = self._taking.get(sha256)
        if task is None:
            task = self._taking[sha256] = asyncio.get_running_loop().create_task(self._take_from_others(sha256))
            task.add_done_callback(lambda _: self._taking.pop(sha256, None))
        return task

    async def _take_from_others(self, sha256: str) -> None:
        if await self.own.size(sha256) is not None:
            return
        async with self._turn:
            for other in self._others():
                data = await other.fetch(sha256)
                if data is not None and (await asyncio.to_thread(hashlib.sha256, data)).hexdigest() == sha256:
                    try:
                        await self.own.put(sha256, data)
                    except LambdaError as error:
                        log.error("a package could not be kept", sha256=sha256, error=error.message)
                    return
