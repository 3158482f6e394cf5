"""What plans answer with: everything that the operator can do to the world. `Cluster` does it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from lambent_operator.quantities import Amounts
from lambent_operator.resources import Identity
from lambent_operator.troubles import Trouble

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CreatePod:
    manifest: Object


@dataclass(frozen=True, slots=True)
class AdoptPod:
    """Says on the pod that it is an execution environment of a function, and has it go with the function."""

    name: str
    uid: str
    function: Identity
    revision: str


@dataclass(frozen=True, slots=True)
class ResizePod:
    name: str
    uid: str
    amounts: Amounts
    function: Identity


@dataclass(frozen=True, slots=True)
class DeletePod:
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class ReportFailure:
    """Tells the gateway that an agent it wants can't be had, and has the pool left alone for a while."""

    agent: str
    gateway: str
    pool: str
    trouble: Trouble


@dataclass(frozen=True, slots=True)
class LeaveAlone:
    """Has the pool left alone for a while; whoever wants an agent of it waits."""

    pool: str
    trouble: Trouble


@dataclass(frozen=True, slots=True)
class SetFinalizers:
    function: Identity
    version: int
    """Of the function that the list was made from: finalizers are others' too."""
    finalizers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Applies all fields that the operator has in the status: one that is left out goes."""

    of: Identity
    status: Object


@dataclass(frozen=True, slots=True)
class Event:
    regarding: Identity
    type: Literal["Normal", "Warning"]
    reason: str
    note: str
    once: str
    """What tells this occurrence from others: the same is told once, whatever restarts."""


Change = CreatePod | AdoptPod | ResizePod | DeletePod | ReportFailure | LeaveAlone | SetFinalizers | WriteStatus | Event


@dataclass(frozen=True, slots=True)
class Plan:
    changes: list[Change] = field(default_factory=list)
    """In order; the first that can't be done ends the plan, and it is made anew."""
    again_seconds: float | None = None
    """When time alone may change the answer."""
