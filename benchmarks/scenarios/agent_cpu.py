"""
The agent's processor time per warm invocation, with our own bootstrap and with AWS's own Python client.

32 connections call a Python no-op that has 8 environments; the time is that of the 8 agents together.
"""

from __future__ import annotations

from functools import partial
from statistics import median

from benchmarks import functions
from benchmarks.client import INVOKE, load, must_succeed
from benchmarks.figures import Figure, Mode, interleaved
from benchmarks.gateway import Gateway
from benchmarks.processes import cpu_seconds
from lambent_gateway.environments.runtimes import CLIENT_VARIABLE

CONNECTIONS = 32
ENVIRONMENTS = 8


def run(mode: Mode) -> list[Figure]:
    # One gateway each: in one, the two functions would take each other's environments away.
    with (
        Gateway(environments_max=ENVIRONMENTS, pool_size=0) as own,
        Gateway(environments_max=ENVIRONMENTS, pool_size=0) as official,
    ):
        own.create("no-op", functions.NO_OP)
        official.create("no-op", functions.NO_OP, Environment={"Variables": {CLIENT_VARIABLE: "awslambdaric"}})
        own.warm_up("no-op", ENVIRONMENTS)
        official.warm_up("no-op", ENVIRONMENTS)
        ours, theirs = interleaved(partial(_round, own, mode), partial(_round, official, mode), mode.rounds)
    return [*_figures("own bootstrap", ours, 40), *_figures("awslambdaric", theirs, 70)]


def _figures(client: str, rounds: list[dict[str, float]], goal: float) -> list[Figure]:
    middle = {name: median(each[name] for each in rounds) for name in rounds[0]}
    detail = {"rounds": rounds}
    return [
        Figure(f"agent CPU per warm invocation, {client}", middle["agent"], "µs", goal, detail=detail),
        Figure(f"runtime CPU per warm invocation, {client}", middle["runtime"], "µs"),
        Figure(f"gateway CPU per warm invocation, {client}", middle["gateway"], "µs"),
        Figure(f"calls over {ENVIRONMENTS} environments, {client}", middle["rate"], "calls/s"),
    ]


def _round(gateway: Gateway, mode: Mode) -> dict[str, float]:
    """Processor time per call of each kind of process, microseconds, and calls per second."""
    kinds = {"gateway": [gateway.pid], "agent": gateway.agents(), "runtime": gateway.runtimes()}
    before = {kind: cpu_seconds(pids) for kind, pids in kinds.items()}
    done = must_succeed(load(gateway.address, INVOKE.format("no-op"), connections=CONNECTIONS, seconds=mode.seconds))
    spent = {kind: (cpu_seconds(pids) - before[kind]) / done.count * 1e6 for kind, pids in kinds.items()}
    return {**spent, "rate": done.rate}
