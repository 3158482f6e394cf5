from __future__ import annotations

from typing import Any

import pytest

from lambent_core.census import Rollout
from lambent_core.function import Condition, EnvironmentCounts
from lambent_operator.changes import DeletePod, Event, Plan, SetFinalizers, WriteStatus
from lambent_operator.plans.function import FunctionView, plan_function, version_to_look_at
from lambent_operator.resources import Function
from lambent_operator.troubles import PoolTrouble, Trouble
from tests.unit.operator.things import FUNCTION_ID, NOW, POOL, WALL, function, pod

EARLIER = "2026-11-24T11:00:00Z"
OUR_FINALIZER = "lambent.dev/drain"
ZEROS = {"ready": 0, "busy": 0, "starting": 0, "updated": 0}
REVISION = "f-1/4"


def condition(
    type: str, status: Any, reason: str, message: str, since: str = EARLIER, generation: int = 3
) -> Condition:
    return Condition(
        type=type,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=since,
        observed_generation=generation,
    )


CODE = condition("CodeReady", "True", "CodeStored", "Its package is stored and sound.")
ENVIRONMENTS = condition("EnvironmentsReady", "True", "Available", "Environments come from the RuntimePool python3.11.")
READY = condition("Ready", "True", "Active", "It can be invoked.")
ROLLED_OUT = condition("RolledOut", "True", "Complete", "All environments run the current code.")
SHOWN = (READY, CODE, ENVIRONMENTS, ROLLED_OUT)


def shown(**members: Any) -> Function:
    """Ready, and with a status that says so."""
    return function(**{"conditions": SHOWN, "environments": EnvironmentCounts(updated=0)} | members)


def plan(what: Function, **members: Any) -> Plan:
    known = {"pool": POOL, "complete_seconds": 60.0, "rollout": Rollout(REVISION, updated=0, old=0)}
    view = FunctionView(what, **known | members)
    return plan_function(view, timestamp=WALL)


def as_written(*conditions: Condition) -> list[dict[str, Any]]:
    return [
        {
            "type": one.type,
            "status": one.status,
            "reason": one.reason,
            "message": one.message,
            "lastTransitionTime": one.last_transition_time,
            "observedGeneration": one.observed_generation,
        }
        for one in conditions
    ]


def events(what: Plan) -> list[tuple[str, str]]:
    return [(change.type, change.reason) for change in what.changes if isinstance(change, Event)]


def says(what: Plan) -> dict[str, tuple[str, str, str]]:
    (write,) = (change for change in what.changes if isinstance(change, WriteStatus))
    return {one["type"]: (one["status"], one["reason"], one["message"]) for one in write.status["conditions"]}


def write(*conditions: Condition, environments: dict[str, int] = ZEROS) -> WriteStatus:
    """All that the operator has in a status."""
    return WriteStatus(
        FUNCTION_ID,
        {
            "conditions": as_written(*(conditions or SHOWN)),
            "environments": environments,
            "replicas": environments["ready"],
            "selector": "lambent.dev/function=hello",
        },
    )


def test_a_new_function_gets_the_finalizer_and_a_status() -> None:
    new = function(finalizers=("others/own",), selector=None, replicas=None)
    now = [condition(one.type, one.status, one.reason, one.message, WALL) for one in SHOWN]
    assert plan(new) == Plan(
        [
            SetFinalizers(FUNCTION_ID, 20, ("others/own", OUR_FINALIZER)),
            write(*now),
            Event(FUNCTION_ID, "Normal", "FunctionReady", "It can be invoked.", once="20"),
        ]
    )


def test_what_is_shown_already_is_not_written() -> None:
    """F1, K4: and what is written is the operator's own alone."""
    assert plan(shown()) == Plan()
    counts = EnvironmentCounts(ready=2, busy=1, starting=1)
    one = shown(environments=EnvironmentCounts(ready=1, updated=1), replicas=1)
    environments = {"ready": 2, "busy": 1, "starting": 1, "updated": 2}
    assert plan(one, counts=counts, rollout=Rollout(REVISION, updated=2, old=0)) == Plan(
        [write(environments=environments)]
    )


def test_it_is_written_once_a_second_at_most() -> None:
    counts = EnvironmentCounts(ready=1)
    assert plan(shown(), counts=counts, written_seconds=0.75) == Plan([], 0.25)
    assert len(plan(shown(), counts=counts, written_seconds=1.0).changes) == 2


def test_times_move_with_the_status_alone() -> None:
    """F2: the reason is another, the status the same."""
    unready = condition("Ready", "Unknown", "Creating", "")
    code = condition("CodeReady", "Unknown", "Creating", "")
    rolling = condition("RolledOut", "False", "Creating", "")
    told = plan(shown(conditions=(unready, code, ENVIRONMENTS, rolling), observed_generation=2))
    message = "The gateway has not taken up generation 3 yet. If it stays so, look at the gateway's log."
    assert told == Plan(
        [
            write(
                condition("Ready", "Unknown", "Updating", message),
                condition("CodeReady", "Unknown", "Updating", message),
                ENVIRONMENTS,
                condition("RolledOut", "False", "Updating", message),
            )
        ]
    )


def test_conditions_of_somebody_else_are_theirs() -> None:
    """What is shown of them is no news, and they are not written."""
    others = condition("Audited", "True", "Fine", "")
    assert plan(shown(conditions=(others, *SHOWN))) == Plan()
    told = plan(shown(conditions=(READY, others, CODE, ENVIRONMENTS, ROLLED_OUT), selector=None))
    assert told == Plan([write()])


@pytest.mark.parametrize(
    ("members", "status", "reason", "words"),
    [
        ({"observed_generation": 0}, "Unknown", "Creating", "not taken up generation 3"),
        ({"observed_generation": 2}, "Unknown", "Updating", "not taken up generation 3"),
        (
            {"state": "Pending", "state_reason": "The function is being created."},
            "Unknown",
            "Creating",
            "being created",
        ),
        ({"last_update_status": "InProgress"}, "Unknown", "Updating", "brought about"),
        (
            {"state": "Failed", "state_reason": "No handler."},
            "False",
            "CodeInvalid",
            "No handler. Correct the manifest",
        ),
        (
            {"last_update_status": "Failed", "last_update_status_reason": "Not a ZIP"},
            "False",
            "CodeInvalid",
            "Not a ZIP. Correct the manifest",
        ),
        (
            {
                "last_update_status": "Failed",
                "last_update_status_reason": "Layer version deps:1 does not exist.",
                "last_update_status_reason_code": "LayerNotFound",
            },
            "False",
            "CodeInvalid",
            "deps:1 does not exist. It is tried again by itself.",
        ),
        (
            {
                "state": "Failed",
                "last_update_status": "Failed",
                "last_update_status_reason": "No answer.",
                "last_update_status_reason_code": "ImageAccessDenied",
            },
            "False",
            "CodeInvalid",
            "No answer. It is tried again by itself.",
        ),
    ],
    ids=["new", "changed", "pending", "in progress", "failed", "update failed", "lacks a layer", "no registry"],
)
def test_code_that_is_not_ready(members: dict[str, Any], status: str, reason: str, words: str) -> None:
    told = says(plan(shown(**members)))
    for type in ("CodeReady", "Ready"):
        assert told[type][:2] == (status, reason)
        assert words in told[type][2]
    assert told["RolledOut"] == ("False", *told["CodeReady"][1:])
    assert told["EnvironmentsReady"][0] == "True"


def test_code_that_fails_to_start_is_told_until_it_starts() -> None:
    failing = plan(shown(), init_error="Runtime.ImportModuleError")
    status, reason, message = says(failing)["Initialized"]
    assert (status, reason) == ("False", "InitFailed") and "Runtime.ImportModuleError" in message
    assert events(failing) == [("Warning", "InitFailed")]
    told = shown(conditions=(*SHOWN, condition("Initialized", "False", "InitFailed", message)))
    assert events(plan(told, init_error="Runtime.ImportModuleError")) == []
    assert plan(told) == Plan(), "no environment, no news"
    started = plan(told, counts=EnvironmentCounts(ready=1), rollout=Rollout(REVISION, updated=1, old=0))
    assert says(started)["Initialized"][:2] == ("True", "Initialized")


def test_code_that_failed_to_start_says_nothing_of_what_was_applied_after_it() -> None:
    failed = condition("Initialized", "False", "InitFailed", "ImportError", generation=2)
    taking_up = says(plan(shown(conditions=(*SHOWN, failed), observed_generation=2), init_error="ImportError"))
    assert taking_up["Initialized"] == one_of(failed), "the error is of the code before"
    runs_old = {"counts": EnvironmentCounts(ready=1), "rollout": Rollout(REVISION, updated=0, old=1)}
    for environments in ({}, runs_old):
        applied = plan(shown(conditions=(*SHOWN, failed)), **environments)
        assert says(applied)["Initialized"][:2] == ("Unknown", "NotStarted")
    unknown = condition("Initialized", "Unknown", "NotStarted", says(applied)["Initialized"][2])
    assert plan(shown(conditions=(*SHOWN, unknown))) == Plan()
    again = plan(shown(conditions=(*SHOWN, unknown)), init_error="ImportError")
    assert says(again)["Initialized"][:2] == ("False", "InitFailed")
    assert events(again) == [("Warning", "InitFailed")]
    starts = plan(shown(conditions=(*SHOWN, unknown)), rollout=Rollout(REVISION, updated=1, old=0))
    assert says(starts)["Initialized"][:2] == ("True", "Initialized")


def rolled_out(what: Function, updated: int, old: int, **members: Any) -> tuple[str, str, str]:
    counts = EnvironmentCounts(ready=updated)
    return says(plan(what, counts=counts, rollout=Rollout(REVISION, updated, old), **members))["RolledOut"]


@pytest.mark.parametrize(
    ("wanted", "updated", "old", "message"),
    [
        (2, 0, 0, "0 of 2 environments run the current code."),
        (3, 2, 0, "2 of 3 environments run the current code."),
        (3, 1, 2, "1 of 3 environments run the current code."),
        (2, 2, 1, "2 of 3 environments run the current code."),
        (0, 0, 1, "0 of 1 environments run the current code."),
    ],
    ids=["none yet", "one lacks", "not begun everywhere", "one is left", "nobody is kept, one runs still"],
)
def test_code_is_rolled_out_once_no_other_runs_and_as_many_as_are_wanted_run_it(
    wanted: int, updated: int, old: int, message: str
) -> None:
    what = shown(wanted_replicas=wanted, conditions=())
    assert rolled_out(what, updated, old) == ("False", "Updating", message)
    assert rolled_out(what, max(wanted, updated), 0)[:2] == ("True", "Complete")
    assert rolled_out(what, wanted + 1, 0)[:2] == ("True", "Complete"), "traffic wants more"


def test_new_code_that_fails_to_start_is_not_rolled_out() -> None:
    what, error = shown(wanted_replicas=2), "Runtime.ImportModuleError"
    failing = says(plan(what, init_error=error, rollout=Rollout(REVISION, 2, 0)))
    assert failing["RolledOut"] == failing["Initialized"] and failing["RolledOut"][:2] == ("False", "InitFailed")


def one_of(one: Condition) -> tuple[str, str, str]:
    return one.status, one.reason, one.message


def test_who_waits_for_environments_that_can_not_be_had_is_told_why() -> None:
    trouble = PoolTrouble(Trouble("Unschedulable", "0/3 nodes"), 1, NOW, NOW + 2)
    status, reason, message = rolled_out(shown(wanted_replicas=2), 1, 0, trouble=trouble)
    assert (status, reason) == ("False", "Unschedulable") and message.startswith("0/3 nodes")
    assert rolled_out(shown(wanted_replicas=2, conditions=()), 2, 0, trouble=trouble)[:2] == ("True", "Complete")


def test_a_gateway_that_does_not_tell_is_no_proof_that_code_is_rolled_out() -> None:
    told = plan(
        shown(environments=EnvironmentCounts(ready=1, updated=1)), counts=EnvironmentCounts(ready=1), rollout=None
    )
    message = "A gateway of an earlier release does not tell which code its environments run."
    assert says(told)["RolledOut"] == ("Unknown", "NotTold", message)
    (write,) = (change for change in told.changes if isinstance(change, WriteStatus))
    assert write.status["environments"] == {"ready": 1, "busy": 0, "starting": 0}, "what is left out goes"


def test_what_was_rolled_out_stays_so_until_the_census_has_settled() -> None:
    """And what was said of an earlier generation stays said of that one: nobody takes it for news."""
    two = {"environments": EnvironmentCounts(ready=2, updated=2), "replicas": 2, "wanted_replicas": 2}
    for unsettled in (None, 4.0):
        assert not plan(shown(**two), complete_seconds=unsettled).changes
        later = plan(shown(**two, generation=4, observed_generation=4), complete_seconds=unsettled)
        (write,) = later.changes
        assert isinstance(write, WriteStatus)
        assert [one["observedGeneration"] for one in write.status["conditions"]] == [4, 4, 4, 3]
    assert rolled_out(shown(**two), 0, 0)[:2] == ("False", "Updating")


def test_invalid_code_is_an_event_once() -> None:
    failed = shown(state="Failed", state_reason="No handler.")
    assert events(plan(failed)) == [("Warning", "CodeInvalid")]
    unready = condition("Ready", "False", "CodeInvalid", "")
    code = condition("CodeReady", "False", "CodeInvalid", "")
    assert events(plan(shown(state="Failed", conditions=(unready, code, ENVIRONMENTS)))) == []


def test_a_runtime_that_no_pool_offers() -> None:
    told = plan(shown(), pool=None, offered=("nodejs22.x", "python3.12"))
    assert says(told)["Ready"] == (
        "False",
        "RuntimeUnavailable",
        "No RuntimePool offers python3.11. Runtimes that are offered: nodejs22.x, python3.12. Create one, or set spec.runtime.",
    )
    assert events(told) == [("Warning", "RuntimeUnavailable")]
    assert "There is no RuntimePool at all" in says(plan(shown(), pool=None))["Ready"][2]


def test_a_pool_in_trouble_is_shown_and_told_by_whose_pods_they_are() -> None:
    trouble = PoolTrouble(Trouble("ImagePullFailed", "not found"), 1, NOW, NOW + 2)
    told = plan(shown(), trouble=trouble)
    assert says(told)["Ready"][:2] == ("False", "ImagePullFailed")
    assert says(told)["EnvironmentsReady"][2].startswith("not found. Check spec.image")
    assert events(told) == []
    assert events(plan(shown(), trouble=trouble, own_pods=True)) == [("Warning", "ImagePullFailed")]


def test_the_trouble_of_a_published_version_says_so_and_is_looked_at_again_when_it_ends() -> None:
    """T5: nothing else wakes a function whose broken version nobody asks for any more."""
    trouble = PoolTrouble(Trouble("ConfigMissing", "no Secret"), failures=1, since=NOW, until=NOW + 2)
    told = plan(shown(), trouble=trouble, trouble_seconds=1.0, own_pods=True, version="3")
    assert says(told)["EnvironmentsReady"][2].startswith("Version 3: no Secret. Create the Secret")
    assert events(told) == [("Warning", "ConfigMissing")]
    assert told.again_seconds == 5.0, "the version may be deleted"
    assert plan(shown(), trouble=trouble, trouble_seconds=598.0, version="3").again_seconds == 2.0
    assert plan(shown(), trouble=trouble, trouble_seconds=1.0, own_pods=True).again_seconds is None
    unsettled = {"environments": EnvironmentCounts(ready=2), "replicas": 2}
    later = plan(shown(**unsettled), trouble=trouble, version="3", version_seconds=3.0, complete_seconds=9.0)
    assert later.again_seconds == 1.0


def test_the_trouble_of_a_published_version_keeps_its_function_from_nothing() -> None:
    trouble = PoolTrouble(Trouble("ServiceAccountMissing", "gone"), failures=1, since=NOW, until=NOW + 2)
    told = says(plan(shown(wanted_replicas=2), trouble=trouble, own_pods=True, version="700"))
    assert told["EnvironmentsReady"][:2] == ("False", "ServiceAccountMissing")
    assert told["Ready"] == ("True", "Active", "It can be invoked.")
    assert told["RolledOut"] == ("False", "Updating", "0 of 2 environments run the current code.")
    no_pool = says(plan(shown(), pool=None, trouble=trouble, own_pods=True, version="700"))
    assert no_pool["Ready"] == no_pool["EnvironmentsReady"] and no_pool["Ready"][1] == "RuntimeUnavailable"


def test_a_version_in_trouble_is_asked_for_every_five_seconds() -> None:
    for seconds, asked in ((None, "3"), (4.9, None), (5.0, "3")):
        assert version_to_look_at(FunctionView(shown(), POOL, version="3", version_seconds=seconds)) == asked
    assert version_to_look_at(FunctionView(shown(), POOL)) is None
    assert version_to_look_at(FunctionView(deleted(), POOL, version="3")) is None


def test_scaling_is_told_at_its_ends() -> None:
    one, two = EnvironmentCounts(ready=1), EnvironmentCounts(ready=2)
    assert events(plan(shown(), counts=two)) == [("Normal", "ScaledUp")]
    assert events(plan(shown(environments=one, replicas=1), counts=two)) == []
    assert events(plan(shown(environments=one, replicas=1))) == [("Normal", "ScaledToZero")]


def test_fewer_environments_mean_nothing_until_the_census_has_settled() -> None:
    two = {"environments": EnvironmentCounts(ready=2, updated=0), "replicas": 2}
    assert plan(shown(**two), complete_seconds=4.0) == Plan([], 6.0)
    assert plan(shown(**two), complete_seconds=None) == Plan()
    more = EnvironmentCounts(ready=3)
    assert len(plan(shown(**two), counts=more, complete_seconds=4.0).changes) == 1


def test_a_settled_census_shows_fewer_environments_and_an_unsettled_one_what_they_do() -> None:
    two = {"environments": EnvironmentCounts(ready=2, updated=0), "replicas": 2}
    busy = EnvironmentCounts(ready=2, busy=2)
    assert plan(shown(**two), counts=busy, complete_seconds=0.0) == Plan(
        [write(environments=ZEROS | {"ready": 2, "busy": 2})]
    )
    one = EnvironmentCounts(ready=1)
    assert plan(shown(**two), counts=one, complete_seconds=10.0) == Plan([write(environments=ZEROS | {"ready": 1})])


def deleted(**members: Any) -> Function:
    return shown(**{"deleting": True, "finalizers": ("others/own", OUR_FINALIZER)} | members)


def clears(what: Function, **members: Any) -> Plan:
    """Without what is said meanwhile."""
    done = plan(what, **members)
    return Plan([change for change in done.changes if not isinstance(change, WriteStatus)], done.again_seconds)


GONE = Plan(
    [
        Event(FUNCTION_ID, "Normal", "Deleted", "No environment of it is left; it is gone.", once="f-1"),
        SetFinalizers(FUNCTION_ID, 20, ("others/own",)),
    ]
)


def test_a_deleted_function_goes_when_nothing_of_it_is_left() -> None:
    """F3."""
    assert plan(deleted()) == GONE
    assert clears(deleted(), claims=True) == Plan()
    assert clears(deleted(), complete_seconds=None) == Plan()
    assert clears(deleted(), pods=((pod(deleting=True), None),)) == Plan()
    assert plan(deleted(finalizers=("others/own",))) == Plan()


def test_a_deleted_function_is_not_ready_and_says_what_it_waits_for() -> None:
    """What else is shown stays: nothing of its newest generation, which the deletion made, is brought about."""
    going, two = deleted(generation=4), ((pod(), None), (pod("b"), None))
    told = plan(going, pods=two)
    message = "It is being deleted, and goes once its environments have ended: 2 left."
    unready = condition("Ready", "False", "Deleting", message, WALL, generation=4)
    assert told == Plan([write(unready, CODE, ENVIRONMENTS, ROLLED_OUT)])
    says_so = deleted(generation=4, conditions=(unready, CODE, ENVIRONMENTS, ROLLED_OUT))
    assert plan(says_so, pods=two) == Plan()
    one = plan(says_so, pods=two[:1])
    assert says(one)["Ready"][2].endswith("ended: 1 left.")
    assert plan(says_so, pods=two[:1], written_seconds=0.75) == Plan([], 0.25)
    assert events(plan(deleted(environments=EnvironmentCounts(ready=1)), claims=True)) == []


def test_its_pods_are_cleared_away_as_any_others() -> None:
    assert clears(deleted(), pods=((pod(), None),)) == Plan()  # a gateway has it
    assert clears(deleted(), pods=((pod(), 30.0), (pod("b"), 40.0))) == Plan([], 50.0)
    assert clears(deleted(), pods=((pod(), 90.0),)) == Plan([DeletePod("a", "p-a")])
    assert clears(deleted(), pods=((pod(phase="Failed"), None),)) == Plan([DeletePod("a", "p-a")])
    assert clears(deleted(), pods=((pod(deleting=True), 90.0),)) == Plan()  # is on its way already


def test_without_any_gateway_it_goes_in_the_end() -> None:
    away = {"complete_seconds": None, "away_seconds": 119.0, "claims": True}
    assert clears(deleted(), **away, pods=((pod(), None),)) == Plan([], 1.0)
    away["away_seconds"] = 120.0
    assert clears(deleted(), **away, pods=((pod(), None),)) == Plan([DeletePod("a", "p-a")])
    assert plan(deleted(), **away) == GONE


IMAGE: dict[str, Any] = {"runtime": None, "image": True}


def test_an_image_needs_no_pool() -> None:
    (written, event) = plan(function(**IMAGE), pool=None).changes
    assert isinstance(written, WriteStatus)
    conditions = {one["type"]: (one["status"], one["message"]) for one in written.status["conditions"]}
    assert conditions == {
        "Ready": ("True", "It can be invoked."),
        "CodeReady": ("True", "What runs in its image is known."),  # by a registry, or as the function says it itself
        "EnvironmentsReady": ("True", "Environments are pods that run its image."),
        "RolledOut": ("True", "All environments run the current code."),
    }
    assert isinstance(event, Event) and event.reason == "FunctionReady"


def test_an_image_that_nodes_can_not_pull_is_told_of_the_function() -> None:
    trouble = PoolTrouble(Trouble("ImagePullFailed", "denied", own_image=True), failures=1, since=NOW, until=NOW + 2)
    changes = plan(shown(**IMAGE), pool=None, trouble=trouble, own_pods=True).changes
    (event,) = (change for change in changes if isinstance(change, Event))
    assert (event.regarding, event.type, event.reason) == (FUNCTION_ID, "Warning", "ImagePullFailed")
    assert event.note.startswith("denied. Check the function's spec.code.imageUri")
