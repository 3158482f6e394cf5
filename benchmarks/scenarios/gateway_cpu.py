"""
The gateway's processor time per warm invocation, beside a Go reverse proxy's for the same exchange.

Echo agents stand for the execution environments, a Go echo server stands behind the proxy: 32 connections, a POST of 48 bytes each.
"""

from __future__ import annotations

from functools import partial
from statistics import median

from benchmarks.client import INVOKE, load, must_succeed
from benchmarks.figures import Figure, Mode, interleaved, ratio
from benchmarks.gateway import Gateway
from benchmarks.processes import cpu_seconds
from benchmarks.programs import Server, program

CONNECTIONS = 32


def run(mode: Mode) -> list[Figure]:
    with (
        Gateway(agent=program("echo_agent"), environments_max=CONNECTIONS, pool_size=0) as gateway,
        Server([program("reverse_proxy"), "echo"]) as echo,
        Server([program("reverse_proxy"), "proxy", echo.address]) as proxy,
    ):
        gateway.create("echo", "")
        gateway.warm_up("echo", CONNECTIONS)
        ours, theirs = interleaved(
            partial(_round, gateway.pid, gateway.address, INVOKE.format("echo"), mode),
            partial(_round, proxy.pid, proxy.address, "/", mode),
            mode.rounds,
        )
    our_us, their_us = [cpu for cpu, _ in ours], [cpu for cpu, _ in theirs]
    rates = {"calls_per_second": [rate for _, rate in ours], "proxy_calls_per_second": [rate for _, rate in theirs]}
    return [
        Figure("gateway CPU per warm invocation ÷ Go ReverseProxy", ratio(our_us, their_us), "×", 0.5, detail=rates),
        Figure("gateway CPU per warm invocation", median(our_us), "µs", detail={"rounds": our_us}),
        Figure("Go ReverseProxy CPU per request", median(their_us), "µs", detail={"rounds": their_us}),
        Figure("gateway with echo agents", median(rates["calls_per_second"]), "calls/s"),
        Figure("Go ReverseProxy with echo server", median(rates["proxy_calls_per_second"]), "calls/s"),
    ]


def _round(pid: int, address: str, path: str, mode: Mode) -> tuple[float, float]:
    """Processor time per call, microseconds, and calls per second."""
    before = cpu_seconds([pid])
    done = must_succeed(load(address, path, connections=CONNECTIONS, seconds=mode.seconds))
    return (cpu_seconds([pid]) - before) / done.count * 1e6, done.rate
