"""`KubernetesDocuments` on a real API server: T1 to T4 as every document store keeps them, and what is Kubernetes' own."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import msgspec
import pytest
import pytest_asyncio

from lambent_core import deployment, layers
from lambent_core.caller import Caller
from lambent_core.documents import Document, DocumentConflict, StoreUnusable
from lambent_core.function import (
    Code,
    Cors,
    DeadLetterConfig,
    Environment,
    FoundImage,
    Function,
    FunctionSpec,
    FunctionUrl,
    Metadata,
)
from lambent_core.images import Images
from lambent_core.layers import LayerVersion
from lambent_core.package import Package
from lambent_core.resources import to_resource
from lambent_core.versions import FunctionAlias, FunctionVersion, alias_of, altered, published
from lambent_gateway.drivers.belongings import Adoptions
from lambent_gateway.drivers.deployment import Deployments
from lambent_gateway.drivers.layer_versions import LayerPublications
from lambent_gateway.stores.kubernetes_documents import KubernetesDocuments
from lambent_gateway.stores.memory import MemoryPackages
from lambent_kube.client import Kubernetes, NotFound, Object
from lambent_kube.config import from_kubeconfig
from lambent_kube.resources import FUNCTION_ALIASES, FUNCTION_VERSIONS, FUNCTIONS, LAYER_VERSIONS
from tests.cluster.operator_world import NAMESPACES, apply_definitions, kubeconfig, until, way_to

pytestmark = [
    pytest.mark.skipif(kubeconfig() is None, reason="no cluster: neither KUBECONFIG nor .cluster/kubeconfig"),
    pytest.mark.timeout(120),
]

DIGEST = "ab" * 32
INLINE = "def handler(event, context):\n    return event\n"
FINALIZER = "lambent.dev/drain"


class StoppedClock:
    def time(self) -> float:
        return 1_795_486_086.25


class Hears(Protocol):
    def heard(self, kind: str, thing: Object, gone: bool) -> None: ...


@dataclass
class World:
    """A namespace of a test's own, and whoever else writes into it."""

    config: Path
    namespace: str
    user: Kubernetes
    operator: Kubernetes

    @asynccontextmanager
    async def opened(
        self, config: Path | None = None, *, others: tuple[Hears, ...] = ()
    ) -> AsyncIterator[KubernetesDocuments]:
        """A gateway's store; `others` are those of the other gateways."""

        async def tell_others(kind: str, thing: Object, gone: bool) -> None:
            for other in others:
                other.heard(kind, thing, gone)

        api = Kubernetes(from_kubeconfig(config or self.config), field_manager="lambent-api", request_seconds_max=10)
        store = KubernetesDocuments(api, self.namespace, lambda function: None, tell_others)
        try:
            await store.open()
            yield store
        finally:
            await store.close()
            await api.close()

    @asynccontextmanager
    async def settling(self, store: KubernetesDocuments, images: Images | None = None) -> AsyncIterator[MemoryPackages]:
        """With a gateway's driver, which brings about what others write."""
        packages, numbers = MemoryPackages(), count()
        ids = lambda: f"revision-{next(numbers)}"  # noqa: E731
        driver = Deployments(
            store, packages, ids, clock=StoppedClock(), url_of=lambda _: None, caller=Caller(), images=images
        )
        publications = LayerPublications(store, packages)
        driver.start()
        publications.start()
        try:
            yield packages
        finally:
            await publications.stop()
            await driver.stop()

    async def apply(self, name: str = "a", **spec: Any) -> Object:
        """As `kubectl apply --server-side`."""
        body = {
            "apiVersion": "lambent.dev/v1",
            "kind": "Function",
            "metadata": {"name": name},
            "spec": spec
            if spec.get("packageType") == "Image"
            else {"runtime": "python3.11", "handler": "app.handler", "code": {"inline": INLINE}} | spec,
        }
        return await self.user.apply(FUNCTIONS, self.namespace, body)

    async def note(self, name: str = "a", **status: Any) -> Object:
        """As the operator notes what it sees."""
        return await self.operator.patch(
            FUNCTIONS, self.namespace, name, {"status": status or {"replicas": 1}}, subresource="status"
        )

    async def hold(self, name: str = "a") -> None:
        """Keeps a deleted function until `release`, as the operator does while it has environments."""
        await self.operator.patch(FUNCTIONS, self.namespace, name, {"metadata": {"finalizers": [FINALIZER]}})

    async def release(self, name: str = "a") -> None:
        await self.operator.patch(FUNCTIONS, self.namespace, name, {"metadata": {"finalizers": None}})

    async def function(self, name: str = "a") -> Object:
        return await self.user.get(FUNCTIONS, self.namespace, name)

    async def fields(self, manager: str, name: str = "a") -> dict[str, str]:
        """What the manager has, as JSON text, by how it came to it; of the status, with `/status` behind."""
        entries = (await self.function(name))["metadata"]["managedFields"]
        return {
            entry["operation"] + ("/status" if "subresource" in entry else ""): str(entry["fieldsV1"])
            for entry in entries
            if entry["manager"] == manager
        }


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    config = kubeconfig()
    assert config is not None
    name = f"documents-test-{uuid.uuid4().hex[:8]}"
    access = from_kubeconfig(config)
    made = World(
        config, name, Kubernetes(access, field_manager="user"), Kubernetes(access, field_manager="lambent-operator")
    )
    await apply_definitions(made.user)
    await made.user.create(NAMESPACES, None, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        yield made
    finally:
        for function in (await made.user.list(FUNCTIONS, name))[0]:
            await made.release(function["metadata"]["name"])
        await made.user.delete(NAMESPACES, None, name)
        await made.user.close()
        await made.operator.close()


@pytest_asyncio.fixture
async def store(world: World) -> AsyncIterator[KubernetesDocuments]:
    async with world.opened() as opened:
        yield opened


def function(name: str = "a", **members: Any) -> Function:
    """As CreateFunction makes it."""
    spec = FunctionSpec(runtime="python3.11", handler="app.handler", code=Code(sha256=DIGEST, size=3), **members)
    made = deployment.created(name, spec, uid="", revision_id="r1", now=0.0)
    return msgspec.structs.replace(made, metadata=Metadata(name=name))


def version(one: Document) -> str:
    return one.metadata.resource_version


def with_spec(before: Function, **members: Any) -> Function:
    return msgspec.structs.replace(before, spec=msgspec.structs.replace(before.spec, **members))


# T1-T4


async def test_what_was_put_is_read(store: KubernetesDocuments, world: World) -> None:
    stored = await store.put(function(timeout=9), "")
    assert stored.spec == function(timeout=9).spec
    assert store.get(Function, "a") == stored
    assert store.get(Function, "b") is None
    assert stored.metadata.uid and stored.metadata.creation_timestamp
    assert (stored.metadata.generation, stored.status.observed_generation) == (1, 1)
    assert (await world.function())["spec"]["code"] == {"sha256": DIGEST, "size": 3}


async def test_list_is_by_name(store: KubernetesDocuments) -> None:
    for name in ("b", "a", "c"):
        await store.put(function(name), "")
    assert [one.metadata.name for one in store.list(Function)] == ["a", "b", "c"]


@pytest.mark.parametrize("expected", ["", "1"])
async def test_a_write_against_another_version_is_a_conflict(store: KubernetesDocuments, expected: str) -> None:
    """T1."""
    stored = await store.put(function(), "")
    with pytest.raises(DocumentConflict):
        await store.put(with_spec(stored, timeout=9), expected)
    with pytest.raises(DocumentConflict):
        await store.delete(stored, expected)
    assert store.get(Function, "a") == stored


async def test_a_write_to_what_is_not_there_is_a_conflict(store: KubernetesDocuments) -> None:
    """T1."""
    with pytest.raises(DocumentConflict):
        await store.put(function(), "1")
    with pytest.raises(DocumentConflict):
        await store.delete(function(), "1")


async def test_of_many_writers_against_one_version_one_wins(store: KubernetesDocuments) -> None:
    """T1."""
    stored = await store.put(function(), "")
    writes = [store.put(with_spec(stored, timeout=timeout), version(stored)) for timeout in range(10, 20)]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    won = [outcome for outcome in outcomes if isinstance(outcome, Function)]
    assert len(won) == 1 and sum(isinstance(outcome, DocumentConflict) for outcome in outcomes) == 9
    assert store.get(Function, "a") == won[0]


async def test_of_two_gateways_that_write_one_wins(store: KubernetesDocuments, world: World) -> None:
    """T1: the second has not been told of the first's write yet."""
    async with world.opened() as other:
        stored = await store.put(function(), "")
        await until(lambda: other.get(Function, "a"), "the other is told")
        outcomes = await asyncio.gather(
            store.put(with_spec(stored, timeout=10), version(stored)),
            other.put(with_spec(stored, timeout=11), version(stored)),
            return_exceptions=True,
        )
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DocumentConflict", "Function"]
        won = next(outcome for outcome in outcomes if isinstance(outcome, Function))
        for each in (store, other):
            await until(lambda each=each: each.get(Function, "a") == won, "both know who won")


async def test_what_one_gateway_has_written_is_what_the_others_go_by(store: KubernetesDocuments, world: World) -> None:
    """K1, at once: before a watch could bring it."""
    told: list[tuple[Document | None, Document | None]] = []
    store.subscribe(lambda old, new: told.append((old, new)))
    async with world.opened(others=(store,)) as other:
        made = await other.put(function(), "")
        assert store.get(Function, "a") == made
        changed = await other.put(with_spec(made, timeout=9), version(made))
        assert store.get(Function, "a") == changed
        assert changed in [new for _, new in told], "watchers are told"
        await other.delete(changed, version(changed))
        assert store.get(Function, "a") is None
        held = await other.put(function(), "")
        await world.hold()
        await until(lambda: other.get(Function, "a") != held, "the finalizer")
        latest = other.get(Function, "a")
        assert latest is not None
        await other.delete(latest, version(latest))
        assert store.get(Function, "a") is None


async def test_no_other_gateway_hears_of_what_the_writer_does_not_go_by(world: World) -> None:
    """K2: who is answered by the one that hears may call the one that writes."""
    at_the_writer: list[Document | None] = []

    class Other:
        def heard(self, kind: str, thing: Object, gone: bool) -> None:
            at_the_writer.append(store.get(Function, thing["metadata"]["name"]))

    async with world.opened(others=(Other(),)) as store:
        made = await store.put(function(), "")
        changed = await store.put(with_spec(made, timeout=9), version(made))
        await store.delete(changed, version(changed))
    assert at_the_writer == [made, changed, None]


async def test_writes_of_two_documents_do_not_wait_for_each_other(world: World) -> None:
    """Nor for a gateway that is slow to hear of another one."""
    slow = asyncio.Event()

    async def tell_others(kind: str, thing: Object, gone: bool) -> None:
        if thing["metadata"]["name"] == "a":
            await slow.wait()

    api = Kubernetes(from_kubeconfig(world.config), field_manager="lambent-api", request_seconds_max=10)
    store = KubernetesDocuments(api, world.namespace, lambda function: None, tell_others)
    await store.open()
    try:
        first = asyncio.create_task(store.put(function(), ""))
        await until(lambda: store.get(Function, "a") is not None, "the first is written")
        made = store.get(Function, "a")
        assert made is not None and not first.done()
        await store.put(function("b"), "")
        slow.set()
        assert await first == made
    finally:
        await store.close()
        await api.close()


def slow_statuses(store: KubernetesDocuments, *, sent: asyncio.Event, answered: asyncio.Event) -> None:
    """Holds the store's writes of `status` back until `sent`, and their answers until `answered`."""
    patch = store._kubernetes.patch

    async def slowly(*args: Any, subresource: str | None = None, **options: Any) -> Object:
        if subresource is None:
            return await patch(*args, **options)
        await sent.wait()
        answer = await patch(*args, subresource=subresource, **options)
        await answered.wait()
        return answer

    store._kubernetes.patch = slowly  # type: ignore[method-assign]


def event(is_set: bool) -> asyncio.Event:
    made = asyncio.Event()
    if is_set:
        made.set()
    return made


async def test_what_another_gateway_has_brought_about_between_two_requests_stays(
    store: KubernetesDocuments, world: World
) -> None:
    """The gateway that writes has not written the status yet when another one settles what it sees."""
    sent = event(False)
    async with world.opened() as other, world.settling(other) as packages:
        await packages.put(DIGEST, b"zip")
        slow_statuses(store, sent=sent, answered=event(True))
        making = asyncio.create_task(store.put(function(), ""))
        await until(lambda: (found := other.get(Function, "a")) and found.status.state == "Active", "it is settled")
        settled = seen(other, "a")
        await world.note()  # the operator writes beside both
        sent.set()
        made = await making
        assert (made.status.state, made.status.state_reason_code) == ("Active", None)
        assert made.status.revision_id == settled.status.revision_id
        sent.clear()
        wanted = deployment.changed(made, with_spec(made, timeout=9).spec, arn="", revision_id="ours", now=0.0)
        changing = asyncio.create_task(store.put(wanted, version(made)))
        await until(
            lambda: (seen(other).spec.timeout, seen(other).status.last_update_status) == (9, "Successful"), "it is"
        )
        again = seen(other, "a")
        sent.set()
        assert (await changing).status == again.status


async def test_a_status_counts_here_as_soon_as_it_counts_anywhere(store: KubernetesDocuments, world: World) -> None:
    """K2, though the answer to its write is on its way still: others have it from their watches."""
    await world.apply()
    await until(lambda: store.get(Function, "a") is not None, "it is seen")
    answered = event(False)
    slow_statuses(store, sent=event(True), answered=answered)
    async with world.settling(store):
        await until(lambda: seen(store, "a").status.state == "Active", "the watch has brought it")
        answered.set()


async def test_deleted_is_gone_and_its_version_never_comes_back(store: KubernetesDocuments) -> None:
    """T2."""
    first = await store.put(function(), "")
    await store.delete(first, version(first))
    assert store.get(Function, "a") is None
    again = await store.put(function(), "")
    assert version(again) != version(first) and again.metadata.uid != first.metadata.uid


async def test_watchers_are_told_each_change_once_and_in_order(store: KubernetesDocuments, world: World) -> None:
    """T3; the watch brings each of our own writes once more."""
    told: list[tuple[Document | None, Document | None]] = []
    unsubscribe = store.subscribe(lambda old, new: told.append((old, new)))
    first = await store.put(function(), "")
    second = await store.put(with_spec(first, timeout=9), version(first))
    await store.delete(second, version(second))
    other = await store.put(function("b"), "")
    await world.note("b")  # comes after all echoes
    await until(lambda: store.get(Function, "b") != other, "the watch has come so far")
    noted = seen(store, "b")
    unsubscribe()
    await store.delete(noted, version(noted))
    assert told == [(None, first), (first, second), (second, None), (None, other), (other, noted)]


async def test_what_was_written_is_there_for_the_next_gateway(store: KubernetesDocuments, world: World) -> None:
    """T4."""
    made = await store.put(function(), "")
    numbered = await store.put(published(made, None, description="one", revision_id="v", now=0.0), "")
    assert isinstance(numbered, FunctionVersion)
    async with world.opened() as later:
        assert later.list(Function) == [made]
        assert later.list(FunctionVersion) == [numbered]


async def test_versions_go_with_their_function(store: KubernetesDocuments, world: World) -> None:
    made = await store.put(function(), "")
    await store.put(published(made, None, description="", revision_id="v", now=0.0), "")
    await world.user.delete(FUNCTIONS, world.namespace, "a")
    await until(lambda: not store.list(FunctionVersion), "Kubernetes collects what the function owned")
    with pytest.raises(NotFound):
        await world.user.get(FUNCTION_VERSIONS, world.namespace, "a.1")


async def test_an_alias_that_kubectl_applies_is_given_to_its_function_by_one_of_two_gateways(
    store: KubernetesDocuments, world: World
) -> None:
    """G2 of belongings, by both at once; then Kubernetes collects it with its function. One of no function stays."""
    async with world.opened() as other:
        drivers = [Adoptions(store), Adoptions(other)]
        for driver in drivers:
            driver.start()
        for name in ("a.live", "absent.live"):
            spec = {"functionName": name.partition(".")[0], "name": "live", "functionVersion": "$LATEST"}
            body = {"apiVersion": "lambent.dev/v1", "kind": "FunctionAlias", "metadata": {"name": name}, "spec": spec}
            await world.user.apply(FUNCTION_ALIASES, world.namespace, body)
        await until(lambda: len(other.list(FunctionAlias)) == 2, "they are seen")
        made = await store.put(function(), "")
        for each in (store, other):
            await until(
                lambda each=each: [one.function_uid for one in each.list(FunctionAlias)] == [made.metadata.uid, ""],
                "one has its function",
            )
        for driver in drivers:
            await driver.stop()
    thing = await world.user.get(FUNCTION_ALIASES, world.namespace, "a.live")
    assert [one["uid"] for one in thing["metadata"]["ownerReferences"]] == [made.metadata.uid]
    await world.user.delete(FUNCTIONS, world.namespace, "a")
    await until(
        lambda: [one.metadata.name for one in store.list(FunctionAlias)] == ["absent.live"], "Kubernetes collects it"
    )


async def test_what_kubectl_applies_of_a_function_has_revisions(store: KubernetesDocuments, world: World) -> None:
    """A version is published though nobody wrote its status; an alias has another revision with each change."""
    made = await store.put(function(), "")
    body = to_resource(published(made, None, description="", revision_id="", now=0.0))
    metadata = {name: body["metadata"][name] for name in ("name", "ownerReferences")}
    await world.user.create(FUNCTION_VERSIONS, world.namespace, body | {"metadata": metadata})
    live = await store.put(altered(alias_of(made, "live", "$LATEST", now=0.0), {}, revision_id="r1"), "")
    assert (live.revision_id, live.observed_generation, live.metadata.generation) == ("r1", 1, 1)
    change = {"spec": {"description": "kubectl's"}}
    await world.user.patch(FUNCTION_ALIASES, world.namespace, "a.live", change)
    await until(lambda: store.list(FunctionAlias)[0].description == "kubectl's", "the change is seen")
    await until(lambda: store.list(FunctionVersion), "the version is seen")
    (one,), (changed,) = store.list(FunctionVersion), store.list(FunctionAlias)
    assert (one.status.state, one.status.last_update_status) == ("Active", "Successful")
    assert one.status.revision_id and one.status.last_modified
    assert changed.revision_id not in ("", "r1")
    async with world.opened() as other:
        assert (other.list(FunctionVersion), other.list(FunctionAlias)) == ([one], [changed])
    again = await store.put(altered(changed, {"Description": "ours"}, revision_id="r2"), version(changed))
    assert (again.revision_id, again.observed_generation, again.metadata.generation) == ("r2", 3, 3)


# Whose field is whose


async def test_a_writer_beside_us_is_a_conflict_that_goes_away(store: KubernetesDocuments, world: World) -> None:
    """The operator notes something between our reading and our writing."""
    stored = await store.put(function(), "")
    await world.note(replicas=1)
    wanted = with_spec(stored, timeout=9)
    for _ in range(20):
        try:
            stored = await store.put(wanted, version(stored))
            break
        except DocumentConflict:
            latest = store.get(Function, "a")
            assert latest is not None
            stored = latest
            wanted = with_spec(stored, timeout=9)
    thing = await world.function()
    assert (thing["spec"]["timeout"], thing["status"]["replicas"]) == (9, 1)


async def test_the_operators_part_of_the_status_is_never_written(store: KubernetesDocuments, world: World) -> None:
    """K4."""
    stored = await store.put(function(), "")
    condition = {"type": "Ready", "status": "True", "reason": "R", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    noted = {"conditions": [condition], "environments": {"ready": 2}, "replicas": 2, "selector": "a=b"}
    await world.note(**noted)
    await until(lambda: version(seen(store)) != version(stored), "the note is seen")
    changed = await store.put(deployment.settled(seen(store), None, revision_id="r2"), version(seen(store)))
    await store.put(with_spec(changed, timeout=9), version(changed))
    status = (await world.function())["status"]
    assert {name: status[name] for name in noted if name != "conditions"} == {
        name: value for name, value in noted.items() if name != "conditions"
    }
    assert (status["state"], status["conditions"][0]["reason"]) == ("Active", "R")
    assert "f:replicas" in (await world.fields("lambent-operator"))["Update/status"]
    for written in ("f:conditions", "f:replicas", "f:environments", "f:selector"):
        assert written not in (await world.fields("lambent-api"))["Update/status"]


def seen(store: KubernetesDocuments, name: str = "a") -> Function:
    found = store.get(Function, name)
    assert found is not None
    return found


async def test_what_a_user_wrote_stays_the_users_but_for_what_is_changed(
    store: KubernetesDocuments, world: World
) -> None:
    """Inline code stays inline when memory is changed through Lambda's API, and drift is visible."""
    async with world.settling(store):
        await world.apply(memorySize=256)
        await until(lambda: seen(store).status.state == "Active", "it is settled")
        settled = seen(store)
        assert settled.spec.code == settled.status.code
        spec = msgspec.structs.replace(settled.spec, memory_size=512)
        changed = deployment.changed(settled, spec, arn="arn", revision_id="r2", now=0.0)
        await store.put(changed, version(settled))
        await until(lambda: seen(store).status.last_update_status == "Successful", "the change is settled")
        thing = await world.function()
        assert thing["spec"]["code"] == {"inline": INLINE}
        assert (thing["spec"]["memorySize"], thing["status"]["code"]) == (
            512,
            msgspec.to_builtins(settled.spec.code),
        )
        assert thing["status"]["codeRevision"] == 2 and thing["status"]["observedGeneration"] == 2
        ours, users = (await world.fields("lambent-api"))["Apply"], (await world.fields("user"))["Apply"]
        assert "f:memorySize" in ours and "f:code" not in ours
        assert "f:code" in users and "f:memorySize" not in users


async def test_what_is_changed_is_applied_beside_what_was_applied_before(
    store: KubernetesDocuments, world: World
) -> None:
    """And what has to go goes, whoever applied it; what the user takes back is the user's."""
    await world.apply(environment={"variables": {"AA": "1"}}, description="theirs")
    await until(lambda: store.get(Function, "a") is not None, "it is seen")
    await store.put(with_spec(seen(store), memory_size=512), version(seen(store)))
    await store.put(with_spec(seen(store), environment=Environment({"BB": "2"})), version(seen(store)))
    await store.put(with_spec(seen(store), timeout=9), version(seen(store)))
    thing = await world.function()
    assert (thing["spec"]["memorySize"], thing["spec"]["timeout"]) == (512, 9)
    assert thing["spec"]["environment"]["variables"] == {"BB": "2"}
    ours = await world.fields("lambent-api")
    assert "Update" not in ours, "nothing of it was written in any other way"
    assert all(f"f:{name}" in ours["Apply"] for name in ("memorySize", "timeout", "environment"))
    assert not any(f"f:{name}" in ours["Apply"] for name in ("code", "description"))

    await store.put(with_spec(seen(store), environment=None, description=""), version(seen(store)))
    thing = await world.function()
    assert not {"description", "environment"} & thing["spec"].keys()
    assert (thing["spec"]["memorySize"], thing["spec"]["timeout"]) == (512, 9)

    await world.apply(memorySize=256)
    await until(lambda: seen(store).spec.memory_size == 256, "the user's change is seen")
    await store.put(with_spec(seen(store), timeout=10), version(seen(store)))
    assert (await world.function())["spec"]["memorySize"] == 256
    assert "f:memorySize" not in (await world.fields("lambent-api"))["Apply"]


async def test_a_user_takes_over_what_the_api_made_and_takes_it_away(store: KubernetesDocuments, world: World) -> None:
    """Members that would be left empty are applied as a whole: the API server would refuse to leave them so."""
    made = msgspec.structs.replace(
        function().spec,
        environment=Environment({"AA": "1"}),
        tags={"team": "x"},
        dead_letter_config=DeadLetterConfig(target_arn="arn:aws:sqs:us-east-1:000000000000:a"),
        url=FunctionUrl(cors=Cors(allow_origins=["*"])),
    )
    await store.put(msgspec.structs.replace(function(), spec=made), "")
    other = {
        "environment": {"variables": {"AA": "2"}},
        "tags": {"team": "y"},
        "deadLetterConfig": {"targetArn": "arn:aws:sqs:us-east-1:000000000000:b"},
        "url": {"cors": {"allowOrigins": ["https://example.com"]}},
    }
    await world.apply(**other)
    await world.apply(environment={}, tags={})
    thing = await world.function()
    assert (thing["spec"]["environment"], thing["spec"]["tags"]) == ({}, {})
    assert "deadLetterConfig" not in thing["spec"] and "cors" not in thing["spec"]["url"]


async def test_what_yaml_cannot_say_is_stored_all_the_same(store: KubernetesDocuments, world: World) -> None:
    """An apply is read as YAML."""
    odd = {"AA": "a\x7f\x85 \u2028 \u2029 \ufeff\uffff\U0001f600b", "B" * 1_030: "long"}
    await world.apply()
    await until(lambda: store.get(Function, "a") is not None, "it is seen")
    for variables in ({"AA": odd["AA"]}, odd):
        await store.put(with_spec(seen(store), environment=Environment(variables)), version(seen(store)))
        assert (await world.function())["spec"]["environment"]["variables"] == variables
    await store.put(with_spec(seen(store), timeout=9), version(seen(store)))
    assert (await world.function())["spec"]["environment"]["variables"] == odd


async def test_an_alias_stays_its_functions_when_the_api_changes_it(store: KubernetesDocuments, world: World) -> None:
    """The reference to its owner was applied, and is again with each change."""
    made = await store.put(function(), "")
    spec = {"functionName": "a", "name": "live", "functionVersion": "$LATEST"}
    body = {"apiVersion": "lambent.dev/v1", "kind": "FunctionAlias", "metadata": {"name": "a.live"}, "spec": spec}
    adoptions = Adoptions(store)
    adoptions.start()
    await world.user.apply(FUNCTION_ALIASES, world.namespace, body)
    await until(lambda: [one.function_uid for one in store.list(FunctionAlias)] == [made.metadata.uid], "it is given")
    await adoptions.stop()
    for words in ("one", "two"):
        (alias,) = store.list(FunctionAlias)
        changed = altered(alias, {"Description": words}, revision_id=words)
        await store.put(changed, alias.metadata.resource_version)
    thing = await world.user.get(FUNCTION_ALIASES, world.namespace, "a.live")
    assert thing["spec"]["description"] == "two"
    assert [one["uid"] for one in thing["metadata"]["ownerReferences"]] == [made.metadata.uid]


async def test_code_of_the_apis_takes_the_place_of_inline_code(store: KubernetesDocuments, world: World) -> None:
    async with world.settling(store) as packages:
        await world.apply()
        await until(lambda: seen(store).status.state == "Active", "it is settled")
        await packages.put(DIGEST, b"zip")
        settled = seen(store)
        spec = msgspec.structs.replace(settled.spec, code=Code(sha256=DIGEST, size=3))
        await store.put(deployment.changed(settled, spec, arn="arn", revision_id="r2", now=0.0), version(settled))
        await until(lambda: seen(store).status.last_update_status == "Successful", "the change is settled")
        thing = await world.function()
        assert thing["spec"]["code"] == thing["status"]["code"] == {"sha256": DIGEST, "size": 3}
        assert "f:code" in (await world.fields("lambent-api"))["Apply"]
        assert "f:code" not in (await world.fields("user"))["Apply"]


@dataclass
class Registry:
    """Has every image, of one digest."""

    digest: str

    async def find(self, uri: str, architecture: str) -> FoundImage:
        return FoundImage(digest=self.digest, entry_point=["/entry"], command=["a"])


async def test_an_image_stays_as_it_was_written_and_what_it_came_to_is_in_the_status(
    store: KubernetesDocuments, world: World
) -> None:
    registry = Registry(f"sha256:{'1' * 64}")
    written = {"imageUri": "registry.example.com/fn:1"}
    found = written | {"image": {"digest": registry.digest, "entryPoint": ["/entry"], "command": ["a"]}}
    async with world.settling(store, registry):
        await world.apply(packageType="Image", code=written)
        await until(lambda: seen(store).status.state == "Active", "it is settled")
        thing = await world.function()
        assert (thing["spec"]["code"], thing["status"]["code"]) == (written, found)
        version_one = published(seen(store), None, description=None, revision_id="r", now=0.0)
        await store.put(version_one, "")
        kept = await world.user.get(FUNCTION_VERSIONS, world.namespace, "a.1")
        by_default = {"architecture": "x86_64"}
        assert kept["spec"]["function"]["code"] == written | {"image": found["image"] | by_default}

        # UpdateFunctionCode with the same tag, which is of another image by now
        settled = seen(store)
        registry.digest = f"sha256:{'2' * 64}"
        looked_up = Code(image_uri=written["imageUri"], image=await registry.find("", ""))
        spec = msgspec.structs.replace(settled.spec, code=looked_up)
        await store.put(deployment.changed(settled, spec, arn="arn", revision_id="r2", now=0.0), version(settled))
        await until(lambda: seen(store).status.last_update_status == "Successful", "the change is settled")
        thing = await world.function()
        assert (thing["spec"]["code"], thing["status"]["code"]["image"]["digest"]) == (written, registry.digest)
        assert seen(store).spec.code == looked_up
        assert thing["status"]["codeRevision"] == settled.status.code_revision + 1


# Changes of others


async def test_a_change_by_kubectl_is_seen_under_way_and_then_brought_about(
    store: KubernetesDocuments, world: World
) -> None:
    await world.apply()
    await until(lambda: store.get(Function, "a"), "it is seen")
    assert (seen(store).status.state, seen(store).spec.code.inline) == ("Pending", INLINE)
    async with world.settling(store) as packages:
        await until(lambda: seen(store).status.state == "Active", "it is settled")
        assert await packages.size(seen(store).spec.code.sha256 or "") == seen(store).spec.code.size
    await world.apply(timeout=9)
    await until(lambda: seen(store).status.last_update_status == "InProgress", "it is under way")
    assert seen(store).spec.timeout == 9
    async with world.settling(store):
        await until(lambda: seen(store).status.last_update_status == "Successful", "it is settled again")
    status = (await world.function())["status"]
    assert (status["observedGeneration"], status["codeRevision"]) == (2, 2)


async def test_a_write_of_ours_beside_a_change_of_others_does_not_swallow_it(
    store: KubernetesDocuments, world: World
) -> None:
    """G4."""
    async with world.settling(store):
        await world.apply()
        await until(lambda: seen(store).status.state == "Active", "it is settled")
    before = seen(store).status.code
    await world.apply(code={"inline": INLINE + "# changed\n"})
    await until(lambda: seen(store).status.last_update_status == "InProgress", "it is under way")
    await store.put(with_spec(seen(store), reserved_concurrent_executions=1), version(seen(store)))
    async with world.settling(store):
        await until(lambda: seen(store).status.last_update_status == "Successful", "it is settled")
    assert seen(store).status.code != before
    assert seen(store).spec.reserved_concurrent_executions == 1


async def test_a_crash_between_spec_and_status_is_brought_about_by_the_next(
    store: KubernetesDocuments, world: World
) -> None:
    """T4: the two are two requests, and only the first was made."""
    await store.put(function(), "")
    created = await world.user.create(
        FUNCTIONS, world.namespace, {key: value for key, value in crashed("b").items() if key != "status"}
    )
    await world.user.patch(FUNCTIONS, world.namespace, "a", {"spec": {"timeout": 9}})
    assert "observedGeneration" not in created.get("status", {})
    async with world.opened() as later, world.settling(later) as packages:
        await packages.put(DIGEST, b"zip")
        await until(lambda: later.get(Function, "b"), "it is seen")
        for name in ("a", "b"):
            await until(lambda name=name: seen(later, name).status.last_update_status == "Successful", "it is settled")
        assert seen(later).spec.timeout == 9
        assert seen(later, "b").status.state == "Active"


def crashed(name: str) -> Object:
    return {
        "apiVersion": "lambent.dev/v1",
        "kind": "Function",
        "metadata": {"name": name},
        "spec": {"runtime": "python3.11", "handler": "app.handler", "code": {"sha256": DIGEST, "size": 3}},
    }


# Layers


async def test_a_layer_version_that_kubectl_applies_is_brought_about_and_its_function_with_it(
    store: KubernetesDocuments, world: World
) -> None:
    """G5: the function came first."""
    async with world.settling(store) as packages:
        await world.apply(layers=["deps:1"])
        await until(lambda: seen(store).status.last_update_status == "Failed", "the layer is missed")
        assert seen(store).status.state_reason == "spec.layers: Layer version deps:1 does not exist."
        await world.user.create(LAYER_VERSIONS, world.namespace, LAYER)
        await until(lambda: seen(store).status.state == "Active", "the function is settled")
        (used,) = seen(store).status.layers
        assert await packages.size(used.sha256) == used.size
    thing = await world.user.get(LAYER_VERSIONS, world.namespace, "deps.1")
    assert thing["spec"] == LAYER["spec"]
    assert (thing["status"]["state"], thing["status"]["code"]["sha256"]) == ("Active", used.sha256)


async def test_new_code_that_waits_for_its_layer_comes_with_it(store: KubernetesDocuments, world: World) -> None:
    """G3, G5: until then the code of before is in force."""
    async with world.settling(store):
        await world.apply()
        await until(lambda: seen(store).status.state == "Active", "the function is settled")
        before = seen(store).spec.code
        await world.apply(layers=["deps:1"], code={"inline": "def handler(event, context):\n    return 2\n"})
        await until(lambda: seen(store).status.last_update_status == "Failed", "the layer is missed")
        assert seen(store).spec.code == before
        await world.user.create(LAYER_VERSIONS, world.namespace, LAYER)
        await until(lambda: seen(store).status.last_update_status == "Successful", "the change is brought about")
        assert seen(store).spec.code.sha256 not in (None, before.sha256)
        assert [layer.layer for layer in seen(store).status.layers] == ["deps:1"]


async def test_new_code_whose_layer_is_no_longer_wanted_comes_with_the_configuration_that_says_so(
    store: KubernetesDocuments, world: World
) -> None:
    """G7: UpdateFunctionConfiguration after an apply that failed. It sees the code in force, and leaves that in the resource."""
    code = {"inline": "def handler(event, context):\n    return 2\n"}
    async with world.settling(store):
        await world.apply()
        await until(lambda: seen(store).status.state == "Active", "the function is settled")
        before = seen(store).spec.code
        await world.apply(layers=["deps:1"], code=code)
        await until(lambda: seen(store).status.last_update_status == "Failed", "the layer is missed")
        failed = seen(store)
        spec = msgspec.structs.replace(failed.spec, layers=[])
        await store.put(deployment.changed(failed, spec, arn="arn", revision_id="r2", now=0.0), version(failed))
        await until(lambda: seen(store).status.last_update_status == "Successful", "both are brought about")
        assert seen(store).spec.code.sha256 not in (None, before.sha256)
        assert seen(store).status.code_revision == 2
    assert (await world.function())["spec"]["code"] == code


async def test_a_layer_version_that_the_api_publishes_is_a_resource(store: KubernetesDocuments, world: World) -> None:
    package = Package(DIGEST, 3, 30)
    stored = await store.put(layers.version_of("deps", 1, {"Description": "d"}, package, uid="", now=0.0), "")
    assert stored.status.state == "Active" and stored.metadata.creation_timestamp
    thing = await world.user.get(LAYER_VERSIONS, world.namespace, "deps.1")
    assert thing["spec"] == {"layerName": "deps", "version": 1, "description": "d", "code": {"sha256": DIGEST}}
    assert thing["status"] == {"state": "Active", "code": {"sha256": DIGEST, "size": 3, "unzippedSize": 30}}
    gone = await store.put(layers.deleted(stored), version(stored))
    assert gone.status.code is None
    async with world.opened() as later:
        assert later.list(LayerVersion) == [gone], "its number is remembered"


LAYER = {
    "apiVersion": "lambent.dev/v1",
    "kind": "LayerVersion",
    "metadata": {"name": "deps.1"},
    "spec": {"layerName": "deps", "version": 1, "code": {"inline": {"python/shared.py": "A = 1\n"}}},
}

# Deletion


async def test_what_is_held_is_gone_for_us_at_once_and_its_name_is_free_when_it_ends(
    store: KubernetesDocuments, world: World
) -> None:
    """Lambda's API lets a name be used again at once: the new one waits for the old one's end."""
    stored = await store.put(function(), "")
    await world.hold()
    await until(lambda: version(seen(store)) != version(stored), "the finalizer is seen")
    await store.delete(seen(store), version(seen(store)))
    assert store.get(Function, "a") is None
    again = asyncio.ensure_future(store.put(function(timeout=9), ""))
    assert (await world.function())["metadata"]["deletionTimestamp"]
    await store.put(function("b"), "")  # others don't wait for it
    assert not again.done()
    await world.release()
    made = await again
    assert made.spec.timeout == 9 and made.metadata.uid != stored.metadata.uid
    assert (await world.function())["metadata"]["uid"] == made.metadata.uid


async def test_what_others_delete_is_told_once(store: KubernetesDocuments, world: World) -> None:
    stored = await store.put(function(), "")
    await world.hold()
    await until(lambda: version(seen(store)) != version(stored), "the finalizer is seen")
    held, told = seen(store), []
    store.subscribe(lambda old, new: told.append((old, new)))
    await world.user.delete(FUNCTIONS, world.namespace, "a")
    await until(lambda: store.get(Function, "a") is None, "it is gone")
    await world.release()
    made = await store.put(function(), "")
    assert told == [(held, None), (None, made)]


# The watch


async def test_a_watch_that_breaks_is_taken_up_again(world: World, tmp_path: Path) -> None:
    """W2: also what went meanwhile is told. Until then what is known can be read, and nothing can be written."""
    cut, through = await way_to(world.config, tmp_path)
    async with world.opened(through) as store:
        first = await store.put(function(), "")
        await store.put(function("goes"), "")
        told: list[tuple[str, bool]] = []
        store.subscribe(lambda old, new: told.append(((new or old).metadata.name, new is not None)))  # type: ignore[union-attr]
        await cut.cut()
        with pytest.raises(StoreUnusable, match="try again"):
            await store.put(with_spec(first, timeout=9), version(first))
        await world.apply("comes")
        await world.user.delete(FUNCTIONS, world.namespace, "goes")
        assert [one.metadata.name for one in store.list(Function)] == ["a", "goes"]
        await cut.open()
        await until(lambda: [one.metadata.name for one in store.list(Function)] == ["a", "comes"], "it follows again")
        assert sorted(told) == [("comes", True), ("goes", False)]
        assert (await store.put(with_spec(first, timeout=9), version(first))).spec.timeout == 9
    await cut.cut()


async def test_what_kubernetes_refuses_is_said(store: KubernetesDocuments) -> None:
    with pytest.raises(StoreUnusable, match=r"Kubernetes refuses the resource: .*memorySize"):
        await store.put(function(memory_size=1), "")
    assert store.list(Function) == []
