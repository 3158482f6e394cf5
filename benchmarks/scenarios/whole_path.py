"""
A Python no-op through the whole path: calls per second beside emulators', and one connection's latency beside a bare echo's.

The emulators run the same handler on AWS's own client. Where AWS's own can't be had, the goal is set for the plain one.
"""

from __future__ import annotations

from functools import partial
from statistics import median

from benchmarks import emulators, functions
from benchmarks.client import INVOKE, Load, load, must_succeed
from benchmarks.figures import FULL, Figure, Mode, interleaved, ratio
from benchmarks.gateway import Gateway
from benchmarks.programs import CannotRun, Server, program

CONNECTIONS = 32
ENVIRONMENTS = 8
PATH = INVOKE.format("no-op")
REFUSED_MAX = 0.01
"""Share of an emulator's calls."""


def run(mode: Mode) -> list[Figure]:
    with (
        Gateway(environments_max=ENVIRONMENTS, pool_size=0) as gateway,
        Server([program("http_echo")]) as echo,
        Server([program("reverse_proxy"), "echo"]) as standard,
    ):
        gateway.create("no-op", functions.NO_OP)
        gateway.warm_up("no-op", ENVIRONMENTS)
        official = _official(gateway, mode)
        with emulators.plain(ENVIRONMENTS) as address:
            many, theirs = interleaved(
                partial(_round, gateway.address, PATH, CONNECTIONS, mode),
                partial(_round, address, emulators.PATH, CONNECTIONS, mode),
                mode.rounds,
            )
            emulated = _round(address, emulators.PATH, 1, mode)
        one, bare = interleaved(
            partial(_round, gateway.address, PATH, 1, mode), partial(_round, echo.address, "/", 1, mode), mode.rounds
        )
        library = _round(standard.address, "/", 1, mode)
    return official + _many(many, theirs, goal=None if official else 2.5) + _one(one, bare, emulated, library)


def _official(gateway: Gateway, mode: Mode) -> list[Figure]:
    """Beside AWS's own emulator, with as many callers as it serves best; nothing where it can't be run."""
    try:
        with emulators.runtime_interface_emulator(may_fetch=mode is FULL) as address:
            best = max((ENVIRONMENTS, CONNECTIONS), key=lambda callers: _official_round(address, callers, mode).rate)
            ours, theirs = interleaved(
                partial(_round, gateway.address, PATH, CONNECTIONS, mode),
                partial(_official_round, address, best, mode),
                mode.rounds,
            )
    except CannotRun as error:
        print(f"  AWS's Runtime Interface Emulator can't be measured: {error}", flush=True)
        return []
    our_rates, their_rates = [run.rate for run in ours], [run.rate for run in theirs]
    detail = {"rounds": our_rates, "their_rounds": their_rates, "their_callers": best}
    name = "AWS's Runtime Interface Emulator"
    return [
        Figure(f"calls/s ÷ {name}", ratio(our_rates, their_rates), "×", 2.5, at_least=True, detail=detail),
        Figure(f"{name}, at its best", median(their_rates), "calls/s"),
    ]


def _official_round(address: str, callers: int, mode: Mode) -> Load:
    """It refuses a call now and then, when all its runtimes are late to ask for one. So few don't count."""
    done = load(address, emulators.PATH, connections=callers, seconds=mode.seconds)
    return done if sum(done.errors.values()) < REFUSED_MAX * done.count else must_succeed(done)


def _many(ours: list[Load], theirs: list[Load], goal: float | None) -> list[Figure]:
    our_rates, their_rates = [run.rate for run in ours], [run.rate for run in theirs]
    return [
        Figure("calls/s ÷ plain emulator with awslambdaric", ratio(our_rates, their_rates), "×", goal, at_least=True),
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
