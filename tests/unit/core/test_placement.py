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
    Forward,
    Found,
    InvocationId,
    Keep,
    Leaving,
    Lost,
    Moved,
    Placement,
    Ready,
    Refuse,
    Removed,
    Revised,
    Run,
    Spare,
    Start,
    Stop,
    TimePassed,
    Withdrawn,
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
    assert story.step(4, Ready(environment(2))) == [Run(invocation(3), environment(2)), Spare(environment(3))]


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


def test_a_failed_start_fails_nobody_whom_others_will_serve() -> None:
    story = warm(1)
    assert story.step(10, Accepted(invocation(10))) == [Run(invocation(10), environment(1))]
    assert story.step(10, Accepted(invocation(11))) == [Start(environment(2))]
    assert story.step(11, Lost(environment(2))) == []
    assert story.placement.next_wakeup() == 12
    assert story.step(11.5, Accepted(invocation(12))) == [], "what failed just now is not tried again at once"
    assert story.step(12, TimePassed()) == [Start(environment(3)), Start(environment(4))]
    assert story.step(13, Lost(environment(3))) == []
    assert story.placement.next_wakeup() == 15, "the pause grows"
    assert story.step(14, Ready(environment(4))) == [Run(invocation(11), environment(4)), Start(environment(5))]
    assert story.step(14, Finished(environment(1))) == [Run(invocation(12), environment(1))]


def test_who_waits_for_an_environment_that_is_lost_gets_another_at_once() -> None:
    story = warm(1)
    story.step(10, Accepted(invocation(10)))
    story.step(10, Accepted(invocation(11)))
    story.step(11, Lost(environment(2)))
    assert story.step(11, Lost(environment(1))) == [Fail(invocation(10)), Start(environment(3))]
    assert story.step(12, Lost(environment(3))) == [Fail(invocation(11))]


def test_an_environment_of_the_earlier_revision_serves_nobody_who_waits() -> None:
    story = warm(1)
    story.step(10, Accepted(invocation(10)))
    story.step(10, Revised())
    story.step(10, Accepted(invocation(11)))
    assert story.step(11, Lost(environment(2))) == [Fail(invocation(11))]


def test_starts_that_nobody_has_waited_for_are_told_latest_first_and_withdrawn_where_they_can_be() -> None:
    story = warm(1)
    for number in range(10, 15):
        story.step(10, Accepted(invocation(number)))
    assert story.placement.starting == {2, 3, 4, 5}
    assert story.step(11, Finished(environment(1))) == [Run(invocation(11), environment(1))], "the next may want it"
    assert story.placement.next_wakeup() == 12
    assert story.step(11.5, Finished(environment(1))) == [Run(invocation(12), environment(1))]
    assert story.step(12, TimePassed()) == [Spare(environment(5))], "the other one has been needless for half a second"
    left = story.placement.scale_out
    assert story.step(12, Withdrawn(environment(5))) == []
    assert story.placement.scale_out == left + 1
    assert not story.placement.give_back(environment(1), 12.5), (
        "starts are under way: which are needed is to be looked at"
    )
    assert story.step(12.5, Finished(environment(1))) == [Run(invocation(13), environment(1))]
    assert story.step(13, Accepted(invocation(15))) == [Spare(environment(4))], "one of those on their way will do"
    assert story.step(13.1, Accepted(invocation(16))) == []
    assert story.step(13.2, Accepted(invocation(17))) == [Start(environment(6))]
    assert story.placement.spare_at is None


def test_starts_of_an_earlier_revision_are_told_first() -> None:
    story = Story()
    story.step(0, Accepted(invocation(1)))
    assert story.step(0, Revised()) == [Spare(environment(1), useless=True), Start(environment(2))]
    assert story.step(1, TimePassed()) == [Spare(environment(1))]
    assert story.step(2, TimePassed()) == [Spare(environment(1))], "it has not been withdrawn"
    assert story.step(2.5, Revised()) == [Spare(environment(2), useless=True), Start(environment(3))], "told once"


def test_kept_environments_are_needed_though_nobody_waits() -> None:
    story = Story()
    assert story.step(0, Keep(2)) == [Start(environment(1)), Start(environment(2))]
    story.step(1, Ready(environment(1)))
    assert story.step(2, Accepted(invocation(1))) == [Run(invocation(1), environment(1))]
    assert story.step(2, Accepted(invocation(2))) == []
    assert story.placement.spare_at is None
    assert story.step(3, Keep(1)) == []
    assert story.placement.spare_at is None, "it is waited for"
    assert story.step(3, Finished(environment(1))) == [Run(invocation(2), environment(1))]
    assert story.step(4, TimePassed()) == [Spare(environment(2))]


def test_a_lost_environment_fails_what_it_ran() -> None:
    story = warm(1)
    story.step(2, Accepted(invocation(5)))
    assert story.step(3, Lost(environment(1))) == [Fail(invocation(5), removed=False)]


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
    assert story.step(1, Revised()) == [Spare(environment(1), useless=True), Start(environment(2))]
    assert story.step(2, Ready(environment(1))) == [Stop(environment(1))]
    assert story.step(3, Ready(environment(2))) == [Run(invocation(1), environment(2))]


def test_a_start_of_the_earlier_revision_that_has_not_begun_is_withdrawn_at_once() -> None:
    """Else it would take the next agent from those who wait for the new code: updated each second, a function ran nothing for long."""
    story = Story()
    story.step(0, Accepted(invocation(1)))
    story.step(1, Revised())
    assert story.step(1, Withdrawn(environment(1))) == []
    assert story.placement.starting == {environment(2)} and not story.placement.stale


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
    assert story.step(3, Removed()) == [Spare(environment(2), useless=True), Fail(invocation(2), removed=True)]
    assert story.step(4, Finished(environment(1))) == [Stop(environment(1)), Spare(environment(2))]
    assert story.step(5, Ready(environment(2))) == [Stop(environment(2))]
    assert story.placement.size == 0


def test_of_a_version_that_is_another_gateways_what_runs_ends_here_and_what_waits_is_begun_there() -> None:
    story = warm(3)
    story.step(3, Keep(3))
    for number in range(1, 6):
        story.step(3, Accepted(invocation(number)))
    assert story.step(4, Finished(environment(3))) == [Run(invocation(4), environment(3))]
    assert story.step(4, Finished(environment(2))) == [Run(invocation(5), environment(2))]
    story.step(4, Finished(environment(1)))
    assert story.placement.starting == {4, 5}
    for number in (6, 7, 8):
        story.step(5, Accepted(invocation(number)))
    assert story.step(6, Moved()) == [
        Spare(environment(4), useless=True),
        Spare(environment(5), useless=True),
        Forward(invocation(7)),
        Forward(invocation(8)),
    ]
    assert story.step(6, Withdrawn(environment(4))) == []
    assert story.step(6.5, Ready(environment(5))) == [Stop(environment(5))], "it goes where the version belongs"
    assert story.step(7, Finished(environment(2))) == [Stop(environment(2))]
    assert story.step(7, Lost(environment(3))) == [Fail(invocation(4))]
    assert story.step(7, Finished(environment(1))) == [Stop(environment(1))]
    assert story.placement.size == 0 and story.placement.next_wakeup() is None, "nothing is kept of it"


def test_what_is_given_back_of_a_version_that_moved_is_served_here() -> None:
    """Where its owner is out of reach."""
    story = warm(1)
    assert story.step(2, Moved()) == [Stop(environment(1))]
    assert story.step(3, Accepted(invocation(1))) == [Start(environment(2))]
    assert story.step(4, Ready(environment(2))) == [Run(invocation(1), environment(2))]


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


def test_kept_environments_are_started_before_anybody_calls_and_do_not_expire() -> None:
    story = Story(idle=60)
    assert story.step(0, Keep(2)) == [Start(environment(1)), Start(environment(2))]
    for number in (1, 2):
        assert story.step(1, Ready(environment(number))) == []
    assert story.placement.next_wakeup() is None
    assert story.step(1000, TimePassed()) == []
    assert story.step(1000, Keep(1)) == [Stop(environment(1))]
    assert story.step(1001, Keep(0)) == [Stop(environment(2))]


def test_an_environment_beyond_those_kept_expires() -> None:
    story = Story(idle=60)
    story.step(0, Keep(1))
    story.step(0, Ready(environment(1)))
    assert story.step(1, Accepted(invocation(1))) == [Run(invocation(1), environment(1))]
    assert story.step(1, Accepted(invocation(2))) == [Start(environment(2))]
    assert story.step(2, Ready(environment(2))) == [Run(invocation(2), environment(2))]
    assert story.step(3, Finished(environment(1))) == []
    assert story.step(4, Finished(environment(2))) == []
    assert story.placement.next_wakeup() == 63
    assert story.step(63, TimePassed()) == [Stop(environment(1))]
    assert story.placement.next_wakeup() is None


def test_kept_environments_that_can_not_start_are_tried_again_at_growing_pauses() -> None:
    story = Story()
    assert story.step(0, Keep(1)) == [Start(environment(1))]
    assert story.step(5, Lost(environment(1))) == []
    assert story.placement.next_wakeup() == 6
    assert story.step(6, TimePassed()) == [Start(environment(2))]
    assert story.step(6, Lost(environment(2))) == []
    assert story.placement.next_wakeup() == 8
    assert story.step(8, TimePassed()) == [Start(environment(3))]
    assert story.step(9, Ready(environment(3))) == []
    assert story.step(10, Lost(environment(3))) == [Start(environment(4))]


def test_kept_environments_take_no_room_from_others() -> None:
    story = Story()
    assert story.placement.step(Keep(1), now=0, room=1, spare=0) == []
    assert story.placement.next_wakeup() == 1
    assert story.placement.step(TimePassed(), now=1, room=1, spare=1) == [Start(environment(1))]


def test_a_new_revision_of_kept_environments_is_started_at_once() -> None:
    story = Story()
    story.step(0, Keep(1))
    story.step(0, Ready(environment(1)))
    assert story.step(1, Revised()) == [Stop(environment(1)), Start(environment(2))]


def test_an_environment_that_leaves_gets_no_further_invocation() -> None:
    story = warm(2)
    assert story.step(3, Leaving(environment(2))) == [Stop(environment(2))]
    assert story.step(4, Accepted(invocation(7))) == [Run(invocation(7), environment(1))]
    assert story.step(5, Leaving(environment(1))) == []
    assert story.step(6, Finished(environment(1))) == [Stop(environment(1))]
    assert story.step(7, Leaving(environment(1))) == []


def test_kept_environments_that_go_on_failing_are_tried_once_a_minute() -> None:
    story, now = Story(), 0.0
    story.step(0, Keep(1))
    pauses = []
    for number in range(1, 10):
        assert story.step(now, Lost(environment(number))) == []
        wakeup = story.placement.next_wakeup()
        assert wakeup is not None
        pauses.append(wakeup - now)
        now = wakeup
        assert story.step(now, TimePassed()) == [Start(environment(number + 1))]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_new_revision_of_what_could_not_start_is_tried_at_once() -> None:
    story = Story()
    story.step(0, Keep(1))
    assert story.step(5, Lost(environment(1))) == []
    assert story.step(5.5, Revised()) == [Start(environment(2))]


def test_nothing_of_a_removed_function_is_kept() -> None:
    story = Story()
    story.step(0, Keep(1))
    story.step(0, Ready(environment(1)))
    assert story.step(1, Removed()) == [Stop(environment(1))]
    assert (story.placement.size, story.placement.next_wakeup()) == (0, None)


def test_what_is_stopped_makes_room_for_what_is_started() -> None:
    for spare in (None, 0):
        story = Story()
        story.step(0, Keep(1))
        story.step(0, Ready(environment(1)))
        effects = story.placement.step(Revised(), now=1, room=0, spare=spare)
        assert effects == [Stop(environment(1)), Start(environment(2))]


@pytest.mark.parametrize("scale_out", [1.0, 1.5])
def test_who_waits_for_room_is_not_woken_by_the_scale_out_rate(scale_out: float) -> None:
    story = Story(patience=10)
    story.step(0, Accepted(invocation(1)), room=0)
    story.placement.scale_out = scale_out
    assert story.placement.next_wakeup() == 10


def test_who_waits_while_all_that_is_kept_is_busy_is_refused_in_time() -> None:
    story = Story(patience=10)
    story.step(0, Keep(1))
    story.step(0, Ready(environment(1)))
    story.step(1, Accepted(invocation(1)))
    assert story.step(2, Accepted(invocation(2)), room=0) == []
    assert story.placement.next_wakeup() == 12


def test_what_still_runs_of_the_earlier_revision_is_not_one_that_is_kept() -> None:
    story = Story()
    story.step(0, Keep(1))
    story.step(0, Ready(environment(1)))
    story.step(1, Accepted(invocation(1)))
    assert story.step(2, Revised()) == [Start(environment(2))]


def test_a_kept_environment_that_is_lost_is_made_up_for_at_once() -> None:
    story = Story()
    story.step(0, Keep(1))
    story.step(1, Ready(environment(1)))
    assert story.step(1.1, Lost(environment(1))) == [Start(environment(2))]
