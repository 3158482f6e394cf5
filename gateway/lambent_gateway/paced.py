"""What is large is sent as the other end takes it: in parts, of which one waits in memory."""

from __future__ import annotations

import asyncio
import os
from typing import BinaryIO

PART_BYTES = 128 * 1024


class Paced(asyncio.Protocol):
    """A connection that knows whether the other end keeps up."""

    __slots__ = ("_room",)

    def __init__(self) -> None:
        self._room = asyncio.Event()
        self._room.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._room.set()

    async def room(self) -> None:
        """Returns once hardly anything waits to be sent, or the connection is lost."""
        await self._room.wait()


async def next_part(file: BinaryIO) -> tuple[bytes, bool]:
    """What is read next, and whether it is the last. Raises OSError."""
    return await asyncio.to_thread(_read, file)


def _read(file: BinaryIO) -> tuple[bytes, bool]:
    data, here = file.read(PART_BYTES), file.tell()
    last = file.seek(0, os.SEEK_END) == here
    file.seek(here)
    return data, last
