"""Quantities, labels, conditions, troubles, leases: small values and their arithmetic."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import pytest

from lambent_core.conditions import Finding, condition_of, next_conditions, turned
from lambent_core.function import Condition
from lambent_operator.changes import Event
from lambent_operator.cluster import event_manifest
from lambent_operator.labels import label_value
from lambent_operator.leader import Seen, lease_manifest, may_take, seen_again
from lambent_operator.quantities import MIB, Amounts, parse_amounts, parse_quantity, resources_of
from lambent_operator.troubles import PoolTrouble, Trouble, Troubles, trouble_of_pod, trouble_of_refusal
from tests.unit.operator.things import FUNCTION_ID


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", Fraction(0)),
        ("500m", Fraction(1, 2)),
        ("1.5", Fraction(3, 2)),
        (".5", Fraction(1, 2)),
        ("128Mi", Fraction(128 * MIB)),
        ("1Gi", Fraction(1024 * MIB)),
        ("1G", Fraction(10**9)),
        ("2k", Fraction(2000)),
        ("1e3", Fraction(1000)),
        ("12E-1", Fraction(6, 5)),
        ("100u", Fraction(1, 10_000)),
    ],
)
def test_quantities(text: str, number: Fraction) -> None:
    assert parse_quantity(text) == number


@pytest.mark.parametrize("text", ["", "Mi", "1 Gi", "1KiB", "one", "1.2.3"])
def test_no_quantities(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        parse_quantity(text)


def test_amounts_there_and_back() -> None:
    resources = {"requests": {"cpu": "0.0101", "memory": "64Mi", "gpu": "1"}, "limits": {"memory": 1000}}
    amounts = parse_amounts(resources)
    assert amounts == Amounts(11, None, 64 * MIB, 1000)
    assert resources_of(amounts) == {"requests": {"cpu": "11m", "memory": "64Mi"}, "limits": {"memory": "1000"}}
    assert parse_amounts({}) == Amounts()


def test_label_values() -> None:
    assert label_value("python3.11") == "python3.11"
    assert label_value("function/hello/3") == "function.hello.3"
    images = ["r.example.com:5000/fn:1", "r.example.com:5000/fn/1", f"fn@sha256:{'ab' * 32}", "[::1]:5000/fn"]
    values = {label_value(f"function/hello/3/{image}") for image in images}
    assert len(values) == len(images)
    for value in values:
        assert re.fullmatch(r"[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?", value), value
    long, other = label_value("function/" + "a" * 63 + "/3"), label_value("function/" + "a" * 63 + "/4")
    assert len(long) == 63
    assert long != other
    assert label_value("function/" + "a" * 42 + "--" + "b" * 30).count("--") == 0


def condition(type: str, status: Any, since: str) -> Condition:
    return Condition(type=type, status=status, reason="Old", message="old", last_transition_time=since)


def test_conditions_keep_their_time_while_the_status_stays() -> None:
    old = [condition("A", "True", "t1"), condition("B", "False", "t2"), condition("Others", "True", "t3")]
    new = next_conditions(
        old,
        [Finding("A", "True", "R", "m"), Finding("B", "True", "R", "m"), Finding("C", "Unknown", "R", "m")],
        generation=4,
        timestamp="now",
    )
    assert [(one.type, one.status, one.reason, one.last_transition_time, one.observed_generation) for one in new] == [
        ("A", "True", "R", "t1", 4),
        ("B", "True", "R", "now", 4),
        ("Others", "True", "Old", "t3", 0),
        ("C", "Unknown", "R", "now", 4),
    ]
    assert turned(old, new, "B", "True") == condition_of(new, "B")
    assert turned(old, new, "A", "True") is None
    assert turned(old, new, "B", "False") is None
    assert turned(old, new, "C", "Unknown") == condition_of(new, "C")
    assert turned(old, new, "D", "True") is None


PULL, OTHER = Trouble("ImagePullFailed", "a"), Trouble("Unschedulable", "b")


@pytest.mark.parametrize("reason", ["GatewayNotFound", "PodDeleted"])
def test_no_pool_is_left_alone_for_a_pod_whose_agent_gave_up_or_that_was_deleted(reason: str) -> None:
    """T6: it is told of, and the next pod is made at once."""
    troubles, away = Troubles(), Trouble(reason, "c")
    assert troubles.tell("p", away, now=100.0)
    assert not troubles.tell("p", away, now=101.0)
    assert troubles.pools["p"] == PoolTrouble(away, 0, 100.0, 100.0)
    assert troubles.tell("p", PULL, now=102.0)
    assert troubles.pools["p"] == PoolTrouble(PULL, 1, 102.0, 104.0)
    assert not troubles.tell("p", away, now=103.0)
    assert troubles.pools["p"] == PoolTrouble(PULL, 1, 102.0, 104.0)


def test_a_pool_that_goes_on_failing_is_left_alone_for_longer() -> None:
    """T1 to T4."""
    troubles = Troubles()
    assert troubles.tell("p", PULL, now=100.0)
    assert troubles.pools["p"].until == 102.0
    assert not troubles.tell("p", OTHER, now=101.0)  # together with the first
    assert troubles.pools["p"].trouble == PULL
    assert not troubles.tell("p", PULL, now=110.0)  # the same again is no news
    assert (troubles.pools["p"].failures, troubles.pools["p"].until) == (2, 114.0)
    assert troubles.tell("p", OTHER, now=120.0)
    now = 120.0
    for _ in range(2000):  # longer than floats reach, were the pauses doubled each time
        now = troubles.pools["p"].until
        troubles.tell("p", OTHER, now=now)
        assert troubles.pools["p"].until <= now + 60.0
    assert troubles.pools["p"].until == now + 60.0
    assert troubles.end("p")
    assert not troubles.end("p")
    assert troubles.tell("p", PULL, now=now)
    assert troubles.pools["p"].until == now + 2.0


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        ({}, None),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}, None),
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}}}]},
            Trouble("ImagePullFailed", "Back-off"),
        ),
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImageNeverPull"}}}]},
            Trouble("ImagePullFailed", "ErrImageNeverPull"),
        ),
        (
            {
                "containerStatuses": [
                    {"state": {"waiting": {"reason": "CreateContainerConfigError", "message": "secret x"}}}
                ]
            },
            Trouble("ConfigMissing", "secret x"),
        ),
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
                ]
            },
            Trouble("Unschedulable", "0/1 nodes"),
        ),
        ({"conditions": [{"type": "PodScheduled", "status": "True"}]}, None),
        (
            {
                "initContainerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull", "message": "denied"}}}],
                "containerStatuses": [{"state": {"waiting": {"reason": "PodInitializing"}}}],
            },
            Trouble("AgentNotInstalled", "ImagePullFailed: denied"),
        ),
    ],
)
def test_troubles_of_pods(status: dict[str, Any], trouble: Trouble | None) -> None:
    assert trouble_of_pod(status) == trouble


def test_a_functions_own_image_is_no_runtime_pools() -> None:
    """What to do is told of the function; where it would be the same, as for all."""
    waiting = {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull", "message": "not found."}}}]}
    trouble = trouble_of_pod(waiting, own_image=True)
    assert trouble == Trouble("ImagePullFailed", "not found.", own_image=True)
    assert trouble.note.startswith("not found. Check the function's spec.code.imageUri and spec.pod.imagePullSecrets")
    for reason in ("ImagePullFailed", "InvalidImageName", "ContainerNotCreated", "EnvironmentEnded", "ConfigMissing"):
        assert "RuntimePool" not in Trouble(reason, "", own_image=True).note
    assert Trouble("ConfigMissing", "x", own_image=True).note == Trouble("ConfigMissing", "x").note


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('pods "a" is forbidden: exceeded quota: small, requested: pods=1', "QuotaExceeded"),
        ('pods "a" is forbidden: violates PodSecurity "restricted:latest"', "PodSecurityViolation"),
        ('pods "a" is forbidden: error looking up service account default/mailer', "ServiceAccountMissing"),
        ('pods "a" is forbidden: pod rejected: RuntimeClass "kata" not found', "RuntimeClassMissing"),
        ('admission webhook "policy.example" denied the request', "PodRefused"),
        ('Internal error occurred: failed calling webhook "policy.example": connection refused', "WebhookFailed"),
    ],
)
def test_troubles_of_refusals(message: str, reason: str) -> None:
    trouble = trouble_of_refusal(message)
    assert trouble == Trouble(reason, message)
    assert trouble.note.startswith(message + ". ")


def test_who_may_take_the_lease() -> None:
    """L3."""
    assert may_take(None, me="a", now=0.0)
    assert may_take(Seen("", "1", 0.0), me="a", now=0.0)
    assert may_take(Seen("a", "1", 0.0), me="a", now=0.0)
    assert not may_take(Seen("b", "1", 100.0), me="a", now=114.9)
    assert may_take(Seen("b", "1", 100.0), me="a", now=115.0)


def test_a_lease_that_was_not_renewed_is_as_old_as_it_was() -> None:
    lease = {"metadata": {"resourceVersion": "7"}, "spec": {"holderIdentity": "b"}}
    first = seen_again(None, lease, now=100.0)
    assert first == Seen("b", "7", 100.0)
    assert seen_again(first, lease, now=105.0) is first
    renewed = {"metadata": {"resourceVersion": "8"}, "spec": {"holderIdentity": "b"}}
    assert seen_again(first, renewed, now=105.0) == Seen("b", "8", 105.0)


def test_leases() -> None:
    new = lease_manifest(namespace="s", holder="a", timestamp="t1", before=None)
    assert new == {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "lambent-operator", "namespace": "s"},
        "spec": {
            "holderIdentity": "a",
            "leaseDurationSeconds": 15,
            "acquireTime": "t1",
            "renewTime": "t1",
            "leaseTransitions": 0,
        },
    }
    there = new | {"metadata": new["metadata"] | {"resourceVersion": "5"}}
    renewed = lease_manifest(namespace="s", holder="a", timestamp="t2", before=there)
    assert renewed["metadata"]["resourceVersion"] == "5"
    assert renewed["spec"] == new["spec"] | {"renewTime": "t2"}
    taken = lease_manifest(namespace="s", holder="b", timestamp="t3", before=there)
    assert taken["spec"] == new["spec"] | {
        "holderIdentity": "b",
        "acquireTime": "t3",
        "renewTime": "t3",
        "leaseTransitions": 1,
    }


def test_an_event() -> None:
    event = Event(FUNCTION_ID, "Warning", "CodeInvalid", "é" * 600, once="20")
    made = event_manifest(event, "operator-0", "2026-11-24T12:00:00.000000Z")
    name = made["metadata"]["name"]
    assert made == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": "default"},
        "eventTime": "2026-11-24T12:00:00.000000Z",
        "type": "Warning",
        "reason": "CodeInvalid",
        "action": "Reconcile",
        "note": "é" * 512,
        "regarding": {
            "apiVersion": "lambent.dev/v1",
            "kind": "Function",
            "namespace": "default",
            "name": "hello",
            "uid": "f-1",
        },
        "reportingController": "lambent.dev/operator",
        "reportingInstance": "operator-0",
    }
    again = event_manifest(event, "operator-1", "2026-11-24T13:00:00.000000Z")
    assert again["metadata"]["name"] == name
    other = Event(FUNCTION_ID, "Warning", "CodeInvalid", "", once="21")
    assert event_manifest(other, "operator-0", "t")["metadata"]["name"] != name
