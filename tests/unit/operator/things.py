"""Values that most of the operator's tests begin with."""

from __future__ import annotations

from typing import Any

from lambent_core.census import AgentEntry
from lambent_core.runtime_pools import Resources, RuntimePoolSpec
from lambent_operator.census import Agent
from lambent_operator.manifests.pod import AgentSource, Link
from lambent_operator.quantities import MIB, Amounts
from lambent_operator.resources import Function, GatewayPod, Identity, Pod, RuntimePool

NOW = 1_000.0
WALL = "2026-11-24T12:00:00Z"
LINK = Link(9001, "lambent-gateway-link.lambent-system.svc:9001")
AGENT = AgentSource("localhost/lambent/lambent:dev")
GATEWAY = GatewayPod("gateway-0", "g-1", 5, "10.244.0.7", ready=True)
SPEC = RuntimePoolSpec(
    runtimes=["python3.11"],
    image="localhost/lambent/python:dev",
    command=["/usr/bin/python3.11", "/var/runtime/bootstrap.py"],
    environment={"PATH": "/usr/bin:/bin"},
    resources=Resources(requests={"cpu": "10m", "memory": "64Mi"}, limits={"memory": "256Mi"}),
)
POOL = RuntimePool("lambent-system", "python3.11", "rp-1", 7, 1, SPEC)
WAITING = Amounts(cpu_request_m=10, memory_request=64 * MIB, memory_limit=256 * MIB)
FUNCTION_ID = Identity("Function", "default", "hello", "f-1")
POOL_ID = Identity("RuntimePool", "lambent-system", "python3.11", "rp-1")


def pod(name: str = "a", **members: Any) -> Pod:
    return Pod(
        **{
            "name": name,
            "uid": f"p-{name}",
            "version": 10,
            "pool": "python3.11",
            "phase": "Running",
            "amounts": WAITING,
        }
        | members
    )


def function(**members: Any) -> Function:
    """Settled, with our finalizer."""
    told = {
        "namespace": "default",
        "name": "hello",
        "uid": "f-1",
        "version": 20,
        "generation": 3,
        "finalizers": ("lambent.dev/drain",),
        "runtime": "python3.11",
        "state": "Active",
        "last_update_status": "Successful",
        "observed_generation": 3,
        "code_revision": 4,
        "replicas": 0,
        "selector": "lambent.dev/function=hello",
    }
    return Function(**told | members)


def held(thing: object) -> int:
    """How many values it holds on to, over all containers inside it: what is never let go of makes it grow."""
    if isinstance(thing, dict):
        return len(thing) + sum(map(held, thing.values()))
    if isinstance(thing, list | set):
        return len(thing)
    names = [*getattr(thing, "__dict__", ()), *getattr(thing, "__slots__", ())]
    return sum(held(getattr(thing, name)) for name in names)


def wanted(id: str = "a", pool: str = "python3.11", *, since: float = NOW) -> Agent:
    return Agent(AgentEntry(id, pool, "wanted"), "gateway-0", since=since, connected_since=None)


def free(id: str = "a", *, since: float = NOW) -> Agent:
    return Agent(AgentEntry(id, "python3.11", "free"), "gateway-0", since=since, connected_since=since)


def claimed(
    id: str = "a", *, function_uid: str = "f-1", memory_mb: int | None = 512, pool: str = "python3.11"
) -> Agent:
    entry = AgentEntry(id, pool, "claimed", "hello", function_uid, "4", memory_mb)
    return Agent(entry, "gateway-0", since=NOW, connected_since=NOW)
