"""The thin client against a real API server: what it promises depends on what the server really does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from lambent_kube import client
from lambent_kube.client import AlreadyExists, Conflict, Kubernetes, KubernetesError, NotFound, Object
from lambent_kube.config import from_kubeconfig
from lambent_kube.mirror import Mirror
from lambent_kube.resources import LEASES, Resource
from tests.cluster.operator_world import World, kubeconfig, until, world

pytestmark = [
    pytest.mark.skipif(kubeconfig() is None, reason="no cluster: neither KUBECONFIG nor .cluster/kubeconfig"),
    pytest.mark.timeout(300),
]
MAPS = Resource("", "v1", "configmaps")


@pytest_asyncio.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    config = kubeconfig()
    assert config is not None
    async with world(tmp_path, config) as made:
        yield made


@asynccontextmanager
async def client_of(config: Path, manager: str) -> AsyncIterator[Kubernetes]:
    made = Kubernetes(from_kubeconfig(config), field_manager=manager)
    try:
        yield made
    finally:
        await made.close()


def config_map(name: str, **members: str) -> Object:
    metadata = {"name": name, "labels": {"of": "test"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": members}


async def test_one_object_from_its_first_to_its_last_request(here: World) -> None:
    made = await here.api.create(MAPS, here.namespace, config_map("a", x="1"))
    with pytest.raises(AlreadyExists):
        await here.api.create(MAPS, here.namespace, config_map("a"))
    assert (await here.api.get(MAPS, here.namespace, "a"))["data"] == {"x": "1"}
    assert made["metadata"]["managedFields"][0]["manager"] == "operator-test"

    # a merge patch that names a uid or a version is for that object alone
    for member, status in (("uid", 422), ("resourceVersion", 409)):
        body = {"metadata": {member: "1"}, "data": {"x": "2"}}
        with pytest.raises(KubernetesError) as raised:
            await here.api.patch(MAPS, here.namespace, "a", body)
        assert raised.value.status == status
    uid = made["metadata"]["uid"]
    patched = await here.api.patch(MAPS, here.namespace, "a", {"metadata": {"uid": uid}, "data": {"y": "2"}})
    assert patched["data"] == {"x": "1", "y": "2"}

    # so is a replacement, and a deletion
    with pytest.raises(Conflict):
        await here.api.replace(MAPS, here.namespace, "a", made)
    replaced = await here.api.replace(MAPS, here.namespace, "a", patched | {"data": {"z": "3"}})
    assert replaced["data"] == {"z": "3"}
    with pytest.raises(Conflict):
        await here.api.delete(MAPS, here.namespace, "a", preconditions={"uid": "another"})
    await here.api.delete(MAPS, here.namespace, "a", preconditions={"uid": uid})
    with pytest.raises(NotFound):
        await here.api.get(MAPS, here.namespace, "a")
    with pytest.raises(KubernetesError, match="namespaces") as raised:
        await here.api.create(MAPS, "there-is-none", config_map("a"))
    assert raised.value.status == 404


async def test_fields_that_another_manager_applied_are_a_conflict(here: World) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1"}}
    await here.api.apply(MAPS, here.namespace, body, force=False)
    theirs = body | {"data": {"x": "2"}}
    async with client_of(here.kubeconfig, "other") as other:
        with pytest.raises(Conflict):
            await other.apply(MAPS, here.namespace, theirs, force=False)
        taken = await other.apply(MAPS, here.namespace, theirs)
    assert taken["data"] == {"x": "2"}


async def test_what_is_applied_is_what_was_said_whatever_yaml_makes_of_it(here: World) -> None:
    odd = ["\x7f", "\x85 ", "\u2028  ", " \u2029 ", "\ufeff", "\ufffe\uffff", "\U0001f600", "\t\n", "'\"\\"]
    said = {str(number): f"a{text}b" for number, text in enumerate(odd)}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": said}
    assert (await here.api.apply(MAPS, here.namespace, body))["data"] == said


async def test_long_lists_come_page_by_page(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAGE_OBJECTS", 3)
    for number in range(7):
        await here.api.create(MAPS, here.namespace, config_map(f"map-{number}"))
    pages = [page async for page in here.api.pages(MAPS, here.namespace, selector="of=test")]
    assert [len(objects) for objects, _ in pages] == [3, 3, 1]
    assert len({version for _, version in pages}) == 1
    objects, version = await here.api.list(MAPS, here.namespace, selector="of=test")
    assert [thing["metadata"]["name"] for thing in objects] == [f"map-{number}" for number in range(7)]
    assert int(version) >= int(pages[0][1])


async def test_a_mirror_follows_across_breaks(here: World) -> None:
    """W1, W2: also what went while the watch was broken is told."""
    way, through = await here.way()
    told: list[tuple[str | None, str | None]] = []

    def say(old: Object | None, new: Object | None) -> None:
        told.append((_x(old), _x(new)))

    await here.api.create(MAPS, here.namespace, config_map("a", x="1"))
    async with client_of(through, "mirror") as kubernetes, asyncio.TaskGroup() as group:
        mirror = Mirror(kubernetes, MAPS, here.namespace, say, selector="of=test")
        following = group.create_task(mirror.follow())
        await asyncio.wait_for(mirror.listed.wait(), 30)
        assert told == [(None, "1")]
        await here.api.patch(MAPS, here.namespace, "a", {"data": {"x": "2"}})
        await here.api.create(MAPS, here.namespace, config_map("b", x="3"))
        await here.api.create(MAPS, here.namespace, config_map("others", x="9") | {"metadata": {"name": "others"}})
        await until(lambda: len(told) == 3, "it is told")
        assert told[1:] == [("1", "2"), (None, "3")]

        await way.cut()
        await here.api.delete(MAPS, here.namespace, "a")
        await here.api.patch(MAPS, here.namespace, "b", {"data": {"x": "4"}})
        await way.open()
        await until(lambda: len(told) == 5, "it is told what it missed")
        assert set(told[3:]) == {("2", None), ("3", "4")}

        # what a write returned needs no watch to be known, and its echo is nothing new
        made = await here.api.create(MAPS, here.namespace, config_map("c", x="5"))
        mirror.put(made)
        await here.api.create(MAPS, here.namespace, config_map("d", x="6"))
        await until(lambda: (None, "6") in told, "the echo has come by")
        assert told.count((None, "5")) == 1
        following.cancel()


async def test_of_two_who_take_a_lease_one_fails(here: World) -> None:
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {}}
    made = await here.api.create(LEASES, here.namespace, lease)
    outcomes = await asyncio.gather(
        *(
            here.api.replace(LEASES, here.namespace, "l", made | {"spec": {"holderIdentity": name}})
            for name in ("a", "b")
        ),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict", "dict"]


async def test_a_version_that_is_too_old_is_gone(here: World) -> None:
    with pytest.raises(client.Gone):
        async for _ in here.api.watch(MAPS, here.namespace, "1"):
            pass


def _x(thing: Object | None) -> str | None:
    return None if thing is None else thing["data"]["x"]
