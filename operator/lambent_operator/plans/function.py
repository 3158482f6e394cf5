"""
What a Function's users see of it, and when it may go.

    F1  the status is written when it says something new, at most once in `WRITE_SECONDS_MIN`
    F2  `lastTransitionTime` moves with `status` alone
    F3  the finalizer goes when no agent is claimed by the function and no pod of it is left, or when no gateway has been
        reachable for `AWAY_SECONDS_MAX` and its pods are gone
    F4  `RolledOut` becomes True only for a generation that the gateway has taken up, when no gateway has an environment of
        older code and `replicas` of the current one are initialised
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from lambent_core.awaited import AWAITED
from lambent_core.census import Rollout
from lambent_core.conditions import Finding, as_written, condition_of, next_conditions, turned
from lambent_core.function import Condition, EnvironmentCounts
from lambent_operator import labels
from lambent_operator.changes import Change, DeletePod, Event, Plan, SetFinalizers, WriteStatus
from lambent_operator.plans.agent import MISSING_SECONDS_MAX
from lambent_operator.resources import Function, Pod, RuntimePool
from lambent_operator.troubles import VERSION_SECONDS, PoolTrouble

NONE = EnvironmentCounts()
WRITE_SECONDS_MIN = 1.0
"""A function that comes and goes writes its status to etcd no oftener."""
SETTLED_SECONDS = 10.0
"""After a gateway began to tell, its agents come back to it within seconds: until then fewer of them mean nothing."""
AWAY_SECONDS_MAX = 120.0
VERSION_LOOK_SECONDS = 5.0
"""Versions are not watched: one whose trouble is shown is asked for so often."""
CONDITIONS = ("Ready", "CodeReady", "EnvironmentsReady", "RolledOut", "Initialized")
"""That the operator writes; others may have conditions of their own beside them."""


@dataclass(frozen=True, slots=True)
class FunctionView:
    """All that is known of a function at one moment. Spans are in seconds."""

    function: Function
    pool: RuntimePool | None
    """That offers its runtime; a container image needs none."""
    offered: tuple[str, ...] = ()
    """Runtimes that any pool offers."""
    trouble: PoolTrouble | None = None
    """Of its pool, or of its own pods."""
    trouble_seconds: float = 0.0
    """Since it was met with last."""
    own_pods: bool = False
    """The trouble is of pods that are its own: nobody else is told of it."""
    version: str | None = None
    """The published version that these pods are of."""
    version_seconds: float | None = None
    """Since a version in trouble was found to be there still; None: none has been."""
    counts: EnvironmentCounts = NONE
    """From the census."""
    complete_seconds: float | None = None
    """Since the census has been complete; None: it isn't."""
    away_seconds: float | None = None
    """Since no gateway has been reachable; None: one is."""
    claims: bool = False
    """An agent is claimed by it, in the census of a gateway that is connected or ready, or its pod is there."""
    init_error: str | None = None
    """Why an environment of its current revision could not be initialised, as Lambda names errors."""
    rollout: Rollout | None = None
    """Of its current revision, from the census; None: a gateway does not tell."""
    pods: tuple[tuple[Pod, float | None], ...] = ()
    """Its pods, and for how long each is in no census; None: nobody can know, or it is in one."""
    written_seconds: float | None = None
    """Since its status was last written by this operator."""


def plan_function(view: FunctionView, *, timestamp: str) -> Plan:
    function = view.function
    if function.deleting:
        return _plan_drain(view, timestamp) if labels.FINALIZER in function.finalizers else Plan()
    changes: list[Change] = []
    if labels.FINALIZER not in function.finalizers:
        changes.append(SetFinalizers(function.identity, function.version, (*function.finalizers, labels.FINALIZER)))
    status = _plan_status(view, timestamp)
    return Plan(changes + status.changes, _soonest(status.again_seconds, _version_wait_seconds(view)))


def version_to_look_at(view: FunctionView) -> str | None:
    """The version in trouble, where it is time to ask whether it is there still: who plans must have asked (T5)."""
    if view.function.deleting:
        return None
    late = view.version_seconds is None or view.version_seconds >= VERSION_LOOK_SECONDS
    return view.version if late else None


def findings(
    function: Function,
    pool: RuntimePool | None,
    offered: Sequence[str],
    trouble: PoolTrouble | None,
    version: str | None,
) -> list[Finding]:
    """
    Ready first: that is what people look at. `version`: whose own pods are in trouble, where that is not `$LATEST`; the function can be
    invoked all the same.
    """
    code = _code_ready(function)
    environments = _environments_ready(function, pool, offered, trouble if version is None else None)
    unready = next((finding for finding in (code, environments) if finding.status != "True"), None)
    ready = (
        Finding("Ready", "True", "Active", "It can be invoked.")
        if unready is None
        else Finding("Ready", unready.status, unready.reason, unready.message)
    )
    if trouble is not None and version is not None and environments.status == "True":
        note = f"Version {version}: {trouble.trouble.note}"
        environments = Finding("EnvironmentsReady", "False", trouble.trouble.reason, note)
    return [ready, code, environments]


def _plan_drain(view: FunctionView, timestamp: str) -> Plan:
    function = view.function
    away = view.away_seconds is not None and view.away_seconds >= AWAY_SECONDS_MAX
    changes: list[Change] = []
    waits: list[float] = []
    for pod, missing_seconds in view.pods:
        if pod.deleting:
            continue
        if pod.finished or away or (missing_seconds is not None and missing_seconds >= MISSING_SECONDS_MAX):
            changes.append(DeletePod(pod.name, pod.uid))
        elif missing_seconds is not None:
            waits.append(MISSING_SECONDS_MAX - missing_seconds)
    if view.away_seconds is not None and not away:
        waits.append(AWAY_SECONDS_MAX - view.away_seconds)
    known = view.complete_seconds is not None and not view.claims
    if not view.pods and (known or away):
        finalizers = tuple(name for name in function.finalizers if name != labels.FINALIZER)
        changes.append(
            Event(
                function.identity, "Normal", "Deleted", "No environment of it is left; it is gone.", once=function.uid
            )
        )
        changes.append(SetFinalizers(function.identity, function.version, finalizers))
        return Plan(changes)
    status = _plan_status(view, timestamp)
    return Plan(changes + status.changes, _soonest(status.again_seconds, *waits))


def _plan_status(view: FunctionView, timestamp: str) -> Plan:
    function = view.function
    settled, settle_seconds = _settled_counts(view)
    counts = settled or function.environments or NONE
    shown = tuple(condition for condition in function.conditions if condition.type in CONDITIONS)
    conditions = next_conditions(
        shown,
        _found(view, known=settled is not None),
        generation=function.generation,
        timestamp=timestamp,
    )
    selector = f"{labels.FUNCTION}={function.name}"
    written = (shown, function.environments, function.replicas, function.selector)
    if written == (conditions, counts, counts.ready, selector):
        return Plan(again_seconds=settle_seconds)
    if view.written_seconds is not None and view.written_seconds < WRITE_SECONDS_MIN:
        return Plan(again_seconds=WRITE_SECONDS_MIN - view.written_seconds)
    status = {
        "conditions": as_written(conditions),
        "environments": {name: count for name, count in msgspec.structs.asdict(counts).items() if count is not None},
        "replicas": counts.ready,
        "selector": selector,
    }
    return Plan([WriteStatus(function.identity, status), *_events(view, conditions, counts)], settle_seconds)


def _found(view: FunctionView, *, known: bool) -> list[Finding]:
    """`known`: which environments there are."""
    if view.function.deleting:  # what else was found stays what it was: nothing is brought about any more
        return [_deleting(view)]
    ready, code, environments = findings(view.function, view.pool, view.offered, view.trouble, view.version)
    rolled_out = _rolled_out(view, ready, code, known=known)
    return [ready, code, environments, *rolled_out, *_initialized(view)]


def _deleting(view: FunctionView) -> Finding:
    message = f"It is being deleted, and goes once its environments have ended: {len(view.pods)} left."
    return Finding("Ready", "False", "Deleting", message)


def _settled_counts(view: FunctionView) -> tuple[EnvironmentCounts | None, float | None]:
    """What to show, or None while that may be too few, and for how long it may."""
    if view.complete_seconds is None:
        return None, None
    shown = view.function.environments or NONE
    if view.complete_seconds >= SETTLED_SECONDS or view.counts.ready >= shown.ready:
        updated = None if view.rollout is None else view.rollout.updated
        return msgspec.structs.replace(view.counts, updated=updated), None
    return None, SETTLED_SECONDS - view.complete_seconds


def _code_ready(function: Function) -> Finding:
    if function.observed_generation != function.generation:
        reason = "Creating" if function.observed_generation == 0 else "Updating"
        message = f"The gateway has not taken up generation {function.generation} yet. If it stays so, look at the gateway's log."
        return Finding("CodeReady", "Unknown", reason, message)
    if function.state == "Failed" or function.last_update_status == "Failed":
        why = function.last_update_status_reason if function.last_update_status == "Failed" else function.state_reason
        awaited = function.last_update_status_reason_code in AWAITED
        advice = "It is tried again by itself." if awaited else "Correct the manifest and apply it again."
        message = f"{(why or 'The gateway refused it').rstrip('. ')}. {advice}"
        return Finding("CodeReady", "False", "CodeInvalid", message)
    if function.state != "Active" or function.last_update_status != "Successful":
        reason = "Creating" if function.state == "Pending" else "Updating"
        return Finding("CodeReady", "Unknown", reason, function.state_reason or "It is being brought about.")
    stored = "What runs in its image is known." if function.image else "Its package is stored and sound."
    return Finding("CodeReady", "True", "CodeStored", stored)


def _environments_ready(
    function: Function,
    pool: RuntimePool | None,
    offered: Sequence[str],
    trouble: PoolTrouble | None,
) -> Finding:
    if pool is None and not function.image:
        there = f"Runtimes that are offered: {', '.join(offered)}" if offered else "There is no RuntimePool at all"
        message = (
            f"No RuntimePool offers {function.runtime or 'a runtime for it'}. {there}. Create one, or set spec.runtime."
        )
        return Finding("EnvironmentsReady", "False", "RuntimeUnavailable", message)
    if trouble is not None:
        return Finding("EnvironmentsReady", "False", trouble.trouble.reason, trouble.trouble.note)
    source = f"come from the RuntimePool {pool.name}" if pool is not None else "are pods that run its image"
    return Finding("EnvironmentsReady", "True", "Available", f"Environments {source}.")


def _rolled_out(view: FunctionView, ready: Finding, code: Finding, *, known: bool) -> list[Finding]:
    """Nothing while it is not known which environments there are: what was found of an earlier generation stays known as that."""
    if code.status != "True":
        return [Finding("RolledOut", "False", code.reason, code.message)]
    if not known:
        return []
    rollout, wanted = view.rollout, view.function.wanted_replicas
    if rollout is None:
        message = "A gateway of an earlier release does not tell which code its environments run."
        return [Finding("RolledOut", "Unknown", "NotTold", message)]
    if view.init_error is not None:
        return [Finding("RolledOut", "False", "InitFailed", _init_failed(view.init_error))]
    if rollout.updated < wanted and ready.status != "True":
        return [Finding("RolledOut", "False", ready.reason, ready.message)]
    if rollout.updated < wanted or rollout.old:
        total = max(rollout.updated + rollout.old, wanted)
        message = f"{rollout.updated} of {total} environments run the current code."
        return [Finding("RolledOut", "False", "Updating", message)]
    return [Finding("RolledOut", "True", "Complete", "All environments run the current code.")]


def _initialized(view: FunctionView) -> list[Finding]:
    """
    Only of a function whose code has failed to start: of others there is nothing to say. Nor before the gateway has taken up the
    newest generation: environments are of code that may not be its.
    """
    function = view.function
    if function.observed_generation != function.generation:
        return []
    if view.init_error is not None:
        return [Finding("Initialized", "False", "InitFailed", _init_failed(view.init_error))]
    last = condition_of(function.conditions, "Initialized")
    if last is None or last.status == "True":
        return []
    if view.rollout is not None and view.rollout.updated:
        return [Finding("Initialized", "True", "Initialized", "Its code is initialised.")]
    if last.observed_generation != function.generation:
        message = "In an earlier generation its code failed while it was initialised; in this one it has not been started yet."
        return [Finding("Initialized", "Unknown", "NotStarted", message)]
    return []


def _init_failed(error: str) -> str:
    return (
        f"Its code fails while it is initialised: {error}. Callers are told; each call tries once more. "
        "Its log says where: `lambent logs`, or the API's LogResult."
    )


def _events(view: FunctionView, conditions: tuple[Condition, ...], counts: EnvironmentCounts) -> list[Change]:
    """On transitions alone: what was shown before is the function's own status. Of one that is being deleted its end is told."""
    function = view.function
    if function.deleting:
        return []
    once, about = str(function.version), function.identity
    events: list[Change] = []
    if turned(function.conditions, conditions, "Ready", "True"):
        events.append(Event(about, "Normal", "FunctionReady", "It can be invoked.", once))
    if code := turned(function.conditions, conditions, "CodeReady", "False"):
        events.append(Event(about, "Warning", code.reason, code.message, once))
    if init := turned(function.conditions, conditions, "Initialized", "False"):
        events.append(Event(about, "Warning", init.reason, init.message, once))
    environments = turned(function.conditions, conditions, "EnvironmentsReady", "False")
    if environments is not None and (
        view.own_pods or view.pool is None
    ):  # else it is the RuntimePool's, and told there once
        events.append(Event(about, "Warning", environments.reason, environments.message, once))
    before = function.environments.ready if function.environments is not None else 0
    if counts.ready and not before:
        note = f"Execution environments: {counts.ready}."
        events.append(Event(about, "Normal", "ScaledUp", note, once))
    if before and not counts.ready:
        note = "No execution environment is left; the next invocation starts one."
        events.append(Event(about, "Normal", "ScaledToZero", note, once))
    return events


def _version_wait_seconds(view: FunctionView) -> float | None:
    """Until the trouble of a published version ends by itself, or may be found to have ended (T5)."""
    if view.version is None:
        return None
    return min(VERSION_SECONDS - view.trouble_seconds, VERSION_LOOK_SECONDS - (view.version_seconds or 0.0))


def _soonest(*waits: float | None) -> float | None:
    return min((seconds for seconds in waits if seconds is not None), default=None)
