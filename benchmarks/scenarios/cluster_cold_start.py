"""
A function's first call ever in a cluster, request to response: by a pod of the pool, and with an empty pool beside a bare pod.

The bare pod has the same image and does nothing; its time is from the request that makes it to its being Ready. Calls are made one at a
time, each when the pool is as it shall be and no pod comes or goes.
"""

from __future__ import annotations

import time
from statistics import median

from benchmarks import functions
from benchmarks.cluster import Cluster
from benchmarks.figures import QUICK, Figure, Mode, percentile, ratio

SECONDS_MAX = 45.0
"""Calls by the pool stop then, if they are not done."""
BARE_PODS = 6
BARE_PODS_QUICK = 2


def run(mode: Mode) -> list[Figure]:
    with Cluster() as cluster:
        pooled = _pooled(cluster, mode.calls)
        with cluster.pool_of(0):
            empty, bare = _beside_bare_pods(cluster, BARE_PODS_QUICK if mode == QUICK else BARE_PODS)
    detail = {"calls_ms": empty, "bare_ms": bare}
    return [
        Figure("cold start p50, pooled pod", median(pooled), "ms", 35, detail={"calls_ms": pooled}),
        Figure("cold start p99, pooled pod", percentile(pooled, 99), "ms", 100),
        Figure("cold start p50, pooled pod ÷ bare pod", median(pooled) / median(bare), "×"),
        Figure("cold start, empty pool ÷ bare pod", ratio(empty, bare), "×", 1.3, detail=detail),
        Figure("cold start p50, empty pool", median(empty), "ms"),
        Figure("bare pod of the same image to Ready, p50", median(bare), "ms"),
    ]


def _pooled(cluster: Cluster, calls: int) -> list[float]:
    taken: list[float] = []
    ends = time.monotonic() + SECONDS_MAX
    _first_call_ms(cluster, "warms-up")
    while len(taken) < calls and (not taken or time.monotonic() < ends):
        taken.append(_first_call_ms(cluster, f"cold-{len(taken)}"))
    return taken


def _beside_bare_pods(cluster: Cluster, rounds: int) -> tuple[list[float], list[float]]:
    empty, bare = [], []
    for round in range(rounds):
        if round % 2 == 0:
            empty.append(_first_call_ms(cluster, f"empty-{round}"))
        bare.append(cluster.start_bare_pod_ms())
        if round % 2:
            empty.append(_first_call_ms(cluster, f"empty-{round}"))
    return empty, bare


def _first_call_ms(cluster: Cluster, short: str) -> float:
    """Of a function that is made for it, and deleted."""
    cluster.create(short, f"{functions.NO_OP}# {short}\n")
    cluster.wait_until_settled()
    taken = cluster.timed_ms(short)
    cluster.delete(short)
    cluster.wait_until_settled()
    return taken
