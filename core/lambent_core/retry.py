"""
Whether and when an asynchronous invocation is tried again.

Behaviour: AWS documentation, "How Lambda handles errors and retries with asynchronous invocation" and "Configuring
reserved concurrency for a function". The function's own errors count as attempts; throttles and failures of the
platform don't, they are ended by the event's age alone.

    R1  a function is never run more than `retries_max + 1` times because of its own errors
    R2  no attempt is planned for a time at which the event will be older than `age_seconds_max`
    R3  an attempt is never planned before its delay has passed, and never later than `DELAY_SECONDS_MAX` from now
    R4  a platform failure never uses up an attempt
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from lambent_core import limits

FUNCTION_ERROR_DELAY_SECONDS = 60
"""One minute before the first retry, two before the second."""
BACK_OFF_SECONDS_MIN, BACK_OFF_SECONDS_MAX = 1.0, 300.0
DELAY_SECONDS_MAX = max(BACK_OFF_SECONDS_MAX, FUNCTION_ERROR_DELAY_SECONDS * limits.RETRIES_MAX)


class Failure(Enum):
    FUNCTION = auto()
    """The handler raised, timed out, or its process ended: the code's own fault."""
    PLATFORM = auto()
    """Throttled, or Lambent failed: never the code's fault."""


class Condition(StrEnum):
    """Why an event was given up: `condition` of the invocation record."""

    RETRIES_EXHAUSTED = "RetriesExhausted"
    EVENT_AGE_EXCEEDED = "EventAgeExceeded"
    ZERO_RESERVED_CONCURRENCY = "ZeroReservedConcurrency"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Of one function. Defaults are Lambda's."""

    retries_max: int = limits.RETRIES_MAX
    age_seconds_max: int = limits.EVENT_AGE_SECONDS_MAX
    reserved_concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class Tries:
    """What an event has behind it."""

    attempts: int = 0
    """Times the function ran and failed."""
    setbacks: int = 0
    """Platform failures since the function last ran."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    due: float
    """Epoch seconds."""
    tries: Tries


@dataclass(frozen=True, slots=True)
class GiveUp:
    condition: str
    """A `Condition`, or a reason of whoever asks."""
    tries: Tries
    """What the event has behind it, this time included."""


def before_attempt(policy: RetryPolicy, tries: Tries, *, accepted_at: float, now: float) -> GiveUp | None:
    """None: run it. Else the event has no attempt left to wait for. Times are epoch seconds."""
    if policy.reserved_concurrency == 0:
        return GiveUp(Condition.ZERO_RESERVED_CONCURRENCY, tries)
    if now > accepted_at + policy.age_seconds_max:
        return GiveUp(Condition.EVENT_AGE_EXCEEDED, tries)
    return None


def after_failure(
    policy: RetryPolicy, failure: Failure, tries: Tries, *, accepted_at: float, now: float, jitter: float
) -> RetryAt | GiveUp:
    """
    What becomes of an event that just failed. `tries` is what it had behind it before.

    `jitter` is chance, 0 to 1; it lengthens the back-off by up to its half.
    """
    if failure is Failure.FUNCTION:
        tries = Tries(attempts=tries.attempts + 1)
        if tries.attempts > policy.retries_max:
            return GiveUp(Condition.RETRIES_EXHAUSTED, tries)
        delay: float = FUNCTION_ERROR_DELAY_SECONDS * tries.attempts
    else:
        tries = Tries(tries.attempts, tries.setbacks + 1)
        delay = _back_off(tries.setbacks, jitter)
    if now + delay > accepted_at + policy.age_seconds_max:
        return GiveUp(Condition.EVENT_AGE_EXCEEDED, tries)
    return RetryAt(now + delay, tries)


def _back_off(setbacks: int, jitter: float) -> float:
    # The exponent is bounded because 2.0 ** 1024 overflows, and hours of throttling get there.
    exponential = BACK_OFF_SECONDS_MIN * 2.0 ** min(setbacks - 1, 16)
    return min(exponential * (1 + jitter / 2), BACK_OFF_SECONDS_MAX)
