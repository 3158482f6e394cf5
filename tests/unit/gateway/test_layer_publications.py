"""The driver that settles layer versions which others have written, on stores in memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest

from lambent_core.layer_names import document_name
from lambent_core.layers import LayerCode, LayerVersion, LayerVersionMetadata, LayerVersionSpec, LayerVersionStatus
from lambent_core.package import pack
from lambent_gateway.drivers.layer_versions import LayerPublications
from lambent_gateway.stores.memory import MemoryDocuments, MemoryPackages
from tests.platform_process import package

FILES = {"python/shared.py": "A = 1\n"}
DELETE = "A layer version never changes: delete this one and apply it again."


class Rig:
    def __init__(self) -> None:
        self.documents = MemoryDocuments()
        self.packages = MemoryPackages()
        self.driver = LayerPublications(self.documents, self.packages)

    async def apply(self, code: LayerCode, name: str = "deps.1") -> None:
        """As somebody else than the gateway writes on Kubernetes."""
        spec = LayerVersionSpec(layer_name="deps", version=1, code=code)
        await self.documents.put(LayerVersion(metadata=LayerVersionMetadata(name=name), spec=spec), "")

    async def settled(self, name: str = "deps.1") -> LayerVersionStatus:
        changed = asyncio.Event()
        end = self.documents.subscribe(lambda _, __: changed.set())
        while (found := self.documents.get(LayerVersion, name)) is None or found.status.state == "Pending":
            await changed.wait()
            changed.clear()
        end()
        return found.status


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    yield rig
    await rig.driver.stop()


async def test_inline_files_become_a_package(rig: Rig) -> None:
    rig.driver.start()
    await rig.apply(LayerCode(inline=FILES))
    status = await rig.settled()
    data = pack(FILES)
    assert (status.state, status.state_reason) == ("Active", None)
    assert status.code is not None
    assert (status.code.sha256, status.code.size, status.code.unzipped_size) == (
        hashlib.sha256(data).hexdigest(),
        len(data),
        len(FILES["python/shared.py"]),
    )
    assert await rig.packages.read(status.code.sha256) == data


async def test_what_was_applied_while_no_gateway_ran_is_taken_up(rig: Rig) -> None:
    await rig.apply(LayerCode(inline=FILES))
    rig.driver.start()
    assert (await rig.settled()).state == "Active"


async def test_a_package_that_was_sent_before(rig: Rig) -> None:
    data = package({"python/shared.py": "A = 2\n"})
    digest = hashlib.sha256(data).hexdigest()
    await rig.packages.put(digest, data)
    rig.driver.start()
    await rig.apply(LayerCode(sha256=digest))
    status = await rig.settled()
    assert status.code is not None and (status.state, status.code.sha256) == ("Active", digest)


@pytest.mark.parametrize(
    ("code", "name", "text"),
    [
        (LayerCode(sha256="ab" * 32), "deps.1", f"spec.code.sha256: there is no package {'ab' * 32}"),
        (LayerCode(inline={"../x": ""}), "deps.1", "spec.code.inline: ../x is no path of a file"),
        (LayerCode(), "deps.1", "spec.code.inline: Uploaded file must be a non-empty zip"),
        (LayerCode(inline=FILES), "other.1", f"metadata.name: {document_name('deps', 1)} is wanted"),
    ],
    ids=["not uploaded", "outside", "no file", "name"],
)
async def test_what_cannot_be_says_why(rig: Rig, code: LayerCode, name: str, text: str) -> None:
    rig.driver.start()
    await rig.apply(code, name)
    status = await rig.settled(name)
    assert status.state == "Failed"
    assert (status.state_reason or "").startswith(text) and (status.state_reason or "").endswith(DELETE)
