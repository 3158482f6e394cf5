from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lambent_core.function import Condition, EnvironmentCounts
from lambent_operator.quantities import MIB, Amounts
from lambent_operator.resources import (
    Function,
    GatewayPod,
    Pod,
    PodWishes,
    as_of_version,
    parse_function,
    parse_gateway_pod,
    parse_pod,
    parse_runtime_pool,
)
from lambent_operator.troubles import Trouble
from tests.unit.operator.things import POOL

METADATA = {"name": "a", "namespace": "default", "uid": "u", "resourceVersion": "12", "managedFields": [{}]}


def test_a_pod() -> None:
    thing = {
        "metadata": METADATA
        | {
            "labels": {"lambent.dev/function": "hello"},
            "annotations": {"lambent.dev/pool": "python3.11", "lambent.dev/revision": "4"},
            "ownerReferences": [{"uid": "x"}, {"uid": "f-1", "controller": True}],
            "deletionTimestamp": "2026-11-24T12:00:00Z",
        },
        "spec": {"containers": [{"resources": {"limits": {"memory": "160Mi"}}}]},
        "status": {
            "phase": "Failed",
            "conditions": [{"type": "PodResizePending", "status": "True", "reason": "Deferred", "message": "no room"}],
            "containerStatuses": [
                {
                    "state": {
                        "terminated": {
                            "reason": "OOMKilled",
                            "exitCode": 137,
                            "startedAt": "2026-11-24T11:58:57Z",
                            "finishedAt": "2026-11-24T11:59:58Z",
                        }
                    }
                }
            ],
        },
    }
    assert parse_pod(thing) == Pod(
        "a",
        "u",
        12,
        "python3.11",
        "Failed",
        deleting=True,
        function="hello",
        revision="4",
        owner_uid="f-1",
        amounts=Amounts(memory_limit=160 * MIB),
        ended="OOMKilled, exit code 137",
        ran_seconds=61.0,
        resize_pending="Deferred: no room",
    )


def test_a_pod_whose_container_was_never_started() -> None:
    terminated = {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None, "finishedAt": None}
    status = {"phase": "Failed", "containerStatuses": [{"state": {"terminated": terminated}}]}
    thing = {"metadata": METADATA, "spec": {"containers": [{}]}, "status": status}
    assert parse_pod(thing) == Pod(
        "a", "u", 12, "", "Failed", ended="ContainerStatusUnknown, exit code 137", ran_seconds=0.0
    )


def test_a_pod_that_was_just_made() -> None:
    thing = {"metadata": METADATA, "spec": {"containers": [{}]}}
    assert parse_pod(thing) == Pod("a", "u", 12, "", "Pending")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}, "Evicted: low on memory"),
        ({"phase": "Failed"}, "it ended without saying why"),
        (
            {
                "phase": "Failed",
                "containerStatuses": [{"state": {"terminated": {"exitCode": 2, "message": "no gateway\n"}}}],
            },
            "Error, exit code 2: no gateway",
        ),
        (
            {
                "phase": "Failed",
                "initContainerStatuses": [{"state": {"terminated": {"exitCode": 1, "message": "no space left"}}}],
                "containerStatuses": [{"state": {"waiting": {"reason": "PodInitializing"}}}],
            },
            "Error, exit code 1: no space left",
        ),
        ({"phase": "Running"}, ""),
    ],
)
def test_how_a_pod_ended(status: dict[str, Any], words: str) -> None:
    assert parse_pod({"metadata": METADATA, "spec": {"containers": [{}]}, "status": status}).ended == words


def test_a_pod_in_trouble() -> None:
    waiting = {"state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}
    thing = {"metadata": METADATA, "spec": {"containers": [{}]}, "status": {"containerStatuses": [waiting]}}
    assert parse_pod(thing).trouble == Trouble("ImagePullFailed", "no")


def test_a_pod_with_a_functions_own_image_in_trouble() -> None:
    waiting = {"state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}
    spec = {"containers": [{}], "initContainers": [{}]}
    found = parse_pod({"metadata": METADATA, "spec": spec, "status": {"containerStatuses": [waiting]}})
    assert found.trouble == Trouble("ImagePullFailed", "no", own_image=True)


def test_a_function_that_is_an_image() -> None:
    pod = {"imagePullSecrets": ["one", "two"]}
    spec = {"packageType": "Image", "code": {"imageUri": "fn:1"}, "architectures": ["arm64"], "pod": pod}
    found = parse_function({"metadata": METADATA, "spec": spec})
    assert (found.image, found.architecture, found.runtime) == (True, "arm64", None)
    assert found.pod == PodWishes(image_pull_secrets=("one", "two"))


def test_a_function() -> None:
    """Members that it doesn't know are left unread."""
    thing = {
        "metadata": METADATA | {"generation": 3, "finalizers": ["x"], "deletionTimestamp": "t"},
        "spec": {
            "runtime": "python3.11",
            "timeout": 60,
            "memorySize": 512,
            "ephemeralStorage": {"size": 1024},
            "replicas": 4,
            "pod": {
                "serviceAccountName": "mailer",
                "runtimeClassName": "kata",
                "nodeSelector": {"b": "2", "a": "1"},
                "envFrom": [{"secretRef": {"name": "s"}}],
                "later": 1,
            },
        },
        "status": {
            "state": "Failed",
            "stateReason": "Bad.",
            "lastUpdateStatus": "Failed",
            "lastUpdateStatusReason": "Worse.",
            "lastUpdateStatusReasonCode": "ImageDeleted",
            "observedGeneration": 3,
            "codeRevision": 7,
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "R", "lastTransitionTime": "t", "later": 1},
            ],
            "environments": {"ready": 2, "updated": 1, "later": 1},
            "replicas": 2,
            "selector": "s",
        },
    }
    assert parse_function(thing) == Function(
        "default",
        "a",
        "u",
        12,
        3,
        deleting=True,
        finalizers=("x",),
        runtime="python3.11",
        memory_mb=512,
        tmp_mb=1024,
        pod=PodWishes("mailer", "kata", (("a", "1"), ("b", "2")), ({"secretRef": {"name": "s"}},)),
        wanted_replicas=4,
        state="Failed",
        state_reason="Bad.",
        last_update_status="Failed",
        last_update_status_reason="Worse.",
        last_update_status_reason_code="ImageDeleted",
        observed_generation=3,
        code_revision=7,
        conditions=(Condition(type="Ready", status="True", reason="R", last_transition_time="t"),),
        environments=EnvironmentCounts(ready=2, updated=1),
        replicas=2,
        selector="s",
    )


def test_a_function_that_was_just_made() -> None:
    assert parse_function({"metadata": METADATA, "spec": {}}) == Function("default", "a", "u", 12, 0)


def test_a_function_as_it_was_published() -> None:
    """All that its pods are made of is the version's, by defaults too; whose they are stays."""
    latest = parse_function(
        {
            "metadata": METADATA | {"generation": 3},
            "spec": {
                "packageType": "Image",
                "architectures": ["arm64"],
                "timeout": 60,
                "memorySize": 512,
                "ephemeralStorage": {"size": 1024},
                "pod": {"serviceAccountName": "other"},
            },
            "status": {"state": "Active", "observedGeneration": 3},
        }
    )
    was = {"runtime": "python3.11", "memorySize": 256, "pod": {"envFrom": [{"configMapRef": {"name": "a"}}]}}
    thing = {"metadata": METADATA | {"name": "a.1", "uid": "v"}, "spec": {"version": 1, "function": was}}
    assert as_of_version(latest, thing) == Function(
        "default",
        "a",
        "u",
        12,
        3,
        runtime="python3.11",
        memory_mb=256,
        pod=PodWishes(env_from=({"configMapRef": {"name": "a"}},)),
        state="Active",
        observed_generation=3,
    )
    image = {"packageType": "Image", "architectures": ["arm64"], "timeout": 9, "ephemeralStorage": {"size": 600}}
    assert as_of_version(
        parse_function({"metadata": METADATA, "spec": was}), {"spec": {"function": image}}
    ) == Function("default", "a", "u", 12, 0, image=True, architecture="arm64", tmp_mb=600)


def test_a_runtime_pool() -> None:
    spec = msgspec.to_builtins(POOL.spec) | {"later": 1}
    metadata = METADATA | {
        "name": "python3.11",
        "namespace": "lambent-system",
        "uid": "rp-1",
        "resourceVersion": "7",
        "generation": 1,
    }
    assert parse_runtime_pool({"metadata": metadata, "spec": spec}) == POOL
    with pytest.raises(msgspec.ValidationError):
        parse_runtime_pool({"metadata": metadata, "spec": {"image": 1}})


@pytest.mark.parametrize(
    ("metadata", "status", "pod"),
    [
        ({}, {"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}, ("10.0.0.1", True)),
        ({}, {"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "False"}]}, ("10.0.0.1", False)),
        ({}, {}, ("", False)),
        (
            {"deletionTimestamp": "t"},
            {"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
            ("10.0.0.1", False, True),
        ),
        ({}, {"phase": "Failed", "podIP": "10.0.0.1"}, ("", False)),
    ],
    ids=["ready", "not ready", "no address yet", "going", "ended"],
)
def test_a_gateway(metadata: dict[str, Any], status: dict[str, Any], pod: tuple[Any, ...]) -> None:
    assert parse_gateway_pod({"metadata": METADATA | metadata, "status": status}) == GatewayPod("a", "u", 12, *pod)
