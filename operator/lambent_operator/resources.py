"""
What the operator knows of each object: the few members that plans look at, as frozen values.

Objects come as the API server has them. A newer version may have written members that this one doesn't know: they are left unread,
and what is kept is small, for there are thousands.
"""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from lambent_core.function import Condition, EnvironmentCounts, revision_of
from lambent_core.runtime_pools import RuntimePoolSpec
from lambent_operator import labels
from lambent_operator.quantities import NOTHING, Amounts, parse_amounts
from lambent_operator.troubles import Trouble, trouble_of_pod

Object = dict[str, Any]
LAST_WORDS_MAX = 300
"""Characters that are kept of what an ended container said last."""
M = TypeVar("M", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Identity:
    """Of one object for good: what an Event is about, what a patch is meant for."""

    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Pod:
    name: str
    uid: str
    version: int
    pool: str
    phase: str
    deleting: bool = False
    function: str | None = None
    """Label."""
    revision: str | None = None
    """Annotation."""
    owner_uid: str | None = None
    """Of the controlling Function."""
    amounts: Amounts = NOTHING
    """Of the container `runtime`, as wanted of the node."""
    trouble: Trouble | None = None
    """What keeps it from starting, by its own status."""
    ended: str = ""
    """How it ended, in words, of which Kubernetes' own is the first; empty while it runs."""
    ran_seconds: float = 0.0
    """How long its agent's container ran, once it has ended."""
    resize_pending: str = ""
    """Why the node has not resized it: "Infeasible" or "Deferred", and its message."""

    @property
    def finished(self) -> bool:
        return self.phase in ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Function:
    namespace: str
    name: str
    uid: str
    version: int
    generation: int
    deleting: bool = False
    finalizers: tuple[str, ...] = ()
    runtime: str | None = None
    image: bool = False
    """Its code is a container image: it needs no RuntimePool."""
    architecture: str = "x86_64"
    """Lambda's name."""
    memory_mb: int = 128
    tmp_mb: int = 512
    pod: PodWishes | None = None
    """What its own pods need; None where the schema's defaults do."""
    wanted_replicas: int = 0
    """Of its `spec`: environments that are kept ready."""
    state: str = "Pending"
    state_reason: str = ""
    last_update_status: str | None = None
    last_update_status_reason: str = ""
    last_update_status_reason_code: str = ""
    observed_generation: int = 0
    """The generation that the gateway has brought about."""
    code_revision: int = 0
    conditions: tuple[Condition, ...] = ()
    environments: EnvironmentCounts | None = None
    replicas: int | None = None
    selector: str | None = None

    @property
    def identity(self) -> Identity:
        return Identity("Function", self.namespace, self.name, self.uid)

    @property
    def revision(self) -> str:
        """Of its current code, as gateways call it."""
        return revision_of(self.uid, self.code_revision)


@dataclass(frozen=True, slots=True)
class PodWishes:
    """`spec.pod`, in a pod's own shape."""

    service_account_name: str | None = None
    runtime_class_name: str | None = None
    node_selector: tuple[tuple[str, str], ...] = ()
    env_from: tuple[Object, ...] = ()
    image_pull_secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RuntimePool:
    namespace: str
    name: str
    uid: str
    version: int
    generation: int
    spec: RuntimePoolSpec
    ready: int = 0
    starting: int = 0
    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()

    @property
    def identity(self) -> Identity:
        return Identity("RuntimePool", self.namespace, self.name, self.uid)


@dataclass(frozen=True, slots=True)
class GatewayPod:
    name: str
    uid: str
    version: int
    ip: str
    ready: bool
    deleting: bool = False


def parse_pod(thing: Object) -> Pod:
    metadata, status = thing["metadata"], thing.get("status", {})
    own_labels, annotations = metadata.get("labels", {}), metadata.get("annotations", {})
    containers = thing["spec"]["containers"]
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        version=int(metadata["resourceVersion"]),
        pool=annotations.get(labels.POOL, ""),
        phase=status.get("phase", "Pending"),
        deleting="deletionTimestamp" in metadata,
        function=own_labels.get(labels.FUNCTION),
        revision=annotations.get(labels.REVISION),
        owner_uid=next(
            (owner["uid"] for owner in metadata.get("ownerReferences", []) if owner.get("controller")), None
        ),
        amounts=parse_amounts(containers[0].get("resources", {})),
        trouble=trouble_of_pod(status, own_image="initContainers" in thing["spec"]),
        ended=_ended(status),
        ran_seconds=_ran_seconds(status),
        resize_pending=_resize_pending(status),
    )


def parse_function(thing: Object) -> Function:
    metadata, spec, status = thing["metadata"], thing["spec"], thing.get("status", {})
    return Function(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        version=int(metadata["resourceVersion"]),
        generation=metadata.get("generation", 0),
        deleting="deletionTimestamp" in metadata,
        finalizers=tuple(map(sys.intern, metadata.get("finalizers", ()))),
        **_made_of(spec),
        wanted_replicas=spec.get("replicas", 0),
        state=sys.intern(status.get("state", "Pending")),
        state_reason=sys.intern(status.get("stateReason") or ""),
        last_update_status=status.get("lastUpdateStatus"),
        last_update_status_reason=status.get("lastUpdateStatusReason") or "",
        last_update_status_reason_code=sys.intern(status.get("lastUpdateStatusReasonCode") or ""),
        observed_generation=status.get("observedGeneration", 0),
        code_revision=status.get("codeRevision", 0),
        conditions=_conditions(status),
        environments=_counts(status.get("environments")),
        replicas=status.get("replicas"),
        selector=status.get("selector"),
    )


def as_of_version(function: Function, thing: Object) -> Function:
    """The function as whose pods those of a FunctionVersion of it are made."""
    return replace(function, **_made_of(thing["spec"]["function"]))


def parse_runtime_pool(thing: Object) -> RuntimePool:
    """Raises `msgspec.ValidationError` for a spec that its schema would refuse."""
    metadata, status = thing["metadata"], thing.get("status", {})
    return RuntimePool(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        version=int(metadata["resourceVersion"]),
        generation=metadata.get("generation", 0),
        spec=_known(RuntimePoolSpec, thing["spec"]),
        ready=status.get("ready", 0),
        starting=status.get("starting", 0),
        observed_generation=status.get("observedGeneration", 0),
        conditions=_conditions(status),
    )


def parse_gateway_pod(thing: Object) -> GatewayPod:
    metadata, status = thing["metadata"], thing.get("status", {})
    conditions = {condition["type"]: condition["status"] for condition in status.get("conditions", [])}
    finished = status.get("phase") in ("Succeeded", "Failed")
    return GatewayPod(
        name=metadata["name"],
        uid=metadata["uid"],
        version=int(metadata["resourceVersion"]),
        ip="" if finished else status.get("podIP", ""),
        ready=conditions.get("Ready") == "True" and "deletionTimestamp" not in metadata and not finished,
        deleting="deletionTimestamp" in metadata,
    )


def _made_of(spec: Object) -> dict[str, Any]:
    """The members of a Function that its own pods are made of."""
    return {
        "runtime": sys.intern(spec["runtime"]) if spec.get("runtime") else None,
        "image": spec.get("packageType") == "Image",
        "architecture": next(iter(spec.get("architectures") or ("x86_64",))),
        "memory_mb": spec.get("memorySize", 128),
        "tmp_mb": spec.get("ephemeralStorage", {}).get("size", 512),
        "pod": _pod_wishes(spec.get("pod")),
    }


def _pod_wishes(pod: Object | None) -> PodWishes | None:
    if not pod:
        return None
    return PodWishes(
        service_account_name=pod.get("serviceAccountName"),
        runtime_class_name=pod.get("runtimeClassName"),
        node_selector=tuple(sorted(pod.get("nodeSelector", {}).items())),
        env_from=tuple(pod.get("envFrom", ())),
        image_pull_secrets=tuple(pod.get("imagePullSecrets", ())),
    )


def _conditions(status: Object) -> tuple[Condition, ...]:
    return tuple(_known(Condition, _shared(condition)) for condition in status.get("conditions", ()))


def _shared(condition: Object) -> Object:
    """Thousands of functions say the same: their words are kept once."""
    return {name: sys.intern(value) if isinstance(value, str) else value for name, value in condition.items()}


def _counts(environments: Object | None) -> EnvironmentCounts | None:
    return None if environments is None else _known(EnvironmentCounts, environments)


def _known(model: type[M], members: Object) -> M:
    return msgspec.convert({name: value for name, value in members.items() if name in _names(model)}, model)


@functools.cache
def _names(model: type[msgspec.Struct]) -> frozenset[str]:
    return frozenset(field.encode_name for field in msgspec.structs.fields(model))


def _ended(status: Object) -> str:
    if status.get("phase") not in ("Succeeded", "Failed"):
        return ""
    if reason := status.get("reason"):  # the kubelet's own word: Evicted, NodeShutdown, ...
        return f"{reason}: {status.get('message', '')}".strip(": ")
    for container in (*status.get("containerStatuses", ()), *status.get("initContainerStatuses", ())):
        if ending := container.get("state", {}).get("terminated"):
            words = ending.get("message", "").strip()[-LAST_WORDS_MAX:]
            return f"{ending.get('reason', 'Error')}, exit code {ending.get('exitCode')}" + (
                f": {words}" if words else ""
            )
    return "it ended without saying why"


def _ran_seconds(status: Object) -> float:
    for container in status.get("containerStatuses", ()):
        ending = container.get("state", {}).get("terminated", {})
        began, ended = ending.get("startedAt"), ending.get("finishedAt")
        if began and ended:  # null of one that was never started
            return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()
    return 0.0


def _resize_pending(status: Object) -> str:
    for condition in status.get("conditions", []):
        if condition["type"] == "PodResizePending" and condition["status"] == "True":
            return f"{condition.get('reason', 'Pending')}: {condition.get('message', '')}"
    return ""
