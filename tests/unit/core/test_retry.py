from __future__ import annotations

import pytest

from lambent_core.retry import Condition, Failure, GiveUp, RetryAt, RetryPolicy, Tries, after_failure, before_attempt

POLICY = RetryPolicy()


def fail(
    failure: Failure,
    tries: Tries,
    *,
    policy: RetryPolicy = POLICY,
    accepted_at: float = 0,
    now: float,
    jitter: float = 0,
) -> RetryAt | GiveUp:
    return after_failure(policy, failure, tries, accepted_at=accepted_at, now=now, jitter=jitter)


def test_function_errors_are_retried_after_one_minute_then_two_then_never() -> None:
    assert fail(Failure.FUNCTION, Tries(), now=10) == RetryAt(70, Tries(attempts=1))
    assert fail(Failure.FUNCTION, Tries(attempts=1), now=71) == RetryAt(191, Tries(attempts=2))
    assert fail(Failure.FUNCTION, Tries(attempts=2), now=192) == GiveUp(Condition.RETRIES_EXHAUSTED, Tries(3))


def test_without_retries_the_first_error_is_the_last() -> None:
    policy = RetryPolicy(retries_max=0)
    assert fail(Failure.FUNCTION, Tries(), policy=policy, now=0) == GiveUp(Condition.RETRIES_EXHAUSTED, Tries(1))


@pytest.mark.parametrize(
    ("setbacks", "jitter", "delay"),
    [
        (0, 0, 1),
        (1, 0, 2),
        (2, 0, 4),
        (0, 1, 1.5),
        (3, 0.5, 10),
        (8, 0, 256),
        (9, 0, 300),
        (8, 1, 300),
        (5_000, 0, 300),
    ],
)
def test_platform_failures_back_off_from_a_second_to_five_minutes(setbacks: int, jitter: float, delay: float) -> None:
    answer = fail(Failure.PLATFORM, Tries(1, setbacks), now=100, jitter=jitter)
    assert answer == RetryAt(100 + delay, Tries(1, setbacks + 1))


def test_running_at_all_starts_the_back_off_anew() -> None:
    assert fail(Failure.FUNCTION, Tries(0, 7), now=0) == RetryAt(60, Tries(1, 0))


@pytest.mark.parametrize("failure", Failure)
def test_the_age_is_looked_ahead(failure: Failure) -> None:
    delay = 60 if failure is Failure.FUNCTION else 1
    policy = RetryPolicy(age_seconds_max=100)
    at_the_limit = 1_000 + 100 - delay
    assert isinstance(fail(failure, Tries(), policy=policy, accepted_at=1_000, now=at_the_limit), RetryAt)
    too_late = fail(failure, Tries(), policy=policy, accepted_at=1_000, now=at_the_limit + 0.1)
    behind = Tries(1) if failure is Failure.FUNCTION else Tries(0, 1)
    assert too_late == GiveUp(Condition.EVENT_AGE_EXCEEDED, behind)


def test_exhausted_retries_are_named_before_age() -> None:
    assert fail(Failure.FUNCTION, Tries(2), now=10**6) == GiveUp(Condition.RETRIES_EXHAUSTED, Tries(3))


def test_an_event_that_grew_too_old_is_not_run() -> None:
    tries = Tries(1, 2)
    assert before_attempt(POLICY, tries, accepted_at=0, now=21_600) is None
    assert before_attempt(POLICY, tries, accepted_at=0, now=21_601) == GiveUp(Condition.EVENT_AGE_EXCEEDED, tries)


def test_zero_reserved_concurrency_gives_up_at_once() -> None:
    policy = RetryPolicy(reserved_concurrency=0)
    tries = Tries()
    given_up = GiveUp(Condition.ZERO_RESERVED_CONCURRENCY, tries)
    assert before_attempt(policy, tries, accepted_at=0, now=0) == given_up
    assert before_attempt(RetryPolicy(reserved_concurrency=1), tries, accepted_at=0, now=0) is None


def test_conditions_are_in_awss_words() -> None:
    assert [str(condition) for condition in Condition] == [
        "RetriesExhausted",
        "EventAgeExceeded",
        "ZeroReservedConcurrency",
    ]
