from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from lambent_core.placement import EnvironmentId
from lambent_core.runtime_pool import (
    AgentId,
    Claim,
    Connected,
    Despair,
    Effect,
    Gone,
    RuntimePool,
    Spawn,
    Unwanted,
    Wanted,
)


def pool(size: int = 2, spawning_max: int = 3) -> RuntimePool:
    return RuntimePool((AgentId(f"a{number}") for number in count(1)), size, spawning_max)


def agent(number: int) -> AgentId:
    return AgentId(f"a{number}")


def environment(number: int) -> EnvironmentId:
    return EnvironmentId(number)


def test_a_pool_fills_itself_and_refills_after_a_claim() -> None:
    agents = pool(size=2)
    assert agents.replenish() == [Spawn(agent(1)), Spawn(agent(2))]
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


def test_a_failed_spawn_tells_who_waited_and_is_not_repeated_for_the_pools_own_sake() -> None:
    agents = pool(size=1)
    assert agents.step(Wanted(environment(1))) == [Spawn(agent(1)), Spawn(agent(2))]
    assert agents.step(Gone(agent(1))) == [Despair(environment(1))]
    assert agents.step(Gone(agent(2))) == []
    assert agents.step(Wanted(environment(2))) == [Spawn(agent(3))]
    assert agents.step(Connected(agent(3))) == [Claim(agent(3), environment(2)), Spawn(agent(4))]


def test_a_free_agent_that_is_gone_is_replaced() -> None:
    agents = pool(size=1)
    agents.replenish()
    agents.step(Connected(agent(1)))
    assert agents.step(Gone(agent(1))) == [Spawn(agent(2))]


def test_a_want_given_up_claims_nothing() -> None:
    agents = pool(size=0)
    agents.step(Wanted(environment(1)))
    assert agents.step(Unwanted(environment(1))) == []
    assert agents.step(Connected(agent(1))) == []
    assert agents.step(Wanted(environment(2))) == [Claim(agent(1), environment(2))]


@given(st.integers(0, 3), st.integers(1, 4), st.lists(st.sampled_from(["want", "give up", "connect", "fail", "break"])))
def test_every_want_is_met_or_told(size: int, spawning_max: int, moves: list[str]) -> None:
    agents, numbers = pool(size, spawning_max), count(1)
    spawning: list[AgentId] = []
    waiting: list[EnvironmentId] = []
    claimed: list[AgentId] = []

    def perform(effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Spawn(name):
                    spawning.append(name)
                case Claim(name, environment):
                    assert name not in claimed, "R1"
                    claimed.append(name)
                    waiting.remove(environment)
                case Despair(environment):
                    waiting.remove(environment)
        assert len(spawning) <= spawning_max, "R4"
        assert not waiting or spawning, "somebody is coming"

    perform(agents.replenish())
    for move in moves:
        if move == "want":
            waiting.append(environment(next(numbers)))
            perform(agents.step(Wanted(waiting[-1])))
        elif move == "give up" and waiting:
            perform(agents.step(Unwanted(waiting.pop())))
        elif move == "connect" and spawning:
            perform(agents.step(Connected(spawning.pop(0))))
        elif move == "fail" and spawning:
            perform(agents.step(Gone(spawning.pop(0))))
        elif move == "break" and agents.free:
            perform(agents.step(Gone(agents.free[0])))
    while waiting or spawning:
        perform(agents.step(Connected(spawning.pop(0))))
    assert agents.discouraged or len(agents.free) >= size, "R3"
    assert agents.replenish() == [], "R3"
