"""Every package store keeps B1 to B3; the one in memory is the specification."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from lambent_core.documents import PackageNotFound, PackagesAtHand, PackageStore, StoreFull, StoreUnusable
from lambent_gateway.identifiers import new_object_name
from lambent_gateway.stores.blobs import DirectoryPackages
from lambent_gateway.stores.bucket import BucketPackages
from lambent_gateway.stores.memory import MemoryPackages
from lambent_gateway.stores.package_cache import CachedPackages
from tests.object_store import ObjectStore

DATA = b"zip" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()


@dataclass(frozen=True)
class Rig:
    """A store, and how to make all that was put so far have been put an hour ago."""

    store: PackageStore
    age: Callable[[], None]


@pytest.fixture(params=["memory", "directory", "bucket", "bucket with a cache"])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    folder = tmp_path / "packages"
    if request.param == "memory":
        memory = MemoryPackages()
        yield Rig(memory, lambda: age_memory(memory))
    elif request.param == "directory":
        yield Rig(DirectoryPackages(folder), lambda: age_files(folder.iterdir()))
    else:
        server: ObjectStore = request.getfixturevalue("object_store")
        settings = server.new_bucket("packages/")
        bucket = BucketPackages(settings, installation="ours", now=time.time, new_name=new_object_name)
        cached = CachedPackages(bucket, DirectoryPackages(folder))
        yield Rig(
            bucket if request.param == "bucket" else cached,
            lambda: age_files([*server.files(settings), *folder.iterdir()]),
        )
        await bucket.close()


@pytest.fixture
def store(rig: Rig) -> PackageStore:
    return rig.store


async def test_what_was_put_is_read(store: PackageStore) -> None:
    await store.put(DIGEST, DATA)
    assert await store.read(DIGEST) == DATA
    assert await store.size(DIGEST) == len(DATA)


@pytest.mark.parametrize("rig", ["memory", "directory", "bucket with a cache"], indirect=True)
async def test_what_is_open_is_read_to_its_end(rig: Rig) -> None:
    store = cast(PackagesAtHand, rig.store)
    with pytest.raises(PackageNotFound):
        await store.file(DIGEST)
    await store.put(DIGEST, DATA)
    with await store.file(DIGEST) as file:
        await store.remove(DIGEST, (await store.stored())[DIGEST])
        assert await store.size(DIGEST) is None
        assert file.read() == DATA


async def test_putting_again_keeps_the_first(store: PackageStore) -> None:
    await store.put(DIGEST, DATA)
    await asyncio.gather(*(store.put(DIGEST, b"other") for _ in range(5)))
    assert await store.read(DIGEST) == DATA


@pytest.mark.parametrize("name", ["0" * 64, "../secret", ""])
async def test_what_is_not_there(store: PackageStore, name: str) -> None:
    assert await store.size(name) is None
    with pytest.raises(PackageNotFound):
        await store.read(name)


async def test_putting_again_is_told_as_putting(rig: Rig) -> None:
    before = time.time() - 1
    await rig.store.put(DIGEST, DATA)
    rig.age()
    assert (await rig.store.stored())[DIGEST] < before
    await rig.store.put(DIGEST, DATA)
    assert (await rig.store.stored())[DIGEST] >= before, "B2"


async def test_what_was_removed_is_gone(store: PackageStore) -> None:
    await store.put(DIGEST, DATA)
    told = (await store.stored())[DIGEST]
    await store.remove(DIGEST, told)
    await store.remove(DIGEST, told)
    assert (await store.stored(), await store.size(DIGEST)) == ({}, None)
    await store.put(DIGEST, DATA)
    assert await store.read(DIGEST) == DATA


async def test_what_was_put_since_is_not_removed(rig: Rig) -> None:
    await rig.store.put(DIGEST, DATA)
    rig.age()
    told = (await rig.store.stored())[DIGEST]
    await rig.store.put(DIGEST, DATA)
    await rig.store.remove(DIGEST, told)
    assert await rig.store.read(DIGEST) == DATA, "B3"


async def test_what_was_put_while_it_was_removed_is_there(rig: Rig) -> None:
    await rig.store.put(DIGEST, DATA)
    rig.age()
    told = (await rig.store.stored())[DIGEST]
    await asyncio.gather(*(rig.store.remove(DIGEST, told) for _ in range(4)), rig.store.put(DIGEST, DATA))
    assert await rig.store.read(DIGEST) == DATA, "B3"


async def test_only_whole_packages_are_told(tmp_path: Path) -> None:
    store = DirectoryPackages(tmp_path)
    (tmp_path / f"{DIGEST}.0.unfinished").write_bytes(b"half")
    assert await store.stored() == {}


def age_memory(store: MemoryPackages) -> None:
    store._put_at = {digest: at - 3_600 for digest, at in store._put_at.items()}


def age_files(paths: Iterable[Path]) -> None:
    for path in paths:
        os.utime(path, (time.time() - 3_600,) * 2)


async def test_many_writers_of_one_package(tmp_path: Path) -> None:
    store = DirectoryPackages(tmp_path)
    await asyncio.gather(*(store.put(DIGEST, DATA) for _ in range(8)))
    assert [path.name for path in tmp_path.iterdir()] == [DIGEST]
    assert await store.read(DIGEST) == DATA


async def test_what_a_crash_left_unfinished_is_removed(tmp_path: Path) -> None:
    (tmp_path / f"{DIGEST}.0.unfinished").write_bytes(b"half")
    store = DirectoryPackages(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert await store.size(DIGEST) is None


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
