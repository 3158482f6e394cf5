from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent_core.placement import EnvironmentId
from lambent_core.runtime_pool import (
    EXPECTED_SECONDS,
    SPAWN_SECONDS,
    AgentId,
    Claim,
    Connected,
    Despair,
    Dismiss,
    Effect,
    Event,
    Expected,
    Gone,
    OpenedBeside,
    RuntimePool,
    Spawn,
    Unwanted,
    Wanted,
)


class Pool(RuntimePool):
    """At a standstill of time, unless something else is said."""

    def step(self, event: Event, *, now: float = 0.0) -> list[Effect]:
        return super().step(event, now=now)

    def adjust(self, *, now: float = 0.0) -> list[Effect]:
        return super().adjust(now=now)


def pool(size: int = 2, spawning_max: int = 3, size_max: int = 0) -> Pool:
    return Pool((AgentId(f"a{number}") for number in count(1)), size, spawning_max, size_max)


def agent(number: int) -> AgentId:
    return AgentId(f"a{number}")


def environment(number: int) -> EnvironmentId:
    return EnvironmentId(number)


def test_a_pool_fills_itself_and_refills_after_a_claim() -> None:
    agents = pool(size=2)
    assert agents.adjust() == [Spawn(agent(1)), Spawn(agent(2))]
    assert agents.step(Connected(agent(1))) == []
    assert agents.step(Wanted(environment(1))) == [Claim(agent(1), environment(1)), Spawn(agent(3))]


def test_who_waits_longest_gets_the_next_agent() -> None:
    agents = pool(size=0)
    assert agents.step(Wanted(environment(1))) == [Spawn(agent(1))]
    assert agents.step(Wanted(environment(2))) == [Spawn(agent(2))]
    assert agents.step(Connected(agent(2))) == [Claim(agent(2), environment(1))]


def test_spawns_keep_their_pace() -> None:
    agents = pool(size=0, spawning_max=1)
    assert agents.step(Wanted(environment(1))) == [Spawn(agent(1))]
    assert agents.step(Wanted(environment(2))) == []
    assert agents.step(Connected(agent(1))) == [Claim(agent(1), environment(1)), Spawn(agent(2))]


def test_a_failed_spawn_tells_who_waited_and_is_repeated_for_the_pools_own_sake_at_growing_pauses() -> None:
    agents = pool(size=1)
    assert agents.step(Wanted(environment(1)), now=0) == [Spawn(agent(1))]
    assert agents.step(Gone(agent(1)), now=10) == [Despair(environment(1))]
    assert agents.next_look(10) == 11
    assert agents.adjust(now=10.5) == []
    assert agents.adjust(now=11) == [Spawn(agent(2))]
    assert agents.next_look(11) is None
    assert agents.step(Gone(agent(2)), now=11) == []
    assert agents.next_look(11) == 13
    assert agents.step(Wanted(environment(2)), now=12) == [Spawn(agent(3))], "whoever wants one does not wait"
    assert agents.step(Connected(agent(3)), now=12) == [Claim(agent(3), environment(2)), Spawn(agent(4))]


def test_nobody_despairs_of_a_spawn_that_began_before_they_waited() -> None:
    """R12: as of pods that gave up while the API server was away, and are seen when it is back."""
    agents = pool(size=2)
    assert agents.adjust(now=0) == [Spawn(agent(1)), Spawn(agent(2))]
    assert agents.step(Wanted(environment(1), "f"), now=15) == []
    assert agents.step(Gone(agent(1)), now=16) == [], "the other may come"
    assert agents.step(Gone(agent(2)), now=16) == [Spawn(agent(3))]
    assert agents.step(Gone(agent(3)), now=17) == [Despair(environment(1))]


def test_behind_a_spawn_that_is_late_another_is_begun_and_no_third() -> None:
    """R13: as of a pod that was made when the API server went away."""
    agents = pool(size=0, spawning_max=9)
    assert agents.step(Wanted(environment(1), "f"), now=10) == [Spawn(agent(1))]
    assert agents.next_look(10) == 30
    assert agents.adjust(now=29.9) == []
    assert agents.adjust(now=30) == [Spawn(agent(2))]
    assert agents.adjust(now=90) == []
    assert agents.step(Wanted(environment(2), "f"), now=91) == [Spawn(agent(3)), Spawn(agent(4))]
    assert agents.step(Connected(agent(4)), now=92) == [Claim(agent(4), environment(1))]
    assert agents.step(Connected(agent(1)), now=93) == [Claim(agent(1), environment(2))], "late is not never"
    assert agents.step(Connected(agent(2)), now=94) == [Dismiss(agent(2))]


def test_what_is_late_does_not_keep_others_from_being_begun() -> None:
    """R13: though it fills the window."""
    agents = pool(size=0, spawning_max=5)
    for number in range(1, 7):
        agents.step(Wanted(environment(number)), now=0)
    assert len(agents.spawning) == 4
    assert agents.adjust(now=20) == [Spawn(agent(5))], "R4"


def test_for_the_pools_own_sake_nothing_is_begun_behind_what_is_late() -> None:
    agents = pool(size=1, spawning_max=9)
    assert agents.adjust(now=0) == [Spawn(agent(1))]
    assert agents.adjust(now=100) == []


def test_of_those_who_wait_one_who_waited_for_the_spawn_is_told() -> None:
    agents = pool(size=0, spawning_max=9)
    agents.step(Wanted(environment(1), "f"), now=0)
    agents.step(Wanted(environment(2), "f"), now=1)
    agents.step(Wanted(environment(3), "g"), now=2)
    assert agents.step(Connected(agent(3)), now=3) == [Claim(agent(3), environment(1))], "the next turn is the other's"
    assert agents.step(Gone(agent(2)), now=4) == [Despair(environment(2))]


def test_no_more_agents_are_spawned_than_can_hold_what_a_function_waits_for() -> None:
    """R10."""
    agents = pool(size=0, spawning_max=9)
    wanted = [agents.step(Wanted(environment(number), "f", 3)) for number in range(1, 8)]
    assert wanted == [[Spawn(agent(1))], [], [], [Spawn(agent(2))], [], [], [Spawn(agent(3))]]
    assert agents.step(Wanted(environment(8), "g")) == [Spawn(agent(4))], "another function's are its own"
    assert agents.unbegun == 0
    assert agents.step(Connected(agent(1))) == [Claim(agent(1), environment(1))]
    assert agents.step(OpenedBeside((environment(2), environment(3)))) == []
    assert agents.step(Gone(agent(2))) == [Despair(environment(8))]
    assert agents.step(OpenedBeside(tuple(map(environment, (4, 5, 6, 7))))) == []
    assert agents.step(Wanted(environment(9), "f")) == [], "three are on their way"


def test_more_are_spawned_once_it_is_clear_that_nothing_is_opened_beside_one_that_was_claimed() -> None:
    agents = pool(size=0)
    for number in (1, 2, 3):
        agents.step(Wanted(environment(number), "f", 2))
    assert agents.step(Connected(agent(1))) == [Claim(agent(1), environment(1))], (
        "room for one, and another is on its way"
    )
    assert agents.step(Connected(agent(2))) == [Claim(agent(2), environment(2))]
    assert agents.step(OpenedBeside(())) == [Spawn(agent(3))]


def test_a_free_agent_that_is_gone_is_replaced() -> None:
    agents = pool(size=1)
    agents.adjust()
    agents.step(Connected(agent(1)))
    assert agents.step(Gone(agent(1))) == [Spawn(agent(2))]


def test_a_want_given_up_claims_nothing() -> None:
    agents = pool(size=0)
    agents.step(Wanted(environment(1)))
    assert agents.step(Unwanted(environment(1))) == []
    assert agents.step(Connected(agent(1))) == [Dismiss(agent(1))]
    assert agents.step(Wanted(environment(2))) == [Spawn(agent(2))]


@given(
    st.integers(0, 3),
    st.integers(1, 4),
    st.integers(1, 3),
    st.booleans(),
    st.lists(st.sampled_from(["want", "give up", "connect", "fail", "break", "wait"])),
)
def test_every_want_is_met_or_told(size: int, spawning_max: int, per_agent: int, opens: bool, moves: list[str]) -> None:
    """Whether or not agents that are said to hold several environments do."""
    agents, numbers = pool(size, spawning_max), count(1)
    now = 0.0
    began: dict[AgentId | EnvironmentId, float] = {}
    spawning: list[AgentId] = []
    waiting: list[EnvironmentId] = []
    claimed: list[AgentId] = []

    def perform(effects: list[Effect], failed: AgentId | None = None) -> None:
        places = 0
        for effect in effects:
            match effect:
                case Spawn(name):
                    began[name] = now
                    spawning.append(name)
                case Claim(name, environment):
                    assert name not in claimed, "R1"
                    claimed.append(name)
                    waiting.remove(environment)
                    places += per_agent - 1
                case Despair(environment):
                    assert failed is not None and began[environment] <= began[failed], "R12"
                    waiting.remove(environment)
        assert len(spawning) <= spawning_max, "R4"
        if places:
            opened = tuple(waiting[:places]) if opens else ()
            del waiting[: len(opened)]
            perform(agents.step(OpenedBeside(opened), now=now))
        assert not waiting or spawning, "somebody is coming"

    perform(agents.adjust())
    for move in moves:
        now += 0.001
        if move == "want":
            waiting.append(environment(next(numbers)))
            began[waiting[-1]] = now
            perform(agents.step(Wanted(waiting[-1], "", per_agent), now=now))
        elif move == "give up" and waiting:
            perform(agents.step(Unwanted(waiting.pop()), now=now))
        elif move == "connect" and spawning:
            perform(agents.step(Connected(spawning.pop(0)), now=now))
        elif move == "fail" and spawning:
            failed = spawning.pop(0)
            perform(agents.step(Gone(failed), now=now), failed)
        elif move == "break" and agents.free:
            perform(agents.step(Gone(agents.free[0]), now=now))
        elif move == "wait":
            now += SPAWN_SECONDS
            perform(agents.adjust(now=now))
    while waiting or spawning:
        perform(agents.step(Connected(spawning.pop(0)), now=now))
    now += 100.0
    perform(agents.adjust(now=now))
    while spawning:
        perform(agents.step(Connected(spawning.pop(0)), now=now))
    assert len(agents.free) == size, "R3, R6"
    assert agents.adjust(now=now) == [], "R3"


def test_no_more_are_spawned_at_once_than_hardly_slow_one_another_down() -> None:
    agents = pool(size=0, spawning_max=100)
    for number in range(1, 31):
        agents.step(Wanted(environment(number)), now=100)
    assert len(agents.spawning) == 4
    agents.step(Connected(agent(1)), now=101)
    assert len(agents.spawning) == 5, "one for the one that came, and one more"
    for number in range(2, 5):
        agents.step(Connected(agent(number)), now=108)
    assert len(agents.spawning) < 4, "four at once took eight times as long"
    assert agents.unbegun == 30 - 4 - len(agents.spawning)


def test_an_agent_that_nobody_wants_any_more_is_dismissed() -> None:
    agents = pool(size=1)
    assert agents.step(Wanted(environment(1))) == [Spawn(agent(1))]
    assert agents.step(Wanted(environment(2))) == [Spawn(agent(2))]
    assert agents.step(Unwanted(environment(1))) == []
    assert agents.step(Unwanted(environment(2))) == []
    assert agents.step(Connected(agent(1))) == []
    assert agents.step(Connected(agent(2))) == [Dismiss(agent(1))]
    agents.size = 0
    assert agents.adjust() == [Dismiss(agent(2))]
    assert agents.empty


def test_a_pool_that_is_made_larger_spawns_what_is_lacking() -> None:
    agents = pool(size=1)
    assert agents.adjust() == [Spawn(agent(1))]
    agents.size = 3
    assert agents.adjust() == [Spawn(agent(2)), Spawn(agent(3))]


def test_after_a_burst_as_many_are_kept_ready_as_it_needed_and_for_a_while() -> None:
    agents = pool(size=1, spawning_max=9, size_max=4)
    agents.adjust(now=0)
    agents.step(Connected(agent(1)), now=1)
    assert agents.step(Wanted(environment(1)), now=10) == [Claim(agent(1), environment(1)), Spawn(agent(2))]
    for number in range(2, 6):
        assert agents.step(Wanted(environment(number)), now=10) == ([] if number == 2 else [Spawn(agent(number))])
    for number in range(2, 6):
        effects = agents.step(Connected(agent(number)), now=11)
        assert effects[0] == Claim(agent(number), environment(number))
    assert effects[1:] == [Spawn(agent(number)) for number in range(6, 10)], "four, not five: size_max"
    for number in range(6, 10):
        assert agents.step(Connected(agent(number)), now=12) == []
    assert agents.adjust(now=600) == []
    assert agents.adjust(now=611) == [Dismiss(agent(number)) for number in (6, 7, 8)]


def test_a_smaller_burst_in_these_ten_minutes_does_not_shorten_what_is_kept() -> None:
    agents = pool(size=0, spawning_max=9, size_max=4)
    agents.step(Wanted(environment(1)), now=0)
    agents.step(Wanted(environment(2)), now=0)
    agents.step(Wanted(environment(3)), now=600)
    assert agents.target == 2


def test_single_calls_are_no_burst() -> None:
    agents = pool(size=1, size_max=9)
    for number in range(1, 20):
        agents.step(Wanted(environment(number)), now=number * 6.0)
    assert agents.target == 1


def test_functions_that_wait_take_turns() -> None:
    agents = pool(size=0, spawning_max=9)
    for number in (1, 2, 3):
        agents.step(Wanted(environment(number), "burst"))
    agents.step(Wanted(environment(4), "other"))
    order = []
    for number in (1, 2, 3, 4):
        (effect,) = agents.step(Connected(agent(number)))
        assert isinstance(effect, Claim)
        order.append(effect.environment)
    assert order == [environment(1), environment(4), environment(2), environment(3)]


def bursting() -> Pool:
    """A pool of three of which a burst of five was given two; the other is kept, and what the burst waits for is on its way."""
    agents = pool(size=3, spawning_max=9)
    agents.adjust()
    for number in (1, 2, 3):
        agents.step(Connected(agent(number)))
    for number in range(1, 6):
        agents.step(Wanted(environment(number), "burst"), now=0 if number == 1 else 1)
    assert list(agents.free) == [agent(3)] and agents.spawning.keys() == {agent(4), agent(5), agent(6)}
    return agents


def test_a_burst_that_has_its_share_leaves_the_last_free_agent_to_others() -> None:
    agents = bursting()
    assert agents.has_one_for("neighbour") and not agents.has_one_for("burst"), "R11"
    assert agents.step(Connected(agent(4)), now=1) == [Claim(agent(3), environment(3))]
    neighbour = agents.step(Wanted(environment(9), "neighbour"), now=1)
    assert neighbour == [Claim(agent(4), environment(9)), Spawn(agent(7))], "at once, and the next is kept anew"
    assert agents.step(Connected(agent(5)), now=2) == []
    assert agents.step(Connected(agent(6)), now=2) == [Claim(agent(5), environment(4))]


@pytest.mark.parametrize("size", [2, 3])
def test_a_bursts_share_is_all_but_one_of_the_pools_size(size: int) -> None:
    agents = pool(size=size, spawning_max=9)
    for number in range(1, 6):
        agents.step(Wanted(environment(number), "burst"))
    came = [agents.step(Connected(agent(number))) for number in range(1, size + 1)]
    assert [bool(effects) for effects in came] == [True] * (size - 1) + [False], "R11"


def test_what_was_kept_for_others_is_the_bursts_once_its_share_is_long_ago() -> None:
    agents = bursting()
    assert agents.next_look(now=1) == 5
    assert agents.adjust(now=5) == [Claim(agent(3), environment(3))]
    assert len(agents.spawning) == 3, "two for the burst, and one to keep"


def test_nothing_is_kept_for_others_while_agents_can_not_be_had() -> None:
    agents = bursting()
    agents.step(Wanted(environment(9), "neighbour"), now=1)
    told = [effect for number in (4, 5, 6, 7) for effect in agents.step(Gone(agent(number)), now=1)]
    assert told == [Despair(environment(3)), Despair(environment(4)), Despair(environment(5))]
    assert not agents.spawning, "the next is spawned after a pause"


def test_what_is_kept_for_others_does_not_count_for_those_who_wait_while_agents_can_not_be_had() -> None:
    agents = pool(size=2, spawning_max=9)
    agents.step(Wanted(environment(1), "burst"))
    agents.step(Connected(agent(1)))
    agents.step(Connected(agent(2)))
    assert agents.step(Gone(agent(3)), now=1) == [], "a pause begins"
    assert agents.step(Wanted(environment(2), "burst"), now=1) == [Spawn(agent(4))]


def test_in_a_pool_of_one_nothing_is_kept_for_others() -> None:
    agents = pool(size=1, spawning_max=9)
    agents.adjust()
    for number in (1, 2, 3):
        agents.step(Wanted(environment(number), "burst"))
    for number in (1, 2, 3):
        assert agents.step(Connected(agent(number)))[0] == Claim(agent(number), environment(number))


def test_spawns_that_go_on_failing_are_repeated_once_a_minute() -> None:
    agents, now = pool(size=1), 0.0
    pauses = []
    for number in range(1, 11):
        assert agents.adjust(now=now) == [Spawn(agent(number))]
        agents.step(Gone(agent(number)), now=now)
        look = agents.next_look(now)
        assert look is not None
        pauses.append(look - now)
        now = look
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60], "R5"


def test_before_any_burst_no_more_than_its_size_is_kept_and_nothing_looked_at() -> None:
    agents = pool(size=0, size_max=5)
    assert agents.next_look(0.0) is None
    assert agents.adjust() == [], "R7"


def test_a_burst_is_expected_again_for_ten_minutes() -> None:
    agents = pool(size=0, size_max=5)
    agents.step(Wanted(environment(1)), now=10)
    agents.step(Connected(agent(1)), now=10)
    agents.step(Connected(agent(2)), now=10)
    assert agents.adjust(now=610) == []
    assert agents.adjust(now=610.5) == [Dismiss(agent(2))]
    assert agents.target == 0


def test_a_pool_is_empty_when_nobody_is_there_on_the_way_or_waiting() -> None:
    agents = pool(size=0)
    assert agents.empty
    agents.step(Wanted(environment(1)))
    assert not agents.empty, "one is on the way"
    agents.step(Connected(agent(1)))
    assert agents.empty, "it has been claimed"
    agents.size = 1
    agents.adjust()
    agents.step(Connected(agent(2)))
    assert not agents.empty, "one is free"


def test_after_a_burst_it_is_looked_at_when_the_burst_is_expected_no_more() -> None:
    agents = pool(size=0, size_max=5)
    agents.step(Wanted(environment(1)), now=10)
    assert agents.next_look(10) == 10 + SPAWN_SECONDS
    agents.step(Connected(agent(1)), now=10)
    assert agents.next_look(10) == 611
    agents.adjust(now=611)
    assert agents.next_look(611) is None


def test_what_is_wanted_within_five_seconds_is_one_burst() -> None:
    for seconds, together in ((5.0, 2), (5.5, 1)):
        agents = pool(size=0, size_max=5)
        agents.step(Wanted(environment(1)), now=1)
        agents.step(Wanted(environment(2)), now=1 + seconds)
        assert agents.target == together


def test_a_burst_as_large_as_the_last_is_expected_anew() -> None:
    agents = pool(size=0, size_max=5)
    agents.step(Wanted(environment(1)), now=0)
    agents.step(Wanted(environment(2)), now=500)
    agents.adjust(now=1100)
    assert agents.target == 1


def test_a_smaller_burst_does_not_make_the_larger_one_forgotten() -> None:
    agents = pool(size=0, size_max=5)
    for number in (1, 2, 3):
        agents.step(Wanted(environment(number)), now=400)
    agents.step(Wanted(environment(4)), now=500)
    agents.adjust(now=1000)
    assert agents.target == 3
    agents.step(Wanted(environment(5)), now=1000.5)
    assert agents.target == 1, "its time was over"


def deployed(*functions: str) -> Pool:
    """A pool of one that may be one of three, after the functions were deployed."""
    agents = pool(size=1, spawning_max=9, size_max=3)
    for function in functions:
        agents.step(Expected(function))
    return agents


def test_for_each_function_that_was_deployed_an_agent_is_kept() -> None:
    """R14."""
    assert [deployed(*"abcd"[:number]).target for number in range(5)] == [1, 1, 2, 3, 3], "no more than size_max"
    assert len(deployed(*"abcd").spawning) == 3


def test_a_function_that_is_deployed_twice_is_expected_once() -> None:
    agents = deployed("a", "b", "a")
    assert agents.target == 2
    agents.adjust(now=EXPECTED_SECONDS - 1)
    agents.step(Expected("b"), now=EXPECTED_SECONDS - 1)
    agents.adjust(now=EXPECTED_SECONDS)
    assert list(agents.expected) == ["b"], "from then on"


def test_what_was_expected_and_came_is_expected_no_more() -> None:
    agents = deployed("a", "b", "c")
    for number in (1, 2, 3):
        agents.step(Connected(agent(number)))
    assert agents.step(Wanted(environment(1), "a")) == [Claim(agent(1), environment(1))], (
        "two are expected, two are there"
    )
    agents.step(Wanted(environment(2), "b"), now=6)
    assert agents.target == 1


def test_what_was_expected_and_did_not_come_is_not_waited_for() -> None:
    agents = deployed("a", "b")
    for number in (1, 2):
        agents.step(Connected(agent(number)))
    look = agents.next_look(0)
    assert look == EXPECTED_SECONDS
    assert agents.adjust(now=look - 1) == []
    assert agents.adjust(now=look) == [Dismiss(agent(1))]
    assert agents.next_look(look) is None


def test_it_is_looked_at_when_either_a_burst_or_what_was_deployed_is_expected_no_more() -> None:
    agents = deployed("a", "b", "c")
    for number in (1, 2):
        agents.step(Wanted(environment(number), "burst"), now=1)
    for number in range(1, 6):
        agents.step(Connected(agent(number)), now=1)
    assert agents.next_look(1) == EXPECTED_SECONDS
    agents.adjust(now=EXPECTED_SECONDS)
    assert (agents.target, agents.next_look(EXPECTED_SECONDS)) == (2, 602)
