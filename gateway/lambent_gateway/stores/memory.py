"""Stores that keep nothing beyond the process: the specification of the others, and what tests run on."""

from __future__ import annotations

from lambent_core.documents import Document, PackageNotFound
from lambent_gateway.stores.base import KeptDocuments, Key


class MemoryDocuments(KeptDocuments):
    async def _save(self, key: Key, document: Document | None, version: int) -> None:
        """Memory is all there is."""


class MemoryPackages:
    def __init__(self) -> None:
        self._packages: dict[str, bytes] = {}

    async def put(self, sha256: str, data: bytes) -> None:
        self._packages.setdefault(sha256, data)

    async def read(self, sha256: str) -> bytes:
        if sha256 not in self._packages:
            raise PackageNotFound(sha256)
        return self._packages[sha256]

    def size(self, sha256: str) -> int | None:
        data = self._packages.get(sha256)
        return None if data is None else len(data)
