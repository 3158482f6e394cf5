"""
Half an hour of a cluster's life around the operator, one seed per run. A failing seed replays exactly: `-k seed17`.

Goal: K2 and K3 hold whoever is restarted, away or behind, and once the world is quiet, everything is as it shall be.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
import structlog

from lambent_core.census import AgentEntry, Rollout, Snapshot
from lambent_core.function import EnvironmentCounts
from lambent_kube.client import KubernetesError, Object
from lambent_kube.resources import EVENTS, FUNCTION_VERSIONS, FUNCTIONS, PODS, RUNTIME_POOLS, Resource
from lambent_operator.changes import CreatePod
from lambent_operator.cluster import Cluster, NotLeading
from lambent_operator.leader import ACT_SECONDS
from lambent_operator.plans.function import SETTLED_SECONDS
from lambent_operator.resources import GatewayPod
from tests.simulation import virtual_time
from tests.simulation.operator_world import NAMESPACE, POOL, World, function, function_version, runtime_pool

SECONDS = 1_800.0
QUIET_SECONDS = 400.0
"""Longer than every patience of operator and agents, one after the other."""


@pytest.mark.parametrize("seed", [pytest.param(seed, id=f"seed{seed}") for seed in range(8)])
def test_half_an_hour(seed: int) -> None:
    with structlog.testing.capture_logs():  # thousands of lines, about what is done to the operator on purpose
        virtual_time.run(_half_hour(seed))


async def _half_hour(seed: int) -> None:
    world = World(seed)
    world.api.make(RUNTIME_POOLS, runtime_pool())
    world.start_gateway()
    world.start_operator()
    loop, chance = asyncio.get_running_loop(), world.chance
    functions = 0
    while loop.time() < SECONDS:
        await asyncio.sleep(chance.expovariate(1 / 8))
        _no_task_failed(world)
        names = sorted(world.api.names(FUNCTIONS))
        match chance.choices(range(10), weights=[20, 20, 10, 6, 3, 3, 2, 2, 1, 1])[0]:
            case 0 if world.gateway_up:
                world.want(chance.randint(1, 4))
            case 1 if world.gateway_up and names:
                world.claim(chance.choice(names))
            case 2 if world.gateway_up and world.claims:
                world.release(chance.choice(sorted(world.claims)))
            case 3 if len(names) < 6:
                functions += 1
                world.api.make(FUNCTIONS, function(f"function-{functions}"))
            case 4 if names:
                world.api.delete_function(chance.choice(names))
            case 5:
                await world.kill_operator()
                await asyncio.sleep(chance.choice([0.0, 1.0, 150.0]))
                world.start_operator()
            case 6:
                world.stop_gateway()
                await asyncio.sleep(chance.choice([1.0, 20.0, 100.0, 200.0]))
                world.start_gateway()
            case 7:
                await _cut_off(world, chance.choice([1.0, 60.0, 200.0]))
            case 8:
                world.image_there = not world.image_there
            case 9 if world.api.names(PODS):
                world.delete_by_hand(chance.choice(sorted(world.api.names(PODS))))
    await _quiet(world)
    _check(world)
    await _end(world)


async def _quiet(world: World) -> None:
    """Everybody is there, and the gateway goes on asking for what it was told can't be had."""
    world.image_there, world.api.lossy = True, False
    deadline = asyncio.get_running_loop().time() + QUIET_SECONDS
    for name in world.api.names(FUNCTIONS):
        thing = world.api.objects[FUNCTIONS, name]
        if "deletionTimestamp" in thing["metadata"]:  # as the gateway does when it sees that
            for id in [id for id, claimant in world.claims.items() if claimant == name]:
                world.release(id)
    while asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(5.0)
        _no_task_failed(world)
    for id, claimant in list(world.claims.items()):
        if claimant not in world.api.names(FUNCTIONS):
            world.release(id)
    world.want(1)  # the last trouble ends when an agent connects
    await asyncio.sleep(200.0)


def _check(world: World) -> None:
    states = {id: entry.state for id, entry in world.gateway.agents.items()}
    assert "wanted" not in states.values(), "somebody still waits"
    assert world.api.names(PODS) == set(states), "a pod without its agent, or an agent without its pod"
    assert not [pod for pod in world.api.of(PODS) if pod["status"]["phase"] != "Running"]
    twice = {name for name, count in world.api.created.items() if count > 1}
    assert twice <= world.lost, "K2: made twice"
    for thing in world.api.of(FUNCTIONS):
        _check_function(world, thing)
    (pool,) = world.api.of(RUNTIME_POOLS)
    free = list(states.values()).count("free")
    assert (pool["status"]["ready"], pool["status"]["starting"]) == (free, 0)
    assert [(one["type"], one["status"]) for one in pool["status"]["conditions"]] == [("Ready", "True")]


def _check_function(world: World, thing: dict[str, Any]) -> None:
    name, metadata, status = thing["metadata"]["name"], thing["metadata"], thing["status"]
    assert "deletionTimestamp" not in metadata, "a deleted function that isn't let go"
    assert metadata["finalizers"] == ["lambent.dev/drain"]
    claimed = {id for id, entry in world.gateway.agents.items() if entry.function == name}
    assert status["environments"]["ready"] == status["replicas"] == len(claimed)
    assert {one["type"]: one["status"] for one in status["conditions"]} == {
        "Ready": "True",
        "CodeReady": "True",
        "EnvironmentsReady": "True",
        "RolledOut": "True",
    }
    assert status["environments"]["updated"] == len(claimed)
    for id in claimed:
        pod = world.api.objects[PODS, id]
        assert pod["metadata"]["labels"]["lambent.dev/function"] == name
        assert pod["metadata"]["ownerReferences"][0]["uid"] == metadata["uid"]
        assert pod["spec"]["containers"][0]["resources"]["limits"]["memory"] == "288Mi"


def _no_task_failed(world: World) -> None:
    assert world.broken == []
    assert world.operator is not None
    if world.operator.done() and not world.operator.cancelled():
        world.operator.result()


def test_a_pool_that_fails_is_left_alone_and_tried_again() -> None:
    virtual_time.run(_failing_pool())


async def _failing_pool() -> None:
    world = await _calm_world()
    world.image_there = False
    world.want(3)
    await asyncio.sleep(20.0)
    assert world.failed == {"agent-1", "agent-2", "agent-3"}
    assert world.api.names(PODS) == set()
    assert _pool_ready(world) == "False"
    for _ in range(30):  # somebody calls every ten seconds, for five minutes
        world.want(1)
        await asyncio.sleep(10.0)
    assert len(world.failed) == 33, "everybody is told"
    tried = world.api.created.total() - 3
    assert 4 <= tried <= 15, "T2: tried again, but less and less often"
    world.image_there = True
    await asyncio.sleep(60.0)
    world.want(1)
    await asyncio.sleep(10.0)
    assert {entry.state for entry in world.gateway.agents.values()} == {"free"}
    assert _pool_ready(world) == "True"
    await _end(world)


def test_what_fails_for_a_gateway_that_ends_is_told_to_it_and_no_fault_of_the_pool() -> None:
    virtual_time.run(_ending_gateway())


async def _ending_gateway() -> None:
    world = await _calm_world()
    world.image_there = False
    world.end_gateway()
    world.want(1)
    await asyncio.sleep(20.0)
    assert world.failed == {"agent-1"}
    assert world.api.names(PODS) == set()
    assert _pool_ready(world) == "True"
    world.stop_gateway()
    world.start_gateway()
    world.image_there = True
    world.want(1)
    await asyncio.sleep(10.0)
    assert {entry.state for entry in world.gateway.agents.values()} == {"free"}
    await _end(world)


def test_who_changes_a_function_whose_own_pods_fail_is_told_that_nothing_is_known_against_it() -> None:
    """Whoever waits for Ready after putting it right need not invoke it first."""
    virtual_time.run(_put_right())


async def _put_right() -> None:
    world = await _failing_function()
    world.api.change(FUNCTIONS, "hello", lambda thing: thing["status"].update(stateReason="the same spec"))
    await asyncio.sleep(5.0)
    assert _environments_ready(world) == ("False", "ImagePullFailed")
    world.api.change(FUNCTIONS, "hello", _respecify)
    await asyncio.sleep(5.0)
    assert _environments_ready(world) == ("True", "Available")
    await _end(world)


def test_a_function_that_is_made_anew_has_no_trouble_of_its_namesake() -> None:
    virtual_time.run(_made_anew())


async def _made_anew() -> None:
    world = await _failing_function()
    world.api.delete_function("hello")
    await asyncio.sleep(20.0)
    assert world.api.names(FUNCTIONS) == set()
    world.image_there = True
    world.api.make(FUNCTIONS, function("hello"))
    world.gateway.put(AgentEntry("own-3", "function/hello/1", "wanted"))
    await asyncio.sleep(1.5)
    assert _environments_ready(world) == ("True", "Available")
    assert "own-3" in world.api.names(PODS), "it is tried at once"
    await _end(world)


def test_a_published_version_has_the_pods_that_it_was_published_with() -> None:
    virtual_time.run(_published())


async def _published() -> None:
    world = await _calm_world()
    world.api.make(FUNCTIONS, function("hello"))
    world.gateway.put(AgentEntry("own-1", "function/hello/v1", "wanted"))
    await asyncio.sleep(2.0)
    assert world.api.names(PODS) == set(), "the operator waits a little for a version that it can't find"
    world.api.make(FUNCTION_VERSIONS, function_version("hello", 1, pod={"serviceAccountName": "mailer"}))
    world.gateway.put(AgentEntry("own-2", "function/hello/1", "wanted"))
    world.gateway.put(AgentEntry("own-3", "function/hello/0", "wanted"))  # of any version, told by an older release
    await asyncio.sleep(5.0)
    accounts = {pod["metadata"]["name"]: pod["spec"]["serviceAccountName"] for pod in world.api.of(PODS)}
    assert accounts == {"own-1": "mailer", "own-2": "lambent-function", "own-3": "lambent-function"}
    pod, (thing,) = world.api.objects[PODS, "own-1"], world.api.of(FUNCTIONS)
    assert pod["metadata"]["labels"]["lambent.dev/function"] == "hello"
    assert pod["metadata"]["ownerReferences"][0]["uid"] == thing["metadata"]["uid"], "it goes with its function"
    world.api.remove(FUNCTION_VERSIONS, "hello.1")
    world.gateway.put(AgentEntry("own-4", "function/hello/v1", "wanted"))
    await asyncio.sleep(10.0)
    assert world.failed == {"own-4"}
    await _end(world)


def _call_version(world: World, number: int) -> None:
    """A version of `hello`, made and called."""
    world.api.make(FUNCTION_VERSIONS, function_version("hello", number))
    world.gateway.put(AgentEntry(f"own-{number}", f"function/hello/v{number}", "wanted"))


def test_the_trouble_of_a_version_is_shown_until_nobody_asks_for_it_any_more() -> None:
    virtual_time.run(_broken_version())


async def _broken_version() -> None:
    world = await _calm_world()
    world.image_there = False
    world.api.make(FUNCTIONS, function("hello"))
    for number in (1, 2):
        _call_version(world, number)
        await asyncio.sleep(20.0)
    assert _message(world).startswith("Version 2: not found")
    world.gateway.put(AgentEntry("own-3", "function/hello/v1", "wanted"))
    await asyncio.sleep(20.0)
    assert _message(world).startswith("Version 2: not found"), "not whichever was tried last"
    world.gateway.put(AgentEntry("own-4", "function/hello/1", "wanted"))
    await asyncio.sleep(20.0)
    assert _message(world).startswith("not found"), "$LATEST is what can be put right"
    world.image_there = True
    world.gateway.put(AgentEntry("own-5", "function/hello/1", "wanted"))
    await asyncio.sleep(10.0)
    assert _message(world).startswith("Version 2: not found"), "that $LATEST has pods says nothing of a version"
    world.gateway.put(AgentEntry("own-6", "function/hello/v2", "wanted"))
    await asyncio.sleep(10.0)
    assert _message(world).startswith("Version 1: not found")
    await asyncio.sleep(530.0)
    assert _environments_ready(world) == ("False", "ImagePullFailed")
    await asyncio.sleep(60.0)
    assert _environments_ready(world) == ("True", "Available")
    world.image_there = False
    world.gateway.put(AgentEntry("own-7", "function/hello/v1", "wanted"))
    await asyncio.sleep(20.0)
    assert _message(world).startswith("Version 1: not found"), "the same as before, and told anew"
    await _end(world)


def test_the_trouble_of_a_version_is_no_trouble_of_its_function_and_goes_with_the_version() -> None:
    virtual_time.run(_deleted_version())


async def _deleted_version() -> None:
    world = await _calm_world()
    world.image_there = False
    world.api.make(FUNCTIONS, function("hello"))
    for number in (1, 2):
        _call_version(world, number)
    await asyncio.sleep(20.0)
    assert _message(world).startswith("Version 2: not found")
    assert [_condition(world, type)["status"] for type in ("Ready", "RolledOut")] == ["True", "True"]
    world.api.remove(FUNCTION_VERSIONS, "hello.2")
    await asyncio.sleep(8.0)
    assert _message(world).startswith("Version 1: not found")
    world.want(1)
    await asyncio.sleep(20.0)
    assert _message(world).startswith("not found"), "of the RuntimePool: it keeps the function itself from environments"
    assert _condition(world, "Ready")["status"] == "False"
    world.image_there = True
    await asyncio.sleep(10.0)
    world.want(1)
    await asyncio.sleep(10.0)
    assert _message(world).startswith("Version 1: not found")
    world.api.remove(FUNCTION_VERSIONS, "hello.1")
    await asyncio.sleep(8.0)
    assert _environments_ready(world) == ("True", "Available")
    await _end(world)


def test_an_error_of_the_code_before_is_none_of_the_code_that_was_applied() -> None:
    virtual_time.run(_put_right_before_any_call())


async def _put_right_before_any_call() -> None:
    world = await _claimed()
    fails = world.gateway.agents["agent-1"]
    world.gateway.put(msgspec.structs.replace(fails, init_error="Runtime.ImportModuleError"))
    await asyncio.sleep(SETTLED_SECONDS)
    assert _condition(world, "Initialized")["reason"] == "InitFailed"
    world.api.change(FUNCTIONS, "hello", lambda thing: thing["metadata"].update(generation=2))
    await asyncio.sleep(2.0)
    settled = {"observedGeneration": 2, "codeRevision": 2}
    world.api.change(FUNCTIONS, "hello", lambda thing: thing["status"].update(settled))
    await asyncio.sleep(2.0)
    assert _condition(world, "Initialized")["status"] == "Unknown"
    world.release("agent-1")
    await asyncio.sleep(2.0)
    assert [_condition(world, type)["status"] for type in ("Initialized", "RolledOut")] == ["Unknown", "True"]
    await _end(world)


def test_a_function_whose_environment_is_evicted_is_told_once() -> None:
    virtual_time.run(_evicted())


async def _evicted() -> None:
    world = await _claimed()
    why = {"reason": "Evicted", "message": 'Usage of EmptyDir volume "tmp" exceeds the limit "520Mi". '}
    world.gateway.remove("agent-1")
    world.api.change(PODS, "agent-1", lambda pod: pod["status"].update(why, phase="Failed"))
    await asyncio.sleep(10.0)
    assert world.api.names(PODS) == set()
    (event,) = (one for one in world.api.of(EVENTS) if one["type"] == "Warning")
    assert (event["reason"], event["regarding"]["name"]) == ("EnvironmentEvicted", "hello")
    assert "520Mi" in event["note"]
    await _end(world)


def test_a_function_that_is_being_deleted_is_not_ready_while_an_environment_runs() -> None:
    virtual_time.run(_draining())


async def _draining() -> None:
    world = await _claimed()
    world.api.delete_function("hello")
    await asyncio.sleep(5.0)
    ready = _condition(world, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "Deleting") and ready["message"].endswith("1 left.")
    assert _condition(world, "CodeReady")["status"] == "True"
    world.release("agent-1")
    await asyncio.sleep(10.0)
    assert (world.api.names(PODS), world.api.names(FUNCTIONS)) == (set(), set())
    await _end(world)


async def _failing_function() -> World:
    """Its own pods can't be had, and it is left alone for a while."""
    world = await _calm_world()
    world.image_there = False
    world.api.make(FUNCTIONS, function("hello"))
    for number in range(3):
        world.gateway.put(AgentEntry(f"own-{number}", "function/hello/1", "wanted"))
        await asyncio.sleep(20.0)
    assert world.failed == {"own-0", "own-1", "own-2"}
    assert _environments_ready(world) == ("False", "ImagePullFailed")
    return world


def test_an_update_is_told_from_the_first_environment_to_the_last_with_no_more_writes_than_counts() -> None:
    virtual_time.run(_rolling_update())


async def _rolling_update() -> None:
    world = await _calm_world()
    made = function("hello")
    made["spec"]["replicas"] = 2
    uid = world.api.make(FUNCTIONS, made)["metadata"]["uid"]

    async def tell(revision: int, *, updated: int, old: int = 0, starting: int = 0) -> None:
        counts = EnvironmentCounts(ready=updated + old, starting=starting)
        world.gateway.count({"hello": counts}, {"hello": Rollout(f"{uid}/{revision}", updated, old)})
        await asyncio.sleep(2.0)

    await tell(1, updated=2)
    await asyncio.sleep(SETTLED_SECONDS)  # since the gateway began to tell
    world.api.statuses.clear()
    world.api.change(FUNCTIONS, "hello", lambda thing: thing["metadata"].update(generation=2))
    await asyncio.sleep(0.5)
    settled = {"observedGeneration": 2, "codeRevision": 2}
    world.api.change(FUNCTIONS, "hello", lambda thing: thing["status"].update(settled))
    await tell(2, updated=0, old=1, starting=2)
    await tell(2, updated=1, old=1, starting=1)
    await tell(2, updated=2)
    told = [
        next(one for one in status["conditions"] if one["type"] == "RolledOut") | {"lastTransitionTime": ""}
        for status in world.api.statuses
    ]
    about = {"type": "RolledOut", "lastTransitionTime": "", "observedGeneration": 2}
    updating = about | {"status": "False", "reason": "Updating"}
    taking_up = "The gateway has not taken up generation 2 yet. If it stays so, look at the gateway's log."
    assert told == [
        updating | {"message": taking_up},
        updating | {"message": "0 of 2 environments run the current code."},
        updating | {"message": "1 of 2 environments run the current code."},
        about | {"status": "True", "reason": "Complete", "message": "All environments run the current code."},
    ]
    assert [status["environments"] for status in world.api.statuses] == [
        {"ready": 2, "busy": 0, "starting": 0, "updated": 2},
        {"ready": 1, "busy": 0, "starting": 2, "updated": 0},
        {"ready": 2, "busy": 0, "starting": 1, "updated": 1},
        {"ready": 2, "busy": 0, "starting": 0, "updated": 2},
    ]
    await _end(world)


def _respecify(thing: Object) -> None:
    thing["metadata"]["generation"] += 1
    thing["status"]["observedGeneration"] += 1


def test_a_pod_that_was_claimed_before_its_function_was_seen_is_its_own_once_it_is() -> None:
    virtual_time.run(_claimed_early())


async def _claimed_early() -> None:
    world = await _calm_world()
    world.want(1)
    await asyncio.sleep(15.0)
    world.api.silent = True
    made = world.api.make(FUNCTIONS, function("hello"))
    world.claim("hello")
    await asyncio.sleep(0.5)
    world.api.silent = False
    world.api.change(FUNCTIONS, "hello", lambda thing: None)  # the watch has caught up
    await asyncio.sleep(60.0)
    pod = world.api.objects[PODS, "agent-1"]
    assert pod["metadata"]["labels"]["lambent.dev/function"] == "hello"
    assert pod["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    assert pod["spec"]["containers"][0]["resources"]["limits"]["memory"] == "288Mi"
    await _end(world)


def test_own_pods_are_made_of_the_function_as_it_is_by_the_api_servers_word() -> None:
    virtual_time.run(_behind())


async def _behind() -> None:
    world = await _calm_world()
    made = function("hello")
    made["spec"]["pod"] = {"serviceAccountName": "admin"}
    world.api.make(FUNCTIONS, made)
    await asyncio.sleep(5.0)
    world.api.silent = True
    other = function("other")
    other["spec"]["pod"] = {"serviceAccountName": "other"}
    world.api.make(FUNCTIONS, other)
    world.api.change(FUNCTIONS, "hello", _less_rights)
    for agent, pool in (("own-1", "function/hello/2"), ("own-2", "function/other/1"), ("own-3", "function/nobody/1")):
        world.gateway.put(AgentEntry(agent, pool, "wanted"))
    await asyncio.sleep(4.0)
    assert world.api.names(PODS) == set(), "the watch may tell in a moment"
    await asyncio.sleep(3.0)
    accounts = {pod["metadata"]["name"]: pod["spec"]["serviceAccountName"] for pod in world.api.of(PODS)}
    assert accounts == {"own-1": "reader", "own-2": "other"}
    assert world.failed == {"own-3"}
    await _end(world)


def _less_rights(thing: Object) -> None:
    thing["spec"]["pod"] = {"serviceAccountName": "reader"}
    _respecify(thing)
    thing["status"]["codeRevision"] = 2


def test_a_function_is_let_go_whatever_a_gateway_said_of_it_that_is_gone() -> None:
    virtual_time.run(_last_words())


async def _last_words() -> None:
    """The node of a second gateway is without power: Kubernetes keeps the pod object for ever."""
    world = await _calm_world()
    uid = world.api.make(FUNCTIONS, function("hello"))["metadata"]["uid"]
    world.want(1)
    await asyncio.sleep(15.0)
    claim = AgentEntry("agent-1", POOL, "claimed", "hello", uid, f"{uid}/1", 256)
    census, now = world.engine.census, asyncio.get_running_loop().time
    gone = GatewayPod("gateway-1", "gateway-1-uid", 1, "10.0.0.2", ready=False)
    census.put_gateway(gone, now=now())
    census.connected(gone.name, Snapshot(gone.name, [claim], {"hello": EnvironmentCounts(ready=1)}), now=now())
    await asyncio.sleep(5.0)
    census.disconnected(gone.name, now=now())
    world.claim("hello")  # the agent has found the other
    await asyncio.sleep(20.0)
    (thing,) = world.api.of(FUNCTIONS)
    assert thing["status"]["environments"] == {"ready": 1, "busy": 0, "starting": 0, "updated": 1}
    world.api.delete_function("hello")
    await asyncio.sleep(5.0)
    assert world.api.names(FUNCTIONS) == {"hello"}, "an environment runs"
    world.release("agent-1")
    await asyncio.sleep(10.0)
    assert (world.api.names(PODS), world.api.names(FUNCTIONS)) == (set(), set())
    await _end(world)


def test_a_pod_that_is_seen_late_has_its_time() -> None:
    virtual_time.run(_late_pod())


async def _late_pod() -> None:
    """Another operator made it, for a gateway that changed its mind."""
    world = await _calm_world()
    await asyncio.sleep(300.0)
    world.api.on_pod = lambda pod: None  # its agent never connects
    metadata = {"name": "late", "annotations": {"lambent.dev/pool": POOL}}
    world.api.make(PODS, {"metadata": metadata, "spec": {"containers": [{}]}})
    await asyncio.sleep(85.0)
    assert "deletionTimestamp" not in world.api.objects[PODS, "late"]["metadata"]
    await asyncio.sleep(10.0)
    assert "deletionTimestamp" in world.api.objects[PODS, "late"]["metadata"]
    await _end(world)


@pytest.mark.parametrize("starts", [True, False])
def test_a_pod_is_given_up_by_the_api_servers_word_and_not_by_what_watches_brought(starts: bool) -> None:
    virtual_time.run(_old_watch(starts))


async def _old_watch(starts: bool) -> None:
    world = await _calm_world()
    world.api.on_pod = lambda pod: None  # its agent waits: the gateway can't be told who it is
    world.want(1)
    await asyncio.sleep(5.0)
    world.api.silent = True
    if starts:
        world.api.change(PODS, "agent-1", lambda pod: pod["status"].update(phase="Running"))
    await asyncio.sleep(130.0)
    assert ("deletionTimestamp" in world.api.objects[PODS, "agent-1"]["metadata"]) is not starts
    assert world.failed == (set() if starts else {"agent-1"})
    await _end(world)


def test_a_webhook_that_does_not_answer_is_told_of() -> None:
    virtual_time.run(_failing_webhook())


async def _failing_webhook() -> None:
    world = await _calm_world()
    world.api.make(FUNCTIONS, function("hello"))
    why = 'Internal error occurred: failed calling webhook "policy.example": connection refused'
    world.api.refuses_pods = KubernetesError(500, "InternalError", why)
    world.want(1)
    await asyncio.sleep(8.0)
    assert world.failed == set(), "it may be restarted just now"
    await asyncio.sleep(22.0)
    assert world.failed == {"agent-1"}
    assert _environments_ready(world) == ("False", "WebhookFailed")
    assert _message(world).startswith(why)
    world.api.refuses_pods = KubernetesError(500, "InternalError", "etcdserver: request timed out")
    await asyncio.sleep(60.0)
    world.want(1)
    await asyncio.sleep(60.0)
    assert world.failed == {"agent-1"}
    world.api.refuses_pods = None
    await asyncio.sleep(20.0)
    assert world.gateway.agents["agent-2"].state == "free"
    assert _environments_ready(world) == ("True", "Available")
    await _end(world)


def test_who_waits_for_a_pod_that_was_deleted_and_does_not_go_is_told() -> None:
    virtual_time.run(_lost_node())


async def _lost_node() -> None:
    world = await _calm_world()
    world.api.on_pod = lambda pod: None
    world.want(1)
    await asyncio.sleep(30.0)
    world.delete_by_hand("agent-1")
    await asyncio.sleep(9.0)
    assert world.failed == set(), "it may go, and is made anew then"
    await asyncio.sleep(6.0)
    assert world.failed == {"agent-1"}
    world.want(1)
    await asyncio.sleep(1.0)
    assert (world.api.created["agent-1"], world.api.created["agent-2"]) == (1, 1)
    world.api.remove(PODS, "agent-1")  # the node comes back, an hour later
    await asyncio.sleep(5.0)
    assert world.api.names(PODS) == {"agent-2"}
    await _end(world)


def test_a_pod_of_a_version_that_went_unseen_is_made_again() -> None:
    virtual_time.run(_gone_unseen())


async def _gone_unseen() -> None:
    world = await _calm_world()
    world.api.on_pod = lambda pod: None
    world.api.make(FUNCTIONS, function("hello"))
    world.api.make(FUNCTION_VERSIONS, function_version("hello", 1))
    world.gateway.put(AgentEntry("own-1", "function/hello/v1", "wanted"))
    await asyncio.sleep(5.0)
    world.api.silent = True
    world.api.remove(PODS, "own-1")
    await asyncio.sleep(130.0)
    assert (world.api.created["own-1"], world.failed) == (2, set())
    await _end(world)


def test_a_pod_whose_agent_is_let_in_before_the_gateway_hears_that_it_cannot_be_had_stays() -> None:
    virtual_time.run(_let_in())


async def _let_in() -> None:
    world = await _calm_world()
    world.image_there = False
    world.on_report = world.connected  # the image came after all
    world.want(1)
    await asyncio.sleep(60.0)
    assert "deletionTimestamp" not in world.api.objects[PODS, "agent-1"]["metadata"]
    assert (world.gateway.agents["agent-1"].state, world.failed) == ("free", set())
    assert _pool_ready(world) == "True"
    await _end(world)


def test_a_pod_that_goes_at_once_after_the_gateway_was_told_is_not_made_again() -> None:
    """Though the gateway's census says a moment later that nobody wants it."""
    virtual_time.run(_gone_at_once())


async def _gone_at_once() -> None:
    world = await _calm_world()
    world.api.on_pod = lambda pod: None
    world.api.on_delete = lambda pod: asyncio.get_running_loop().call_soon(
        world.api.remove, PODS, pod["metadata"]["name"]
    )
    world.want(1)
    await asyncio.sleep(5.0)
    ran = {"startedAt": "2026-11-24T12:00:00Z", "finishedAt": "2026-11-24T12:01:00Z"}
    ended = [{"state": {"terminated": {"reason": "Error", "exitCode": 1} | ran}}]
    world.api.change(PODS, "agent-1", lambda pod: pod["status"].update(phase="Failed", containerStatuses=ended))
    await asyncio.sleep(10.0)
    assert (world.failed, world.api.created["agent-1"], world.api.names(PODS)) == ({"agent-1"}, 1, set())
    await _end(world)


def test_a_pod_that_another_gateway_wants_too_stays_until_that_was_told() -> None:
    virtual_time.run(_wanted_by_two())


async def _wanted_by_two() -> None:
    world = await _calm_world()
    world.image_there = False
    world.want(1)
    await asyncio.sleep(1.0)
    census, now = world.engine.census, asyncio.get_running_loop().time()
    census.put_gateway(GatewayPod("gateway-1", "g-1", 1, "10.0.0.2", ready=True), now=now)
    census.connected("gateway-1", Snapshot("gateway-1", [AgentEntry("agent-1", POOL, "wanted")], {}), now=now)
    await asyncio.sleep(30.0)
    assert world.failed == {"agent-1"}
    assert "deletionTimestamp" not in world.api.objects[PODS, "agent-1"]["metadata"]
    await _end(world)


def test_no_patience_runs_on_while_the_api_server_is_away() -> None:
    virtual_time.run(_outage())


async def _outage() -> None:
    """It comes back with what it knew before: kubelets tell it only then what has happened."""
    world = await _calm_world()
    world.api.on_pod = lambda pod: None
    world.want(1)
    await asyncio.sleep(1.0)
    await _cut_off(world)
    await asyncio.sleep(5.0)
    world.api.change(PODS, "agent-1", lambda pod: pod["status"].update(phase="Running"))
    await asyncio.sleep(60.0)
    assert "deletionTimestamp" not in world.api.objects[PODS, "agent-1"]["metadata"]
    assert world.failed == set()
    await _end(world)


def test_an_operator_that_was_cut_off_hears_of_gateways_before_it_clears_away() -> None:
    virtual_time.run(_cut_off_from_gateways())


async def _cut_off_from_gateways() -> None:
    world = await _claimed()
    world.api.delete_function("hello")
    world.engine.gateways.close()
    await _cut_off(world)
    await asyncio.sleep(5.0)
    await _end(world)


def test_an_operator_that_was_cut_off_sees_new_gateways_before_it_clears_away() -> None:
    virtual_time.run(_another_gateway())


async def _another_gateway() -> None:
    """One that it has not seen yet took the environment."""
    world = await _claimed()
    world.gateway.remove("agent-1")
    await _cut_off(world)
    await asyncio.sleep(5.0)
    assert "deletionTimestamp" not in world.api.objects[PODS, "agent-1"]["metadata"]
    await _end(world)


async def _claimed() -> World:
    """`agent-1` is an environment of `hello`."""
    world = await _calm_world()
    world.api.make(FUNCTIONS, function("hello"))
    world.want(1)
    await asyncio.sleep(20.0)
    world.claim("hello")
    await asyncio.sleep(5.0)
    assert world.gateway.agents["agent-1"].state == "claimed"
    return world


async def _cut_off(world: World, seconds: float = 140.0) -> None:
    """From the API server; the operator has its Lease again at once."""
    world.api.away = True
    await asyncio.sleep(min(seconds, ACT_SECONDS))
    world.acts = seconds < ACT_SECONDS
    await asyncio.sleep(max(0.0, seconds - ACT_SECONDS))
    world.api.away = False
    if not world.acts:
        world.elect()


def test_a_pod_that_was_made_before_is_taken_as_made() -> None:
    virtual_time.run(_made_before())


async def _made_before() -> None:
    """By an operator whose answer got lost; the watch is far behind."""
    world = World(0)
    world.api.lossy = False
    seen: list[str] = []

    class Seen:
        def put(self, resource: Resource, thing: Object) -> None:
            seen.append(thing["metadata"]["uid"])

        def remove(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
            raise AssertionError

    async def no_report(gateway: str, agent: str, trouble: object) -> bool:
        raise AssertionError

    cluster = Cluster(
        world.api, Seen(), no_report, namespace=NAMESPACE, instance="o", may_act=lambda: True, timestamp=lambda: "now"
    )
    world.api.on_pod = lambda pod: None
    create = CreatePod({"metadata": {"name": "a"}, "spec": {"containers": [{}]}})
    await cluster.perform(create)
    await cluster.perform(create)
    assert seen == [world.api.objects[PODS, "a"]["metadata"]["uid"]] * 2
    leaderless = Cluster(
        world.api, Seen(), no_report, namespace=NAMESPACE, instance="o", may_act=lambda: False, timestamp=lambda: "now"
    )
    with pytest.raises(NotLeading):  # L1
        await leaderless.perform(create)


async def _calm_world() -> World:
    world = World(0)
    world.api.lossy = False
    world.api.make(RUNTIME_POOLS, runtime_pool())
    world.start_gateway()
    world.start_operator()
    await asyncio.sleep(5.0)
    return world


async def _end(world: World) -> None:
    _no_task_failed(world)
    await world.kill_operator()
    for task in world.tasks:
        task.cancel()


def _pool_ready(world: World) -> str:
    (pool,) = world.api.of(RUNTIME_POOLS)
    status: str = pool["status"]["conditions"][0]["status"]
    return status


def _environments_ready(world: World) -> tuple[str, str]:
    found = _condition(world)
    return found["status"], found["reason"]


def _message(world: World) -> str:
    return _condition(world)["message"]


def _condition(world: World, type: str = "EnvironmentsReady") -> dict[str, str]:
    (thing,) = world.api.of(FUNCTIONS)
    return next(one for one in thing["status"]["conditions"] if one["type"] == type)
