"""
Packages as files in one folder, named by their SHA-256: agents on this machine read them directly.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO

from lambent_core.documents import PackageNotFound, StoreFull, StoreUnusable

_DIGEST = re.compile(r"[0-9a-f]{64}")
_UNFINISHED = ".unfinished"


class DirectoryPackages:
    """A package appears under its name by a rename, whole and on disk, or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = count()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for left_over in folder.glob(f"*{_UNFINISHED}"):
                left_over.unlink()
        except OSError as error:
            raise self._plainly(error) from error

    async def put(self, sha256: str, data: bytes) -> None:
        if await self.size(sha256) is None:
            await asyncio.to_thread(self._write, sha256, data)
        else:
            os.utime(self._path(sha256))

    async def read(self, sha256: str) -> bytes:
        with self._reading(sha256):
            return await asyncio.to_thread(self._path(sha256).read_bytes)

    async def file(self, sha256: str) -> BinaryIO:
        with self._reading(sha256):
            return self._path(sha256).open("rb")

    async def size(self, sha256: str) -> int | None:
        try:
            return self._path(sha256).stat().st_size
        except (FileNotFoundError, PackageNotFound):
            return None

    async def stored(self) -> dict[str, float]:
        files = (path for path in self.folder.iterdir() if _DIGEST.fullmatch(path.name))
        return {path.name: path.stat().st_mtime for path in files}

    async def remove(self, sha256: str, told: float) -> None:
        path = self._path(sha256)
        with suppress(FileNotFoundError):
            if path.stat().st_mtime <= told:
                path.unlink()

    @contextmanager
    def _reading(self, sha256: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise PackageNotFound(sha256) from None
        except OSError as error:
            raise self._plainly(error) from error

    def _path(self, sha256: str) -> Path:
        if not _DIGEST.fullmatch(sha256):
            raise PackageNotFound(sha256)
        return self.folder / sha256

    def _write(self, sha256: str, data: bytes) -> None:
        unfinished = self.folder / f"{sha256}.{next(self._numbers)}{_UNFINISHED}"
        try:
            with unfinished.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self._path(sha256))
            _sync_folder(self.folder)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise self._plainly(error) from error

    def _plainly(self, error: OSError) -> StoreFull | StoreUnusable:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return StoreFull(f"The disk that holds {self.folder} is full: free some space, then try again.")
        return StoreUnusable(
            f"{self.folder} can't be used ({error.strerror}): make sure that it is a folder that the user who runs "
            "Lambent can read and write."
        )


def _sync_folder(folder: Path) -> None:
    """The rename itself must survive a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
