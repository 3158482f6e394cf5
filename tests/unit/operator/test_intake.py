"""Objects as the API server has them, on their way to what is known: one by one, and as whole lists after a broken watch."""

from __future__ import annotations

from typing import Any

import pytest
import structlog

from lambent_kube.client import Object
from lambent_kube.resources import FUNCTIONS, PODS, RUNTIME_POOLS, Resource
from lambent_operator.intake import Intake
from lambent_operator.observation import Key, Observation
from lambent_operator.resources import GatewayPod

POOL_SPEC = {"runtimes": ["python3.11"], "image": "python", "command": ["python3"]}
SYSTEM = "lambent-system"


class Taken:
    """What is known, and what was told of it."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.woken: set[Key] = set()
        self.observation = Observation(self.woken.add, clock=lambda: 0.0)
        self.intake = Intake(
            self.observation,
            self,
            pools_changed=lambda name: self.told.append(("pool", name)),
            functions_changed=lambda name: self.told.append(("function", name)),
        )

    def put_gateway(self, pod: GatewayPod) -> None:
        self.told.append(("gateway", (pod.name, pod.ip)))

    def remove_gateway(self, name: str) -> None:
        self.told.append(("gateway gone", name))

    def news(self) -> list[tuple[str, Any]]:
        news = list(self.told)
        self.told.clear()
        return news

    def names(self) -> dict[str, list[Any]]:
        known = self.observation
        kinds = {"pods": known.pods, "functions": known.functions, "pools": known.runtime_pools}
        return {kind: names for kind, objects in kinds.items() if (names := [id for id, _ in objects.items()])}


def thing(name: str, version: int = 10, *, namespace: str = "default", generation: int = 1, **members: Any) -> Object:
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-of-{name}",
        "resourceVersion": str(version),
        "generation": generation,
    }
    return {"metadata": metadata, **members}


def pod(name: str, version: int = 10) -> Object:
    return thing(name, version, spec={"containers": [{}]}, status={"phase": "Running"})


def function(name: str, version: int = 10, generation: int = 1) -> Object:
    return thing(name, version, generation=generation, spec={"runtime": "python3.11"})


def pool(name: str, version: int = 10, *, namespace: str = SYSTEM, generation: int = 1) -> Object:
    return thing(name, version, namespace=namespace, generation=generation, spec=POOL_SPEC)


def gateway(name: str, version: int = 10, ip: str = "10.0.0.1") -> Object:
    return thing(name, version, namespace=SYSTEM, spec={"containers": [{}]}, status={"podIP": ip})


def test_pods_come_and_go() -> None:
    taken = Taken()
    taken.intake.put(PODS, pod("a"))
    assert (taken.names(), taken.woken) == ({"pods": ["a"]}, {Key("agent", "a")})
    taken.intake.remove(PODS, "default", "a", "uid-of-a")
    assert (taken.names(), taken.news()) == ({}, [])


@pytest.mark.parametrize(
    ("resource", "make", "kind", "name"),
    [(FUNCTIONS, function, "function", "hello"), (RUNTIME_POOLS, pool, "pool", "python3.11")],
    ids=["a function", "a pool"],
)
def test_what_is_new_specified_otherwise_or_gone_is_told(resource: Resource, make: Any, kind: str, name: str) -> None:
    taken = Taken()
    taken.intake.put(resource, make(name, 10))
    assert taken.news() == [(kind, name)]
    taken.intake.put(resource, make(name, 11))
    assert taken.news() == []
    taken.intake.put(resource, make(name, 12, generation=2))
    assert taken.news() == [(kind, name)]
    namespace = make(name)["metadata"]["namespace"]
    taken.intake.remove(resource, namespace, name, "another")
    assert taken.news() == []
    taken.intake.remove(resource, namespace, name, f"uid-of-{name}")
    assert (taken.names(), taken.news()) == ({}, [(kind, name)])


def test_a_gateway_is_told_when_it_changes_and_goes() -> None:
    taken = Taken()
    taken.intake.put_gateway(gateway("gateway-0"))
    taken.intake.put_gateway(gateway("gateway-0", 9, ip="10.0.0.9"))
    taken.intake.put_gateway(gateway("gateway-0", 11, ip="10.0.0.2"))
    taken.intake.remove_gateway("gateway-0", "another")
    assert taken.news() == [("gateway", ("gateway-0", "10.0.0.1")), ("gateway", ("gateway-0", "10.0.0.2"))]
    taken.intake.remove_gateway("gateway-0", "uid-of-gateway-0")
    assert taken.news() == [("gateway gone", "gateway-0")]


def test_what_a_whole_list_lacks_is_gone() -> None:
    taken = Taken()
    for name in ("a", "b"):
        taken.intake.put(PODS, pod(name))
        taken.intake.put(FUNCTIONS, function(name))
        taken.intake.put(RUNTIME_POOLS, pool(name))
        taken.intake.put_gateway(gateway(name))
    taken.intake.put(RUNTIME_POOLS, pool("own", namespace="default"))
    everything = {
        "pods": ["a", "b"],
        "functions": ["a", "b"],
        "pools": [(SYSTEM, "a"), (SYSTEM, "b"), ("default", "own")],
    }
    assert taken.names() == everything
    taken.news()
    there = {"a": "uid-of-a"}
    taken.intake.whole(PODS, "default", there, 50)
    assert taken.names() == everything | {"pods": ["a"]}
    assert taken.news() == []
    taken.intake.whole(FUNCTIONS, "default", there, 50)
    assert taken.news() == [("function", "b")]
    taken.intake.whole(RUNTIME_POOLS, SYSTEM, there, 50)
    assert taken.news() == [("pool", "b")]
    taken.intake.whole_gateways(there, 50)
    assert taken.news() == [("gateway gone", "b")]
    assert taken.names() == {"pods": ["a"], "functions": ["a"], "pools": [(SYSTEM, "a"), ("default", "own")]}


@pytest.mark.parametrize(
    ("resource", "known", "unreadable"),
    [
        (PODS, pod("a"), pod("a", 11) | {"spec": {}}),
        (FUNCTIONS, function("a"), function("a", 11) | {"spec": ["runtime"]}),
        (RUNTIME_POOLS, pool("a"), pool("a", 11) | {"spec": {"runtimes": 5}}),
    ],
    ids=["a pod", "a function", "a pool"],
)
def test_what_is_not_understood_is_said_and_left_as_it_was(
    resource: Resource, known: Object, unreadable: Object
) -> None:
    taken = Taken()
    taken.intake.put(resource, known)
    before = taken.names()
    taken.news()
    with structlog.testing.capture_logs() as logs:
        taken.intake.put(resource, unreadable)
    assert (taken.names(), taken.news()) == (before, [])
    assert [(line["event"], line["resource"], line["name"]) for line in logs] == [
        ("object not understood", resource.plural, "a")
    ]


def test_a_gateways_pod_that_is_not_understood_is_said() -> None:
    taken = Taken()
    with structlog.testing.capture_logs() as logs:
        taken.intake.put_gateway({"metadata": {"name": "gateway-0"}})
    assert (taken.news(), [line["name"] for line in logs]) == ([], ["gateway-0"])
