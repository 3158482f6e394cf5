from __future__ import annotations

from dataclasses import replace
from typing import Any

from lambent_core.function import Condition
from lambent_operator.changes import Event, Plan, WriteStatus
from lambent_operator.plans.runtime_pool import RuntimePoolView, plan_runtime_pool
from lambent_operator.resources import RuntimePool
from lambent_operator.troubles import PoolTrouble, Trouble
from tests.unit.operator.things import NOW, POOL, POOL_ID, WALL

TROUBLE = PoolTrouble(Trouble("ImagePullFailed", "not found"), 1, NOW, NOW + 2)
MESSAGE = "not found. Check spec.image of the RuntimePool, its imagePullSecrets, and that nodes reach the registry."
EARLIER = "2026-11-24T11:00:00Z"


def condition(status: Any, reason: str, message: str, since: str) -> Condition:
    return Condition(
        type="Ready", status=status, reason=reason, message=message, last_transition_time=since, observed_generation=1
    )


def written(status: str, reason: str, message: str, since: str = WALL) -> list[dict[str, Any]]:
    told = {"type": "Ready", "status": status, "reason": reason, "message": message}
    return [told | {"lastTransitionTime": since, "observedGeneration": 1}]


AVAILABLE = condition("True", "Available", "Pods of it can be had.", EARLIER)
SHOWN = replace(POOL, conditions=(AVAILABLE,), observed_generation=1, ready=2)


def plan(pool: RuntimePool, **members: Any) -> Plan:
    return plan_runtime_pool(RuntimePoolView(pool, **{"ready": 0, "starting": 0} | members), timestamp=WALL)


def write(conditions: list[dict[str, Any]] | None = None, *, ready: int, starting: int = 0) -> WriteStatus:
    """All that the operator has in a status."""
    conditions = conditions or written("True", "Available", "Pods of it can be had.", since=EARLIER)
    told = {"conditions": conditions, "observedGeneration": 1, "ready": ready, "starting": starting}
    return WriteStatus(POOL_ID, told)


def test_a_new_pool_is_told_of() -> None:
    now = written("True", "Available", "Pods of it can be had.")
    assert plan(POOL, ready=1, starting=1) == Plan([write(now, ready=1, starting=1)])


def test_numbers_are_written_once_a_second_at_most() -> None:
    assert plan(SHOWN, ready=2) == Plan()
    assert plan(SHOWN, ready=1, starting=1) == Plan([write(ready=1, starting=1)])
    assert plan(SHOWN, ready=1, written_seconds=0.5) == Plan([], 0.5)
    assert plan(SHOWN, ready=1, written_seconds=1.0) == Plan([write(ready=1)])
    assert plan(SHOWN, ready=0, known=False) == Plan()


def test_trouble_and_its_end_are_told() -> None:
    assert plan(SHOWN, ready=2, trouble=TROUBLE) == Plan(
        [
            write(written("False", "ImagePullFailed", MESSAGE), ready=2),
            Event(POOL_ID, "Warning", "ImagePullFailed", MESSAGE, once="7"),
        ]
    )
    failed = replace(SHOWN, conditions=(condition("False", "ImagePullFailed", MESSAGE, EARLIER),))
    assert plan(failed, ready=2, trouble=TROUBLE) == Plan()
    assert plan(failed, ready=2) == Plan(
        [
            write(written("True", "Available", "Pods of it can be had."), ready=2),
            Event(POOL_ID, "Normal", "Available", "Pods of it can be had again.", once="7"),
        ]
    )
