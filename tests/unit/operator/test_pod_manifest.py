from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from lambent_core.runtime_pools import Resources
from lambent_operator.labels import label_value
from lambent_operator.manifests.pod import amounts_for, pod_manifest
from lambent_operator.quantities import MIB, Amounts
from lambent_operator.resources import PodWishes
from tests.unit.operator.things import AGENT, GATEWAY, LINK, POOL, SPEC, function


def test_the_pod_of_a_pool() -> None:
    manifest = pod_manifest(
        "python3-11-k2x9",
        pool="python3.11",
        runtime_pool=POOL,
        function=None,
        gateway=GATEWAY,
        namespace="default",
        link=LINK,
        agent=AGENT,
        pod_labels={},
    )
    assert manifest == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "python3-11-k2x9",
            "namespace": "default",
            "labels": {
                "app.kubernetes.io/name": "lambent",
                "app.kubernetes.io/component": "environment",
                "app.kubernetes.io/managed-by": "lambent-operator",
                "lambent.dev/pool": "python3.11",
            },
            "annotations": {"lambent.dev/pool": "python3.11"},
        },
        "spec": {
            "restartPolicy": "Never",
            "serviceAccountName": "lambent-function",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 930,
            "securityContext": {
                "runAsUser": 993,
                "runAsGroup": 993,
                "fsGroup": 993,
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "runtime",
                    "image": "localhost/lambent/python:dev",
                    "imagePullPolicy": "IfNotPresent",
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                    "env": [
                        {"name": "PATH", "value": "/usr/bin:/bin"},
                        {"name": "LAMBENT_GATEWAY", "value": "tcp:10.244.0.7:9001"},
                        {
                            "name": "LAMBENT_GATEWAY_FALLBACK",
                            "value": "tcp:lambent-gateway-link.lambent-system.svc:9001",
                        },
                        {"name": "LAMBENT_ENVIRONMENT", "value": "python3-11-k2x9"},
                        {"name": "LAMBENT_TOKEN_FILE", "value": "/var/run/lambent/token"},
                        {"name": "LAMBENT_RUNTIME", "value": "python3.11"},
                        {"name": "LAMBENT_ROOT", "value": "/var/lambent"},
                        {"name": "LAMBENT_PLACES", "value": "mounted"},
                        {"name": "LAMBENT_RUNTIME_DIR", "value": "/var/runtime"},
                        {
                            "name": "LAMBENT_PRESTART",
                            "value": '["/usr/bin/python3.11", "/var/runtime/bootstrap.py"]',
                        },
                    ],
                    "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
                    "resizePolicy": [
                        {"resourceName": "cpu", "restartPolicy": "NotRequired"},
                        {"resourceName": "memory", "restartPolicy": "NotRequired"},
                    ],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "readOnlyRootFilesystem": True,
                    },
                    "volumeMounts": [
                        {"name": "token", "mountPath": "/var/run/lambent", "readOnly": True},
                        {"name": "code", "mountPath": "/var/lambent"},
                        {"name": "code", "mountPath": "/var/task", "subPath": "task"},
                        {"name": "code", "mountPath": "/opt", "subPath": "opt"},
                        {"name": "tmp", "mountPath": "/tmp"},
                    ],
                }
            ],
            "volumes": [
                {
                    "name": "token",
                    "projected": {
                        "sources": [
                            {
                                "serviceAccountToken": {
                                    "audience": "lambent-gateway",
                                    "expirationSeconds": 3600,
                                    "path": "token",
                                }
                            }
                        ]
                    },
                },
                {"name": "code", "emptyDir": {}},
                {"name": "tmp", "emptyDir": {"sizeLimit": "512Mi"}},
            ],
        },
    }


def test_what_a_pool_and_a_function_may_ask_for_besides() -> None:
    """The function's own wishes come before its pool's; everything else of the pod is as it always is."""
    pool = replace(
        POOL,
        spec=msgspec.structs.replace(
            SPEC,
            image_pull_policy="Always",
            image_pull_secrets=["registry"],
            prestart=False,
            node_selector={"pool": "functions", "disk": "ssd"},
            tolerations=[{"key": "functions", "operator": "Exists"}],
            runtime_class_name="gvisor",
        ),
    )
    own = function(
        memory_mb=1769,
        tmp_mb=2048,
        pod=PodWishes("mailer", "kata", (("disk", "nvme"),), ({"secretRef": {"name": "passwords"}, "prefix": "P_"},)),
    )
    plain = pod_manifest(
        "a",
        pool="p",
        runtime_pool=POOL,
        function=None,
        gateway=GATEWAY,
        namespace="default",
        link=LINK,
        agent=AGENT,
        pod_labels={},
    )
    manifest = pod_manifest(
        "a",
        pool="function/hello/4",
        runtime_pool=pool,
        function=own,
        gateway=GATEWAY,
        namespace="default",
        link=LINK,
        agent=AGENT,
        pod_labels={"team": "a", "lambent.dev/pool": "ours stands"},
    )
    owner = {
        "apiVersion": "lambent.dev/v1",
        "kind": "Function",
        "name": "hello",
        "uid": "f-1",
        "controller": True,
        "blockOwnerDeletion": True,
    }
    assert manifest["metadata"] == {
        "name": "a",
        "namespace": "default",
        "labels": plain["metadata"]["labels"]
        | {"lambent.dev/pool": "function.hello.4", "lambent.dev/function": "hello", "team": "a"},
        "annotations": {"lambent.dev/pool": "function/hello/4"},
        "ownerReferences": [owner],
    }
    container = plain["spec"]["containers"][0] | {
        "imagePullPolicy": "Always",
        "envFrom": [{"secretRef": {"name": "passwords"}, "prefix": "P_"}],
        "resources": {"requests": {"cpu": "1000m", "memory": "1769Mi"}, "limits": {"memory": "1801Mi"}},
        "env": [
            {"name": one["name"], "value": "function/hello/4"} if one["name"] == "LAMBENT_RUNTIME" else one
            for one in plain["spec"]["containers"][0]["env"]
            if one["name"] != "LAMBENT_PRESTART"
        ],
    }
    del plain["spec"][
        "automountServiceAccountToken"
    ]  # an account that is named says itself, and Kubernetes' default is to mount it
    assert manifest["spec"] == plain["spec"] | {
        "serviceAccountName": "mailer",
        "terminationGracePeriodSeconds": 930,
        "containers": [container],
        "volumes": [*plain["spec"]["volumes"][:2], {"name": "tmp", "emptyDir": {"sizeLimit": "2048Mi"}}],
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"pool": "functions", "disk": "nvme"},
        "tolerations": [{"key": "functions", "operator": "Exists"}],
        "runtimeClassName": "kata",
    }


def test_the_token_of_an_account_that_nobody_named_stays_away() -> None:
    """Whatever else the function wants of its pods."""
    own = function(pod=PodWishes(env_from=({"secretRef": {"name": "passwords"}},)))
    spec = pod_manifest(
        "a",
        pool="f",
        runtime_pool=POOL,
        function=own,
        gateway=GATEWAY,
        namespace="default",
        link=LINK,
        agent=AGENT,
        pod_labels={},
    )["spec"]
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("lambent-function", False)


def test_a_gateway_may_have_an_address_of_version_6() -> None:
    gateway = replace(GATEWAY, ip="fd00::7")
    manifest = pod_manifest(
        "a",
        pool="p",
        runtime_pool=POOL,
        function=None,
        gateway=gateway,
        namespace="default",
        link=LINK,
        agent=AGENT,
        pod_labels={},
    )
    assert {"name": "LAMBENT_GATEWAY", "value": "tcp:[fd00::7]:9001"} in manifest["spec"]["containers"][0]["env"]


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (Resources(), {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}),
        (Resources(limits={"cpu": "0.5"}), {"requests": {}, "limits": {"cpu": "500m"}}),
        (
            Resources(requests={"ephemeral-storage": "1Gi", "memory": "100M"}, limits={"example.org/gpu": "1"}),
            {"requests": {"ephemeral-storage": "1Gi", "memory": "100000000"}, "limits": {"example.org/gpu": "1"}},
        ),
    ],
    ids=["none said: what can be resized", "processor alone", "other resources stay"],
)
def test_resources_of_a_waiting_pod(resources: Resources, expected: dict[str, dict[str, str]]) -> None:
    pool = replace(POOL, spec=msgspec.structs.replace(SPEC, resources=resources))
    manifest = pod_manifest(
        "a",
        pool="p",
        runtime_pool=pool,
        function=None,
        gateway=GATEWAY,
        namespace="default",
        link=LINK,
        agent=AGENT,
        pod_labels={},
    )
    assert manifest["spec"]["containers"][0]["resources"] == expected


def test_memory_brings_its_share_of_a_processor() -> None:
    assert amounts_for(128) == Amounts(72, None, 128 * MIB, 160 * MIB)
    assert amounts_for(10_240) == Amounts(5788, None, 10_240 * MIB, 10_272 * MIB)
    assert amounts_for(1) == Amounts(10, None, MIB, 33 * MIB)
    assert amounts_for(1769, cpu_limit_m=500) == Amounts(1000, 1000, 1769 * MIB, 1801 * MIB)
    assert amounts_for(128, cpu_limit_m=500) == Amounts(72, 500, 128 * MIB, 160 * MIB)


DIGEST = f"sha256:{'ab' * 32}"


def test_the_pod_of_an_image() -> None:
    pool = f"function/hello/4/registry.example.com/team/fn@{DIGEST}"
    own = function(image=True, runtime=None, architecture="arm64", memory_mb=256, tmp_mb=1024)
    manifest = pod_manifest(
        "hello-x",
        pool=pool,
        runtime_pool=None,
        function=own,
        gateway=GATEWAY,
        namespace="default",
        link=LINK,
        agent=AGENT,
        pod_labels={},
    )
    secured = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert manifest == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "hello-x",
            "namespace": "default",
            "labels": {
                "app.kubernetes.io/name": "lambent",
                "app.kubernetes.io/component": "environment",
                "app.kubernetes.io/managed-by": "lambent-operator",
                "lambent.dev/pool": label_value(pool),
                "lambent.dev/function": "hello",
            },
            "annotations": {"lambent.dev/pool": pool},
            "ownerReferences": [
                {
                    "apiVersion": "lambent.dev/v1",
                    "kind": "Function",
                    "name": "hello",
                    "uid": "f-1",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "restartPolicy": "Never",
            "serviceAccountName": "lambent-function",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 930,
            "securityContext": {
                "runAsUser": 993,
                "runAsGroup": 993,
                "fsGroup": 993,
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "nodeSelector": {"kubernetes.io/arch": "arm64"},
            "initContainers": [
                {
                    "name": "agent",
                    "image": "localhost/lambent/lambent:dev",
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["/usr/local/bin/lambent-agent", "install", "/var/run/lambent-agent"],
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
                    "securityContext": secured,
                    "volumeMounts": [{"name": "agent", "mountPath": "/var/run/lambent-agent"}],
                }
            ],
            "containers": [
                {
                    "name": "runtime",
                    "image": f"registry.example.com/team/fn@{DIGEST}",
                    "command": ["/var/run/lambent-agent/lambent-agent"],
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                    "env": [
                        {"name": "LAMBENT_GATEWAY", "value": "tcp:10.244.0.7:9001"},
                        {
                            "name": "LAMBENT_GATEWAY_FALLBACK",
                            "value": "tcp:lambent-gateway-link.lambent-system.svc:9001",
                        },
                        {"name": "LAMBENT_ENVIRONMENT", "value": "hello-x"},
                        {"name": "LAMBENT_TOKEN_FILE", "value": "/var/run/lambent/token"},
                        {"name": "LAMBENT_RUNTIME", "value": pool},
                        {"name": "LAMBENT_ROOT", "value": "/var/lambent"},
                        {"name": "LAMBENT_PLACES", "value": "image"},
                    ],
                    "resources": {"requests": {"cpu": "144m", "memory": "256Mi"}, "limits": {"memory": "288Mi"}},
                    "resizePolicy": [
                        {"resourceName": "cpu", "restartPolicy": "NotRequired"},
                        {"resourceName": "memory", "restartPolicy": "NotRequired"},
                    ],
                    "securityContext": secured,
                    "volumeMounts": [
                        {"name": "token", "mountPath": "/var/run/lambent", "readOnly": True},
                        {"name": "code", "mountPath": "/var/lambent"},
                        {"name": "agent", "mountPath": "/var/run/lambent-agent", "readOnly": True},
                        {"name": "tmp", "mountPath": "/tmp"},
                    ],
                }
            ],
            "volumes": [
                {
                    "name": "token",
                    "projected": {
                        "sources": [
                            {
                                "serviceAccountToken": {
                                    "audience": "lambent-gateway",
                                    "expirationSeconds": 3600,
                                    "path": "token",
                                }
                            }
                        ]
                    },
                },
                {"name": "code", "emptyDir": {}},
                {"name": "tmp", "emptyDir": {"sizeLimit": "1024Mi"}},
                {"name": "agent", "emptyDir": {}},
            ],
        },
    }


def test_what_an_image_asks_of_its_pods() -> None:
    wishes = PodWishes("mailer", "kata", (("zone", "a"),), ({"secretRef": {"name": "s"}},), ("own", "both"))
    source = replace(AGENT, pull_policy="Always", pull_secrets=("both", "all"))
    spec = pod_manifest(
        "hello-x",
        pool="function/hello/4/fn:1",
        runtime_pool=None,
        function=function(image=True, pod=wishes),
        gateway=GATEWAY,
        namespace="default",
        link=LINK,
        agent=source,
        pod_labels={},
    )["spec"]
    assert spec["imagePullSecrets"] == [{"name": "own"}, {"name": "both"}, {"name": "all"}]
    assert spec["nodeSelector"] == {"kubernetes.io/arch": "amd64", "zone": "a"}
    assert (spec["serviceAccountName"], spec["runtimeClassName"]) == ("mailer", "kata")
    assert "automountServiceAccountToken" not in spec
    assert spec["containers"][0]["envFrom"] == [{"secretRef": {"name": "s"}}]
    assert spec["initContainers"][0]["imagePullPolicy"] == "Always"
