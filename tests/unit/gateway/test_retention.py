"""The driver that deletes packages, on a real folder of packages and of trees."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import msgspec
import pytest

from lambent_core import deployment, layers
from lambent_core.function import Code, Function, FunctionLayer, FunctionSpec
from lambent_core.package import Package
from lambent_core.versions import published
from lambent_gateway.clock import SystemClock
from lambent_gateway.drivers.retention import Retention
from lambent_gateway.environments.trees import UnpackedTrees
from lambent_gateway.stores.blobs import DirectoryPackages
from lambent_gateway.stores.memory import MemoryDocuments

DATA = b"zip"
DIGEST = hashlib.sha256(DATA).hexdigest()
FUNCTION = deployment.created(
    "fn", FunctionSpec(runtime="python3.11", code=Code(sha256=DIGEST, size=3)), uid="u", revision_id="r", now=0.0
)


class Rig:
    def __init__(self, folder: Path) -> None:
        self.documents = MemoryDocuments()
        self.packages = DirectoryPackages(folder / "packages")
        self.trees = folder / "trees"
        self.in_use: set[str] = set()
        self.retention = Retention(
            self.documents,
            self.packages,
            UnpackedTrees(self.trees),
            in_use=lambda: self.in_use,
            clock=SystemClock(),
        )

    async def put(self) -> None:
        await self.packages.put(DIGEST, DATA)
        (self.trees / DIGEST / "module").mkdir(parents=True, exist_ok=True)
        (self.trees / DIGEST / "module" / "app.py").touch()

    def age(self) -> None:
        os.utime(self.packages.folder / DIGEST, (time.time() - 7_200,) * 2)

    async def looks(self) -> set[str]:
        return await self.retention.look() | await self.retention.look()

    async def is_there(self) -> tuple[bool, bool]:
        return await self.packages.size(DIGEST) is not None, (self.trees / DIGEST).exists()


@pytest.fixture
async def rig(tmp_path: Path) -> Rig:
    rig = Rig(tmp_path)
    await rig.put()
    rig.age()
    return rig


async def test_a_package_that_nobody_names_goes_with_its_tree(rig: Rig) -> None:
    assert await rig.looks() == {DIGEST}
    assert await rig.is_there() == (False, False)
    assert list(rig.trees.iterdir()) == []


async def test_a_functions_package_stays_until_the_function_goes(rig: Rig) -> None:
    function = await rig.documents.put(FUNCTION, "")
    assert await rig.looks() == set(), "K1"
    await rig.documents.delete(function, function.metadata.resource_version)
    assert await rig.looks() == {DIGEST}


async def test_a_versions_package_stays(rig: Rig) -> None:
    await rig.documents.put(published(FUNCTION, None, description=None, revision_id="r", now=0.0), "")
    assert await rig.looks() == set(), "K1"


async def test_a_layers_package_stays_until_nobody_uses_the_layer(rig: Rig) -> None:
    package = Package(DIGEST, 3, 3)
    layer = await rig.documents.put(layers.version_of("deps", 1, {}, package, uid="u", now=0.0), "")
    assert await rig.looks() == set(), "K1"
    used = FunctionLayer(layer="deps:1", sha256=DIGEST, size=3, unzipped_size=3)
    status = msgspec.structs.replace(FUNCTION.status, layers=[used])
    spec = msgspec.structs.replace(FUNCTION.spec, code=Code(sha256="cd" * 32))
    function = await rig.documents.put(msgspec.structs.replace(FUNCTION, spec=spec, status=status), "")
    layer = await rig.documents.put(layers.deleted(layer), layer.metadata.resource_version)
    assert await rig.looks() == set(), "K1"
    await rig.documents.delete(function, function.metadata.resource_version)
    assert await rig.looks() == {DIGEST}


async def test_a_package_that_an_environment_was_made_of_stays(rig: Rig) -> None:
    rig.in_use.add(DIGEST)
    assert await rig.looks() == set(), "K1"
    assert await rig.is_there() == (True, True)


async def test_a_function_that_is_made_of_an_old_package_has_it(rig: Rig) -> None:
    assert await rig.retention.look() == set()
    await rig.put()  # what CreateFunction does first
    assert await rig.retention.look() == set(), "K2"
    await rig.documents.put(FUNCTION, "")
    rig.age()
    assert await rig.looks() == set()
    assert await rig.is_there() == (True, True)
    assert rig.documents.get(Function, "fn") is not None


async def test_a_tree_whose_package_is_gone_goes_too(rig: Rig) -> None:
    await rig.packages.remove(DIGEST, time.time())
    assert await rig.looks() == {DIGEST}
    assert await rig.is_there() == (False, False)


async def test_a_package_that_was_never_unpacked_goes(rig: Rig) -> None:
    (rig.trees / DIGEST).rename(rig.trees / ".unfinished.agent")
    assert await rig.looks() == {DIGEST}
    assert [tree.name for tree in rig.trees.iterdir()] == [".unfinished.agent"], "agents' own work is left alone"
