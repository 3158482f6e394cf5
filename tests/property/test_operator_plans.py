"""K2 and K3 over all that an operator can know of an agent; F1, F3 and F4 over all that it can know of a function."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from lambent_core.census import AgentEntry, Rollout
from lambent_core.function import EnvironmentCounts
from lambent_operator.census import Agent
from lambent_operator.changes import (
    AdoptPod,
    CreatePod,
    DeletePod,
    ReportFailure,
    ResizePod,
    SetFinalizers,
    WriteStatus,
)
from lambent_operator.manifests.pod import AgentSource, Link, amounts_for
from lambent_operator.plans.agent import MISSING_SECONDS_MAX, AgentView, plan_agent
from lambent_operator.plans.function import AWAY_SECONDS_MAX, VERSION_LOOK_SECONDS, FunctionView, plan_function
from lambent_operator.resources import Function, GatewayPod, Pod, RuntimePool
from lambent_operator.troubles import KINDS, PoolTrouble, Trouble
from tests.unit.operator.things import POOL, WAITING, function

NOW = 10_000.0
plan_of = partial(
    plan_agent, namespace="default", link=Link(9001, "link:9001"), source=AgentSource("lambent"), pod_labels={}, now=NOW
)
SPANS = st.floats(0, 300)
TROUBLES = st.builds(Trouble, st.sampled_from(sorted(KINDS)), st.just("why"))
AMOUNTS = st.sampled_from([WAITING, amounts_for(128), amounts_for(512)])
PODS = st.builds(
    Pod,
    name=st.just("a"),
    uid=st.sampled_from(["p-1", "p-2"]),
    version=st.integers(1, 100),
    pool=st.just("python3.11"),
    phase=st.sampled_from(["Pending", "Running", "Succeeded", "Failed"]),
    deleting=st.booleans(),
    function=st.none() | st.just("hello"),
    revision=st.none() | st.just("4"),
    owner_uid=st.none() | st.sampled_from(["f-1", "f-2"]),
    amounts=AMOUNTS,
    trouble=st.none() | TROUBLES,
    resize_pending=st.sampled_from(["", "Deferred: later"]),
)
ENTRIES = st.builds(
    AgentEntry,
    st.just("a"),
    st.sampled_from(
        ["python3.11", "function/hello/4", "function/hello/4/registry.example.com/fn:1", "function/hello/v1"]
    ),
    st.sampled_from(["wanted", "free", "claimed"]),
    st.none() | st.just("hello"),
    st.none() | st.sampled_from(["f-1", "f-2"]),
    st.just("4"),
    st.none() | st.sampled_from([128, 512]),
)
AGENTS = st.builds(Agent, ENTRIES, st.just("gateway-0"), st.just(0.0), st.none())
FUNCTIONS: st.SearchStrategy[Function] = st.builds(
    lambda uid, deleting, finalizers, settled, replicas: replace(
        function(),
        uid=uid,
        deleting=deleting,
        finalizers=tuple(finalizers),
        observed_generation=settled,
        wanted_replicas=replicas,
    ),
    st.sampled_from(["f-1", "f-2"]),
    st.booleans(),
    st.lists(st.sampled_from(["lambent.dev/drain", "others/own"]), unique=True),
    st.sampled_from([0, 2, 3]),
    st.integers(0, 2),
)
VERSIONS = FUNCTIONS.map(lambda latest: replace(latest, memory_mb=1024))
"""As functions were published: no function has that much now."""
POOL_TROUBLES = st.builds(PoolTrouble, TROUBLES, st.integers(1, 9), st.just(NOW - 10), st.floats(NOW - 10, NOW + 60))
POOLS: st.SearchStrategy[RuntimePool | None] = st.none() | st.just(POOL)


@st.composite
def views(draw: st.DrawFn) -> AgentView:
    agent, pod = draw(st.none() | AGENTS), draw(st.none() | PODS)
    unknown = agent is not None or pod is None
    return AgentView(
        "a",
        agent=agent,
        gateway=draw(st.none() | st.just(GatewayPod("gateway-0", "g-1", 1, "10.0.0.1", ready=True))),
        wanted_seconds=draw(SPANS),
        missing_seconds=None if unknown else draw(st.none() | SPANS),
        pod=pod,
        pod_seconds=draw(SPANS),
        trouble_seconds=draw(SPANS),
        function=draw(st.none() | FUNCTIONS),
        version=draw(st.none() | VERSIONS),
        runtime_pool=draw(POOLS),
        pool_trouble=draw(st.none() | POOL_TROUBLES),
        resize_refused=draw(st.booleans()),
    )


@given(views())
def test_an_agent_has_at_most_one_pod_and_keeps_it(view: AgentView) -> None:
    planned = plan_of(view)
    told = False
    for change in planned.changes:
        match change:
            case CreatePod(manifest):
                assert view.pod is None and view.agent is not None and view.agent.told.state == "wanted", "K2"
                assert manifest["metadata"]["name"] == view.id, "K2"
                assert view.pool_trouble is None or view.pool_trouble.until <= NOW, "T1"
                (container,) = manifest["spec"]["containers"]
                published = container["resources"]["limits"]["memory"] == "1056Mi"
                assert published == view.agent.told.pool.startswith("function/hello/v"), "a version is what it was"
            case ReportFailure():
                assert view.agent is not None and view.agent.told.state == "wanted"
                told = True
            case DeletePod(_, uid):
                pod = view.pod
                assert pod is not None and uid == pod.uid and not pod.deleting
                assert pod.finished or view.agent is None or told, "K3"
                assert pod.finished or told or (view.missing_seconds or 0) >= MISSING_SECONDS_MAX, "A1"
            case AdoptPod(function=whose) | ResizePod(function=whose):
                assert view.agent is not None and whose.uid == view.agent.told.function_uid
                assert view.function is not None and view.function.uid == whose.uid
    assert planned.again_seconds is None or planned.again_seconds > 0


@given(views())
def test_a_plan_that_was_done_is_done(view: AgentView) -> None:
    """What an adopted and resized pod looks like asks for nothing more."""
    planned = plan_of(view)
    pod = view.pod
    for change in planned.changes:
        if isinstance(change, AdoptPod):
            assert pod is not None
            owner = change.function.uid
            pod = replace(pod, function=change.function.name, owner_uid=owner, revision=change.revision)
        if isinstance(change, ResizePod):
            assert pod is not None
            pod = replace(pod, amounts=change.amounts)
    again = plan_of(replace(view, pod=pod))
    assert not [change for change in again.changes if isinstance(change, AdoptPod | ResizePod)]


@st.composite
def function_views(draw: st.DrawFn) -> FunctionView:
    complete, away = draw(st.none() | SPANS), draw(st.none() | SPANS)
    return FunctionView(
        draw(FUNCTIONS),
        draw(POOLS),
        trouble=draw(st.none() | POOL_TROUBLES),
        trouble_seconds=draw(SPANS),
        own_pods=draw(st.booleans()),
        version=draw(st.none() | st.just("1")),
        version_seconds=draw(st.none() | st.floats(0, VERSION_LOOK_SECONDS, exclude_max=True)),
        counts=EnvironmentCounts(ready=draw(st.integers(0, 3))),
        rollout=draw(st.none() | st.builds(Rollout, st.just("f-1/4"), st.integers(0, 3), st.integers(0, 3))),
        init_error=draw(st.none() | st.just("Runtime.ExitError")),
        complete_seconds=complete,
        away_seconds=None if complete is not None else away,
        claims=draw(st.booleans()),
        pods=tuple(draw(st.lists(st.tuples(PODS, st.none() | SPANS), max_size=3))),
        written_seconds=draw(st.none() | SPANS),
    )


@given(function_views())
def test_a_function_is_let_go_only_when_nothing_of_it_is_left(view: FunctionView) -> None:
    plan = plan_function(view, timestamp="now")
    away = (view.away_seconds or 0) >= AWAY_SECONDS_MAX
    for change in plan.changes:
        match change:
            case SetFinalizers(finalizers=finalizers) if view.function.deleting:
                assert not view.pods, "F3"
                assert away or (view.complete_seconds is not None and not view.claims), "F3"
                assert set(finalizers) == set(view.function.finalizers) - {"lambent.dev/drain"}
            case SetFinalizers(finalizers=finalizers):
                assert set(finalizers) == set(view.function.finalizers) | {"lambent.dev/drain"}
            case WriteStatus(status=status):
                assert status.keys() == {"conditions", "environments", "replicas", "selector"}, "K4"
                assert view.written_seconds is None or view.written_seconds >= 1.0, "F1"
                said = {one["type"]: one["status"] for one in status["conditions"]}
                assert not (view.function.deleting and said["Ready"] == "True")
                if said.get("RolledOut") == "True":
                    rollout, function = view.rollout, view.function
                    assert rollout is not None and not rollout.old and not view.init_error, "F4"
                    assert rollout.updated >= function.wanted_replicas, "F4"
                    assert function.observed_generation == function.generation, "F4"
            case DeletePod(name):
                missing = [seconds for pod, seconds in view.pods if pod.name == name]
                finished = any(pod.finished for pod, _ in view.pods)
                assert finished or away or any((seconds or 0) >= MISSING_SECONDS_MAX for seconds in missing), "K3"
    assert plan.again_seconds is None or plan.again_seconds > 0
