"""What a scheduler answers, by example; hours of traffic are in `tests/simulation/test_scheduling.py`."""

from __future__ import annotations

import itertools

from lambent_core.admission import Admission
from lambent_core.placement import EnvironmentId, InvocationId, Run, Start, Stop
from lambent_core.scheduling import Scheduler, SchedulingLimits

ONE, TWO = EnvironmentId(1), EnvironmentId(2)


def scheduler(environments_max: int = 5) -> Scheduler:
    return Scheduler(SchedulingLimits(environments_max), Admission(10), itertools.count(1))


def test_an_environment_that_leaves_is_stopped_when_it_idles() -> None:
    leaving = scheduler()
    leaving.accept("a", "a", InvocationId(1), now=0)
    leaving.ready(ONE, now=1)
    assert leaving.leaving(ONE, now=2) == []
    assert leaving.finished(ONE, now=3) == [Stop(ONE)]
    assert leaving.leaving(ONE, now=4) == [], "it is gone"


def test_what_is_kept_is_started_once() -> None:
    kept = scheduler()
    assert kept.keep("a", 1, now=0) == [Start(ONE)]
    assert kept.keep("a", 1, now=1) == []
    assert kept.ready(ONE, now=2) == []
    assert kept.keep("a", 2, now=3) == [Start(TWO)]
    assert kept.accept("a", "a", InvocationId(1), now=4) == [Run(InvocationId(1), ONE)]


def test_nothing_is_remembered_of_a_version_of_which_nothing_is_kept() -> None:
    nothing = scheduler()
    assert nothing.keep("a", 0, now=0) == []
    assert nothing.placements == {}
