"""
How many invocations run at once: the account's concurrency, and what functions reserve of it.

Counts only. An invocation is admitted once and released once; in between it holds one unit of concurrency.
Behaviour: AWS documentation, "Understanding Lambda function scaling" and "Configuring reserved concurrency for a function".

    A1  a function with a reservation is never admitted above it
    A2  functions without one together never hold more than the account's concurrency less all reservations, or a tenth of it
    A3  what was admitted is what is held, until it is released
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from lambent_core.reservations import unreserved


class ThrottleReason(StrEnum):
    """`Reason` of a TooManyRequestsException, as the service model lists them."""

    ACCOUNT = "ConcurrentInvocationLimitExceeded"
    RESERVED = "ReservedFunctionConcurrentInvocationLimitExceeded"
    SCALE_OUT = "FunctionInvocationRateLimitExceeded"


@dataclass(slots=True)
class Admission:
    """The one owner of the counts. `held` and `reserved` are by function name."""

    account_concurrency: int
    reserved: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    unreserved_held: int = 0
    """Sum of `held` over functions without a reservation."""
    unreserved_max: int = field(init=False)

    def __post_init__(self) -> None:
        self._leave_unreserved()

    def admit(self, function: str) -> ThrottleReason | None:
        """None: one unit is now held. Else why not, and nothing has changed."""
        held = self.held.get(function, 0)
        limit = self.reserved.get(function)
        if limit is None:
            if self.unreserved_held >= self.unreserved_max:
                return ThrottleReason.ACCOUNT
            self.unreserved_held += 1
        elif held >= limit:
            return ThrottleReason.RESERVED
        self.held[function] = held + 1
        return None

    def release(self, function: str) -> None:
        held = self.held[function]
        if held == 1:
            del self.held[function]
        else:
            self.held[function] = held - 1
        if function not in self.reserved:
            self.unreserved_held -= 1

    def reserve(self, function: str, concurrency: int | None) -> None:
        """Sets or (None) lifts a reservation. What is already held stays held, so a lowered limit is met as invocations end."""
        held = self.held.get(function, 0)
        if function not in self.reserved:
            self.unreserved_held -= held
        if concurrency is None:
            self.reserved.pop(function, None)
            self.unreserved_held += held
        else:
            self.reserved[function] = concurrency
        self._leave_unreserved()

    def _leave_unreserved(self) -> None:
        self.unreserved_max = unreserved(self.account_concurrency, sum(self.reserved.values()))
