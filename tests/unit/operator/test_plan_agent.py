from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lambent_operator.changes import AdoptPod, CreatePod, DeletePod, Event, LeaveAlone, Plan, ReportFailure, ResizePod
from lambent_operator.manifests.pod import amounts_for, pod_manifest
from lambent_operator.plans.agent import (
    LOOK_AGAIN_SECONDS,
    AgentView,
    function_to_look_at,
    own_pool,
    plan_agent,
    plan_refused,
    version_to_make,
)
from lambent_operator.resources import PodWishes
from lambent_operator.troubles import PoolTrouble, Trouble
from tests.unit.operator.things import (
    AGENT,
    FUNCTION_ID,
    GATEWAY,
    LINK,
    NOW,
    POOL,
    claimed,
    free,
    function,
    pod,
    wanted,
)

PULL = Trouble("ImagePullFailed", "not found")
QUOTA = Trouble("QuotaExceeded", "exceeded quota")
FULL = Trouble("Unschedulable", "0/3 nodes are available")


def plan(**members: Any) -> Plan:
    view = AgentView(**{"id": "a", "gateway": GATEWAY, "runtime_pool": POOL} | members)
    return plan_agent(view, namespace="default", link=LINK, source=AGENT, pod_labels={}, now=NOW)


def made(pool: str = "python3.11", **members: Any) -> CreatePod:
    return CreatePod(
        pod_manifest(
            "a",
            pool=pool,
            runtime_pool=POOL,
            function=members.get("function"),
            gateway=GATEWAY,
            namespace="default",
            link=LINK,
            agent=AGENT,
            pod_labels={},
        )
    )


def failure(trouble: Trouble, pool: str = "python3.11") -> ReportFailure:
    return ReportFailure("a", "gateway-0", pool, trouble)


def trouble(what: Trouble, *, until: float) -> PoolTrouble:
    return PoolTrouble(what, failures=1, since=NOW - 1, until=until)


def test_a_wanted_agent_gets_its_pod() -> None:
    assert plan(agent=wanted()) == Plan([made()])


def test_its_pod_starts_in_peace() -> None:
    assert plan(agent=wanted(), pod=pod(phase="Pending"), pod_seconds=1.0) == Plan([], 119.0)
    assert plan(agent=wanted(), pod=pod(phase="Running")) == Plan()


def test_what_a_gateway_wanted_that_is_away_is_not_made() -> None:
    assert plan(agent=wanted(), gateway=None) == Plan()


def test_a_pod_that_is_going_is_waited_for_a_little() -> None:
    """Then it is made anew under its name. On a lost node it never goes, and somebody waits."""
    going = pod(phase="Pending", deleting=True)
    assert plan(agent=wanted(), pod=going, pod_seconds=300.0) == Plan([], 10.0)
    why = Trouble("PodDeleted", "The pod a was deleted before it connected, and is still there")
    for stays in (going, pod(deleting=True), pod(phase="Failed", deleting=True), pod(deleting=True, trouble=PULL)):
        assert plan(agent=wanted(), pod=stays, trouble_seconds=10.0) == Plan([failure(why)])
    assert plan(agent=wanted(), pod=going, trouble_seconds=10.0, gateway=None) == Plan()
    assert plan(agent=free(), pod=going, trouble_seconds=10.0) == Plan()


def test_a_pool_or_function_that_nobody_knows_is_waited_for_a_little() -> None:
    unknown = Trouble("RuntimeUnavailable", "There is no RuntimePool for python3.11")
    assert plan(agent=wanted(), runtime_pool=None, wanted_seconds=4.0) == Plan([], 1.0)
    assert plan(agent=wanted(), runtime_pool=None, wanted_seconds=5.0) == Plan([failure(unknown)])
    own = "function/hello/4"
    no_function = Trouble("RuntimeUnavailable", "There is no Function hello")
    assert plan(agent=wanted(pool=own), wanted_seconds=0.0) == Plan([], 1.0)
    assert plan(agent=wanted(pool=own), wanted_seconds=9.0) == Plan([failure(no_function, own)])


def test_a_function_with_its_own_pods_has_them_made_for_it() -> None:
    own = function(pod=PodWishes("mailer"))
    assert plan(agent=wanted(pool="function/hello/4"), function=own) == Plan([made("function/hello/4", function=own)])


def test_own_pods_are_not_made_of_a_function_that_is_older_than_they_shall_be() -> None:
    """A gateway has another revision at once; the watch may be behind, and what the pod is made of it has for life."""
    image = "registry.example.com/fn:1"
    for own in ("function/hello/5", f"function/hello/5/{image}"):
        older, newer = function(code_revision=4), function(code_revision=6)
        assert plan(agent=wanted(pool=own), function=older) == Plan(again_seconds=LOOK_AGAIN_SECONDS)
        lacking = Trouble("RuntimeUnavailable", "The Function hello has no code revision 5, only 4")
        assert plan(agent=wanted(pool=own), function=older, wanted_seconds=5.0) == Plan([failure(lacking, own)])
        (made_of_newer,) = plan(agent=wanted(pool=own), function=newer).changes
        assert isinstance(made_of_newer, CreatePod)


def test_own_pods_are_not_made_of_a_function_that_is_being_deleted() -> None:
    """It may be gone, and one of its name be made anew, whose revisions are lower."""
    own, gone = "function/hello/1", function(code_revision=4, deleting=True)
    assert plan(agent=wanted(pool=own), function=gone) == Plan(again_seconds=LOOK_AGAIN_SECONDS)
    late = AgentView("a", agent=wanted(pool=own), gateway=GATEWAY, wanted_seconds=5.0, function=gone)
    assert function_to_look_at(late, now=NOW) == "hello"
    lacking = Trouble("RuntimeUnavailable", "There is no Function hello")
    assert plan(agent=wanted(pool=own), function=gone, wanted_seconds=5.0) == Plan([failure(lacking, own)])


def test_a_function_that_is_not_known_in_time_is_looked_at_before_anybody_is_told() -> None:
    own = "function/hello/5"
    late = AgentView("a", agent=wanted(pool=own), gateway=GATEWAY, wanted_seconds=5.0)
    for unknown in (
        late,
        replace(late, function=function(code_revision=4)),
        replace(late, agent=wanted(pool="function/hello/v1")),
    ):
        assert function_to_look_at(unknown, now=NOW) == "hello"
    for other in (
        replace(late, wanted_seconds=4.0),
        replace(late, function=function(code_revision=5)),
        replace(late, agent=wanted(pool="function/hello/v5"), function=function(code_revision=4)),
        replace(late, agent=wanted(pool="function/hello/0"), function=function(code_revision=4)),
        replace(late, agent=wanted()),
        replace(late, agent=claimed(pool=own)),
        replace(late, agent=None),
        replace(late, gateway=None),
        replace(late, pod=pod(phase="Pending", pool=own)),
        replace(late, pool_trouble=trouble(PULL, until=NOW + 5)),
    ):
        assert function_to_look_at(other, now=NOW) is None


def test_a_published_version_has_pods_made_of_what_was_published() -> None:
    own, latest = "function/hello/v1", function(pod=PodWishes("other"), memory_mb=1024)
    published = function(pod=PodWishes("mailer"), memory_mb=256)
    view = {"agent": wanted(pool=own), "function": latest}
    assert plan(**view, version=published) == Plan([made(own, function=published)])
    assert plan(**view, wanted_seconds=4.0) == Plan([], 1.0), "never of the function as it is"
    missing = Trouble("RuntimeUnavailable", "There is no Function hello, or no version 1 of it")
    assert plan(**view, wanted_seconds=5.0) == Plan([failure(missing, own)])
    assert plan(**view, wanted_seconds=5.0, runtime_pool=None) == Plan([failure(missing, own)])
    no_pool = Trouble("RuntimeUnavailable", f"There is no RuntimePool for {own}")
    assert plan(**view, version=published, wanted_seconds=5.0, runtime_pool=None) == Plan([failure(no_pool, own)])


def test_pods_that_a_gateway_of_an_older_release_wants_for_any_version_are_made_of_the_function() -> None:
    own, latest = "function/hello/0", function(pod=PodWishes("mailer"))
    assert plan(agent=wanted(pool=own), function=latest) == Plan([made(own, function=latest)])


def test_a_version_is_looked_up_when_a_pod_of_it_is_to_be_made_and_only_then() -> None:
    own = "function/hello/v1"
    lacking = AgentView("a", agent=wanted(pool=own), gateway=GATEWAY, function=function())
    assert version_to_make(lacking, now=NOW) == "hello.1"
    held = replace(lacking, pool_trouble=trouble(PULL, until=NOW + 5))
    assert plan_agent(held, namespace="default", link=LINK, source=AGENT, pod_labels={}, now=NOW) == Plan(
        [failure(PULL, own)]
    )
    for other in (
        held,
        replace(lacking, agent=None),
        replace(lacking, function=None),
        replace(lacking, agent=claimed(pool=own)),
        replace(lacking, agent=wanted(pool="function/hello/4")),
        replace(lacking, agent=wanted()),
        replace(lacking, gateway=None),
        replace(lacking, pod=pod(phase="Pending", pool=own)),
    ):
        assert version_to_make(other, now=NOW) is None
    again = replace(lacking, pool_trouble=trouble(PULL, until=NOW))
    assert version_to_make(again, now=NOW) == "hello.1"


def test_a_pool_that_failed_is_left_alone() -> None:
    """T1. Who can't be helped by waiting is told at once."""
    assert plan(agent=wanted(), pool_trouble=trouble(PULL, until=NOW + 5)) == Plan([failure(PULL)])
    for room in (FULL, QUOTA):
        assert plan(agent=wanted(), pool_trouble=trouble(room, until=NOW + 5)) == Plan([], 5.0)
    assert plan(agent=wanted(), pool_trouble=trouble(PULL, until=NOW)) == Plan([made()])
    assert plan(agent=wanted(), pool_trouble=trouble(FULL, until=NOW)) == Plan([made()])


@pytest.mark.parametrize(("what", "patience"), [(PULL, 10.0), (FULL, 25.0)], ids=["image", "no room"])
def test_a_pod_that_cannot_start_is_given_up_after_a_while(what: Trouble, patience: float) -> None:
    stuck = pod(phase="Pending", trouble=what)
    assert plan(agent=wanted(), pod=stuck) == Plan([], patience)
    assert plan(agent=wanted(), pod=stuck, trouble_seconds=patience - 2) == Plan([], 2.0)
    given_up = Plan([failure(what), DeletePod("a", "p-a")])
    assert plan(agent=wanted(), pod=stuck, trouble_seconds=patience) == given_up


def test_a_pod_that_does_not_start_without_a_reason_is_given_up_late() -> None:
    why = Trouble("StartTimeout", "The pod a does not start")
    assert plan(agent=wanted(), pod=pod(phase="Pending")) == Plan([], 120.0)
    assert plan(agent=wanted(), pod=pod(phase="Pending"), pod_seconds=120.0) == Plan(
        [failure(why), DeletePod("a", "p-a")]
    )


def test_a_pod_that_ended_before_it_connected_is_a_failure() -> None:
    """Else it would be made anew under its name, again and again."""
    ended = pod(phase="Failed", ended="Error, exit code 2")
    why = Trouble("EnvironmentEnded", "The pod a ended before it connected: Error, exit code 2")
    assert plan(agent=wanted(), pod=ended) == Plan([failure(why), DeletePod("a", "p-a")])


def test_a_pod_whose_agent_gave_up_ended_for_want_of_a_gateway() -> None:
    ended = "Completed, exit code 0"
    for seconds, reason in ((58.0, "EnvironmentEnded"), (59.0, "GatewayNotFound")):
        why = Trouble(reason, f"The pod a ended before it connected: {ended}")
        gone = pod(phase="Succeeded", ended=ended, ran_seconds=seconds)
        assert plan(agent=wanted(), pod=gone) == Plan([failure(why), DeletePod("a", "p-a")])


def test_a_refused_pod_is_a_failure() -> None:
    why = Trouble("ServiceAccountMissing", "error looking up service account")
    assert plan_refused(AgentView("a", agent=wanted()), why) == Plan([failure(why)])
    assert plan_refused(AgentView("a"), why) == Plan()  # nobody wants it any more


def test_who_wants_a_pod_that_a_quota_refuses_waits_as_for_a_node() -> None:
    waits = AgentView("a", agent=wanted(), wanted_seconds=24.0)
    assert plan_refused(waits, QUOTA) == Plan([LeaveAlone("python3.11", QUOTA)], 1.0)
    assert plan_refused(replace(waits, wanted_seconds=25.0), QUOTA) == Plan([failure(QUOTA)])


def test_a_webhook_that_does_not_answer_is_asked_again_for_a_while() -> None:
    webhook = Trouble("WebhookFailed", 'failed calling webhook "policy.example": connection refused')
    waits = AgentView("a", agent=wanted(), wanted_seconds=9.0)
    assert plan_refused(waits, webhook) == Plan([], 1.0)
    assert plan_refused(replace(waits, wanted_seconds=10.0), webhook) == Plan([failure(webhook)])


def test_a_free_agent_is_left_alone() -> None:
    assert plan(agent=free(), pod=pod()) == Plan()
    assert plan(agent=free(), pod=None) == Plan()


def test_a_finished_pod_is_deleted_whoever_has_it() -> None:
    for agent in (free(), claimed(), None):
        assert plan(agent=agent, pod=pod(phase="Succeeded")) == Plan([DeletePod("a", "p-a")])
    assert plan(agent=wanted(), gateway=None, pod=pod(phase="Failed")) == Plan([DeletePod("a", "p-a")])
    assert plan(agent=wanted(), gateway=None, pod=pod()) == Plan()


def test_a_claimed_pod_is_adopted_and_resized() -> None:
    assert plan(agent=claimed(memory_mb=512), pod=pod(), function=function()) == Plan(
        [AdoptPod("a", "p-a", FUNCTION_ID, "4"), ResizePod("a", "p-a", amounts_for(512), FUNCTION_ID)]
    )
    done = pod(function="hello", owner_uid="f-1", revision="4", amounts=amounts_for(512))
    assert plan(agent=claimed(memory_mb=512), pod=done, function=function()) == Plan()


def test_a_claimed_pod_is_not_given_to_a_namesake() -> None:
    """An owner that isn't there would have Kubernetes delete the pod."""
    assert plan(agent=claimed(function_uid="f-0"), pod=pod(), function=function()) == Plan()
    assert plan(agent=claimed(), pod=pod(), function=None) == Plan()


def test_a_resize_that_was_refused_is_not_asked_for_again() -> None:
    adopted = pod(function="hello", owner_uid="f-1", revision="4")
    assert plan(agent=claimed(), pod=adopted, function=function(), resize_refused=True) == Plan()


def test_a_resize_that_the_node_puts_off_is_told() -> None:
    waiting = pod(
        function="hello", owner_uid="f-1", revision="4", amounts=amounts_for(512), resize_pending="Infeasible: too big"
    )
    (event,) = plan(agent=claimed(memory_mb=512), pod=waiting, function=function()).changes
    assert isinstance(event, Event)
    assert (event.regarding, event.type, event.reason, event.once) == (FUNCTION_ID, "Warning", "ResizeRefused", "p-a")
    assert "Infeasible: too big" in event.note


def test_a_pod_that_no_gateway_has_goes_when_agents_are_out_of_patience() -> None:
    assert plan(pod=pod(), missing_seconds=30.0) == Plan([], 60.0)
    assert plan(pod=pod(), missing_seconds=90.0) == Plan([DeletePod("a", "p-a")])
    assert plan(pod=pod(), missing_seconds=None) == Plan()
    assert plan(pod=pod(deleting=True), missing_seconds=90.0) == Plan()
    assert plan(pod=None) == Plan()


TMP = 'Evicted: Usage of EmptyDir volume "tmp" exceeds the limit "520Mi".'
NODE = "Evicted: The node was low on resource: memory."


@pytest.mark.parametrize(
    ("ended", "reason", "advice"),
    [
        (TMP, "EnvironmentEvicted", "Raise spec.ephemeralStorage.size, or have the function leave less in /tmp."),
        (NODE, "EnvironmentEvicted", "Give its nodes more of what was short, or have the function use less of it."),
        ("OOMKilled, exit code 137", "EnvironmentOutOfMemory", "Raise spec.memorySize, or have the function use less."),
    ],
    ids=["tmp", "node", "memory"],
)
def test_a_function_is_told_that_its_environment_was_killed_before_the_pod_goes(
    ended: str, reason: str, advice: str
) -> None:
    killed = pod(phase="Failed", ended=ended, function="hello", owner_uid="f-1")
    note = f"The pod a ended: {ended.rstrip('.')}. {advice}"
    told = Plan([Event(FUNCTION_ID, "Warning", reason, note, once="p-a"), DeletePod("a", "p-a")])
    assert plan(pod=killed) == told
    assert plan(agent=claimed(), pod=killed, function=function()) == told


def test_of_other_ends_and_of_pods_that_are_nobodys_no_function_is_told() -> None:
    for ended in (
        pod(phase="Succeeded", ended="Completed, exit code 0", function="hello", owner_uid="f-1"),
        pod(phase="Failed", ended=TMP),
    ):
        assert plan(pod=ended) == Plan([DeletePod("a", "p-a")])


def test_a_pools_name_says_whose_it_is() -> None:
    assert own_pool("function/hello/4") == own_pool("function/hello/v4") == "hello"
    assert own_pool("python3.11") is None
    assert own_pool("function") is None


OWN_IMAGE = "function/hello/4/registry.example.com/fn:1"


def test_an_image_has_pods_made_of_it_and_needs_no_runtime_pool() -> None:
    own = function(image=True, runtime=None)
    manifest = pod_manifest(
        "a",
        pool=OWN_IMAGE,
        runtime_pool=None,
        function=own,
        gateway=GATEWAY,
        namespace="default",
        link=LINK,
        agent=AGENT,
        pod_labels={},
    )
    assert plan(agent=wanted(pool=OWN_IMAGE), function=own, runtime_pool=None) == Plan([CreatePod(manifest)])
    assert plan(agent=wanted(pool=OWN_IMAGE), function=own) == Plan([CreatePod(manifest)])
    gone = Trouble("RuntimeUnavailable", "There is no Function hello")
    assert plan(agent=wanted(pool=OWN_IMAGE), runtime_pool=None, wanted_seconds=9.0) == Plan([failure(gone, OWN_IMAGE)])
    assert own_pool(OWN_IMAGE) == "hello"


def test_a_pod_of_an_image_that_ended_blames_no_runtime_pool() -> None:
    ended = pod(phase="Failed", ended="Error, exit code 1", pool=OWN_IMAGE)
    (told, _) = plan(agent=wanted(pool=OWN_IMAGE), function=function(image=True), pod=ended, runtime_pool=None).changes
    assert isinstance(told, ReportFailure) and told.trouble.own_image
    assert "RuntimePool" not in told.trouble.note


def test_a_large_image_has_time_to_be_pulled() -> None:
    waiting = pod(phase="Pending", pool=OWN_IMAGE)
    own = {"agent": wanted(pool=OWN_IMAGE), "function": function(image=True), "pod": waiting, "runtime_pool": None}
    assert plan(**own, pod_seconds=121.0) == Plan([], 779.0)
    (told, gone) = plan(**own, pod_seconds=900.0).changes
    assert isinstance(told, ReportFailure) and told.trouble.reason == "StartTimeout"
    assert gone == DeletePod("a", "p-a")
