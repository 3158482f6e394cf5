"""Every package store keeps B1; the one in memory is the specification."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lambent_core.documents import PackageNotFound, PackageStore, StoreFull, StoreUnusable
from lambent_gateway.stores.blobs import DirectoryPackages
from lambent_gateway.stores.memory import MemoryPackages

DATA = b"zip" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(params=["memory", "directory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> PackageStore:
    return MemoryPackages() if request.param == "memory" else DirectoryPackages(tmp_path / "packages")


async def test_what_was_put_is_read(store: PackageStore) -> None:
    await store.put(DIGEST, DATA)
    assert await store.read(DIGEST) == DATA
    assert store.size(DIGEST) == len(DATA)


async def test_putting_again_keeps_the_first(store: PackageStore) -> None:
    await store.put(DIGEST, DATA)
    await asyncio.gather(*(store.put(DIGEST, b"other") for _ in range(5)))
    assert await store.read(DIGEST) == DATA


@pytest.mark.parametrize("name", ["0" * 64, "../secret", ""])
async def test_what_is_not_there(store: PackageStore, name: str) -> None:
    assert store.size(name) is None
    with pytest.raises(PackageNotFound):
        await store.read(name)


async def test_many_writers_of_one_package(tmp_path: Path) -> None:
    store = DirectoryPackages(tmp_path)
    await asyncio.gather(*(store.put(DIGEST, DATA) for _ in range(8)))
    assert [path.name for path in tmp_path.iterdir()] == [DIGEST]
    assert await store.read(DIGEST) == DATA


async def test_what_a_crash_left_unfinished_is_removed(tmp_path: Path) -> None:
    (tmp_path / f"{DIGEST}.0.unfinished").write_bytes(b"half")
    store = DirectoryPackages(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert store.size(DIGEST) is None


async def test_a_folder_that_is_none_says_so(tmp_path: Path) -> None:
    (tmp_path / "packages").write_text("a file")
    with pytest.raises(StoreUnusable, match=r"packages can't be used \(File exists\): make sure that it is a folder"):
        DirectoryPackages(tmp_path / "packages")


async def test_a_folder_that_went_away_says_so(tmp_path: Path) -> None:
    store = DirectoryPackages(tmp_path / "packages")
    (tmp_path / "packages").rmdir()
    with pytest.raises(StoreUnusable, match="No such file or directory"):
        await store.put(DIGEST, DATA)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with room for 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("may not mount a file system of its own")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_a_full_disk_leaves_nothing(full_disk: Path) -> None:
    store = DirectoryPackages(full_disk)
    with pytest.raises(StoreFull, match="free some space, then try again"):
        await store.put(DIGEST, os.urandom(100_000))
    assert list(full_disk.iterdir()) == []
    await store.put(DIGEST, DATA)
    assert await store.read(DIGEST) == DATA
