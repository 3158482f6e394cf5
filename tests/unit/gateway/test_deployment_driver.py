"""The driver that settles functions, on stores in memory."""

from __future__ import annotations

import asyncio
from itertools import count

import msgspec
import pytest

from lambent_core import deployment
from lambent_core.function import Code, Function, FunctionSpec
from lambent_gateway.drivers.deployment import Deployments
from lambent_gateway.stores.memory import MemoryDocuments, MemoryPackages

DIGEST = "ab" * 32
SPEC = FunctionSpec(runtime="python3.11", handler="app.handler", code=Code(sha256=DIGEST, size=3))


class Rig:
    def __init__(self) -> None:
        self.documents = MemoryDocuments()
        self.packages = MemoryPackages()
        numbers = count()
        self.driver = Deployments(self.documents, self.packages, lambda: f"revision-{next(numbers)}")

    async def add(self, name: str = "fn", spec: FunctionSpec = SPEC) -> Function:
        function = deployment.created(name, spec, uid="u", revision_id="r", now=0.0)
        return await self.documents.put(function, "")

    def latest(self, name: str = "fn") -> Function:
        function = self.documents.get(Function, name)
        assert function is not None
        return function


@pytest.fixture
async def rig() -> Rig:
    rig = Rig()
    await rig.packages.put(DIGEST, b"zip")
    return rig


async def test_a_new_function_becomes_active(rig: Rig) -> None:
    rig.driver.start()
    function = await rig.add()
    assert function.status.state == "Pending"
    await rig.driver.settled(function)
    assert (rig.latest().status.state, rig.latest().status.revision_id) == ("Active", "revision-0")


async def test_an_update_becomes_successful(rig: Rig) -> None:
    rig.driver.start()
    await rig.driver.settled(await rig.add())
    latest = rig.latest()
    changed = deployment.changed(latest, SPEC, arn="arn", revision_id="r2", now=0.0)
    await rig.driver.settled(await rig.documents.put(changed, latest.metadata.resource_version))
    assert rig.latest().status.last_update_status == "Successful"


async def test_what_a_crash_interrupted_is_taken_up(rig: Rig) -> None:
    function = await rig.add()
    rig.driver.start()
    await rig.driver.settled(function)
    assert rig.latest().status.state == "Active"


async def test_a_package_that_is_missing_fails_the_function(rig: Rig) -> None:
    rig.driver.start()
    function = await rig.add(spec=msgspec.structs.replace(SPEC, code=Code(sha256="cd" * 32, size=3)))
    await rig.driver.settled(function)
    status = rig.latest().status
    assert status.state == "Failed"
    assert "is not in the package store" in (status.state_reason or "")


async def test_a_change_in_between_is_kept(rig: Rig) -> None:
    function = await rig.add()
    rig.driver.start()
    tagged = msgspec.structs.replace(function, spec=msgspec.structs.replace(function.spec, tags={"a": "b"}))
    await rig.documents.put(tagged, function.metadata.resource_version)
    await rig.driver.settled(function)
    assert rig.latest().status.state == "Active"
    assert rig.latest().spec.tags == {"a": "b"}


async def test_a_function_deleted_meanwhile_is_left_alone(rig: Rig) -> None:
    function = await rig.add()
    rig.driver.start()
    await rig.documents.delete(function, function.metadata.resource_version)
    await rig.driver.settled(function)
    assert rig.documents.list(Function) == []


async def test_settled_returns_at_once_for_what_is_settled(rig: Rig) -> None:
    rig.driver.start()
    function = await rig.add()
    await rig.driver.settled(function)
    await asyncio.wait_for(rig.driver.settled(rig.latest()), 1)


async def test_stopped_it_follows_no_more(rig: Rig) -> None:
    rig.driver.start()
    await rig.driver.stop()
    function = await rig.add()
    await rig.driver.settled(function)
    assert rig.latest().status.state == "Pending"
