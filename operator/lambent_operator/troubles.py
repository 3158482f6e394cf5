"""
Why environments can't be had, what to do about it, and how long a pool that failed is left alone.

    T1  while a pool is left alone, no pod is made for it
    T2  it is left alone the longer the more often it failed in a row, never longer than `BACK_OFF_SECONDS_MAX`
    T3  pods that fail together count once
    T4  the first agent of the pool that connects ends the trouble
    T5  that of a published version ends by itself `VERSION_SECONDS` after it was met with, and once the version is deleted: nobody
        changes a version, they turn from it
    T6  for a pod that its agent gave up, or that somebody deleted, no pool is left alone: that says who was away a minute ago, or that
        a node is, and nothing of the next pod
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WEBHOOK_FAILED = "failed calling webhook"
"""The API server's words where one does not answer, with status 500, as for what is its own fault."""
BACK_OFF_SECONDS_MIN, BACK_OFF_SECONDS_MAX = 2.0, 60.0
VERSION_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Kind:
    advice: str
    patience_seconds: float = 0.0
    """How long a pod may be in it before it is given up, and somebody wait for a pod that is refused."""
    capacity: bool = False
    """Room may be found by waiting: whoever wants an environment waits. Else they are told at once."""
    image_patience_seconds: float | None = None
    """In place of `patience_seconds` where the pod runs the function's own image, which may be of gigabytes."""
    passing: bool = False
    """It says nothing of the pool's next pod, which is made at once (T6)."""
    image_advice: str = ""
    """In place of `advice` where the pod runs the function's own image, and no RuntimePool is to blame."""


_SETTING_SECONDS = 10.0
"""The kubelet looks again within seconds; what is still wrong then was set wrongly."""
_ROOM_SECONDS = 25.0
"""
An autoscaler takes longer to bring a node, but a caller waits for a minute, and is to be told what is wrong: who comes while a pod is
in it already waits for the end of that one and of another.
"""

KINDS: Mapping[str, Kind] = {
    "ImagePullFailed": Kind(
        "Check spec.image of the RuntimePool, its imagePullSecrets, and that nodes reach the registry.",
        _SETTING_SECONDS,
        image_advice="Check the function's spec.code.imageUri and spec.pod.imagePullSecrets, and that nodes reach the registry.",
    ),
    "InvalidImageName": Kind(
        "Correct spec.image of the RuntimePool.",
        _SETTING_SECONDS,
        image_advice="Correct the function's spec.code.imageUri.",
    ),
    "ConfigMissing": Kind(
        "Create the Secret or ConfigMap that spec.pod.envFrom names, or mark it as optional.", _SETTING_SECONDS
    ),
    "ContainerNotCreated": Kind(
        "Check the RuntimePool's image and the function's spec.pod, and the node's container runtime.",
        _SETTING_SECONDS,
        image_advice="Check the function's image and its spec.pod, and the node's container runtime.",
    ),
    "AgentNotInstalled": Kind(
        "Pods of container images take the agent from Lambent's own image: check the chart's value image, and name Secrets of the "
        "functions' namespace in functions.imagePullSecrets if its registry wants credentials.",
        _SETTING_SECONDS,
    ),
    "Unschedulable": Kind(
        "Add nodes, lower the functions' memorySize, or loosen nodeSelector, tolerations or runtimeClassName.",
        _ROOM_SECONDS,
        capacity=True,
    ),
    "QuotaExceeded": Kind(
        "Raise the namespace's ResourceQuota, or lower functions' memory or concurrency.", _ROOM_SECONDS, capacity=True
    ),
    "PodSecurityViolation": Kind(
        "Lambent's pods keep to the level restricted: look for a stricter policy, or one that changes pods."
    ),
    "ServiceAccountMissing": Kind("Create the ServiceAccount in the namespace of the functions."),
    "RuntimeClassMissing": Kind("Create the RuntimeClass, or take its name from the function or the RuntimePool."),
    "PodRefused": Kind(
        "The API server's message says which rule refused it; change the function, the RuntimePool or the rule."
    ),
    "WebhookFailed": Kind(
        "Start what serves this admission webhook, have it leave the functions' namespace out, or set its failurePolicy to Ignore.",
        _SETTING_SECONDS,
    ),
    "RuntimeUnavailable": Kind("Create a RuntimePool that offers the runtime, or choose a runtime that is offered."),
    "EnvironmentEnded": Kind(
        "Look at the RuntimePool's image and command, and that the pod reaches the gateway's link port.",
        image_advice="Look at the pod's last words, and that it reaches the gateway's link port.",
    ),
    "GatewayNotFound": Kind(
        "The gateway or the Kubernetes API was away; if neither was, look whether pods reach the gateway's link port.",
        passing=True,
    ),
    "PodDeleted": Kind(
        "Its node may be lost; if not, look who deletes pods. Another is made under another name.",
        _SETTING_SECONDS,
        passing=True,
    ),
    "StartTimeout": Kind(
        "Look at the node, its volumes and its network: `kubectl describe pod`.",
        120.0,
        image_patience_seconds=900.0,
    ),
}


@dataclass(frozen=True, slots=True)
class Trouble:
    reason: str
    """One of `KINDS`."""
    message: str
    """The cause in the words of whoever found it."""
    own_image: bool = False
    """Of a pod that runs a function's own image."""

    @property
    def kind(self) -> Kind:
        return KINDS[self.reason]

    @property
    def patience_seconds(self) -> float:
        """How long a pod may be in it before it is given up."""
        longer = self.kind.image_patience_seconds if self.own_image else None
        return self.kind.patience_seconds if longer is None else longer

    @property
    def note(self) -> str:
        """For people: what happened, and what to do."""
        advice = self.kind.image_advice if self.own_image and self.kind.image_advice else self.kind.advice
        return f"{self.message.rstrip('. ')}. {advice}"


_WAITING = {
    "ErrImagePull": "ImagePullFailed",
    "ImagePullBackOff": "ImagePullFailed",
    "ErrImageNeverPull": "ImagePullFailed",
    "ImageInspectError": "ImagePullFailed",
    "RegistryUnavailable": "ImagePullFailed",
    "InvalidImageName": "InvalidImageName",
    "CreateContainerConfigError": "ConfigMissing",
    "CreateContainerError": "ContainerNotCreated",
    "RunContainerError": "ContainerNotCreated",
}


def trouble_of_pod(status: Mapping[str, Any], *, own_image: bool = False) -> Trouble | None:
    """
    From a pod's status; None: nothing keeps it from starting, as far as can be seen.

    What keeps the container from starting that puts the agent into a function's image is no fault of that image.
    """
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return Trouble("Unschedulable", condition.get("message", ""))
    for container in status.get("initContainerStatuses", []):
        waiting = container.get("state", {}).get("waiting", {})
        if reason := _WAITING.get(waiting.get("reason", "")):
            why = waiting.get("message") or waiting["reason"]
            return Trouble("AgentNotInstalled", f"{reason}: {why}")
    for container in status.get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting", {})
        if reason := _WAITING.get(waiting.get("reason", "")):
            return Trouble(reason, waiting.get("message") or waiting["reason"], own_image)
    return None


def trouble_of_refusal(message: str) -> Trouble:
    """From the API server's words when it refused to make a pod."""
    known = {
        WEBHOOK_FAILED: "WebhookFailed",
        "exceeded quota": "QuotaExceeded",
        "violates PodSecurity": "PodSecurityViolation",
        "error looking up service account": "ServiceAccountMissing",
        "RuntimeClass": "RuntimeClassMissing",
    }
    reason = next((reason for words, reason in known.items() if words in message), "PodRefused")
    return Trouble(reason, message)


@dataclass(frozen=True, slots=True)
class PoolTrouble:
    trouble: Trouble
    failures: int
    """In a row."""
    since: float
    until: float
    """When the pool is tried again, if somebody wants an agent of it then."""


@dataclass(slots=True)
class Troubles:
    """The one owner of pools' troubles; by the census' name of the pool. Times are the caller's monotonic seconds."""

    pools: dict[str, PoolTrouble] = field(default_factory=dict)

    def tell(self, pool: str, trouble: Trouble, *, now: float) -> bool:
        """Whether that is news: a first failure, or another reason."""
        old = self.pools.get(pool)
        if trouble.kind.passing:
            self.pools.setdefault(pool, PoolTrouble(trouble, 0, now, now))  # T6
            return old is None
        if old is not None and now < old.until:
            return False  # T3
        failures = old.failures + 1 if old is not None else 1
        pause = min(BACK_OFF_SECONDS_MIN * 2.0 ** min(failures - 1, 16), BACK_OFF_SECONDS_MAX)
        self.pools[pool] = PoolTrouble(trouble, failures, now, now + pause)
        return old is None or old.trouble != trouble

    def end(self, pool: str) -> bool:
        """Whether there was one."""
        return self.pools.pop(pool, None) is not None
