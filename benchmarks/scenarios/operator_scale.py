"""
What 10,000 functions cost the operator while nothing happens: memory of each, and processor time of one look at it.

The engine runs in a process of its own, against an API server that answers at once from memory: what is counted is the operator's own.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from benchmarks.figures import FULL, Figure, Mode
from benchmarks.processes import rss_mb
from benchmarks.programs import CannotRun
from lambent_core.census import Snapshot
from lambent_kube.client import MERGE_PATCH, Object
from lambent_kube.resources import FUNCTIONS, RUNTIME_POOLS, Resource
from lambent_operator.engine import Engine
from lambent_operator.manifests.pod import AgentSource, Link
from lambent_operator.metrics import Metrics
from lambent_operator.resources import GatewayPod
from lambent_operator.troubles import Trouble

ROOT = Path(__file__).parent.parent.parent


def run(mode: Mode) -> list[Figure]:
    functions = 10_000 if mode == FULL else 500
    command = [sys.executable, "-m", "benchmarks.scenarios.operator_scale", str(functions)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    if ended.returncode:
        raise CannotRun(f"the operator's engine failed:\n{ended.stderr[-2000:]}")
    told: dict[str, float] = json.loads(ended.stdout)
    return [
        Figure("operator: memory of one idle function", told["kilobytes"], "KB", detail=told),
        Figure("operator: CPU of a new function's finalizer and status", told["new_us"], "µs", detail=told),
        Figure("operator: CPU of a look that finds nothing to do", told["idle_us"], "µs", detail=told),
    ]


class InstantApi:
    """Takes every write, and has of each object what was written."""

    def __init__(self) -> None:
        self.version = 1_000_000

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        raise NotImplementedError

    async def create(self, resource: Resource, namespace: str | None, body: Object) -> Object:
        return body

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        preconditions: dict[str, str] | None = None,
        grace_seconds: int | None = None,
    ) -> Object:
        raise NotImplementedError

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Object,
        *,
        subresource: str | None = None,
        type: str = MERGE_PATCH,
    ) -> Object:
        return self._written(resource, name)

    async def apply(
        self, resource: Resource, namespace: str | None, body: Object, *, subresource: str | None = None
    ) -> Object:
        thing = self._written(resource, body["metadata"]["name"])
        thing["status"] |= body["status"]
        return thing

    def _written(self, resource: Resource, name: str) -> Object:
        self.version += 1
        thing = function(name) if resource is FUNCTIONS else runtime_pool()
        thing["metadata"] |= {"resourceVersion": str(self.version), "finalizers": ["lambent.dev/drain"]}
        return thing


class NoGateways:
    def put_gateway(self, pod: GatewayPod) -> None: ...
    def remove_gateway(self, name: str) -> None: ...

    async def report_failure(self, gateway: str, agent: str, trouble: Trouble) -> bool:
        return True


class Clock:
    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def timestamp(self) -> str:
        return "2026-01-01T00:00:00Z"

    timestamp_micro = timestamp


async def measure(functions: int) -> dict[str, float]:
    api = InstantApi()
    engine = Engine(
        api,
        lambda _: NoGateways(),
        Metrics(CollectorRegistry()),
        namespace="default",
        instance="operator-0",
        link=Link(9001, "link:9001"),
        source=AgentSource("lambent"),
        pod_labels={},
        may_act=lambda: True,
        clock=Clock(),
        chance=random.random,
    )
    engine.census.put_gateway(GatewayPod("gateway-0", "g", 1, "127.0.0.1", ready=True), now=0.0)
    engine.census.connected("gateway-0", Snapshot("gateway-0", [], {}), now=-60.0)
    engine.intake.put(RUNTIME_POOLS, runtime_pool())
    listed = asyncio.Event()
    listed.set()
    running = asyncio.create_task(engine.run(listed))
    await _quiet(engine)
    before_mb, began = rss_mb(_own_pid()), time.process_time()
    for number in range(functions):
        engine.intake.put(FUNCTIONS, function(f"function-{number}"))
    await _quiet(engine)
    new_seconds, after_mb = time.process_time() - began, rss_mb(_own_pid())
    await asyncio.sleep(1.1)  # a status may be written once a second
    engine.reconciler.wake_everything()
    await _quiet(engine)
    began = time.process_time()
    engine.reconciler.wake_everything()
    await _quiet(engine)
    idle_seconds = time.process_time() - began
    running.cancel()
    return {
        "functions": functions,
        "kilobytes": (after_mb - before_mb) * 1024 / functions,
        "new_us": new_seconds * 1e6 / functions,
        "idle_us": idle_seconds * 1e6 / functions,
    }


async def _quiet(engine: Engine) -> None:
    while engine.depth:
        await asyncio.sleep(0.01)


def _own_pid() -> int:
    return int(Path("/proc/self").readlink().name)


def function(name: str) -> Object:
    metadata: dict[str, Any] = {"name": name, "namespace": "default", "uid": f"{name:-<36}", "generation": 1}
    return {
        "metadata": metadata | {"resourceVersion": "1"},
        "spec": {"runtime": "python3.11", "handler": "app.handler", "memorySize": 128},
        "status": {"state": "Active", "lastUpdateStatus": "Successful", "observedGeneration": 1},
    }


def runtime_pool() -> Object:
    return {
        "metadata": {"name": "python", "namespace": "system", "uid": "rp", "resourceVersion": "1", "generation": 1},
        "spec": {"runtimes": ["python3.11"], "image": "python", "command": ["python3"]},
        "status": {},
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(int(sys.argv[1])))))
