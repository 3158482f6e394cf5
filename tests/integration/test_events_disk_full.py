"""The disk under the event store is full: nothing is acknowledged that is not on disk, and all is well when there is room."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from lambent_core.errors import ServiceUnavailable
from lambent_gateway.stores.events import SqlEventQueue
from lambent_gateway.stores.events_base import Event, Room

SIZE = 16 * 1024 * 1024
EVENT_BYTES = 20_000


class SmallDisk:
    """A file system of `SIZE` bytes. `make_room` gives it more."""

    def __init__(self, folder: Path, make_room: Callable[[], None]) -> None:
        self.folder = folder
        self.make_room = make_room


@contextmanager
def tmpfs(folder: Path) -> Iterator[SmallDisk]:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "lambent-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount")
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(SIZE // 2))
    try:
        yield SmallDisk(folder, ballast.unlink)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def file_size_limit(folder: Path) -> Iterator[SmallDisk]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def lift() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE, before[1]))
    try:
        yield SmallDisk(folder, lift)
    finally:
        lift()


@pytest.mark.parametrize("disk", [tmpfs, file_size_limit])
async def test_a_full_disk(disk: Callable[[Path], AbstractContextManager[SmallDisk]], tmp_path: Path) -> None:
    with disk(tmp_path) as small:
        path = small.folder / "events.db"
        queue = await SqlEventQueue.open(path)
        acknowledged = await fill(queue)
        for _ in range(3):
            with pytest.raises(ServiceUnavailable, match=r"events\.db can't be written.*Free some space"):
                await queue.accept(event(10_000))
        assert (await queue.backlog()).depth == acknowledged

        small.make_room()
        await queue.accept(event(acknowledged))
        await queue.close()

        queue = await SqlEventQueue.open(path)
        found = []
        while (claimed := await queue.claim(1, Room(50, 50, {}), lease_seconds=60, owner="me")).events:
            found += [int(queued.event.request_id) for queued in claimed.events]
            await queue.settle([queued.lease for queued in claimed.events])
        await queue.close()
        assert found == list(range(acknowledged + 1))


async def fill(queue: SqlEventQueue) -> int:
    """Accepts until the disk is full; how many were acknowledged."""
    for number in range(2 * SIZE // EVENT_BYTES):
        try:
            await queue.accept(event(number))
        except ServiceUnavailable:
            return number
    raise AssertionError("the disk never filled")


def event(number: int) -> Event:
    return Event(str(number), "f", os.urandom(EVENT_BYTES), 0)
