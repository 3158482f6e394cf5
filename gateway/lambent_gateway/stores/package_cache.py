"""
Packages that are kept elsewhere, with what was used lately at hand: cold starts ask the folder, and go on while the other place is away.
"""

from __future__ import annotations

import asyncio
import io
import os
from contextlib import suppress
from typing import BinaryIO

import structlog

from lambent_core.documents import PackageNotFound, PackageStore, StoreUnusable
from lambent_core.errors import LambdaError
from lambent_gateway.stores.blobs import DirectoryPackages

log = structlog.get_logger(__name__)

CACHE_BYTES_MAX = 2 * 1024**3
"""Beyond it what was used longest ago goes: a fifth of the volume that the chart asks for, which holds events and logs too."""


class CachedPackages:
    """A `PackageStore`: `origin` has all packages, `cache` some. What only the cache has is brought to the origin, and never lost."""

    def __init__(self, origin: PackageStore, cache: DirectoryPackages, *, bytes_max: int = CACHE_BYTES_MAX) -> None:
        self._origin = origin
        self._cache = cache
        self._bytes_max = bytes_max
        self._taking: dict[str, asyncio.Task[bytes]] = {}

    async def bring(self) -> None:
        """What a volume held before there was an origin is brought there. Raises what the origin raises; it can be done again."""
        for sha256 in (await self._cache.stored()).keys() - (await self._origin.stored()).keys():
            await self._origin.put(sha256, await self._cache.read(sha256))

    async def put(self, sha256: str, data: bytes) -> None:
        await self._origin.put(sha256, data)
        await self._keep(sha256, data)

    async def read(self, sha256: str) -> bytes:
        try:
            data = await self._cache.read(sha256)
        except (PackageNotFound, StoreUnusable):
            return await asyncio.shield(self._take(sha256))
        await self._keep(sha256, data)
        return data

    async def file(self, sha256: str) -> BinaryIO:
        try:
            file = await self._cache.file(sha256)
        except (PackageNotFound, StoreUnusable):
            data = await asyncio.shield(self._take(sha256))
            try:
                return await self._cache.file(sha256)
            except (PackageNotFound, StoreUnusable):
                return io.BytesIO(data)
        with suppress(OSError):
            os.utime(file.fileno())
        return file

    async def size(self, sha256: str) -> int | None:
        size = await self._origin.size(sha256)
        if size is None and await self._cache.size(sha256) is not None:
            await self._origin.put(sha256, await self._cache.read(sha256))
            return await self._origin.size(sha256)
        return size

    async def stored(self) -> dict[str, float]:
        found = await self._origin.stored()
        for sha256, put_at in (await self._cache.stored()).items():
            found[sha256] = max(put_at, found.get(sha256, 0.0))
        return found

    async def remove(self, sha256: str, told: float) -> None:
        """From the cache first: else it would bring it back."""
        await self._cache.remove(sha256, told)
        await self._origin.remove(sha256, told)

    def _take(self, sha256: str) -> asyncio.Task[bytes]:
        """However many ask at once, the origin is asked once."""
        task = self._taking.get(sha256)
        if task is None:
            task = self._taking[sha256] = asyncio.get_running_loop().create_task(self._take_from_origin(sha256))
            task.add_done_callback(lambda _: self._taking.pop(sha256, None))
        return task

    async def _take_from_origin(self, sha256: str) -> bytes:
        data = await self._origin.read(sha256)
        await self._keep(sha256, data)
        return data

    async def _keep(self, sha256: str, data: bytes) -> None:
        """A cache that is full or broken costs speed, not the package."""
        try:
            await self._cache.put(sha256, data)
            await self._shrink(sha256)
        except (LambdaError, OSError) as error:
            log.warning("a package could not be kept at hand", sha256=sha256, error=str(error))

    async def _shrink(self, newest: str) -> None:
        used_at = await self._cache.stored()
        sizes = {sha256: await self._cache.size(sha256) or 0 for sha256 in used_at}
        excess = sum(sizes.values()) - self._bytes_max
        for sha256 in sorted(used_at.keys() - {newest}, key=used_at.__getitem__):
            if excess <= 0:
                return
            if await self._origin.size(sha256) is None:
                await self._origin.put(sha256, await self._cache.read(sha256))
            await self._cache.remove(sha256, used_at[sha256])
            excess -= sizes[sha256]
