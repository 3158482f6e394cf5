"""
What a scenario yields: figures with their goals, and how rounds of two things are interleaved.

A figure is printed as one line and written as JSON.
"""

from __future__ import annotations

import os
import platform
import sysconfig
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import orjson

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Mode:
    """How long to measure."""

    rounds: int
    """Of each of the things compared."""
    seconds: float
    """Of each round."""
    calls: int
    """Of things that are measured one by one, such as cold starts."""


FULL = Mode(rounds=6, seconds=1.0, calls=40)
QUICK = Mode(rounds=1, seconds=0.3, calls=3)


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    value: float
    unit: str
    goal: float | None = None
    at_least: bool = False
    """The goal is a lower bound; else an upper one."""
    detail: dict[str, Any] = field(default_factory=dict)
    """What it was computed from."""

    @property
    def reached(self) -> bool | None:
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    def line(self) -> str:
        value = f"{self.value:,.2f} {self.unit}"
        if self.goal is None:
            return f"  {self.name:<62} {value:>18}"
        bound = f"goal {'≥' if self.at_least else '≤'} {self.goal:,g}"
        return f"  {self.name:<62} {value:>18}   {bound:<14} {'reached' if self.reached else 'MISSED'}"


def interleaved(one: Callable[[], T], other: Callable[[], T], rounds: int) -> tuple[list[T], list[T]]:
    """`rounds` of each, A B B A A B B A …, so that a machine that slows down slows both. One round warms up and is not counted."""
    one()
    other()
    ones: list[T] = []
    others: list[T] = []
    for round in range(rounds):
        if round % 2 == 0:
            ones.append(one())
            others.append(other())
        else:
            others.append(other())
            ones.append(one())
    return ones, others


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Median of the rounds' ratios."""
    return median(our / their for our, their in zip(ours, theirs, strict=True))


def percentile(values: list[float], percent: int) -> float:
    """By nearest rank: one of the values."""
    return sorted(values)[ceil(len(values) * percent / 100) - 1]


def write_record(folder: Path, scenario: str, figures: list[Figure], seconds: float) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "scenario": scenario,
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": seconds,
        "machine": {
            "cpus": os.cpu_count(),
            "kernel": platform.release(),
            "python": platform.python_version(),
            # An interpreter built without profile-guided optimisation is about 1.4 times slower.
            "pythonOptimized": "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS")),
            "loadAverage": os.getloadavg(),
        },
        "figures": [{**asdict(figure), "reached": figure.reached} for figure in figures],
    }
    path = folder / f"{scenario}.json"
    path.write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2))
    return path
