"""Packages in a bucket of a real S3 server that dies, comes back and damages what it keeps; and the cache before it."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from lambent_core import deployment
from lambent_core.documents import PackageNotFound, StoreUnusable
from lambent_core.function import Code, FunctionSpec
from lambent_gateway.clock import SystemClock
from lambent_gateway.drivers.retention import Retention
from lambent_gateway.environments.trees import UnpackedTrees
from lambent_gateway.identifiers import new_object_name
from lambent_gateway.settings import BucketSettings
from lambent_gateway.stores.blobs import DirectoryPackages
from lambent_gateway.stores.bucket import BucketPackages
from lambent_gateway.stores.memory import MemoryDocuments
from lambent_gateway.stores.package_cache import CachedPackages
from tests.object_store import ObjectStore

DATA = b"zip" * 1000
DIGEST = hashlib.sha256(DATA).hexdigest()
Open = Callable[[BucketSettings], BucketPackages]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def age(*paths: Path) -> None:
    for path in paths:
        os.utime(path, (time.time() - 7_200,) * 2)


@pytest.fixture
def server() -> Iterator[ObjectStore]:
    """One that may be killed."""
    with ObjectStore() as started:
        yield started


@pytest.fixture
async def gateway() -> AsyncIterator[Open]:
    """A gateway's own client."""
    async with AsyncExitStack() as stack:

        def open(settings: BucketSettings) -> BucketPackages:
            bucket = BucketPackages(settings, installation="ours", now=time.time, new_name=new_object_name)
            stack.push_async_callback(bucket.close)
            return bucket

        yield open


async def test_gateways_share_it_and_installations_may_share_a_bucket(object_store: ObjectStore, gateway: Open) -> None:
    settings = object_store.new_bucket("one/")
    one, another = gateway(settings), gateway(settings)
    other_installation = gateway(dataclasses.replace(settings, prefix="two/"))
    object_store.client().put_object(Bucket=settings.name, Key="one/notes.txt", Body=b"not ours")
    assert await one.open()
    await one.put(DIGEST, DATA)
    assert await another.read(DIGEST) == DATA
    assert (await another.stored()).keys() == {DIGEST}
    assert await other_installation.stored() == {}
    with pytest.raises(PackageNotFound):
        await other_installation.read(DIGEST)


async def test_a_place_of_another_installation_is_left_alone(object_store: ObjectStore, gateway: Open) -> None:
    settings = object_store.new_bucket()
    first = gateway(settings)
    assert await first.open()
    await first.put(DIGEST, DATA)
    age(*object_store.files(settings))
    other = BucketPackages(settings, installation="theirs", now=time.time, new_name=new_object_name)
    for asked in (other.open(), other.remove(DIGEST, time.time())):
        with pytest.raises(StoreUnusable, match=r"another installation.*Give this one a gateway\.packages\.s3\.prefix"):
            await asked
    assert await first.read(DIGEST) == DATA
    await other.close()


async def test_a_package_that_comes_again_takes_the_place_of_the_first(
    object_store: ObjectStore, gateway: Open
) -> None:
    settings = object_store.new_bucket()
    bucket = gateway(settings)
    await bucket.put(DIGEST, DATA)
    first = object_store.files(settings)
    await bucket.put(DIGEST, DATA)
    assert object_store.files(settings) == first, "what came lately is not sent again"
    age(*first)
    await bucket.put(DIGEST, DATA)
    (second,) = object_store.files(settings)
    assert [second] != first


async def test_more_packages_than_a_page_of_the_listing_has(object_store: ObjectStore, gateway: Open) -> None:
    settings = object_store.new_bucket()
    client, names = object_store.client(), {digest(str(number).encode()) for number in range(1_010)}
    for name in names:
        client.put_object(Bucket=settings.name, Key=f"{name}/x", Body=b"")
    assert (await gateway(settings).stored()).keys() == names


async def test_a_damaged_package_is_not_run(object_store: ObjectStore, gateway: Open) -> None:
    settings = object_store.new_bucket()
    bucket = gateway(settings)
    await bucket.put(DIGEST, DATA)
    (file,) = object_store.files(settings)
    file.write_bytes(b"x" + DATA[1:])
    with pytest.raises(StoreUnusable, match=f"{DIGEST} was damaged in its bucket: upload the code again"):
        await bucket.read(DIGEST)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "no-such-bucket"}, "NoSuchBucket"),
        ({"secret_access_key": "guessed"}, "SignatureDoesNotMatch"),
        ({"access_key_id": "nobody"}, "access key"),
        ({"name": "A bucket"}, "Invalid bucket name"),
    ],
    ids=["bucket", "secret", "key", "name"],
)
async def test_the_start_says_what_is_wrong(
    object_store: ObjectStore, gateway: Open, wrong: dict[str, str], said: str
) -> None:
    bucket = gateway(dataclasses.replace(object_store.new_bucket(), **wrong))
    with pytest.raises(StoreUnusable, match=f"(?s){said}.*Check gateway.packages.s3: its endpoint, bucket and region"):
        await bucket.open()


async def test_a_bucket_out_of_reach_refuses_and_takes_again_when_it_is_back(
    server: ObjectStore, gateway: Open, tmp_path: Path
) -> None:
    bucket = gateway(server.new_bucket())
    cached = CachedPackages(bucket, DirectoryPackages(tmp_path))
    await cached.put(DIGEST, DATA)
    server.kill()
    assert not await bucket.open(), "a gateway starts all the same"
    new = b"new"
    for asked in (cached.put(digest(new), new), cached.size(DIGEST), cached.stored(), cached.read(digest(new))):
        with pytest.raises(StoreUnusable, match="its bucket does not answer, or refuses") as told:
            await asked
        assert (told.value.status, told.value.code) == (503, "ServiceException")
    assert await cached.read(DIGEST) == DATA, "what is at hand is had"
    server.start()
    await cached.put(digest(new), new)
    assert await bucket.read(digest(new)) == new


async def test_cold_starts_at_once_ask_the_bucket_once(
    object_store: ObjectStore, gateway: Open, tmp_path: Path
) -> None:
    asked = []

    class Counted(BucketPackages):
        async def read(self, sha256: str) -> bytes:
            asked.append(sha256)
            return await super().read(sha256)

    settings = object_store.new_bucket()
    await gateway(settings).put(DIGEST, DATA)
    bucket = Counted(settings, installation="ours", now=time.time, new_name=new_object_name)
    cached = CachedPackages(bucket, DirectoryPackages(tmp_path))
    files = await asyncio.gather(*(cached.file(DIGEST) for _ in range(20)))
    assert {file.name for file in files} == {str(tmp_path / DIGEST)}, "not in memory"
    for file in files:
        with file:
            assert file.read() == DATA
    assert await cached.read(DIGEST) == DATA
    assert asked == [DIGEST]
    await bucket.close()


async def test_the_cache_keeps_what_was_used_last_and_loses_nothing(
    object_store: ObjectStore, gateway: Open, tmp_path: Path
) -> None:
    bucket, cache = gateway(object_store.new_bucket()), DirectoryPackages(tmp_path)
    cached = CachedPackages(bucket, cache, bytes_max=2_000)
    packages = {digest(data): data for data in (letter * 1_000 for letter in (b"a", b"b", b"c"))}
    one, two, three = packages
    await cache.put(one, packages[one])  # from before there was a bucket
    await cached.put(two, packages[two])
    age(tmp_path / one, tmp_path / two)
    (await cached.file(two)).close()
    await cached.put(three, packages[three])
    assert (await cache.stored()).keys() == {two, three}
    assert [await cached.read(each) for each in packages] == list(packages.values())


async def test_what_volumes_held_before_is_brought_to_the_bucket(
    object_store: ObjectStore, gateway: Open, tmp_path: Path
) -> None:
    settings = object_store.new_bucket()
    volume = DirectoryPackages(tmp_path)
    await volume.put(DIGEST, DATA)
    cached = CachedPackages(gateway(settings), volume)
    assert await cached.size(DIGEST) == len(DATA), "by asking for it"
    late = b"late"
    await volume.put(digest(late), late)
    await cached.bring()
    assert (await gateway(settings).stored()).keys() == {DIGEST, digest(late)}


async def test_a_broken_cache_costs_no_package(object_store: ObjectStore, gateway: Open, tmp_path: Path) -> None:
    cache = DirectoryPackages(tmp_path / "packages")
    cached = CachedPackages(gateway(object_store.new_bucket()), cache)
    (tmp_path / "packages").rmdir()
    await cached.put(DIGEST, DATA)
    assert await cached.read(DIGEST) == DATA
    with await cached.file(DIGEST) as file:
        assert file.read() == DATA


class Gateway:
    """What deletes packages in one of several gateways, that share their documents and a bucket."""

    def __init__(self, bucket: BucketPackages, documents: MemoryDocuments, folder: Path) -> None:
        self.packages = CachedPackages(bucket, DirectoryPackages(folder / "packages"))
        self.folder = folder
        self.retention = Retention(
            documents, self.packages, UnpackedTrees(folder / "trees"), in_use=set, clock=SystemClock()
        )


async def test_several_gateways_delete_what_nobody_names(
    object_store: ObjectStore, gateway: Open, tmp_path: Path
) -> None:
    settings, documents = object_store.new_bucket(), MemoryDocuments()
    one, two = (Gateway(gateway(settings), documents, tmp_path / name) for name in ("one", "two"))
    named = b"named"
    spec = FunctionSpec(runtime="python3.11", code=Code(sha256=digest(named), size=len(named)))
    await documents.put(deployment.created("fn", spec, uid="u", revision_id="r", now=0.0), "")
    for data in (named, DATA):
        await one.packages.put(digest(data), data)
        await two.packages.read(digest(data))
    age(*object_store.files(settings), *one.folder.glob("packages/*"), *two.folder.glob("packages/*"))
    assert await asyncio.gather(one.retention.look(), two.retention.look()) == [set(), set()], "K3"
    assert await asyncio.gather(one.retention.look(), two.retention.look()) == [{DIGEST}, {DIGEST}]
    assert (await gateway(settings).stored()).keys() == {digest(named)}
    assert {path.name for path in tmp_path.glob("*/packages/*")} == {digest(named)}


async def test_gateways_that_delete_the_same_at_once_do_not_mind(object_store: ObjectStore, gateway: Open) -> None:
    """Some servers refuse to delete what is gone already."""
    settings = object_store.new_bucket()
    gateways = [gateway(settings) for _ in range(4)]
    packages = [str(number).encode() for number in range(30)]
    await asyncio.gather(*(gateways[0].put(digest(data), data) for data in packages))
    now = time.time() + 60
    for data in packages:
        await asyncio.gather(*(each.remove(digest(data), now) for each in gateways))
    assert await gateways[0].stored() == {}


async def test_what_another_gateway_is_sent_at_that_moment_stays(
    object_store: ObjectStore, gateway: Open, tmp_path: Path
) -> None:
    """The package comes again to one gateway after the other has seen that nobody names it."""
    settings = object_store.new_bucket()
    one, two = gateway(settings), gateway(settings)
    await one.put(DIGEST, DATA)
    age(*object_store.files(settings))
    told = await two.stored()
    await one.put(DIGEST, DATA)
    await two.remove(DIGEST, told[DIGEST])
    assert await two.read(DIGEST) == DATA


async def test_retention_outlives_a_bucket_that_is_away(server: ObjectStore, gateway: Open, tmp_path: Path) -> None:
    settings = server.new_bucket()
    one = Gateway(gateway(settings), MemoryDocuments(), tmp_path)
    await one.packages.put(DIGEST, DATA)
    age(*server.files(settings), *tmp_path.glob("packages/*"))
    await one.retention.look()
    server.kill()
    with pytest.raises(StoreUnusable):
        await one.retention.look()
    server.start()
    assert await one.retention.look() == {DIGEST}
