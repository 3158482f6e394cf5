"""Pods as the API server tells of them: how long a bare one takes to be Ready, and when each of many came and started."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.programs import CannotRun
from lambent_kube.client import Kubernetes, NotFound, Object
from lambent_kube.resources import PODS

T = TypeVar("T")
READY_SECONDS_MAX = 60.0
BARE = "lambent-benchmark"
"""Label of bare pods."""


@dataclass(slots=True)
class PodTimes:
    """Seconds since the watching began. None: not seen."""

    made: float
    running: float | None = None


def bare_pod(name: str, image: str, pull_policy: str) -> Object:
    """A pod that does nothing, as restricted as the platform's are."""
    container = {
        "name": "bare",
        "image": image,
        "imagePullPolicy": pull_policy,
        "command": ["sleep", "600"],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {BARE: name}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "restartPolicy": "Never",
            "securityContext": {"runAsUser": 993, "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
        },
    }


async def start_bare_pod_ms(kubernetes: Kubernetes, namespace: str, manifest: Object) -> float:
    """From the request that makes it until the API server says that it is Ready. It is gone afterwards."""
    name = manifest["metadata"]["name"]
    began = time.perf_counter()
    made = await kubernetes.create(PODS, namespace, manifest)
    version = made["metadata"]["resourceVersion"]
    try:
        async with asyncio.timeout(READY_SECONDS_MAX):
            async for _, pod in kubernetes.watch(PODS, namespace, version, selector=f"{BARE}={name}"):
                if is_ready(pod):
                    return (time.perf_counter() - began) * 1000
    except TimeoutError:
        pass
    finally:
        await _delete(kubernetes, namespace, name)
    raise CannotRun(f"the bare pod {name} was not Ready within {READY_SECONDS_MAX:.0f} s")


async def watched(
    kubernetes: Kubernetes, namespace: str, selector: str, work: Callable[[], T]
) -> tuple[T, dict[str, PodTimes]]:
    """What `work` answers, and the pods that were made while it ran, by name."""
    _, version = await kubernetes.list(PODS, namespace, selector=selector)
    times: dict[str, PodTimes] = {}
    began = time.perf_counter()

    async def follow() -> None:
        async for type, pod in kubernetes.watch(PODS, namespace, version, selector=selector):
            seconds = time.perf_counter() - began
            if type == "ADDED":
                times[pod["metadata"]["name"]] = PodTimes(seconds)
            seen = times.get(pod["metadata"].get("name", ""))
            if seen is not None and seen.running is None and _is_running(pod):
                seen.running = seconds

    following = asyncio.create_task(follow())
    try:
        done = await asyncio.to_thread(work)
        if following.done():
            raise CannotRun("the API server ended the watch of pods") from following.exception()
        return done, times
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _delete(kubernetes: Kubernetes, namespace: str, name: str) -> None:
    with suppress(NotFound):
        await kubernetes.delete(PODS, namespace, name)
        while True:
            await kubernetes.get(PODS, namespace, name)
            await asyncio.sleep(0.05)


def is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _is_running(pod: Object) -> bool:
    statuses = pod.get("status", {}).get("containerStatuses", [])
    return any("running" in status["state"] for status in statuses)
