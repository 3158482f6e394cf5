"""
What functions reserve of the account's concurrency, and what that leaves to the others.

Behaviour: AWS documentation, "Configuring reserved concurrency for a function".
"""

from __future__ import annotations

from collections.abc import Iterable

from lambent_core import generations, limits
from lambent_core.function import Function


def in_force(function: Function) -> int | None:
    """What was refused is not, nor what is not brought about yet: then it is what was before."""
    if generations.is_foreign(function) or generations.has_failed(function):
        return function.status.reserved_concurrent_executions
    return function.spec.reserved_concurrent_executions


def reserved(functions: Iterable[Function], *, but: str = "") -> int:
    """In force, by all of them, or by all but the one of this name."""
    return sum(in_force(each) or 0 for each in functions if each.name != but)


def unreserved(account_concurrency: int, reserved: int) -> int:
    """
    For functions without a reservation. A tenth of it at least: more may be reserved than there is, by manifests that two gateways
    take at the same moment, or since the account has less, and nobody else is throttled for that.
    """
    return max(account_concurrency - reserved, account_concurrency // 10)


def problem(functions: Iterable[Function], name: str, wanted: int, account_concurrency: int) -> str | None:
    """Why the function of this name can't reserve `wanted` beside what `functions` have reserved, in AWS's words."""
    if account_concurrency - reserved(functions, but=name) - wanted >= limits.UNRESERVED_CONCURRENCY_MIN:
        return None
    return (
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
        f"below its minimum value of [{limits.UNRESERVED_CONCURRENCY_MIN}]."
    )
