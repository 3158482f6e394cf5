"""Stores that keep nothing beyond the process: the specification of the others, and what tests run on."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import BinaryIO

from lambent_core.documents import Document, PackageNotFound
from lambent_gateway.stores.base import KeptDocuments, Key


class MemoryDocuments(KeptDocuments):
    async def _save(self, key: Key, document: Document | None, version: int) -> None:
        """Memory is all there is."""


class MemoryPackages:
    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._packages: dict[str, bytes] = {}
        self._put_at: dict[str, float] = {}

    async def put(self, sha256: str, data: bytes) -> None:
        self._packages.setdefault(sha256, data)
        self._put_at[sha256] = self._now()

    async def read(self, sha256: str) -> bytes:
        if sha256 not in self._packages:
            raise PackageNotFound(sha256)
        return self._packages[sha256]

    async def file(self, sha256: str) -> BinaryIO:
        return io.BytesIO(await self.read(sha256))

    async def size(self, sha256: str) -> int | None:
        data = self._packages.get(sha256)
        return None if data is None else len(data)

    async def stored(self) -> dict[str, float]:
        return dict(self._put_at)

    async def remove(self, sha256: str, told: float) -> None:
        if self._put_at.get(sha256, told) <= told:
            self._packages.pop(sha256, None)
            self._put_at.pop(sha256, None)
