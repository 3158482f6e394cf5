"""
What becomes of one agent and the pod of its name.

    K2  an agent has at most one pod: the pod has the agent's name
    K3  no pod that a gateway has in its census is deleted, unless it is finished, or the gateway was told first that it can't be had
    A1  a pod that no gateway has is deleted once it was missing for longer than agents are patient
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lambent_core import dedicated_pools
from lambent_core.dedicated_pools import DedicatedPool
from lambent_operator.census import Agent
from lambent_operator.changes import (
    AdoptPod,
    Change,
    CreatePod,
    DeletePod,
    Event,
    LeaveAlone,
    Plan,
    ReportFailure,
    ResizePod,
)
from lambent_operator.manifests.pod import AgentSource, Link, amounts_for, pod_manifest
from lambent_operator.resources import Function, GatewayPod, Identity, Pod, RuntimePool
from lambent_operator.troubles import PoolTrouble, Trouble

AGENT_PATIENCE_SECONDS = 60.0
"""For so long agents look for a gateway that lets them in before they end."""
MISSING_SECONDS_MAX = 1.5 * AGENT_PATIENCE_SECONDS
"""Half of that again for what is slow."""
UNKNOWN_SECONDS_MAX = 5.0
"""A gateway may know of a resource before the operator does, as long as a watch is behind."""
LOOK_AGAIN_SECONDS = 1.0
_KILLED = {
    "Evicted": ("EnvironmentEvicted", "Give its nodes more of what was short, or have the function use less of it."),
    "OOMKilled": ("EnvironmentOutOfMemory", "Raise spec.memorySize, or have the function use less."),
}
"""Reason of an Event, and what to do, by the word that `Pod.ended` begins with."""
_TMP_FULL = 'EmptyDir volume "tmp"'
"""The kubelet's words where more was written to /tmp than fits."""


@dataclass(frozen=True, slots=True)
class AgentView:
    """All that is known of an agent at one moment. Spans are in seconds."""

    id: str
    agent: Agent | None = None
    """None: in no census."""
    gateway: GatewayPod | None = None
    """That has it; None: its connection is broken, so what it wants may be old."""
    wanted_seconds: float = 0.0
    """Since it is in the census."""
    missing_seconds: float | None = None
    """In no census, and its pod seen; negative while it may be a gateway's that ends (C4). None: nobody can know."""
    pod: Pod | None = None
    pod_seconds: float = 0.0
    """Since the pod was seen first."""
    trouble_seconds: float = 0.0
    """Since the pod has been in its trouble."""
    function: Function | None = None
    """That claimed it, or whose own pod it is."""
    version: Function | None = None
    """The same as it was published, where the pool is a version's and the pod is to be made: see `version_to_make`."""
    runtime_pool: RuntimePool | None = None
    """Whose image it runs; None where that is the function's own."""
    pool_trouble: PoolTrouble | None = None
    resize_refused: bool = False
    """By the API server, for this pod."""


def plan_agent(
    view: AgentView, *, namespace: str, link: Link, source: AgentSource, pod_labels: Mapping[str, str], now: float
) -> Plan:
    agent, pod = view.agent, view.pod
    if agent is None:
        return _plan_missing(view, namespace)
    if pod is not None and pod.deleting and agent.told.state != "wanted":
        return Plan()
    if agent.told.state != "wanted":
        return _plan_connected(view, agent, namespace)
    if view.gateway is None:
        # By C3 it is not missing, and what it wants may be old: its pod goes if it has ended.
        return _plan_missing(view, namespace)
    if pod is None:
        return _plan_wanted(
            view, agent, view.gateway, namespace=namespace, link=link, source=source, pod_labels=pod_labels, now=now
        )
    return _plan_starting(view, agent, pod)


def plan_refused(view: AgentView, trouble: Trouble) -> Plan:
    """The API server refused to make its pod."""
    agent = view.agent
    if agent is None:
        return Plan()
    if view.wanted_seconds < trouble.patience_seconds:
        if not trouble.kind.capacity:
            return Plan(again_seconds=LOOK_AGAIN_SECONDS)  # were the pool left alone, all would be told at once
        return Plan([LeaveAlone(agent.told.pool, trouble)], LOOK_AGAIN_SECONDS)
    return Plan([ReportFailure(agent.told.id, agent.gateway, agent.told.pool, trouble)])


def gives_up(plan: Plan) -> bool:
    """
    Whether somebody is told that an agent can't be had. If that is for its pod's sake, the API server must have been asked for the pod:
    after an outage of it, what watches have brought is as old as that is long.
    """
    return any(isinstance(change, ReportFailure) for change in plan.changes)


def version_to_make(view: AgentView, *, now: float) -> str | None:
    """Name of the FunctionVersion that a pod is made of now, if it is there: who plans must have looked it up."""
    own = _own_to_make(view, now)
    return None if own is None or own.version is None or view.function is None else f"{own.function}.{own.version}"


def function_to_look_at(view: AgentView, *, now: float) -> str | None:
    """
    Name of the Function for want of which its pod is about to be refused: who plans must have asked the API server for it, as watches
    may be further behind than anybody waits.
    """
    own = _own_to_make(view, now)
    late = own is not None and _known(view, own) is None and view.wanted_seconds >= UNKNOWN_SECONDS_MAX
    return own.function if own is not None and late else None


def own_pool(pool: str) -> str | None:
    """The function whose own pods are in this pool of the census; None: it is a RuntimePool's name."""
    own = dedicated_pools.parse(pool)
    return own.function if own is not None else None


def has_own_image(pool: str) -> bool:
    """Whether pods of this pool of the census run the function's own image."""
    own = dedicated_pools.parse(pool)
    return own is not None and own.image is not None


def _plan_missing(view: AgentView, namespace: str) -> Plan:
    pod = view.pod
    if pod is None or pod.deleting:
        return Plan()
    if pod.finished:
        return Plan([*_killed(pod, namespace), DeletePod(pod.name, pod.uid)])
    if view.missing_seconds is None:
        return Plan()
    if view.missing_seconds < MISSING_SECONDS_MAX:
        return Plan(again_seconds=MISSING_SECONDS_MAX - view.missing_seconds)
    return Plan([DeletePod(pod.name, pod.uid)])


def _plan_wanted(
    view: AgentView,
    agent: Agent,
    gateway: GatewayPod,
    *,
    namespace: str,
    link: Link,
    source: AgentSource,
    pod_labels: Mapping[str, str],
    now: float,
) -> Plan:
    pool, own = agent.told.pool, dedicated_pools.parse(agent.told.pool)
    if (trouble := _left_alone(view, now)) is not None:
        if trouble.trouble.kind.capacity:
            return Plan(again_seconds=trouble.until - now)
        return Plan([ReportFailure(agent.told.id, agent.gateway, pool, trouble.trouble)])
    owner = None if own is None else _known(view, own) if own.version is None else view.version
    no_pool = view.runtime_pool is None and not has_own_image(pool)
    if no_pool or (own is not None and owner is None):
        if view.wanted_seconds < UNKNOWN_SECONDS_MAX:
            return Plan(again_seconds=LOOK_AGAIN_SECONDS)
        lacking = f"There is no RuntimePool for {pool}" if own is None or owner is not None else _not_there(view, own)
        return Plan([ReportFailure(agent.told.id, agent.gateway, pool, Trouble("RuntimeUnavailable", lacking))])
    manifest = pod_manifest(
        agent.told.id,
        pool=pool,
        runtime_pool=None if has_own_image(pool) else view.runtime_pool,
        function=owner,
        gateway=gateway,
        namespace=namespace,
        link=link,
        agent=source,
        pod_labels=pod_labels,
    )
    return Plan([CreatePod(manifest)])


def _left_alone(view: AgentView, now: float) -> PoolTrouble | None:
    """Why no pod is made in its pool now (T1)."""
    trouble = view.pool_trouble
    return trouble if trouble is not None and now < trouble.until else None


def _own_to_make(view: AgentView, now: float) -> DedicatedPool | None:
    """The pool, where it is of a function's own pods and one of them is to be made now."""
    agent = view.agent
    if agent is None or agent.told.state != "wanted" or view.gateway is None or view.pod is not None:
        return None
    return None if _left_alone(view, now) else dedicated_pools.parse(agent.told.pool)


def _known(view: AgentView, own: DedicatedPool) -> Function | None:
    """
    The function, once it is seen with the code revision that the pods are for: before, its settings may be what they were earlier. So may
    those of one that is being deleted: one of its name, made anew, has its revisions from the first.
    """
    function = view.function
    if function is None or function.deleting:
        return None
    return None if own.revision.isdecimal() and int(own.revision) > function.code_revision else function


def _not_there(view: AgentView, own: DedicatedPool) -> str:
    if own.version is None and view.function is not None and not view.function.deleting:
        return f"The Function {own.function} has no code revision {own.revision}, only {view.function.code_revision}"
    version = "" if own.version is None else f", or no version {own.version} of it"
    return f"There is no Function {own.function}{version}"


def _plan_starting(view: AgentView, agent: Agent, pod: Pod) -> Plan:
    trouble, seconds = pod.trouble, view.trouble_seconds
    if pod.deleting:
        trouble = Trouble("PodDeleted", f"The pod {pod.name} was deleted before it connected, and is still there")
    elif pod.finished:
        why = f"The pod {pod.name} ended before it connected: {pod.ended}"
        gave_up = pod.ran_seconds >= AGENT_PATIENCE_SECONDS - 1.0  # the kubelet tells whole seconds
        reason = "GatewayNotFound" if gave_up else "EnvironmentEnded"
        trouble = Trouble(reason, why, has_own_image(agent.told.pool))
    elif trouble is None and pod.phase == "Pending":
        why = f"The pod {pod.name} does not start"
        trouble, seconds = Trouble("StartTimeout", why, has_own_image(agent.told.pool)), view.pod_seconds
    if trouble is None:
        return Plan()  # it runs: it connects, or it ends
    if seconds < trouble.patience_seconds:
        return Plan(again_seconds=trouble.patience_seconds - seconds)
    failure = ReportFailure(agent.told.id, agent.gateway, agent.told.pool, trouble)
    return Plan([failure] if pod.deleting else [failure, DeletePod(pod.name, pod.uid)])


def _plan_connected(view: AgentView, agent: Agent, namespace: str) -> Plan:
    pod, function, told = view.pod, view.function, agent.told
    if pod is None:
        return Plan()
    if pod.finished:
        return Plan([*_killed(pod, namespace), DeletePod(pod.name, pod.uid)])
    if told.state != "claimed" or function is None or function.uid != told.function_uid:
        return Plan()
    changes: list[Change] = []
    revision = told.revision or ""
    if (pod.function, pod.owner_uid, pod.revision) != (function.name, function.uid, revision):
        changes.append(AdoptPod(pod.name, pod.uid, function.identity, revision))
    if told.memory_mb is not None and not view.resize_refused:
        amounts = amounts_for(told.memory_mb, cpu_limit_m=pod.amounts.cpu_limit_m)
        if amounts != pod.amounts:
            changes.append(ResizePod(pod.name, pod.uid, amounts, function.identity))
    if pod.resize_pending:
        changes.append(resize_refused(function.identity, pod, pod.resize_pending))
    return Plan(changes)


def _killed(pod: Pod, namespace: str) -> list[Change]:
    """Tells its function, if it was one's environment: nothing else would, once the pod is deleted."""
    found = next((told for word, told in _KILLED.items() if pod.ended.startswith(word)), None)
    if found is None or pod.function is None or pod.owner_uid is None:
        return []
    reason, advice = found
    if _TMP_FULL in pod.ended:
        advice = "Raise spec.ephemeralStorage.size, or have the function leave less in /tmp."
    note = f"The pod {pod.name} ended: {pod.ended.rstrip('. ')}. {advice}"
    function = Identity("Function", namespace, pod.function, pod.owner_uid)
    return [Event(function, "Warning", reason, note, once=pod.uid)]


def resize_refused(function: Identity, pod: Pod, why: str) -> Event:
    note = (
        f"The pod {pod.name} keeps the size it was made with: {why}. The agent holds the function to its memory all the same. "
        "Make the RuntimePool's resources fit the functions, or add room to the nodes."
    )
    return Event(function, "Warning", "ResizeRefused", note, once=pod.uid)
