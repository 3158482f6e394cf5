from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lambent_core.retry import DELAY_SECONDS_MAX, Failure, GiveUp, RetryPolicy, Tries, after_failure

policies = st.builds(RetryPolicy, st.integers(0, 2), st.integers(60, 21_600))
times = st.floats(0, 10**10)
chances = st.floats(0, 1)


@given(
    policies,
    st.sampled_from(Failure),
    st.builds(Tries, st.integers(0, 3), st.integers(0, 10**6)),
    times,
    times,
    chances,
)
def test_one_decision(
    policy: RetryPolicy, failure: Failure, tries: Tries, accepted_at: float, now: float, jitter: float
) -> None:
    answer = after_failure(policy, failure, tries, accepted_at=accepted_at, now=now, jitter=jitter)
    if isinstance(answer, GiveUp):
        return
    assert answer.due <= accepted_at + policy.age_seconds_max, "R2"
    assert now + 1 <= answer.due <= now + DELAY_SECONDS_MAX, "R3"
    assert answer.tries.attempts == tries.attempts + (failure is Failure.FUNCTION), "R1, R4"


@given(policies, st.lists(st.sampled_from(Failure), max_size=60), chances)
def test_an_event_that_only_fails_ends(policy: RetryPolicy, failures: list[Failure], jitter: float) -> None:
    now, tries, runs = 0.0, Tries(), 0
    for failure in [*failures, *[Failure.PLATFORM] * 30_000]:
        runs += failure is Failure.FUNCTION
        answer = after_failure(policy, failure, tries, accepted_at=0, now=now, jitter=jitter)
        if isinstance(answer, GiveUp):
            break
        now, tries = answer.due, answer.tries
    else:
        raise AssertionError("never ends")
    assert runs <= policy.retries_max + 1, "R1"
    assert now <= policy.age_seconds_max, "R2"
