"""Ten different functions called at once, each for the first time ever: by a pool of three pods, and by one that may grow meanwhile."""

from __future__ import annotations

from statistics import median

from benchmarks import functions
from benchmarks.client import INVOKE, load, must_succeed
from benchmarks.cluster import Cluster
from benchmarks.figures import QUICK, Figure, Mode

FUNCTIONS = 10
POOL = 3
ROUNDS = 3


def run(mode: Mode) -> list[Figure]:
    with Cluster() as cluster:
        with cluster.pool_of(POOL, FUNCTIONS):
            waiting = len(cluster.waiting_pods())
            ahead, _ = _round(cluster, ROUNDS)
        with cluster.pool_of(POOL):
            rounds = [_round(cluster, round) for round in range(1 if mode == QUICK else ROUNDS)]
    p50 = [p50 for p50, _ in rounds]
    last = [last for _, last in rounds]
    return [
        Figure(
            f"p50 of {FUNCTIONS} cold functions at once, pool of {POOL}", median(p50), "ms", 400, detail={"p50": p50}
        ),
        Figure(f"the last of the {FUNCTIONS}", median(last), "ms", detail={"last": last}),
        Figure(f"p50 of the {FUNCTIONS}, pool of {POOL} that may grow to {FUNCTIONS}", ahead, "ms"),
        Figure("pods that waited before these were deployed", waiting, "pods"),
    ]


def _round(cluster: Cluster, round: int) -> tuple[float, float]:
    """Median and longest of the calls, milliseconds."""
    shorts = [f"ten-{round}-{number}" for number in range(FUNCTIONS)]
    for short in shorts:
        cluster.create(short, f"{functions.NO_OP}# {short}\n")
    cluster.wait_until_settled()
    path = INVOKE.format(cluster.name(f"ten-{round}-%d"))
    done = must_succeed(load(cluster.address, path, connections=FUNCTIONS, count=FUNCTIONS))
    for short in shorts:
        cluster.delete(short)
    cluster.wait_until_settled()
    return done.ok.p50, done.ok.max
