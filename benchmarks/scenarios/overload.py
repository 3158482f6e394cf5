"""
Five times more load than can be served: does goodput stay, and are refusals quick?

A function that burns 5 ms of processor time has a reserved concurrency of 8. Closed loop over 8 connections finds the peak; then
requests are due at five times that rate, whether answered or not.
"""

from __future__ import annotations

from statistics import median

from benchmarks import functions
from benchmarks.client import INVOKE, Load, load, must_succeed
from benchmarks.figures import Figure, Mode
from benchmarks.gateway import Gateway
from benchmarks.programs import CannotRun

RESERVED = 8
TIMES = 5
CONNECTIONS = 256
REFUSED = "429"


def run(mode: Mode) -> list[Figure]:
    with Gateway(pool_size=0) as gateway:
        gateway.create("burns", functions.BURNS_FIVE_MILLISECONDS)
        gateway.reserve("burns", RESERVED)
        path = INVOKE.format("burns")
        gateway.warm_up("burns", RESERVED)
        fitting, flooded = [], []
        for _ in range(mode.rounds):
            fits = must_succeed(load(gateway.address, path, connections=RESERVED, seconds=mode.seconds))
            rate = TIMES * fits.rate
            fitting.append(fits)
            flooded.append(load(gateway.address, path, connections=CONNECTIONS, seconds=2 * mode.seconds, rate=rate))
    return _figures(fitting, flooded)


def _figures(fitting: list[Load], flooded: list[Load]) -> list[Figure]:
    refusals = [run.by_outcome[REFUSED] for run in flooded if REFUSED in run.by_outcome]
    if not refusals:
        raise CannotRun("nothing was refused under overload")
    others = sum(count for run in flooded for outcome, count in run.errors.items() if outcome != REFUSED)
    goodput = median(flood.rate / fits.rate for flood, fits in zip(flooded, fitting, strict=True))
    refusal_p50 = median(spread.p50 for spread in refusals)
    warm_p50 = median(run.ok.p50 for run in fitting)
    return [
        Figure("goodput under 5 × overload ÷ peak", goodput, "×", 0.9, at_least=True),
        Figure("p50 of refusals ÷ p50 of calls at fitting load", refusal_p50 / warm_p50, "×", 2),
        Figure("errors other than 429", others, "errors", 0),
        Figure("peak at fitting load", median(run.rate for run in fitting), "calls/s"),
        Figure("p50 of refusals", refusal_p50, "ms"),
        Figure("p99 of refusals", median(spread.p99 for spread in refusals), "ms"),
        Figure("p50 of calls served under overload", median(run.ok.p50 for run in flooded), "ms"),
        Figure("p50 of calls at fitting load", warm_p50, "ms"),
    ]
