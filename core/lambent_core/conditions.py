"""Kubernetes' conditions: `lastTransitionTime` is when `status` last changed, whatever else did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from lambent_core.function import Condition

Status = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a condition shall say."""

    type: str
    status: Status
    reason: str
    message: str


def next_conditions(
    old: Sequence[Condition], findings: Sequence[Finding], *, generation: int, timestamp: str
) -> tuple[Condition, ...]:
    """Where they were, new ones behind them in the order of the findings. One that nothing is found about stays what it is."""
    following = {}
    for finding in findings:
        last = condition_of(old, finding.type)
        unchanged = last is not None and last.status == finding.status
        following[finding.type] = Condition(
            type=finding.type,
            status=finding.status,
            reason=finding.reason,
            message=finding.message,
            last_transition_time=last.last_transition_time if last is not None and unchanged else timestamp,
            observed_generation=generation,
        )
    return (*(following.pop(condition.type, condition) for condition in old), *following.values())


def as_written(conditions: Sequence[Condition]) -> list[dict[str, Any]]:
    """As a status has them."""
    return [msgspec.to_builtins(condition) for condition in conditions]


def condition_of(conditions: Sequence[Condition], type: str) -> Condition | None:
    return next((condition for condition in conditions if condition.type == type), None)


def turned(old: Sequence[Condition], new: Sequence[Condition], type: str, status: Status) -> Condition | None:
    """The condition, if it has this status now and had another before."""
    before, now = condition_of(old, type), condition_of(new, type)
    if now is None or now.status != status or (before is not None and before.status == status):
        return None
    return now
