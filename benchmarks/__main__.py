"""
`python -m benchmarks [--quick] [scenario …]`: runs the scenarios, prints their figures beside the goals, and writes records.

Those of a cluster are run where there is one with Lambent on it; `cluster` names them all.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from pathlib import Path

from benchmarks import cluster
from benchmarks.figures import FULL, QUICK, Figure, write_record
from benchmarks.programs import CannotRun, build

RESULTS = Path("benchmarks/results")
SCENARIOS = (
    "gateway_cpu",
    "agent_cpu",
    "whole_path",
    "cold_start",
    "burst",
    "async_accept",
    "overload",
    "operator_scale",
)
CLUSTER = "cluster"
CLUSTER_SCENARIOS = (
    "cluster_cold_start",
    "cluster_ten_functions",
    "cluster_idle",
    "cluster_neighbour",
    "cluster_burst",
    "cluster_warm",
)
"""Bursts come last: for ten minutes they leave more pods in the pool than there were."""


def main() -> int:
    arguments = _arguments()
    try:
        build()
    except CannotRun as error:
        print(error, file=sys.stderr)
        return 1
    failed = 0
    for name in _named(arguments.scenario) if arguments.scenario else _all():
        scenario = importlib.import_module(f"benchmarks.scenarios.{name}")
        print(f"{name}: {(scenario.__doc__ or '').strip().splitlines()[0]}", flush=True)
        began = time.monotonic()
        try:
            figures: list[Figure] = scenario.run(QUICK if arguments.quick else FULL)
        except CannotRun as error:
            print(f"  can't be measured: {error}", flush=True)
            failed += 1
            continue
        seconds = time.monotonic() - began
        for figure in figures:
            print(figure.line(), flush=True)
        path = write_record(arguments.results, name, figures, seconds)
        print(f"  {seconds:.0f} s, {path}\n", flush=True)
    return 1 if failed else 0


def _named(words: list[str]) -> list[str]:
    return [name for word in words for name in (CLUSTER_SCENARIOS if word == CLUSTER else (word,))]


def _all() -> list[str]:
    """Those that can be run here; says which are left out."""
    try:
        cluster.find(os.environ)
    except CannotRun as error:
        print(f"left out: {', '.join(CLUSTER_SCENARIOS)}: {error}\n", flush=True)
        return list(SCENARIOS)
    return [*SCENARIOS, *CLUSTER_SCENARIOS]


def _arguments() -> argparse.Namespace:
    names = (*SCENARIOS, CLUSTER, *CLUSTER_SCENARIOS)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("scenario", nargs="*", help=f"all if none is named: {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="short rounds: shows that it works, not how fast")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the records (default: %(default)s)")
    arguments = parser.parse_args()
    for name in arguments.scenario:  # not by `choices`: Python 3.11.2, Debian's, refuses an empty list then
        if name not in names:
            parser.error(f"no scenario {name!r}; there are {', '.join(names)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
