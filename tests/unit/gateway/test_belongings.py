"""Versions and aliases and the function that they belong to, on a store in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from structlog.testing import capture_logs

from lambent_core.documents import DocumentConflict
from lambent_core.function import Function, FunctionSpec, Metadata
from lambent_core.versions import FunctionAlias, FunctionVersion, Owned, alias_of, published
from lambent_gateway.drivers.belongings import Adoptions, remove_left_behind
from lambent_gateway.stores.memory import MemoryDocuments

NOW = 1_795_486_086.25


def function(uid: str, name: str = "fn") -> Function:
    return Function(metadata=Metadata(name=name, uid=uid), spec=FunctionSpec(runtime="python3.11"))


def alias(uid: str, name: str = "live", of: str = "fn") -> FunctionAlias:
    return alias_of(function(uid, of), name, "$LATEST", now=NOW)


def version(uid: str) -> FunctionVersion:
    return published(function(uid), None, description=None, revision_id="r", now=NOW)


class Rig:
    def __init__(self) -> None:
        self.documents = MemoryDocuments()
        self.drivers = [Adoptions(self.documents), Adoptions(self.documents)]
        """Of two gateways."""

    def start(self) -> None:
        for driver in self.drivers:
            driver.start()

    @property
    def owners(self) -> dict[str, str]:
        """Uids of functions, by what belongs to them."""
        owned: list[Owned] = [*self.documents.list(FunctionAlias), *self.documents.list(FunctionVersion)]
        return {one.metadata.name: one.function_uid for one in owned}

    async def until(self, owners: dict[str, str]) -> None:
        while self.owners != owners:
            await asyncio.sleep(0)

    async def at_rest(self) -> None:
        while any(driver._following._tasks for driver in self.drivers):
            await asyncio.sleep(0)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    yield rig
    for driver in rig.drivers:
        await driver.stop()


async def test_what_a_crash_left_of_a_function_goes() -> None:
    documents = MemoryDocuments()
    for document in (function("u"), version("earlier"), alias("earlier"), alias("u", "kept"), alias("", "nobodys")):
        await documents.put(document, "")
    with capture_logs() as logs:
        await remove_left_behind(documents)
    assert [(entry["event"], entry["kind"], entry["name"]) for entry in logs] == [
        ("deleted, as its function was", "FunctionAlias", "fn.live"),
        ("deleted, as its function was", "FunctionVersion", "fn.1"),
    ]
    assert [one.metadata.name for one in documents.list(FunctionAlias)] == ["fn.kept", "fn.nobodys"]
    assert documents.list(FunctionVersion) == []


async def test_what_belongs_to_nobody_is_given_to_its_function(rig: Rig) -> None:
    """G2: what is there at the start, what comes, and what comes before its function."""
    await rig.documents.put(function("u"), "")
    await rig.documents.put(alias(""), "")
    rig.start()
    await rig.until({"fn.live": "u"})
    await rig.documents.put(version(""), "")
    await rig.until({"fn.live": "u", "fn.1": "u"})
    await rig.documents.put(alias("", of="later"), "")
    await rig.at_rest()
    assert rig.owners["later.live"] == ""
    await rig.documents.put(function("v", "later"), "")
    await rig.until({"fn.live": "u", "fn.1": "u", "later.live": "v"})


async def test_nothing_else_of_it_changes(rig: Rig) -> None:
    await rig.documents.put(function("u"), "")
    applied = await rig.documents.put(alias(""), "")
    rig.start()
    await rig.at_rest()
    (given,) = rig.documents.list(FunctionAlias)
    assert given == msgspec.structs.replace(applied, function_uid="u", metadata=given.metadata)


async def test_what_is_an_earlier_functions_stays_so(rig: Rig) -> None:
    """G3."""
    rig.start()
    await rig.documents.put(alias("earlier"), "")
    await rig.documents.put(version("earlier"), "")
    await rig.documents.put(function("u"), "")
    await rig.at_rest()
    assert rig.owners == {"fn.live": "earlier", "fn.1": "earlier"}


async def test_a_function_made_again_gets_what_is_nobodys(rig: Rig) -> None:
    rig.start()
    first = await rig.documents.put(function("u"), "")
    again = await rig.documents.put(function("v"), first.metadata.resource_version)
    assert again.metadata.uid == "v"
    await rig.documents.put(alias(""), "")
    await rig.until({"fn.live": "v"})


async def test_one_whose_names_disagree_is_left_alone(rig: Rig) -> None:
    await rig.documents.put(function("u"), "")
    await rig.documents.put(msgspec.structs.replace(alias(""), function_name="another"), "")
    rig.start()
    await rig.at_rest()
    assert rig.owners == {"fn.live": ""}


async def test_one_that_is_deleted_meanwhile_is_not_written_again(rig: Rig) -> None:
    await rig.documents.put(function("u"), "")
    applied = await rig.documents.put(alias(""), "")
    rig.start()
    await rig.documents.delete(applied, applied.metadata.resource_version)
    await rig.at_rest()
    assert rig.owners == {}
    with pytest.raises(DocumentConflict):
        await rig.documents.delete(applied, applied.metadata.resource_version)
