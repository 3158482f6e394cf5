"""
A function's first call ever, from request to answer, beside starting Python and doing nothing; and what the idle platform holds in memory.

Its code is in the store and has never been on this machine's shelf of unpacked trees. Calls are made one at a time, each after everything
has become quiet; one start of Python follows each.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks import functions
from benchmarks.figures import Figure, Mode, percentile
from benchmarks.gateway import Gateway
from benchmarks.processes import rss_mb

POOL = 2
PYTHON = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"


def run(mode: Mode) -> list[Figure]:
    return [*_figures("from the pool", 3, mode, POOL), *_figures("without a pool", 8, mode, 0), *_memory()]


def _figures(how: str, goal: float, mode: Mode, pool_size: int) -> list[Figure]:
    calls, starts = _measure(mode.calls, pool_size)
    p50, p99, python = median(calls), percentile(calls, 99), median(starts)
    detail = {"calls_ms": calls, "python_ms": starts}
    return [
        Figure(f"cold start p50 {how} ÷ `python3 -I -c pass`", p50 / python, "×", goal, detail=detail),
        Figure(f"cold start p99 {how} ÷ its p50", p99 / p50, "×", 2),
        Figure(f"cold start p50 {how}", p50, "ms"),
        Figure(f"cold start p99 {how}", p99, "ms"),
        Figure(f"`python3 -I -c pass`, {how}", python, "ms"),
    ]


def _measure(count: int, pool_size: int) -> tuple[list[float], list[float]]:
    """Milliseconds of `count` first calls, and of as many starts of Python."""
    calls, starts = [], []
    with Gateway(pool_size=pool_size) as gateway:
        for number in range(count + 1):
            # Each function's code is its own, so that no unpacked tree of another serves it.
            gateway.create(f"cold-{number}", f"{functions.NO_OP}# {number}\n")
            gateway.wait_for_pool(pool_size)
            call = gateway.caller.timed_ms(f"cold-{number}", {"key": "value"})
            gateway.delete(f"cold-{number}")
            gateway.wait_for_pool(pool_size)
            start = _start_python_ms()
            if number:  # the first finds cold files
                calls.append(call)
                starts.append(start)
    return calls, starts


def _start_python_ms() -> float:
    began = time.perf_counter()
    subprocess.run([PYTHON, "-I", "-c", "pass"], check=True)
    return (time.perf_counter() - began) * 1000


def _memory() -> list[Figure]:
    with Gateway() as gateway:
        gateway.wait_for_pool(1)
        idle = rss_mb(gateway.pid)
        gateway.create("no-op", functions.NO_OP)
        for _ in range(100):
            gateway.caller.timed_ms("no-op", {"key": "value"})
        agents = [rss_mb(pid) for pid in gateway.agents()]
        runtimes = [rss_mb(pid) for pid in gateway.runtimes()]
    return [
        Figure("resident memory of an agent, most of all", max(agents), "MB", 10, detail={"agents": agents}),
        Figure("resident memory of the idle gateway", idle, "MB", 80),
        Figure("resident memory of a Python runtime, most of all", max(runtimes), "MB", detail={"runtimes": runtimes}),
    ]
