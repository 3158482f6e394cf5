"""
Hours of traffic against `Scheduler` in simulated time, one seed per run.

Goal: P1-P11, S1-S4 and A1-A3 hold whatever order things happen in. A heap of future happenings is the whole world: starts take a while
or fail, runs take a while or crash, functions are revised, removed, moved and reserved for. A failing seed replays exactly: `-k seed17`.
"""

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable

import pytest

from lambent_core.admission import Admission, ThrottleReason
from lambent_core.placement import (
    Effect,
    EnvironmentId,
    Fail,
    Forward,
    InvocationId,
    Placement,
    Refuse,
    Run,
    Spare,
    Start,
    Stop,
)
from lambent_core.scheduling import Scheduler, SchedulingLimits

INVOCATIONS = 300
STEPS_MAX = 100_000


class World:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.limits = SchedulingLimits(
            environments_max=self.chance.randint(1, 6),
            idle_seconds_max=self.chance.uniform(1, 600),
            patience_seconds=self.chance.uniform(1, 60),
            starting_max=self.chance.randint(1, 4),
        )
        self.functions = ["a", "b", "c"][: self.chance.randint(1, 3)]
        self.versions = [name + number for name in self.functions for number in self.chance.choice([("",), ("", ":1")])]
        self.account = self.chance.randint(2, 12)
        self.scheduler = Scheduler(self.limits, Admission(self.account), itertools.count(1))
        self.now = 0.0
        self.agenda: list[tuple[float, int, Callable[[], list[Effect]]]] = []
        self.tie_break = itertools.count()
        self.alive: dict[EnvironmentId, str] = {}
        self.revision = Counter[str]()
        self.revision_of: dict[EnvironmentId, int] = {}
        self.running: dict[EnvironmentId, InvocationId] = {}
        self.home: dict[InvocationId, str] = {}
        self.ended = Counter[InvocationId]()

    def later(self, seconds: float, happening: Callable[[], list[Effect]]) -> None:
        heapq.heappush(self.agenda, (self.now + seconds, next(self.tie_break), happening))

    def step(self) -> bool:
        wakeups = [
            (at, name) for name, pool in self.scheduler.placements.items() if (at := pool.next_wakeup()) is not None
        ]
        wakeup, name = min(wakeups, default=(float("inf"), ""))
        if self.agenda and self.agenda[0][0] <= wakeup:
            self.now, _, happening = heapq.heappop(self.agenda)
            self.perform(happening())
        elif name:
            assert wakeup > self.now or wakeup == self.now, "P6"
            self.now = wakeup
            self.perform(self.scheduler.time_passed(name, now=self.now))
        else:
            return False
        return True

    def accept(self, id: InvocationId) -> list[Effect]:
        version = self.chance.choice(self.versions)
        function = version.partition(":")[0]
        before = dict(self.scheduler.admission.held)
        if self.chance.random() < 0.5 and (warm := self.scheduler.take(function, version, id)) is not None:
            self.home[id] = function
            return [Run(id, warm)]
        assert self.scheduler.admission.held == before, "A3"
        result = self.scheduler.accept(function, version, id, now=self.now)
        if isinstance(result, ThrottleReason):
            assert self.scheduler.admission.held == before, "A3"
            self.ended[id] += 1
            return []
        self.home[id] = function
        return result

    def end(self, id: InvocationId) -> None:
        self.ended[id] += 1
        self.scheduler.end(self.home[id])

    def start(self, id: EnvironmentId) -> None:
        version = self.scheduler.homes[id]
        self.alive[id] = version
        self.revision_of[id] = self.revision[version]
        if self.chance.random() < 0.1:
            self.later(self.chance.uniform(0.1, 3), lambda: self.lose(id))
        else:
            self.later(
                self.chance.uniform(0.1, 3), lambda: self.scheduler.ready(id, now=self.now) if id in self.alive else []
            )

    def run(self, invocation: InvocationId, id: EnvironmentId) -> None:
        assert id not in self.running, "P1"
        assert self.revision_of[id] == self.revision[self.alive[id]], "P9"
        self.running[id] = invocation
        crashed = self.chance.random() < 0.05
        self.later(self.chance.expovariate(1 / 2), lambda: self.lose(id) if crashed else self.finish(id))

    def finish(self, id: EnvironmentId) -> list[Effect]:
        if id not in self.running:
            return []  # it was lost meanwhile
        self.end(self.running.pop(id))
        if self.chance.random() < 0.5 and self.scheduler.give_back(id, now=self.now):
            return []
        return self.scheduler.finished(id, now=self.now)

    def lose(self, id: EnvironmentId) -> list[Effect]:
        if self.alive.pop(id, None) is None:
            return []
        self.running.pop(id, None)
        return self.scheduler.lost(id, now=self.now)

    def revise(self) -> list[Effect]:
        version = self.chance.choice(self.versions)
        self.revision[version] += 1
        if self.chance.random() < 0.3:
            return self.scheduler.removed(version, now=self.now)
        return self.scheduler.revised(version, now=self.now)

    def move(self) -> list[Effect]:
        """To another gateway. Before long it comes back, or others are out of reach."""
        version = self.chance.choice(self.versions)
        self.revision[version] += 1
        return self.scheduler.moved(version, now=self.now)

    def keep(self) -> list[Effect]:
        return self.scheduler.keep(self.chance.choice(self.versions), self.chance.randint(0, 3), now=self.now)

    def idle_for(self) -> list[Effect]:
        function = self.chance.choice(self.functions)
        seconds = self.chance.choice([None, self.chance.randint(1, 600)])
        return [
            effect
            for effects in self.scheduler.idle_for(function, seconds, now=self.now).values()
            for effect in effects
        ]

    def drain(self) -> list[Effect]:
        """Some environment is told to end; it does once it is told so, or some time later by itself."""
        if not self.alive:
            return []
        id = self.chance.choice(sorted(self.alive))
        self.later(self.chance.uniform(1, 30), lambda: self.lose(id))
        return self.scheduler.leaving(id, now=self.now)

    def reserve(self) -> list[Effect]:
        free = self.account - sum(self.scheduler.admission.reserved.values())
        wanted = self.chance.choice([None, self.chance.randint(0, max(0, free))])
        self.scheduler.admission.reserve(self.chance.choice(self.functions), wanted)
        return []

    def perform(self, effects: list[Effect]) -> None:
        withdrawn: list[EnvironmentId] = []
        for effect in effects:
            match effect:
                case Start(id):
                    self.start(id)
                case Spare(id):
                    assert id in self.alive and id not in self.running, "P11"
                    if self.chance.random() < 0.5:
                        withdrawn.append(id)
                case Run(invocation, id):
                    self.run(invocation, id)
                case Stop(id):
                    assert id not in self.running, "nothing is stopped in the middle"
                    del self.alive[id]
                case Refuse(invocation, _) | Fail(invocation, _) | Forward(invocation):
                    self.end(invocation)
            assert len(self.alive) <= self.limits.environments_max, "S1"
        self.check()
        for id in withdrawn:
            if self.alive.pop(id, None) is not None:  # it may have been stopped meanwhile
                self.perform(self.scheduler.withdrawn(id, now=self.now))

    def check(self) -> None:
        placements = self.scheduler.placements.values()
        known = [id for pool in placements for id in (*pool.starting, *pool.idle, *pool.busy)]
        assert sorted(known) == sorted(self.alive), "P7: a leak"
        assert sorted(self.scheduler.homes) == sorted(self.alive), "P7"
        waiting = sum(len(pool.waiting) for pool in placements)
        assert waiting + len(self.running) == sum(self.scheduler.admission.held.values()), "S3"
        starved = {name for name, pool in self.scheduler.placements.items() if pool.starved}
        assert starved == set(self.scheduler.starved)
        idle = sum(len(pool.idle) for pool in placements)
        for name, pool in self.scheduler.placements.items():
            idle_seconds_max = self.scheduler.idle_seconds.get(name.partition(":")[0], self.limits.idle_seconds_max)
            kept = pool.kept >= len(known_current(pool))
            assert kept or all(since + idle_seconds_max >= self.now for since in pool.idle.values()), "S4"
            assert not (pool.waiting and pool.idle), "P3"
            assert len(pool.starting - pool.stale) <= self.limits.starting_max
            lacking = pool.kept - len(known_current(pool))
            assert lacking <= 0 or pool.keep_at >= self.now, "P10: nothing is on the way, and no time to try again"
            held_back = pool.help_at is not None and pool.busy.keys() - pool.stale
            if pool.starved and pool.scale_out >= 1 and not held_back:
                full = len(self.alive) >= self.limits.environments_max
                assert full and not idle, "P5, S2: somebody waits while there is room"


def known_current(pool: Placement) -> set[EnvironmentId]:
    return {*pool.starting, *pool.idle, *pool.busy} - pool.stale


@pytest.mark.parametrize("seed", range(120), ids=lambda seed: f"seed{seed}")
def test_any_traffic_is_settled_exactly_once(seed: int) -> None:
    world = World(seed)
    arrival = 0.0
    for number in range(INVOCATIONS):
        arrival += world.chance.expovariate(1 / world.chance.choice([0.1, 1, 60]))
        world.later(arrival, lambda id=InvocationId(number): world.accept(id))  # type: ignore[misc]
        if world.chance.random() < 0.05:
            world.later(arrival, world.revise)
        if world.chance.random() < 0.05:
            world.later(arrival, world.reserve)
        if world.chance.random() < 0.03:
            world.later(arrival, world.keep)
        if world.chance.random() < 0.05:
            world.later(arrival, world.idle_for)
        if world.chance.random() < 0.03:
            world.later(arrival, world.drain)
        if world.chance.random() < 0.03:
            world.later(arrival, world.move)
    for version in world.versions:
        world.later(arrival + 100, lambda version=version: world.scheduler.keep(version, 0, now=world.now))  # type: ignore[misc]

    for _ in range(STEPS_MAX):
        if not world.step():
            break
    else:
        pytest.fail("time does not get on")

    assert len(world.ended) == INVOCATIONS
    assert set(world.ended.values()) == {1}, "P4"
    assert not world.alive, "scaled to zero in the end"
    assert not world.scheduler.admission.held, "A3"
    assert not world.scheduler.placements, "nothing is kept of a function that nobody calls"


def test_an_idle_environment_gives_way_to_another_function() -> None:
    scheduler = Scheduler(SchedulingLimits(environments_max=1), Admission(10), itertools.count(1))
    one, two = EnvironmentId(1), EnvironmentId(2)
    assert scheduler.accept("a", "a", InvocationId(1), now=0) == [Start(one)]
    assert scheduler.ready(one, now=1) == [Run(InvocationId(1), one)]
    assert scheduler.accept("b", "b", InvocationId(2), now=2) == []
    assert scheduler.finished(one, now=3) == [Stop(one), Start(two)]
    assert scheduler.ready(two, now=4) == [Run(InvocationId(2), two)]


def test_the_warm_path_is_taken_where_nothing_else_has_to_be_done() -> None:
    admission = Admission(2)
    scheduler = Scheduler(SchedulingLimits(environments_max=1), admission, itertools.count(1))
    one = EnvironmentId(1)
    assert scheduler.take("a", "a", InvocationId(1)) is None, "no environment"
    assert admission.held == {}
    scheduler.accept("a", "a", InvocationId(1), now=0)
    scheduler.ready(one, now=0)
    scheduler.end("a")
    assert scheduler.give_back(one, now=1)
    assert scheduler.take("a", "a", InvocationId(2)) == one
    assert scheduler.take("a", "a", InvocationId(3)) is None, "it is busy"
    assert admission.held == {"a": 1}
    scheduler.accept("b", "b", InvocationId(4), now=2)
    scheduler.end("a")
    assert not scheduler.give_back(one, now=3), "S2: another version waits for its room"
    assert scheduler.finished(one, now=3) == [Stop(one), Start(EnvironmentId(2))]


def test_who_is_throttled_is_not_let_in_by_the_warm_path() -> None:
    admission = Admission(10)
    scheduler = Scheduler(SchedulingLimits(environments_max=2), admission, itertools.count(1))
    scheduler.found("a", EnvironmentId(7), now=0)
    scheduler.found("a", EnvironmentId(8), now=0)
    admission.reserve("a", 1)
    assert scheduler.take("a", "a", InvocationId(1)) == EnvironmentId(8)
    assert scheduler.take("a", "a", InvocationId(2)) is None, "A1"
    assert scheduler.accept("a", "a", InvocationId(2), now=1) is ThrottleReason.RESERVED


def test_an_environment_that_outlived_the_gateway_is_used_and_stopped_like_any_other() -> None:
    scheduler = Scheduler(SchedulingLimits(environments_max=1, idle_seconds_max=10), Admission(10), itertools.count(1))
    assert scheduler.found("a", EnvironmentId(7), now=0) == []
    assert scheduler.accept("a", "a", InvocationId(1), now=1) == [Run(InvocationId(1), EnvironmentId(7))]
    assert scheduler.finished(EnvironmentId(7), now=2) == []
    assert scheduler.time_passed("a", now=12) == [Stop(EnvironmentId(7))]


def test_a_function_says_how_long_its_environments_idle() -> None:
    scheduler = Scheduler(SchedulingLimits(environments_max=4, idle_seconds_max=100), Admission(10), itertools.count(1))
    assert scheduler.idle_for("a", 10, now=0) == {}
    for number, version in ((1, "a"), (2, "a:1"), (3, "ab")):
        scheduler.found(version, EnvironmentId(number), now=0)
    wakeups = {version: placement.next_wakeup() for version, placement in scheduler.placements.items()}
    assert wakeups == {"a": 10, "a:1": 10, "ab": 100}
    assert scheduler.time_passed("a", now=10) == [Stop(EnvironmentId(1))]


def test_environments_that_idle_already_go_by_the_new_time() -> None:
    scheduler = Scheduler(SchedulingLimits(environments_max=4, idle_seconds_max=100), Admission(10), itertools.count(1))
    scheduler.found("a", EnvironmentId(1), now=0)
    scheduler.found("a:1", EnvironmentId(2), now=40)
    assert scheduler.idle_for("a", 200, now=50) == {"a": [], "a:1": []}
    assert scheduler.placements["a"].next_wakeup() == 200
    assert scheduler.idle_for("a", 20, now=50) == {"a": [Stop(EnvironmentId(1))], "a:1": []}
    assert scheduler.placements["a:1"].next_wakeup() == 60
    assert scheduler.idle_for("a", None, now=55) == {"a:1": []}
    assert scheduler.placements["a:1"].next_wakeup() == 140


def test_the_coldest_of_all_is_evicted() -> None:
    scheduler = Scheduler(SchedulingLimits(environments_max=2), Admission(10), itertools.count(1))
    for number, function in ((1, "a"), (2, "b")):
        scheduler.accept(function, function, InvocationId(number), now=0)
        scheduler.ready(EnvironmentId(number), now=0)
    scheduler.finished(EnvironmentId(2), now=1)
    scheduler.finished(EnvironmentId(1), now=2)
    assert scheduler.accept("c", "c", InvocationId(3), now=3) == [Stop(EnvironmentId(2)), Start(EnvironmentId(3))]


def test_several_give_way_at_once() -> None:
    scheduler = Scheduler(SchedulingLimits(environments_max=4), Admission(10), itertools.count(1))
    for number in (1, 2):
        scheduler.found("b", EnvironmentId(number + 10), now=number)
    for number in (1, 2):
        scheduler.accept("a", "a", InvocationId(number), now=3)
    assert scheduler.revised("a", now=4) == [
        Stop(EnvironmentId(11)),
        Stop(EnvironmentId(12)),
        Spare(EnvironmentId(1), useless=True),
        Spare(EnvironmentId(2), useless=True),
        Start(EnvironmentId(3)),
        Start(EnvironmentId(4)),
    ]


def test_versions_have_environments_of_their_own_and_one_concurrency() -> None:
    admission = Admission(10)
    admission.reserve("a", 2)
    scheduler = Scheduler(SchedulingLimits(environments_max=5), admission, itertools.count(1))
    assert scheduler.accept("a", "a", InvocationId(1), now=0) == [Start(EnvironmentId(1))]
    assert scheduler.ready(EnvironmentId(1), now=1) == [Run(InvocationId(1), EnvironmentId(1))]
    scheduler.end("a")
    assert scheduler.finished(EnvironmentId(1), now=2) == []
    assert scheduler.accept("a", "a:1", InvocationId(2), now=3) == [Start(EnvironmentId(2))], (
        "the idle one is $LATEST's"
    )
    assert scheduler.accept("a", "a", InvocationId(3), now=4) == [Run(InvocationId(3), EnvironmentId(1))]
    assert scheduler.accept("a", "a:1", InvocationId(4), now=5) is ThrottleReason.RESERVED
    assert scheduler.homes == {EnvironmentId(1): "a", EnvironmentId(2): "a:1"}
    assert scheduler.removed("a:1", now=6) == [Spare(EnvironmentId(2), useless=True), Fail(InvocationId(2), True)]
    scheduler.end("a")
    assert admission.held == {"a": 1}
    assert scheduler.ready(EnvironmentId(2), now=7) == [Stop(EnvironmentId(2))]
    assert set(scheduler.placements) == {"a"}
