"""
100 calls at once of a function that sleeps a second, from zero environments in a cluster: when the last is done, and where the time goes.

Then the same of a function that allows ten environments in a pod. The pool is of three pods both times.
"""

from __future__ import annotations

from functools import partial
from statistics import median

from benchmarks import functions
from benchmarks.client import INVOKE, Load, load
from benchmarks.cluster import Cluster
from benchmarks.figures import QUICK, Figure, Mode
from benchmarks.pods import PodTimes

CALLS = 100
CALLS_QUICK = 10
POOL = 3
SHORT = "sleeps"
SHARED = "sleeps-beside-others"
PER_POD = 10
COLD_START = "lambent_cold_start_seconds"
PHASES = {
    "agent": "environment asked for → an agent is it, mean",
    "fetch": "code fetched, mean",
    "unpack": "code unpacked, mean",
    "runtime": "runtime started, mean",
    "function": "function initialised, mean",
}


def run(mode: Mode) -> list[Figure]:
    calls = CALLS_QUICK if mode == QUICK else CALLS
    with Cluster() as cluster, cluster.pool_of(POOL):
        done, pods = _burst(cluster, SHORT, calls, per_pod=1)
        split = _phases(cluster)
        cluster.delete(SHORT)
        shared, of_shared = _burst(cluster, SHARED, calls, per_pod=PER_POD)
        cluster.delete(SHARED)
        cluster.wait_until_settled()
    return [
        *_calls(done, calls),
        *_pods(list(pods.values())),
        *split,
        Figure(f"errors, {PER_POD} environments in a pod", sum(shared.errors.values()), "errors", 0),
        Figure(f"finishing time of the last, {PER_POD} environments in a pod", shared.wall_seconds, "s"),
        Figure(f"pods made meanwhile, {PER_POD} environments in a pod", len(of_shared), "pods"),
    ]


def _burst(cluster: Cluster, short: str, calls: int, *, per_pod: int) -> tuple[Load, dict[str, PodTimes]]:
    cluster.create(short, functions.SLEEPS_A_SECOND)
    cluster.share_pods(short, per_pod)
    cluster.wait_until_settled()
    path = INVOKE.format(cluster.name(short))
    return cluster.watched(partial(load, cluster.address, path, connections=calls, count=calls, seconds_max=60))


def _calls(done: Load, calls: int) -> list[Figure]:
    detail = {"errors": done.errors, "answers": done.count}
    return [
        Figure(f"errors in {calls} calls at once", sum(done.errors.values()), "errors", 0, detail=detail),
        Figure("finishing time of the last", done.wall_seconds, "s"),
        Figure("p50 of the calls", done.ok.p50 / 1000, "s"),
    ]


def _pods(pods: list[PodTimes]) -> list[Figure]:
    made = [pod.made for pod in pods]
    starts = [pod.running - pod.made for pod in pods if pod.running is not None]
    detail = {"made": made, "running": [pod.running for pod in pods]}
    return [
        Figure("pods made meanwhile", len(made), "pods", detail=detail),
        Figure("of them seen running", len(starts), "pods"),
        *_middle_and_last("call → pod made", made),
        *_middle_and_last("pod made → seen running", starts),
    ]


def _middle_and_last(what: str, seconds: list[float]) -> list[Figure]:
    if not seconds:
        return []
    return [Figure(f"{what}, p50", median(seconds), "s"), Figure(f"{what}, the longest", max(seconds), "s")]


def _phases(cluster: Cluster) -> list[Figure]:
    """What the gateways measured of each new environment."""

    def mean(phase: str) -> float:
        count = cluster.metric(f"{COLD_START}_count", function=SHORT, phase=phase)
        return cluster.metric(f"{COLD_START}_sum", function=SHORT, phase=phase) / max(1, count)

    environments = cluster.metric(f"{COLD_START}_count", function=SHORT, phase="agent")
    return [
        Figure("environments that got an agent", environments, ""),
        *(Figure(text, mean(phase), "s") for phase, text in PHASES.items()),
    ]
