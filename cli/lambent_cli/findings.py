"""What a check of `lambent doctor` found: a value each, and what to do where something is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Ok:
    subject: str
    detail: str
    level: Literal["ok"] = "ok"


@dataclass(frozen=True, slots=True)
class Warning:
    """Lambent works, but less well."""

    subject: str
    detail: str
    fix: str
    level: Literal["warning"] = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something does not work until this is mended."""

    subject: str
    detail: str
    fix: str
    level: Literal["problem"] = "problem"


Finding = Ok | Warning | Problem
