"""
The pod of one agent. It keeps to the Pod Security level restricted, and knows nothing but how to reach a gateway.

Lambda's own number ties processor to memory: 1,769 MB are one core.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lambent_core import dedicated_pools, limits
from lambent_core.images import ARCHITECTURES
from lambent_core.runtime_pools import RuntimePoolSpec
from lambent_operator import labels
from lambent_operator.quantities import MIB, NOTHING, Amounts, parse_amounts, resources_of
from lambent_operator.resources import Function, GatewayPod, PodWishes, RuntimePool

Object = dict[str, Any]

USER_ID = 993
"""Lambda's sandbox runs functions as a user without rights; images are made for this one."""
MEMORY_PER_CORE_MB = 1769
CPU_REQUEST_M_MIN = 10
AGENT_OVERHEAD_MB = 32
"""Above the function's memory: the agent (10 MB resident), and a request and a response of 6 MB each on their way through it."""
WAITING = Amounts(cpu_request_m=CPU_REQUEST_M_MIN, memory_request=64 * MIB, memory_limit=256 * MIB)
"""Of a waiting pod whose pool says nothing: a started runtime takes 20 to 60 MB, and a pod without any request can't be resized."""
TMP_MB = 512
"""Lambda's default for /tmp."""
GRACE_SECONDS = limits.TIMEOUT_SECONDS_MAX + 30
"""To end in: an agent lets invocations end and then goes, and which time-outs a waiting pod's function will have nobody knows."""
TOKEN_SECONDS = 3600
TOKEN_FOLDER = "/var/run/lambent"  # noqa: S105
CONTAINER = "runtime"
AGENT_FOLDER = "/var/run/lambent-agent"
"""Where the agent is in a container that runs a function's own image."""
INSTALLING = Amounts(cpu_request_m=CPU_REQUEST_M_MIN, memory_request=16 * MIB, memory_limit=64 * MIB)
"""Of the container that puts it there: a copy of 6 MB."""


SECURITY_CONTEXT: Object = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
FOR_CODE = (
    {"name": "code", "mountPath": "/var/task", "subPath": "task"},
    {"name": "code", "mountPath": "/opt", "subPath": "opt"},
)
IN_OWN_IMAGE = ({"name": "agent", "mountPath": AGENT_FOLDER, "readOnly": True},)
"""The image has what a package would bring."""


@dataclass(frozen=True, slots=True)
class AgentSource:
    """Where the agent comes from that is put into functions' own images."""

    image: str
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    """For all images of such a pod, beside the function's own."""


@dataclass(frozen=True, slots=True)
class Link:
    """How agents reach gateways."""

    port: int
    service: str
    """host:port"""


def pod_manifest(
    id: str,
    *,
    pool: str,
    runtime_pool: RuntimePool | None,
    function: Function | None,
    gateway: GatewayPod,
    namespace: str,
    link: Link,
    agent: AgentSource,
    pod_labels: Mapping[str, str],
) -> Object:
    """
    `pool` is the census' name of it. `function` is whose own pod it shall be; None: one of the pool, for any.

    `runtime_pool` None: it runs the function's own image, which the name of the pool tells, and the agent is put into it.
    """
    own_image = runtime_pool is None
    spec = runtime_pool.spec if runtime_pool is not None else _spec_of_image(pool, function, agent)
    wishes = (function.pod if function is not None else None) or PodWishes()
    metadata: Object = {
        "name": id,
        "namespace": namespace,
        "labels": {
            **pod_labels,
            "app.kubernetes.io/name": "lambent",
            "app.kubernetes.io/component": "environment",
            labels.MANAGED_BY: labels.MANAGER,
            labels.POOL: labels.label_value(pool),
        },
        "annotations": {labels.POOL: pool},
    }
    if function is not None:
        metadata["labels"][labels.FUNCTION] = function.name
        metadata["ownerReferences"] = [owner_reference(function.name, function.uid)]
    pod_spec: Object = {
        "restartPolicy": "Never",
        "serviceAccountName": wishes.service_account_name or "lambent-function",
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "fsGroup": USER_ID,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(id, pool, spec, function, wishes, gateway, link, own_image=own_image)],
        "volumes": _volumes(function),
    }
    if not wishes.service_account_name:  # else its API token is mounted, unless the account says not to
        pod_spec["automountServiceAccountToken"] = False
    if own_image:
        pod_spec["initContainers"] = [_installer(agent)]
        pod_spec["volumes"].append({"name": "agent", "emptyDir": {}})
    if spec.image_pull_secrets:
        pod_spec["imagePullSecrets"] = [{"name": name} for name in spec.image_pull_secrets]
    if node_selector := spec.node_selector | dict(wishes.node_selector):
        pod_spec["nodeSelector"] = node_selector
    if spec.tolerations:
        pod_spec["tolerations"] = spec.tolerations
    if runtime_class := wishes.runtime_class_name or spec.runtime_class_name:
        pod_spec["runtimeClassName"] = runtime_class
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec}


def _spec_of_image(pool: str, function: Function | None, agent: AgentSource) -> RuntimePoolSpec:
    """What a RuntimePool would say of pods that run this image."""
    own = dedicated_pools.parse(pool)
    assert own is not None, pool
    assert own.image is not None, pool
    assert function is not None, "an image is a function's own"
    wishes = function.pod or PodWishes()
    return RuntimePoolSpec(
        runtimes=[],
        image=own.image,
        image_pull_secrets=list(dict.fromkeys((*wishes.image_pull_secrets, *agent.pull_secrets))),
        command=[],
        prestart=False,
        node_selector={"kubernetes.io/arch": ARCHITECTURES[function.architecture]},
    )


def _installer(agent: AgentSource) -> Object:
    """Puts the agent where the function's image can start it."""
    return {
        "name": "agent",
        "image": agent.image,
        "imagePullPolicy": agent.pull_policy,
        "command": ["/usr/local/bin/lambent-agent", "install", AGENT_FOLDER],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": resources_of(INSTALLING),
        "securityContext": dict(SECURITY_CONTEXT),
        "volumeMounts": [{"name": "agent", "mountPath": AGENT_FOLDER}],
    }


def owner_reference(name: str, uid: str) -> Object:
    return {
        "apiVersion": "lambent.dev/v1",
        "kind": "Function",
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def amounts_for(memory_mb: int, *, cpu_limit_m: int | None = None) -> Amounts:
    """What a function's environment takes. A processor limit is kept where the pool has one, and raised where it is below the request."""
    request = max(CPU_REQUEST_M_MIN, memory_mb * 1000 // MEMORY_PER_CORE_MB)
    return Amounts(
        cpu_request_m=request,
        cpu_limit_m=None if cpu_limit_m is None else max(cpu_limit_m, request),
        memory_request=memory_mb * MIB,
        memory_limit=(memory_mb + AGENT_OVERHEAD_MB) * MIB,
    )


def _container(
    id: str,
    pool: str,
    spec: RuntimePoolSpec,
    function: Function | None,
    wishes: PodWishes,
    gateway: GatewayPod,
    link: Link,
    *,
    own_image: bool,
) -> Object:
    variables = _variables(id, pool, spec, gateway, link, own_image=own_image)
    container: Object = {
        "name": CONTAINER,
        "image": spec.image,
        "terminationMessagePolicy": "FallbackToLogsOnError",  # the pod is deleted when it ends: its last words stay in its status
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "resources": _resources(spec, function),
        "resizePolicy": [
            {"resourceName": "cpu", "restartPolicy": "NotRequired"},
            {"resourceName": "memory", "restartPolicy": "NotRequired"},
        ],
        "securityContext": dict(SECURITY_CONTEXT),
        "volumeMounts": [
            {"name": "token", "mountPath": TOKEN_FOLDER, "readOnly": True},
            {"name": "code", "mountPath": "/var/lambent"},
            *(IN_OWN_IMAGE if own_image else FOR_CODE),
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        ],
    }
    if own_image:
        container["command"] = [f"{AGENT_FOLDER}/lambent-agent"]
    else:  # whether a user's image is asked for again is decided by its name, as everywhere on Kubernetes
        container["imagePullPolicy"] = spec.image_pull_policy
    if wishes.env_from:
        container["envFrom"] = list(wishes.env_from)
    return container


def _variables(
    id: str, pool: str, spec: RuntimePoolSpec, gateway: GatewayPod, link: Link, *, own_image: bool
) -> dict[str, str]:
    ip = f"[{gateway.ip}]" if ":" in gateway.ip else gateway.ip
    variables = dict(spec.environment) | {
        "LAMBENT_GATEWAY": f"tcp:{ip}:{link.port}",
        "LAMBENT_GATEWAY_FALLBACK": f"tcp:{link.service}",
        "LAMBENT_ENVIRONMENT": id,
        "LAMBENT_TOKEN_FILE": f"{TOKEN_FOLDER}/token",
        "LAMBENT_RUNTIME": pool,
        "LAMBENT_ROOT": "/var/lambent",
        "LAMBENT_PLACES": "image" if own_image else "mounted",
    }
    if not own_image:
        variables["LAMBENT_RUNTIME_DIR"] = "/var/runtime"
    if spec.prestart:
        variables["LAMBENT_PRESTART"] = json.dumps(spec.command)
    return variables


def _resources(spec: RuntimePoolSpec, function: Function | None) -> Object:
    requests, limits = dict(spec.resources.requests), dict(spec.resources.limits)
    told = parse_amounts({"requests": requests, "limits": limits})
    if function is not None:
        amounts = amounts_for(function.memory_mb, cpu_limit_m=told.cpu_limit_m)
    elif told == NOTHING:
        amounts = WAITING
    else:
        amounts = told
    wanted = resources_of(amounts)
    # What else is asked for, such as ephemeral-storage or devices, stays as it is.
    return {"requests": requests | wanted["requests"], "limits": limits | wanted["limits"]}


def _volumes(function: Function | None) -> list[Object]:
    token = {"audience": "lambent-gateway", "expirationSeconds": TOKEN_SECONDS, "path": "token"}
    tmp_mb = function.tmp_mb if function is not None else TMP_MB
    return [
        {"name": "token", "projected": {"sources": [{"serviceAccountToken": token}]}},
        {"name": "code", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {"sizeLimit": f"{tmp_mb}Mi"}},
    ]
