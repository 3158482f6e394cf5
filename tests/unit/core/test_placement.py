from itertools import count

import pytest

from lambent_core.admission import ThrottleReason
from lambent_core.placement import (
    Accepted,
    Effect,
    EnvironmentId,
    Event,
    Evict,
    Fail,
    Finished,
    Found,
    InvocationId,
    Lost,
    Placement,
    Ready,
    Refuse,
    Removed,
    Revised,
    Run,
    Start,
    Stop,
    TimePassed,
)


def invocation(number: int) -> InvocationId:
    return InvocationId(number)


def environment(number: int) -> EnvironmentId:
    return EnvironmentId(number)


class Story:
    """A placement and the time; each step says what happened and what must follow."""

    def __init__(self, *, idle: float = 60, patience: float = 10, starting_max: int = 8) -> None:
        self.placement = Placement(count(1), idle, patience, starting_max)

    def step(self, now: float, event: Event, *, room: int = 100) -> list[Effect]:
        return self.placement.step(event, now=now, room=room)


def warm(numbers: int) -> Story:
    """Environments 1 … n idle since second 1 … n."""
    story = Story()
    for number in range(1, numbers + 1):
        story.step(0, Accepted(invocation(number)))
    for number in range(1, numbers + 1):
        story.step(0, Ready(environment(number)))
    for number in range(1, numbers + 1):
        story.step(number, Finished(environment(number)))
    return story


def test_the_first_invocation_starts_an_environment_and_runs_when_it_is_ready() -> None:
    story = Story()
    assert story.step(0, Accepted(invocation(7))) == [Start(environment(1))]
    assert story.step(1, Ready(environment(1))) == [Run(invocation(7), environment(1))]
    assert story.step(2, Finished(environment(1))) == []
    assert story.placement.next_wakeup() == 62


def test_the_warmest_environment_is_used_first() -> None:
    assert warm(2).step(3, Accepted(invocation(9))) == [Run(invocation(9), environment(2))]


def test_whichever_environment_comes_free_first_takes_who_waits_longest() -> None:
    story = warm(1)
    assert story.step(2, Accepted(invocation(1))) == [Run(invocation(1), environment(1))]
    assert story.step(2, Accepted(invocation(2))) == [Start(environment(2))]
    assert story.step(2, Accepted(invocation(3))) == [Start(environment(3))]
    assert story.step(3, Finished(environment(1))) == [Run(invocation(2), environment(1))]
    assert story.step(4, Ready(environment(2))) == [Run(invocation(3), environment(2))]


def test_idle_environments_stop_coldest_first_and_to_zero() -> None:
    story = warm(2)
    assert story.placement.next_wakeup() == 61
    assert story.step(61, TimePassed()) == [Stop(environment(1))]
    assert story.step(62, TimePassed()) == [Stop(environment(2))]
    assert (story.placement.size, story.placement.next_wakeup()) == (0, None)


def test_starts_keep_their_pace() -> None:
    story = Story(starting_max=2)
    assert story.step(0, Accepted(invocation(1))) == [Start(environment(1))]
    assert story.step(0, Accepted(invocation(2))) == [Start(environment(2))]
    assert story.step(0, Accepted(invocation(3))) == []
    assert story.step(1, Ready(environment(1))) == [Run(invocation(1), environment(1)), Start(environment(3))]
    assert story.step(2, Ready(environment(2))) == [Run(invocation(2), environment(2))]
    assert story.step(2, Accepted(invocation(4))) == [Start(environment(4))]


def test_without_room_nothing_starts_until_there_is_some() -> None:
    story = Story()
    assert story.step(0, Accepted(invocation(1)), room=0) == []
    assert story.placement.starved
    assert story.step(1, TimePassed(), room=1) == [Start(environment(1))]
    assert not story.placement.starved


def test_patience_ends_with_a_refusal() -> None:
    story = Story(patience=10)
    story.step(0, Accepted(invocation(1)), room=0)
    assert story.placement.next_wakeup() == 10
    assert story.step(10, TimePassed(), room=0) == [Refuse(invocation(1), ThrottleReason.ACCOUNT)]


def test_a_failed_start_fails_one_invocation_and_is_tried_again_for_the_next() -> None:
    story = Story()
    story.step(0, Accepted(invocation(1)))
    story.step(0, Accepted(invocation(2)))
    assert story.step(1, Lost(environment(1))) == [Fail(invocation(1))]
    assert story.step(1, Lost(environment(2))) == [Fail(invocation(2))]
    assert story.placement.size == 0


def test_a_lost_environment_fails_what_it_ran() -> None:
    story = warm(1)
    story.step(2, Accepted(invocation(5)))
    assert story.step(3, Lost(environment(1))) == [Fail(invocation(5))]


def test_an_idle_environment_that_is_lost_is_not_used() -> None:
    story = warm(2)
    assert story.step(3, Lost(environment(2))) == []
    assert story.step(3, Accepted(invocation(9))) == [Run(invocation(9), environment(1))]


def test_a_new_revision_stops_what_idles_at_once_and_what_runs_when_it_has_finished() -> None:
    story = warm(2)
    story.step(3, Accepted(invocation(1)))
    assert story.step(4, Revised()) == [Stop(environment(1))]
    assert story.step(5, Accepted(invocation(2))) == [Start(environment(3))]
    assert story.step(6, Finished(environment(2))) == [Stop(environment(2))]
    assert story.step(7, Ready(environment(3))) == [Run(invocation(2), environment(3))]


def test_a_start_of_the_earlier_revision_does_not_count_for_those_who_wait() -> None:
    story = Story()
    story.step(0, Accepted(invocation(1)))
    assert story.step(1, Revised()) == [Start(environment(2))]
    assert story.step(2, Ready(environment(1))) == [Stop(environment(1))]
    assert story.step(3, Ready(environment(2))) == [Run(invocation(1), environment(2))]


def test_a_lost_start_of_the_earlier_revision_fails_nobody() -> None:
    story = Story()
    story.step(0, Accepted(invocation(1)))
    story.step(1, Revised())
    assert story.step(2, Lost(environment(1))) == []
    assert story.step(3, Ready(environment(2))) == [Run(invocation(1), environment(2))]


def test_a_removed_function_ends_what_runs_and_fails_what_waits() -> None:
    story = warm(1)
    story.step(2, Accepted(invocation(1)))
    story.step(2, Accepted(invocation(2)))
    assert story.step(3, Removed()) == [Fail(invocation(2), removed=True)]
    assert story.step(4, Finished(environment(1))) == [Stop(environment(1))]
    assert story.step(5, Ready(environment(2))) == [Stop(environment(2))]
    assert story.placement.size == 0


def test_the_coldest_idle_environment_is_evicted() -> None:
    story = warm(2)
    assert story.step(3, Evict()) == [Stop(environment(1))]
    assert story.step(3, Evict()) == [Stop(environment(2))]
    assert story.step(3, Evict()) == []


def test_an_environment_that_outlived_the_gateway_takes_who_waits() -> None:
    story = Story()
    story.step(0, Accepted(invocation(1)), room=0)
    assert story.step(1, Found(environment(9))) == [Run(invocation(1), environment(9))]


def test_the_scale_out_rate_refuses_beyond_a_thousand_and_refills_with_time() -> None:
    story = Story(starting_max=5_000, patience=60)
    for number in range(1_000):
        assert story.step(0, Accepted(invocation(number))) == [Start(environment(number + 1))]
    assert story.step(0, Accepted(invocation(1_000))) == [Refuse(invocation(1_000), ThrottleReason.SCALE_OUT)]
    assert story.step(0.02, Accepted(invocation(1_001))) == [Start(environment(1_001))]
    assert story.step(0.02, Accepted(invocation(1_002))) == [Start(environment(1_002))]
    assert story.step(0.02, Accepted(invocation(1_003))) == [Refuse(invocation(1_003), ThrottleReason.SCALE_OUT)]


def test_unused_scale_out_does_not_add_up() -> None:
    story = Story(starting_max=5_000)
    story.step(1_000_000, TimePassed())
    for number in range(1_000):
        story.step(1_000_000, Accepted(invocation(number)))
    assert story.step(1_000_000, Accepted(invocation(1_000))) == [Refuse(invocation(1_000), ThrottleReason.SCALE_OUT)]


def test_who_waits_for_the_scale_out_rate_is_woken_by_it() -> None:
    story = Story(starting_max=1, patience=60)
    story.placement.scale_out = 1.5
    story.step(0, Accepted(invocation(1)))
    story.placement.waiting.append((invocation(2), 60.0))
    story.step(0, Ready(environment(1)))
    assert story.placement.next_wakeup() == pytest.approx(0.005)
    assert story.step(0.0051, TimePassed()) == [Start(environment(2))]
