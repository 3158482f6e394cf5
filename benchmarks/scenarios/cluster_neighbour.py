"""
Other functions' first calls while a neighbour's burst runs in the cluster, beside the same when it is quiet.

The burst goes from zero to 20 calls at a time of a function that sleeps a second. Every two seconds another function is called, in both
cases: a pod of the pool is there again by then where nobody else wants it. There are three bursts, since the calls that matter most are
the few that come while a burst's pods start; none leaves a larger pool to the next.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from threading import Event

from benchmarks import functions
from benchmarks.client import INVOKE, load, must_succeed
from benchmarks.cluster import Cluster
from benchmarks.figures import QUICK, Figure, Mode, percentile
from benchmarks.gateway import wait_until

CALLS = 15
"""In a round."""
CALLS_QUICK = 3
ROUNDS = 3
PACE_SECONDS = 2.0
CONNECTIONS = 20
BURST_ROUND_SECONDS = 5.0
BURST = "burst"
ENVIRONMENTS = "lambent_environments"


@dataclass(frozen=True, slots=True)
class FirstCall:
    ms: float
    starting: bool
    """The burst had environments on their way when it was sent."""


def run(mode: Mode) -> list[Figure]:
    calls, rounds = (CALLS_QUICK, 1) if mode == QUICK else (CALLS, ROUNDS)
    quiet, loud, burst_calls = list[FirstCall](), list[FirstCall](), 0
    with Cluster() as cluster, cluster.pool_of():
        for round in range(rounds):
            shorts = _create(cluster, f"quiet-{round}", calls)
            cluster.wait_until_settled()
            quiet += _first_calls(cluster, shorts)
            shorts = _create(cluster, f"loud-{round}", calls)
            cluster.create(BURST, functions.SLEEPS_A_SECOND)
            cluster.wait_until_settled()
            during, calls_of_burst = _during_burst(cluster, shorts)
            loud, burst_calls = loud + during, burst_calls + calls_of_burst
            cluster.delete(BURST)
            cluster.wait_until_settled()
    return _figures([call.ms for call in quiet], loud, burst_calls)


def _figures(quiet: list[float], during: list[FirstCall], burst_calls: int) -> list[Figure]:
    loud = [call.ms for call in during]
    starting = [call.ms for call in during if call.starting]
    detail = {"quiet_ms": quiet, "loud_ms": loud, "while_starting_ms": starting, "burst_calls": burst_calls}
    figures = [
        Figure(
            "cold p95 during a neighbour's burst ÷ quiet",
            percentile(loud, 95) / percentile(quiet, 95),
            "×",
            1.5,
            detail=detail,
        ),
        Figure("cold p95 during a neighbour's burst", percentile(loud, 95), "ms"),
        Figure("cold p50 during a neighbour's burst", median(loud), "ms"),
        Figure("cold p95, quiet", percentile(quiet, 95), "ms"),
        Figure("cold p50, quiet", median(quiet), "ms"),
        Figure("cold calls while the neighbour's environments started", len(starting), "calls"),
    ]
    for when, some in (("started", starting), ("ran", [call.ms for call in during if not call.starting])):
        if some:
            figures.append(Figure(f"cold p95 while the neighbour's environments {when}", percentile(some, 95), "ms"))
    return figures


def _create(cluster: Cluster, kind: str, count: int) -> list[str]:
    """Functions that were never called."""
    shorts = [f"{kind}-{number}" for number in range(count)]
    for short in shorts:
        cluster.create(short, f"{functions.NO_OP}# {short}\n")
    return shorts


def _first_calls(cluster: Cluster, shorts: list[str]) -> list[FirstCall]:
    """One after `PACE_SECONDS` whether the one before is answered or not: else a long one would hide what others would have waited."""

    def call(short: str) -> float:
        ms = cluster.timed_ms(short)
        cluster.delete(short)
        return ms

    began = time.monotonic()
    sent: list[tuple[Future[float], bool]] = []
    with ThreadPoolExecutor(len(shorts)) as executor:
        for number, short in enumerate(shorts):
            time.sleep(max(0.0, began + number * PACE_SECONDS - time.monotonic()))
            starting = cluster.metric(ENVIRONMENTS, function=BURST, state="starting") > 0
            sent.append((executor.submit(call, short), starting))
    return [FirstCall(answer.result(), starting) for answer, starting in sent]


def _during_burst(cluster: Cluster, shorts: list[str]) -> tuple[list[FirstCall], int]:
    """First calls, the first of them as the burst begins; and how many calls the burst had."""
    over = Event()
    path = INVOKE.format(cluster.name(BURST))

    def burst() -> int:
        calls = 0
        while not over.is_set():
            done = load(cluster.address, path, connections=CONNECTIONS, seconds=BURST_ROUND_SECONDS)
            calls += must_succeed(done).count
        return calls

    with ThreadPoolExecutor(1) as executor:
        running = executor.submit(burst)
        try:
            wait_until(lambda: cluster.metric(ENVIRONMENTS, function=BURST) > 0, "the burst to begin")
            taken = _first_calls(cluster, shorts)
        finally:
            over.set()
        return taken, running.result()
