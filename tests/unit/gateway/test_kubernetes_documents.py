"""`KubernetesDocuments` on an API server in memory: who belongs to whom, and what can't be read. The rest is in tests/cluster."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from lambent_core import deployment, versions
from lambent_core.caller import Caller
from lambent_core.documents import DocumentConflict
from lambent_core.function import Function, FunctionStatus
from lambent_core.versions import FunctionAlias, FunctionVersion
from lambent_gateway.clock import SystemClock
from lambent_gateway.drivers.deployment import Deployments
from lambent_gateway.drivers.retention import Retention
from lambent_gateway.environments.trees import UnpackedTrees
from lambent_gateway.stores.blobs import DirectoryPackages
from lambent_gateway.stores.kubernetes_documents import KubernetesDocuments
from lambent_gateway.stores.memory import MemoryPackages
from tests.api_server import ApiServer, Object

DIGEST = hashlib.sha256(b"zip").hexdigest()
INLINE: Object = {"runtime": "python3.11", "handler": "app.handler", "code": {"inline": "V = 1"}}
CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u-2"}


class Cluster(ApiServer):
    """Where others than the gateway apply."""

    def apply(self, name: str = "fn", uid: str = "u-1", *, spec: Object | None = None, **metadata: Any) -> None:
        thing = {"apiVersion": "lambent.dev/v1", "kind": "Function", "spec": spec or {"runtime": "python3.11"}}
        self.put("functions", name, thing, uid=uid, **metadata)

    def change(self, name: str = "fn", **spec: Any) -> None:
        thing = self.objects["functions", name]
        self._write("functions", thing | {"spec": thing["spec"] | spec})

    def _write(self, plural: str, thing: Object) -> Object:
        """Each change of a spec is another generation."""
        before = self.objects.get((plural, thing["metadata"]["name"]))
        if before is not None and before["spec"] != thing["spec"]:
            thing["metadata"] = thing["metadata"] | {"generation": before["metadata"]["generation"] + 1}
        return super()._write(plural, thing)

    def apply_alias(self, name: str = "fn.live", **metadata: Any) -> None:
        function, _, own = name.partition(".")
        spec = {"functionName": function, "name": own, "functionVersion": "$LATEST"}
        thing = {"apiVersion": "lambent.dev/v1", "kind": "FunctionAlias", "spec": spec}
        self.put("functionaliases", name, thing, **metadata)

    def apply_version(self) -> None:
        spec = {"functionName": "fn", "version": 1, "function": {"runtime": "python3.11", "code": {"sha256": DIGEST}}}
        thing = {"apiVersion": "lambent.dev/v1", "kind": "FunctionVersion", "spec": spec}
        self.put("functionversions", "fn.1", thing, creationTimestamp="2026-01-01T00:00:00Z")

    @asynccontextmanager
    async def store(self) -> AsyncIterator[KubernetesDocuments]:
        async def tell_others(kind: str, thing: Object, gone: bool) -> None:
            """There are none."""

        async with self.serving() as kubernetes:
            store = KubernetesDocuments(kubernetes, "default", lambda function: None, tell_others)
            await store.open()
            yield store
            await store.close()

    @asynccontextmanager
    async def settling(self, store: KubernetesDocuments) -> AsyncIterator[None]:
        """With a gateway's driver, which brings about what others write."""
        clock, numbers = SystemClock(), count()
        ids = lambda: f"revision-{next(numbers)}"  # noqa: E731
        driver = Deployments(store, MemoryPackages(), ids, clock=clock, url_of=lambda _: None, caller=Caller())
        driver.start()
        await self.watched("functions")
        yield
        await driver.stop()


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def given(alias: FunctionAlias | None, uid: str) -> FunctionAlias:
    assert alias is not None and alias.function_uid == ""
    return msgspec.structs.replace(alias, function_uid=uid)


async def test_an_alias_is_given_to_its_function_beside_whom_it_belongs_to(cluster: Cluster) -> None:
    cluster.apply()
    cluster.apply_alias(ownerReferences=[CONFIG_MAP], labels={"a": "b"})
    before = cluster.objects["functionaliases", "fn.live"]
    async with cluster.store() as store:
        alias = given(store.get(FunctionAlias, "fn.live"), "u-1")
        stored = await store.put(alias, alias.metadata.resource_version)
        assert stored == msgspec.structs.replace(alias, metadata=stored.metadata)
    after = cluster.objects["functionaliases", "fn.live"]
    owner = {
        "apiVersion": "lambent.dev/v1",
        "kind": "Function",
        "name": "fn",
        "uid": "u-1",
        "controller": False,
        "blockOwnerDeletion": False,
    }
    assert after == before | {
        "metadata": before["metadata"]
        | {"ownerReferences": [CONFIG_MAP, owner], "resourceVersion": stored.metadata.resource_version},
        "status": {"revisionId": "08eb7366-f7c2-5a33-b7fb-aedb1afd8a9e", "observedGeneration": 1},
    }


async def test_an_alias_has_another_revision_when_its_spec_was_written_by_others(cluster: Cluster) -> None:
    """Or by another gateway, whose status is on its way: nobody writes over it with the revision of before."""
    cluster.apply_alias()
    async with cluster.store() as store:

        async def update(revision_id: str, **members: str) -> Object:
            alias = store.get(FunctionAlias, "fn.live")
            assert alias is not None
            changed = versions.altered(alias, members, revision_id=revision_id)
            stored = await store.put(changed, alias.metadata.resource_version)
            assert (stored.description, stored.revision_id) == (changed.description, revision_id)
            return cluster.objects["functionaliases", "fn.live"]

        written = await update("r-1", Description="ours")
        assert written["status"] == {"revisionId": "r-1", "observedGeneration": 2}
        await cluster.watched("functionaliases")
        seen = asyncio.Event()
        store.subscribe(lambda old, new: seen.set())
        spec = written["spec"] | {"description": "theirs"}
        cluster.put("functionaliases", "fn.live", written | {"spec": spec}, generation=3)
        await seen.wait()
        theirs = store.get(FunctionAlias, "fn.live")
        assert theirs is not None
        assert (theirs.description, theirs.revision_id) == ("theirs", "d2895d5f-06f9-589c-a948-5325cfb013b8")
        unchanged = await update("r-2", Description="theirs")
        assert unchanged["status"] == {"revisionId": "r-2", "observedGeneration": 3}


async def test_a_version_that_has_no_status_is_published_and_keeps_what_it_was_seen_with(cluster: Cluster) -> None:
    cluster.apply()
    cluster.apply_version()
    async with cluster.store() as store:
        version = store.get(FunctionVersion, "fn.1")
        assert version is not None
        assert version.status == FunctionStatus(
            state="Active",
            last_update_status="Successful",
            revision_id="0d9ebfd4-d186-578d-a500-d997c7c134ff",
            last_modified="2026-01-01T00:00:00.000+0000",
        )
        stored = await store.put(
            msgspec.structs.replace(version, function_uid="u-1"), version.metadata.resource_version
        )
        assert stored.status == version.status
    assert cluster.objects["functionversions", "fn.1"]["status"] == {
        "state": "Active",
        "lastUpdateStatus": "Successful",
        "revisionId": version.status.revision_id,
        "lastModified": version.status.last_modified,
    }


@pytest.mark.parametrize("there", [None, "u-2", "ending"], ids=["gone", "made anew", "on its way out"])
async def test_no_alias_is_given_to_a_function_that_is_gone_by_the_servers_word(
    cluster: Cluster, there: str | None
) -> None:
    """Kubernetes would delete it at once, though whoever applied it means the function that is there."""
    cluster.apply()
    cluster.apply_alias()
    async with cluster.store() as store:
        await cluster.watched("functions")
        watchers, cluster.watchers = cluster.watchers, {}  # news of it is on its way still
        if there == "ending":
            cluster.apply(deletionTimestamp="2026-01-01T00:00:00Z")
        elif there:
            cluster.apply(uid=there)
        else:
            cluster.remove("functions", "fn")
        cluster.watchers = watchers
        alias = given(store.get(FunctionAlias, "fn.live"), "u-1")
        with pytest.raises(DocumentConflict, match="Function fn with uid u-1 is gone"):
            await store.put(alias, alias.metadata.resource_version)
        found = store.get(Function, "fn")
        assert (found and found.metadata.uid) == (None if there == "ending" else there), "now it is known"
    assert "ownerReferences" not in cluster.objects["functionaliases", "fn.live"]["metadata"]


async def test_code_of_a_change_that_failed_comes_with_the_configuration_after_it(cluster: Cluster) -> None:
    """G7: until then the code of before is in force, and it is what whoever writes the configuration sees."""
    cluster.apply(spec=INLINE)
    async with cluster.store() as store, cluster.settling(store):
        before = await ended(store, "Successful")
        cluster.change(code={"inline": "V = 2"}, layers=["deps:1"])
        failed = await ended(store, "Failed")
        assert (failed.spec.code, failed.status.code_revision) == (before.status.code, 1)
        spec = msgspec.structs.replace(failed.spec, layers=[])
        wanted = deployment.changed(failed, spec, arn="arn", revision_id="r", now=0.0)
        under_way = await store.put(wanted, failed.metadata.resource_version)
        assert (under_way.status.last_update_status, under_way.status.code_revision) == ("InProgress", 1)
        done = await ended(store, "Successful")
    assert done.status.code is not None and done.status.code.sha256 not in (None, failed.spec.code.sha256)
    assert (done.spec.code, done.spec.layers, done.status.code_revision) == (done.status.code, [], 2)
    thing = cluster.objects["functions", "fn"]
    assert thing["spec"] == INLINE | {"code": {"inline": "V = 2"}}
    assert thing["metadata"]["generation"] == thing["status"]["observedGeneration"] == 3


async def ended(store: KubernetesDocuments, outcome: str) -> Function:
    while (function := store.get(Function, "fn")) is None or function.status.last_update_status != outcome:
        await asyncio.sleep(0.001)
    return function


async def test_what_cannot_be_read_is_told(cluster: Cluster) -> None:
    cluster.apply()
    cluster.apply("newer", spec={"packageType": "Wasm"})
    cluster.apply("newer-and-ending", spec={"packageType": "Wasm"}, deletionTimestamp="2026-01-01T00:00:00Z")
    cluster.apply_alias()
    async with cluster.store() as store:
        assert [one.metadata.name for one in store.list(Function)] == ["fn"]
        assert store.unreadable() == ["Function newer"]


async def test_no_package_goes_while_something_cannot_be_read(cluster: Cluster, tmp_path: Path) -> None:
    """It may name it. Once it can be read, by this gateway or the next, packages that nobody names go as ever."""
    cluster.apply(spec={"packageType": "Wasm", "code": {"sha256": DIGEST}})
    packages = DirectoryPackages(tmp_path / "packages")
    await packages.put(DIGEST, b"zip")
    os.utime(packages.folder / DIGEST, (0, 0))
    async with cluster.store() as store:
        trees = UnpackedTrees(tmp_path / "trees")
        retention = Retention(store, packages, trees, in_use=set[str], clock=SystemClock())
        with capture_logs() as logs:
            assert [await retention.look(), await retention.look()] == [set(), set()]
        told = {
            "event": "no packages are deleted while there are documents that can't be read",
            "documents": ["Function fn"],
            "log_level": "warning",
        }
        assert logs == [told, told]
        await cluster.watched("functions")
        seen = asyncio.Event()
        store.subscribe(lambda old, new: seen.set())
        cluster.apply()
        await seen.wait()
        assert [await retention.look(), await retention.look()] == [set(), {DIGEST}]
