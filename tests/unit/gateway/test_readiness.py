"""Conditions of versions, aliases and layer versions, told by two gateways, on a store in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from lambent_core.conditions import condition_of
from lambent_core.documents import Document
from lambent_core.function import Function, FunctionSpec, Metadata
from lambent_core.layers import LayerVersion, LayerVersionMetadata, LayerVersionSpec, LayerVersionStatus
from lambent_core.readiness import Judged
from lambent_core.versions import FunctionAlias, FunctionVersion, alias_of, published
from lambent_gateway.clock import SystemClock
from lambent_gateway.drivers.readiness import Readiness
from lambent_gateway.stores.base import Key
from lambent_gateway.stores.memory import MemoryDocuments


def function(uid: str = "u") -> Function:
    return Function(metadata=Metadata(name="fn", uid=uid), spec=FunctionSpec(runtime="python3.11"))


def alias(version: str = "1", uid: str = "u") -> FunctionAlias:
    return alias_of(function(uid), "live", version, now=0.0)


def version(uid: str = "u") -> FunctionVersion:
    return published(function(uid), None, description=None, revision_id="r", now=0.0)


class Rig:
    def __init__(self, documents: MemoryDocuments) -> None:
        self.documents = documents
        self.drivers = [Readiness(documents, SystemClock(), pause_seconds=0.0) for _ in range(2)]

    async def put(self, document: Document) -> None:
        await self.documents.put(document, "")

    async def remove(self, kind: type[Document], name: str) -> None:
        document = self.documents.get(kind, name)
        assert document is not None
        await self.documents.delete(document, document.metadata.resource_version)

    async def give(self, kind: type[FunctionAlias] | type[FunctionVersion], name: str) -> None:
        """To the function, as the gateways do."""
        orphan = self.documents.get(kind, name)
        assert orphan is not None
        given = msgspec.structs.replace(orphan, function_uid="u")
        await self.documents.put(given, orphan.metadata.resource_version)

    async def at_rest(self) -> None:
        while any(driver._following._tasks for driver in self.drivers):
            await asyncio.sleep(0)

    async def ready(self, kind: type[Judged], name: str) -> tuple[str, str]:
        await self.at_rest()
        document = self.documents.get(kind, name)
        assert document is not None
        condition = condition_of(
            document.conditions if isinstance(document, FunctionAlias) else document.status.conditions, "Ready"
        )
        assert condition is not None
        return condition.status, condition.reason


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig(MemoryDocuments())
    for driver in rig.drivers:
        driver.start()
    yield rig
    for driver in rig.drivers:
        await driver.stop()


async def test_an_alias_is_ready_while_its_version_is_there(rig: Rig) -> None:
    await rig.put(function())
    await rig.put(alias())
    assert await rig.ready(FunctionAlias, "fn.live") == ("False", "VersionNotFound")
    await rig.put(version())
    assert await rig.ready(FunctionAlias, "fn.live") == ("True", "Active")
    assert await rig.ready(FunctionVersion, "fn.1") == ("True", "Active")
    await rig.remove(FunctionVersion, "fn.1")
    assert await rig.ready(FunctionAlias, "fn.live") == ("False", "VersionNotFound")


async def test_what_has_no_function_is_not_ready_until_it_is_given_to_one(rig: Rig) -> None:
    await rig.put(alias("$LATEST", uid=""))
    await rig.put(version(uid="another"))
    await rig.put(function())
    assert await rig.ready(FunctionAlias, "fn.live") == ("False", "FunctionNotFound")
    assert await rig.ready(FunctionVersion, "fn.1") == ("False", "FunctionNotFound")
    await rig.give(FunctionAlias, "fn.live")
    assert await rig.ready(FunctionAlias, "fn.live") == ("True", "Active")


async def test_an_alias_is_ready_once_the_version_that_it_names_is_given_to_its_function(rig: Rig) -> None:
    """Versions that kubectl applies are nobody's at first."""
    await rig.put(function())
    await rig.put(alias())
    await rig.put(version(uid=""))
    assert await rig.ready(FunctionAlias, "fn.live") == ("False", "VersionNotFound")
    await rig.give(FunctionVersion, "fn.1")
    assert await rig.ready(FunctionAlias, "fn.live") == ("True", "Active")


async def test_what_a_function_leaves_behind_is_not_ready_and_is_again_when_that_is_back(rig: Rig) -> None:
    """As while a function that was deleted waits for its environments, or can't be read."""
    for document in (function(), version(), alias()):
        await rig.put(document)
    assert await rig.ready(FunctionAlias, "fn.live") == ("True", "Active")
    await rig.remove(Function, "fn")
    assert await rig.ready(FunctionAlias, "fn.live") == ("False", "FunctionNotFound")
    assert await rig.ready(FunctionVersion, "fn.1") == ("False", "FunctionNotFound")
    await rig.put(function())
    assert await rig.ready(FunctionAlias, "fn.live") == ("True", "Active")
    assert await rig.ready(FunctionVersion, "fn.1") == ("True", "Active")


async def test_a_layer_version_is_ready_once_it_is_active(rig: Rig) -> None:
    layer = LayerVersion(
        metadata=LayerVersionMetadata(name="libs.1"), spec=LayerVersionSpec(layer_name="libs", version=1)
    )
    await rig.put(layer)
    assert await rig.ready(LayerVersion, "libs.1") == ("False", "Creating")
    there = rig.documents.get(LayerVersion, "libs.1")
    assert there is not None
    active = msgspec.structs.replace(there, status=LayerVersionStatus("Active"))
    await rig.documents.put(active, there.metadata.resource_version)
    assert await rig.ready(LayerVersion, "libs.1") == ("True", "Active")


async def test_what_is_there_already_is_told_at_the_start() -> None:
    documents = MemoryDocuments()
    for document in (function(), version(), alias()):
        await documents.put(document, "")
    rig = Rig(documents)
    for driver in rig.drivers:
        driver.start()
    assert await rig.ready(FunctionAlias, "fn.live") == ("True", "Active")
    for driver in rig.drivers:
        await driver.stop()


class Dropping(MemoryDocuments):
    """As an API server whose custom resource definitions have no conditions yet."""

    def __init__(self) -> None:
        super().__init__()
        self.saved = 0

    async def put(self, document: Document, expected_resource_version: str) -> Document:  # type: ignore[override]
        if isinstance(document, FunctionAlias):
            document = msgspec.structs.replace(document, conditions=[])
        return await super().put(document, expected_resource_version)

    async def _save(self, key: Key, document: Document | None, version: int) -> None:
        self.saved += 1


async def test_a_condition_that_is_dropped_is_not_told_for_ever() -> None:
    rig = Rig(Dropping())
    rig.drivers.pop()
    rig.drivers[0].start()
    await rig.put(function())
    await rig.put(alias())
    await rig.at_rest()
    assert rig.documents.saved <= 4  # type: ignore[attr-defined]
    await rig.drivers[0].stop()
