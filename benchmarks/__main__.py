"""`python -m benchmarks [--quick] [scenario …]`: runs the scenarios, prints their figures beside the goals, and writes records."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

from benchmarks.figures import FULL, QUICK, Figure, write_record
from benchmarks.programs import CannotRun, build

RESULTS = Path("benchmarks/results")
SCENARIOS = ("gateway_cpu", "agent_cpu", "whole_path", "cold_start", "burst", "async_accept", "overload")


def main() -> int:
    arguments = _arguments()
    try:
        build()
    except CannotRun as error:
        print(error, file=sys.stderr)
        return 1
    failed = 0
    for name in arguments.scenario or SCENARIOS:
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


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("scenario", nargs="*", help=f"all if none is named: {', '.join(SCENARIOS)}")
    parser.add_argument("--quick", action="store_true", help="short rounds: shows that it works, not how fast")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the records (default: %(default)s)")
    arguments = parser.parse_args()
    for name in arguments.scenario:  # not by `choices`: Python 3.11.2, Debian's, refuses an empty list then
        if name not in SCENARIOS:
            parser.error(f"no scenario {name!r}; there are {', '.join(SCENARIOS)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
