"""The operator against a real API server: what it makes, changes, tells and clears away."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from lambent_core.census import AgentEntry
from lambent_core.function import EnvironmentCounts
from lambent_kube.client import NotFound
from lambent_kube.resources import FUNCTIONS, LEASES, PODS, Resource
from tests.cluster.operator_world import QUOTAS, World, kubeconfig, until, world

pytestmark = [
    pytest.mark.skipif(kubeconfig() is None, reason="no cluster: neither KUBECONFIG nor .cluster/kubeconfig"),
    pytest.mark.timeout(300),
]

POOL = "python3.11"


@pytest_asyncio.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    config = kubeconfig()
    assert config is not None
    async with world(tmp_path, config) as made:
        yield made


def wanted(id: str, pool: str = POOL) -> AgentEntry:
    return AgentEntry(id, pool, "wanted")


def claimed(id: str, function_uid: str, *, function: str = "hello", memory_mb: int = 384) -> AgentEntry:
    return AgentEntry(id, POOL, "claimed", function, function_uid, "1", memory_mb)


async def test_a_function_from_its_first_environment_to_its_end(here: World) -> None:
    gateway = await here.start_gateway()
    await here.put_pool()
    made = await here.put_function()
    uid = made["metadata"]["uid"]
    here.start_operator()

    async def ready() -> bool:
        return (await here.conditions()) == {
            "Ready": ("True", "Active"),
            "CodeReady": ("True", "CodeStored"),
            "EnvironmentsReady": ("True", "Available"),
            "RolledOut": ("True", "Complete"),
        }

    await until(ready, "the function is ready")
    function = await here.function()
    assert function["metadata"]["finalizers"] == ["lambent.dev/drain"]
    assert "annotations" not in function["metadata"]  # nothing of kopf's own
    assert function["status"]["selector"] == "lambent.dev/function=hello"

    # wanted: a pod of that name, which the level restricted lets in, and which runs
    gateway.put(wanted("python-1"), hello=EnvironmentCounts(starting=1))
    pod = await until(lambda: here.pod("python-1"), "the pod is there")
    assert pod["spec"]["containers"][0]["env"][2]["name"] == "LAMBENT_GATEWAY"
    await until(lambda: _phase(here, "python-1", "Running"), "the pod runs")
    assert gateway.tokens == {"Bearer operators-token"}

    # claimed: labelled, owned, resized in place
    gateway.put(claimed("python-1", uid), hello=EnvironmentCounts(ready=1, busy=1))

    async def adopted() -> bool:
        pod = await here.pod("python-1")
        status = pod["status"]["containerStatuses"][0].get("resources", {})
        return (
            pod["metadata"]["labels"].get("lambent.dev/function") == "hello"
            and pod["metadata"]["annotations"].get("lambent.dev/revision") == "1"
            and pod["metadata"]["ownerReferences"][0]["uid"] == uid
            and pod["spec"]["containers"][0]["resources"]
            == {"requests": {"cpu": "217m", "memory": "384Mi"}, "limits": {"memory": "416Mi"}}
            and status.get("limits", {}).get("memory") == "416Mi"
            and pod["status"]["containerStatuses"][0]["restartCount"] == 0
        )

    await until(adopted, "the pod is the function's, and has its size")

    async def counted() -> bool:
        status = (await here.function())["status"]
        return status.get("environments") == {"ready": 1, "busy": 1, "starting": 0} and status["replicas"] == 1

    await until(counted, "the function shows its environment")

    # deleted: stays while an environment is claimed, goes with the last
    await here.api.delete(FUNCTIONS, here.namespace, "hello")
    gateway.put(wanted("python-2"))
    await until(lambda: here.pod("python-2"), "the operator has gone on")
    assert (await here.function())["metadata"]["deletionTimestamp"]
    gateway.drop("python-1", hello=EnvironmentCounts())
    await here.api.delete(PODS, here.namespace, "python-1")  # its agent has ended
    await until(lambda: _gone(here, FUNCTIONS, "hello"), "the function is gone")
    await until(lambda: _told(here, here.namespace, "hello", "FunctionReady", "ScaledUp", "Deleted"), "Events say so")


async def test_a_condition_of_somebody_elses_stays_what_they_said(here: World) -> None:
    """The operator applies its own part of a status, and no more."""
    gateway = await here.start_gateway()
    await here.put_pool()
    uid = (await here.put_function())["metadata"]["uid"]
    theirs = {"type": "Audited", "status": "True", "reason": "Fine", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    metadata = {"name": "hello", "uid": uid}
    body = {
        "apiVersion": "lambent.dev/v1",
        "kind": "Function",
        "metadata": metadata,
        "status": {"conditions": [theirs]},
    }
    await here.api.apply(FUNCTIONS, here.namespace, body, subresource="status")
    here.start_operator()
    gateway.put(claimed("python-1", uid), hello=EnvironmentCounts(ready=1))

    async def counted() -> bool:
        return bool((await here.function())["status"].get("replicas") == 1)

    await until(counted, "the operator has written")
    function = await here.function()
    assert theirs in function["status"]["conditions"] and len(function["status"]["conditions"]) == 5
    fields = {
        (entry["manager"], entry["operation"]): str(entry["fieldsV1"])
        for entry in function["metadata"]["managedFields"]
        if entry.get("subresource") == "status"
    }
    own = fields["lambent-operator", "Apply"]
    assert "Ready" in own and "f:replicas" in own and "Audited" not in own
    assert ("lambent-operator", "Update") not in fields


async def test_a_pod_that_has_ended_is_deleted_at_once(here: World) -> None:
    """Whoever has it in a census, or nobody."""
    gateway = await here.start_gateway()
    await here.put_pool()
    here.start_operator()
    gateway.put(wanted("python-1"))
    await until(lambda: _phase(here, "python-1", "Running"), "the pod runs")
    gateway.put(AgentEntry("python-1", POOL, "free"))
    await here.api.patch(PODS, here.namespace, "python-1", {"spec": {"activeDeadlineSeconds": 1}})
    await until(lambda: _gone(here, PODS, "python-1"), "the ended pod is gone")
    gateway.drop("python-1")
    gateway.put(wanted("python-2"))
    await until(lambda: here.pod("python-2"), "the operator has gone on")


async def test_an_image_that_cannot_be_pulled_is_told_to_everybody_once(here: World) -> None:
    gateway = await here.start_gateway()
    await here.put_pool(image="localhost/lambent/there-is-none:1", imagePullPolicy="IfNotPresent")
    await here.put_function()
    here.start_operator()
    gateway.put(wanted("python-1"), wanted("python-2"))
    await until(lambda: len(gateway.failures) == 2, "the gateway is told")
    assert {failure["reason"] for failure in gateway.failures.values()} == {"ImagePullFailed"}
    assert "imagePullSecrets" in gateway.failures["python-1"]["message"]
    await until(lambda: _no_pods(here), "the pods are deleted")

    async def told() -> bool:
        pool, function = await here.pool_conditions(), await here.conditions()
        return (
            pool["Ready"] == ("False", "ImagePullFailed")
            and function["EnvironmentsReady"] == ("False", "ImagePullFailed")
            and function["Ready"] == ("False", "ImagePullFailed")
        )

    await until(told, "pool and function say why")
    await until(lambda: _told(here, here.system, POOL, "ImagePullFailed"), "an Event says so")

    # while the pool is left alone, who wants one is told at once; with another image it is tried again
    gateway.put(wanted("python-3"))
    await until(lambda: "python-3" in gateway.failures, "the third is told as well")
    await here.put_pool()
    await until(lambda: _is(here.pool_conditions(), "Ready", ("True", "Available")), "the pool is tried again")
    gateway.put(wanted("python-4"))
    await until(lambda: _phase(here, "python-4", "Running"), "the pod runs")


async def test_who_wants_more_than_the_quota_waits_for_it(here: World) -> None:
    gateway = await here.start_gateway()
    await here.put_pool()
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    await here.api.create(QUOTAS, here.namespace, quota)
    here.start_operator()
    gateway.put(wanted("python-1"))
    await until(lambda: _is(here.pool_conditions(), "Ready", ("False", "QuotaExceeded")), "the pool says so")
    await here.api.delete(QUOTAS, here.namespace, "none")
    await until(lambda: _phase(here, "python-1", "Running"), "the pod runs")
    assert gateway.failures == {}


async def test_a_function_with_pods_of_its_own(here: World) -> None:
    gateway = await here.start_gateway()
    await here.put_pool()
    pod_settings = {"envFrom": [{"secretRef": {"name": "passwords"}}]}
    made = await here.put_function(memorySize=256, ephemeralStorage={"size": 1024}, pod=pod_settings)
    here.start_operator()
    gateway.put(wanted("hello-1", "function/hello/1"))
    await until(lambda: "hello-1" in gateway.failures, "the Secret is missed")
    assert gateway.failures["hello-1"]["reason"] == "ConfigMissing"
    await until(lambda: _is(here.conditions(), "Ready", ("False", "ConfigMissing")), "the function says so")
    await until(lambda: _told(here, here.namespace, "hello", "ConfigMissing"), "an Event says so")
    assert (await here.pool_conditions())["Ready"] == ("True", "Available")

    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "passwords"}, "stringData": {"A": "b"}}
    await here.api.create(Resource("", "v1", "secrets"), here.namespace, secret)

    async def runs() -> bool:
        gateway.put(wanted("hello-2", "function/hello/1"))  # as somebody calls again
        return await _phase(here, "hello-2", "Running")

    await until(runs, "the pod runs")
    pod = await here.pod("hello-2")
    assert pod["metadata"]["labels"]["lambent.dev/pool"] == "function.hello.1"
    assert pod["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    assert pod["spec"]["containers"][0]["resources"]["limits"] == {"memory": "288Mi"}
    assert {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}} in pod["spec"]["volumes"]
    gateway.put(AgentEntry("hello-2", "function/hello/1", "claimed", "hello", made["metadata"]["uid"], "1", 256))
    await until(lambda: _is(here.conditions(), "Ready", ("True", "Active")), "the function is ready again")


async def test_a_published_version_has_the_pods_that_it_was_published_with(here: World) -> None:
    gateway = await here.start_gateway()
    await here.put_pool()
    made = await here.put_function(memorySize=512, pod={"envFrom": [{"configMapRef": {"name": "b"}}]})
    published = {"memorySize": 256, "ephemeralStorage": {"size": 1024}}
    await here.put_version(pod={"envFrom": [{"configMapRef": {"name": "a"}}]}, **published)
    here.start_operator()
    gateway.put(wanted("hello-1", "function/hello/v1"), wanted("hello-2", "function/hello/1"))
    old = await until(lambda: here.pod("hello-1"), "the version's pod is there")
    new = await until(lambda: here.pod("hello-2"), "the function's pod is there")
    sources = [pod["spec"]["containers"][0]["envFrom"] for pod in (old, new)]
    assert sources == [[{"configMapRef": {"name": "a"}}], [{"configMapRef": {"name": "b"}}]]
    sizes = [pod["spec"]["containers"][0]["resources"]["limits"]["memory"] for pod in (old, new)]
    assert sizes == ["288Mi", "544Mi"]
    assert {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}} in old["spec"]["volumes"]
    assert [pod["metadata"]["ownerReferences"][0]["uid"] for pod in (old, new)] == [made["metadata"]["uid"]] * 2


async def test_killed_at_any_moment_it_makes_no_second_set_of_pods(here: World) -> None:
    gateway = await here.start_gateway()
    await here.put_pool()
    names = [f"python-{number}" for number in range(6)]
    first = here.start_operator()
    await until(lambda: gateway.readers == 1, "it reads the census")
    gateway.put(*(wanted(name) for name in names))
    await until(lambda: here.pods(), "the first pods are there")
    first.kill()
    first.wait()
    before = {name: pod["metadata"]["uid"] for name, pod in (await here.pods()).items()}
    here.start_operator()  # the same pod's name: the Lease is its own

    async def all_there() -> bool:
        return set(await here.pods()) == set(names)

    await until(all_there, "all pods are there")
    after = {name: pod["metadata"]["uid"] for name, pod in (await here.pods()).items()}
    assert before.items() <= after.items()


async def test_of_two_operators_one_acts_and_the_other_takes_over(here: World) -> None:
    gateway = await here.start_gateway()
    await here.put_pool()
    first = here.start_operator("operator-a")
    await until(lambda: '"acting"' in here.log("operator-a"), "the first acts")
    second = here.start_operator("operator-b")
    await until(lambda: gateway.readers == 2, "both read the census")
    gateway.put(wanted("python-1"))
    await until(lambda: here.pod("python-1"), "one made the pod")
    assert '"acting"' not in here.log("operator-b")

    first.send_signal(signal.SIGTERM)  # gives the Lease back
    assert first.wait(timeout=30) == 0
    await until(lambda: '"acting"' in here.log("operator-b"), "the second acts", seconds=10)
    gateway.put(wanted("python-2"))
    await until(lambda: here.pod("python-2"), "the second made the pod")

    here.start_operator("operator-a")
    second.kill()  # doesn't give it back
    second.wait()
    gateway.put(wanted("python-3"))
    await until(lambda: here.pod("python-3"), "the first took over")
    lease = await here.api.get(LEASES, here.system, "lambent-operator")
    assert lease["spec"]["holderIdentity"] == "operator-a"


async def test_while_the_api_server_is_away_nothing_is_lost(here: World) -> None:
    gateway = await here.start_gateway()
    await here.put_pool()
    made = await here.put_function()
    way, through = await here.way()
    operator = here.start_operator(kubeconfig=through)
    gateway.put(wanted("python-1"))
    await until(lambda: here.pod("python-1"), "the pod is there")
    gateway.put(claimed("python-1", made["metadata"]["uid"]))
    await way.cut()
    gateway.put(wanted("python-2"))
    await until(lambda: "lease not renewed" in here.log() and "not done" in here.log(), "it notices")
    await here.api.delete(PODS, here.namespace, "python-1")  # goes unseen
    assert gateway.readers == 1
    await until(lambda: _gone(here, PODS, "python-1"), "the pod is gone")
    await way.open()
    await until(lambda: here.pod("python-2"), "it goes on")
    gateway.put(wanted("python-3"))
    await until(lambda: here.pod("python-3"), "it goes on")
    assert operator.poll() is None


async def test_a_gateway_that_is_replaced_finds_its_pods(here: World) -> None:
    first = await here.start_gateway("gateway-0", "127.0.0.1")
    await here.put_pool()
    here.start_operator()
    first.put(wanted("python-1"))
    await until(lambda: here.pod("python-1"), "the pod is there")
    first.put(AgentEntry("python-1", POOL, "free"))
    await here.api.delete(PODS, here.system, "gateway-0")
    await first.stop()
    second = await here.start_gateway("gateway-1", "127.0.0.2")
    await until(lambda: second.readers == 1, "it reads the other's census")
    second.put(AgentEntry("python-1", POOL, "free"), wanted("python-2"))
    pod = await until(lambda: here.pod("python-2"), "the pod is there")
    addresses = {one["name"]: one.get("value") for one in pod["spec"]["containers"][0]["env"]}
    assert addresses["LAMBENT_GATEWAY"] == "tcp:127.0.0.2:9001"
    assert "deletionTimestamp" not in (await here.pod("python-1"))["metadata"]


async def _phase(here: World, pod: str, phase: str) -> bool:
    status = (await here.pod(pod))["status"]
    return bool(status["phase"] == phase)


async def _told(here: World, namespace: str, about: str, *reasons: str) -> bool:
    return set(reasons) <= await here.events(namespace, about)


async def _no_pods(here: World) -> bool:
    return not await here.pods()


async def _gone(here: World, resource: Resource, name: str) -> bool:
    try:
        await here.api.get(resource, here.namespace, name)
    except NotFound:
        return True
    return False


async def _is(conditions: Coroutine[Any, Any, dict[str, tuple[str, str]]], type: str, says: tuple[str, str]) -> bool:
    return (await conditions).get(type) == says
