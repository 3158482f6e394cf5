"""Kubernetes' quantities as numbers, and what a container asks of its node."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

MIB = 1024 * 1024
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)")
_SUFFIXES = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "k": Fraction(1000),
}
_SUFFIXES |= {letter: Fraction(1000**power) for power, letter in enumerate("MGTPE", 2)}
_SUFFIXES |= {f"{letter}i": Fraction(1024**power) for power, letter in enumerate("KMGTPE", 1)}


@dataclass(frozen=True, slots=True)
class Amounts:
    """None: nothing is said."""

    cpu_request_m: int | None = None
    """Thousandths of a core."""
    cpu_limit_m: int | None = None
    memory_request: int | None = None
    """Bytes."""
    memory_limit: int | None = None


NOTHING = Amounts()


def parse_amounts(resources: Mapping[str, Any]) -> Amounts:
    """From a container's `resources`. Raises `ValueError` for what is no quantity."""
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    return Amounts(
        cpu_request_m=_amount(requests, "cpu", 1000),
        cpu_limit_m=_amount(limits, "cpu", 1000),
        memory_request=_amount(requests, "memory", 1),
        memory_limit=_amount(limits, "memory", 1),
    )


def resources_of(amounts: Amounts) -> dict[str, dict[str, str]]:
    """As a container's `resources`."""
    requests = {"cpu": _cpu(amounts.cpu_request_m), "memory": _memory(amounts.memory_request)}
    limits = {"cpu": _cpu(amounts.cpu_limit_m), "memory": _memory(amounts.memory_limit)}
    return {
        "requests": {name: quantity for name, quantity in requests.items() if quantity is not None},
        "limits": {name: quantity for name, quantity in limits.items() if quantity is not None},
    }


def parse_quantity(text: str) -> Fraction:
    """Raises `ValueError`."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no quantity such as 500m, 1.5 or 512Mi")
    number, exponent, suffix = match.groups()
    factor = Fraction(10) ** int(exponent[1:]) if exponent else _SUFFIXES[suffix or ""]
    return Fraction(number) * factor


def _amount(quantities: Mapping[str, Any], name: str, unit: int) -> int | None:
    return (
        math.ceil(parse_quantity(str(quantities[name])) * unit) if name in quantities else None
    )  # rounded up, as Kubernetes does


def _cpu(thousandths: int | None) -> str | None:
    return None if thousandths is None else f"{thousandths}m"


def _memory(amount: int | None) -> str | None:
    if amount is None:
        return None
    return str(amount) if amount % MIB else f"{amount // MIB}Mi"
