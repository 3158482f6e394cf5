"""
300 calls at once of a function that sleeps a second, from zero environments: do all succeed, and when is the last one done?
"""

from __future__ import annotations

from benchmarks import functions
from benchmarks.client import INVOKE, load
from benchmarks.figures import QUICK, Figure, Mode
from benchmarks.gateway import Gateway

CALLS = 300
CALLS_QUICK = 10


def run(mode: Mode) -> list[Figure]:
    calls = CALLS_QUICK if mode == QUICK else CALLS
    with Gateway() as gateway:
        gateway.create("sleeps", functions.SLEEPS_A_SECOND)
        gateway.wait_for_pool(1)
        done = load(gateway.address, INVOKE.format("sleeps"), connections=calls, count=calls, seconds_max=50)
        environments = gateway.metric("lambent_environments", function="sleeps")
    detail = {"errors": done.errors, "answers": done.count}
    return [
        Figure(f"errors in {calls} calls at once", sum(done.errors.values()), "errors", 0, detail=detail),
        Figure("finishing time of the last", done.wall_seconds, "s"),
        Figure("p50 of the calls", done.ok.p50 / 1000, "s"),
        Figure("environments in the end", environments, ""),
    ]
