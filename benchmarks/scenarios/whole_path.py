"""
A Python no-op through the whole path: calls per second beside an emulator's, and one connection's latency beside a bare echo's.

The emulator runs the same handler on AWS's own client in as many runtimes as we have environments.
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import functions
from benchmarks.client import INVOKE, Load, load, must_succeed
from benchmarks.figures import Figure, Mode, interleaved, ratio
from benchmarks.gateway import Gateway
from benchmarks.programs import Server, program

CONNECTIONS = 32
ENVIRONMENTS = 8
EMULATED = INVOKE.format("function")


def run(mode: Mode) -> list[Figure]:
    with (
        tempfile.TemporaryDirectory() as folder,
        Gateway(environments_max=ENVIRONMENTS, pool_size=0) as gateway,
        _emulator(Path(folder)) as emulator,
        Server([program("http_echo")]) as echo,
        Server([program("reverse_proxy"), "echo"]) as standard,
    ):
        gateway.create("no-op", functions.NO_OP)
        gateway.warm_up("no-op", ENVIRONMENTS)
        path = INVOKE.format("no-op")
        many, theirs = interleaved(
            partial(_round, gateway.address, path, CONNECTIONS, mode),
            partial(_round, emulator.address, EMULATED, CONNECTIONS, mode),
            mode.rounds,
        )
        one, bare = interleaved(
            partial(_round, gateway.address, path, 1, mode), partial(_round, echo.address, "/", 1, mode), mode.rounds
        )
        emulated = _round(emulator.address, EMULATED, 1, mode)
        library = _round(standard.address, "/", 1, mode)
    return _many(many, theirs) + _one(one, bare, emulated, library)


def _emulator(folder: Path) -> Server:
    (folder / "app.py").write_text(functions.NO_OP)
    command = [sys.executable, "-m", "awslambdaric", "app.handler"]
    return Server([program("emulator"), "-runtimes", str(ENVIRONMENTS), *command], cwd=folder)


def _many(ours: list[Load], theirs: list[Load]) -> list[Figure]:
    our_rates, their_rates = [run.rate for run in ours], [run.rate for run in theirs]
    return [
        Figure("calls/s ÷ plain emulator with awslambdaric", ratio(our_rates, their_rates), "×", 2.5, at_least=True),
        Figure("calls over 8 environments, 32 connections", median(our_rates), "calls/s", detail={"rounds": our_rates}),
        Figure("plain emulator, 8 runtimes, 32 connections", median(their_rates), "calls/s"),
        Figure("p50 over 8 environments, 32 connections", median(run.ok.p50 for run in ours), "ms"),
        Figure("p99 over 8 environments, 32 connections", median(run.ok.p99 for run in ours), "ms"),
    ]


def _one(ours: list[Load], bare: list[Load], emulated: Load, library: Load) -> list[Figure]:
    our_p50, bare_p50 = [run.ok.p50 for run in ours], [run.ok.p50 for run in bare]
    return [
        Figure(
            "p50 at one connection ÷ bare HTTP echo", ratio(our_p50, bare_p50), "×", 5, detail={"echo_ms": bare_p50}
        ),
        Figure("p50 at one connection", median(run.p50_us for run in ours), "µs", detail={"rounds_ms": our_p50}),
        Figure("p50 of a bare HTTP echo at one connection", median(run.p50_us for run in bare), "µs"),
        Figure("p50 of an echo on Go's net/http at one connection", library.p50_us, "µs"),
        Figure("p50 of the plain emulator at one connection", emulated.p50_us, "µs"),
    ]


def _round(address: str, path: str, connections: int, mode: Mode) -> Load:
    return must_succeed(load(address, path, connections=connections, seconds=mode.seconds))
