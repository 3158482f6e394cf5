"""What a RuntimePool's users see of it."""

from __future__ import annotations

from dataclasses import dataclass

from lambent_core.conditions import Finding, as_written, next_conditions, turned
from lambent_operator.changes import Change, Event, Plan, WriteStatus
from lambent_operator.plans.function import WRITE_SECONDS_MIN
from lambent_operator.resources import RuntimePool
from lambent_operator.troubles import PoolTrouble


@dataclass(frozen=True, slots=True)
class RuntimePoolView:
    pool: RuntimePool
    ready: int
    """Agents that wait without code."""
    starting: int
    trouble: PoolTrouble | None = None
    known: bool = True
    """The census is complete; else the numbers stay as they are."""
    written_seconds: float | None = None
    """Since its status was last written by this operator."""


def plan_runtime_pool(view: RuntimePoolView, *, timestamp: str) -> Plan:
    pool, trouble = view.pool, view.trouble
    if trouble is None:
        finding = Finding("Ready", "True", "Available", "Pods of it can be had.")
    else:
        finding = Finding("Ready", "False", trouble.trouble.reason, trouble.trouble.note)
    shown = tuple(condition for condition in pool.conditions if condition.type == finding.type)
    conditions = next_conditions(shown, [finding], generation=pool.generation, timestamp=timestamp)
    ready, starting = (view.ready, view.starting) if view.known else (pool.ready, pool.starting)
    if (shown, pool.observed_generation, pool.ready, pool.starting) == (conditions, pool.generation, ready, starting):
        return Plan()
    if view.written_seconds is not None and view.written_seconds < WRITE_SECONDS_MIN:
        return Plan(again_seconds=WRITE_SECONDS_MIN - view.written_seconds)
    status = {
        "conditions": as_written(conditions),
        "observedGeneration": pool.generation,
        "ready": ready,
        "starting": starting,
    }
    changes: list[Change] = [WriteStatus(pool.identity, status)]
    if unready := turned(pool.conditions, conditions, "Ready", "False"):
        changes.append(Event(pool.identity, "Warning", unready.reason, unready.message, once=str(pool.version)))
    elif pool.conditions and turned(pool.conditions, conditions, "Ready", "True"):
        note = "Pods of it can be had again."
        changes.append(Event(pool.identity, "Normal", "Available", note, once=str(pool.version)))
    return Plan(changes)
