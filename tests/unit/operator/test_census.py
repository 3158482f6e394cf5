from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from lambent_core.census import AgentEntry, Changes, Rollout, Snapshot
from lambent_core.function import EnvironmentCounts
from lambent_operator.census import Agent, Census, Touched
from tests.unit.operator.things import GATEWAY, held

SECOND = replace(GATEWAY, name="gateway-1", uid="g-2")
WANTED, FREE = AgentEntry("a", "p", "wanted"), AgentEntry("a", "p", "free")
CLAIMED = AgentEntry("a", "p", "claimed", "hello", "f-1", "4", 128)
EVERYTHING = Touched(frozenset(), frozenset(), frozenset(), everything=True)
ONE = {"hello": EnvironmentCounts(ready=1, busy=1)}


class Listening:
    def __init__(self) -> None:
        self.touched: list[Touched] = []
        self.census = Census(self.touched.append, now=0.0)

    def news(self) -> list[Touched]:
        news = list(self.touched)
        self.touched.clear()
        return news


def snapshot(*agents: AgentEntry, **functions: EnvironmentCounts) -> Snapshot:
    return Snapshot("whoever", list(agents), functions)


def connected(*agents: AgentEntry, now: float = 1.0) -> Listening:
    listening = Listening()
    listening.census.put_gateway(GATEWAY, now=0.0)
    listening.census.connected(GATEWAY.name, snapshot(*agents), now=now)
    listening.news()
    return listening


def test_an_agent_from_wanted_to_gone() -> None:
    listening = connected()
    census = listening.census
    census.changed(GATEWAY.name, Changes([WANTED], [], {}), now=2.0)
    assert census.agent("a") == Agent(WANTED, GATEWAY.name, since=2.0, connected_since=None)
    assert (census.pool_counts("p"), set(census.agents())) == ((0, 1), {"a"})
    census.changed(GATEWAY.name, Changes([FREE], [], {}), now=3.0)
    assert census.agent("a") == Agent(FREE, GATEWAY.name, since=2.0, connected_since=3.0)
    assert census.pool_counts("p") == (1, 0)
    census.changed(GATEWAY.name, Changes([CLAIMED], [], ONE), now=4.0)
    assert census.agent("a") == Agent(CLAIMED, GATEWAY.name, since=2.0, connected_since=3.0)
    assert census.claimed_by("f-1") == {"a"}
    assert census.counts("hello") == EnvironmentCounts(ready=1, busy=1)
    census.changed(GATEWAY.name, Changes([], ["a"], {"hello": EnvironmentCounts()}), now=5.0)
    assert (census.agent("a"), set(census.agents())) == (None, set())
    assert not census.claimed_by("f-1")
    assert census.pool_counts("p") == (0, 0)
    assert census.counts("hello") == EnvironmentCounts()
    assert listening.news() == [touched(), touched(), touched("hello"), touched("hello")]


def touched(*functions: str, agents: Iterable[str] = "a", pools: str = "p") -> Touched:
    return Touched(frozenset(agents), frozenset(functions), frozenset(pools), everything=False)


def test_who_is_gone_touches_its_pool_and_the_function_that_claimed_it() -> None:
    listening = connected(CLAIMED, AgentEntry("b", "p", "free"), AgentEntry("c", "q", "wanted"))
    census = listening.census
    census.changed(GATEWAY.name, Changes([], ["a"], {}), now=2.0)
    assert census.pool_counts("p") == (1, 0)
    census.changed(GATEWAY.name, Changes([], ["b", "c"], {}), now=3.0)
    assert (census.pool_counts("p"), census.pool_counts("q")) == ((0, 0), (0, 0))
    census.changed(GATEWAY.name, Changes([], ["never"], {}), now=4.0)  # it came and went unseen
    assert listening.news() == [
        touched("hello"),
        touched(agents="bc", pools="pq"),
        touched(agents=("never",), pools=""),
    ]


def test_an_agent_of_another_pool_than_it_was_touches_both() -> None:
    listening = connected(FREE)
    listening.census.changed(GATEWAY.name, Changes([AgentEntry("a", "q", "free")], [], {}), now=2.0)
    assert (listening.census.pool_counts("p"), listening.census.pool_counts("q")) == ((0, 0), (1, 0))
    assert listening.news() == [touched(pools="pq")]


def test_who_was_given_up_is_wanted_by_who_was_not_told_alone() -> None:
    listening = connected(WANTED)
    census = listening.census
    census.put_gateway(SECOND, now=0.0)
    census.connected(SECOND.name, snapshot(WANTED), now=2.0)
    listening.news()
    census.given_up(GATEWAY.name, "a", now=3.0)
    assert census.agent("a") == Agent(WANTED, SECOND.name, since=2.0, connected_since=None)
    census.given_up(SECOND.name, "a", now=4.0)
    assert (census.agent("a"), census.pool_counts("p"), census.missing_since("a")) == (None, (0, 0), 4.0)
    census.given_up("gateway-2", "a", now=5.0)  # gone meanwhile
    assert listening.news() == [touched(), touched()]


def test_only_a_claim_claims() -> None:
    """A pod of the function's own is for it before it runs its code."""
    census = connected(AgentEntry("a", "p", "wanted", "hello", "f-1"), AgentEntry("b", "p", "claimed")).census
    assert not census.claimed_by("f-1")
    census.changed(GATEWAY.name, Changes([CLAIMED], [], {}), now=2.0)
    assert census.claimed_by("f-1")


def test_a_gateway_is_known_by_its_pod_and_connected_once_it_tells() -> None:
    listening = Listening()
    census = listening.census
    assert (census.gateway_pod(GATEWAY.name), census.is_connected(GATEWAY.name)) == (None, False)
    census.put_gateway(replace(GATEWAY, ready=False), now=0.0)
    census.put_gateway(replace(GATEWAY, ready=False, ip="10.244.0.8"), now=0.0)
    assert listening.news() == []
    assert census.gateway_pod(GATEWAY.name) == replace(GATEWAY, ready=False, ip="10.244.0.8")
    census.put_gateway(GATEWAY, now=0.0)
    assert listening.news() == [EVERYTHING]
    assert (census.gateway_pod(GATEWAY.name), census.is_connected(GATEWAY.name)) == (GATEWAY, False)
    census.connected(GATEWAY.name, snapshot(), now=1.0)
    assert census.is_connected(GATEWAY.name)


def test_missing_is_who_is_in_no_census_for_as_long_as_all_could_tell() -> None:
    """C1, C2."""
    census = Listening().census
    assert census.missing_since("a") is None  # no gateway
    census.put_gateway(GATEWAY, now=0.0)
    assert census.missing_since("a") is None  # it hasn't told
    census.connected(GATEWAY.name, snapshot(), now=10.0)
    assert census.missing_since("a") == 10.0
    census.changed(GATEWAY.name, Changes([FREE], [], {}), now=11.0)
    assert census.missing_since("a") is None
    census.changed(GATEWAY.name, Changes([], ["a"], {}), now=12.0)
    assert census.missing_since("a") == 12.0
    census.put_gateway(SECOND, now=0.0)
    assert census.missing_since("a") is None
    census.connected(SECOND.name, snapshot(), now=20.0)
    assert census.missing_since("a") == 20.0
    census.disconnected(SECOND.name, now=21.0)
    assert census.missing_since("a") is None
    census.put_gateway(replace(SECOND, ready=False), now=0.0)  # nobody waits for one that isn't ready
    assert census.missing_since("a") == 12.0
    census.put_gateway(replace(GATEWAY, ready=False), now=0.0)
    assert census.missing_since("a") is None


def test_nobody_is_missing_before_a_gateway_that_ends_and_has_never_told_must_have_ended() -> None:
    """C4: it has closed its port, and runs calls of up to a quarter of an hour in pods that are in no census."""
    ends = replace(SECOND, ready=False, deleting=True)
    census = connected(FREE).census
    census.put_gateway(replace(SECOND, ready=False), now=3.0)
    assert census.missing_since("b") == 1.0
    census.put_gateway(ends, now=5.0)
    census.put_gateway(replace(ends, version=6), now=50.0)
    assert (census.missing_since("a"), census.missing_since("b")) == (None, 965.0)
    census.put_gateway(replace(ends, ip=""), now=60.0)  # finished
    assert census.missing_since("b") == 1.0
    census.put_gateway(replace(SECOND, uid="g-3", ready=False), now=70.0)  # the next of its name
    census.put_gateway(replace(ends, uid="g-3"), now=80.0)
    assert census.missing_since("b") == 1_040.0
    census.remove_gateway(SECOND.name, now=90.0)
    assert census.missing_since("b") == 1.0
    census.put_gateway(SECOND, now=100.0)
    census.connected(SECOND.name, snapshot(), now=101.0)
    census.put_gateway(ends, now=102.0)
    census.disconnected(SECOND.name, now=107.0)
    assert census.missing_since("b") == 1.0  # what it has is known (C3)


def test_what_was_told_is_kept_while_the_connection_is_broken() -> None:
    """C3."""
    listening = connected(CLAIMED)
    listening.census.disconnected(GATEWAY.name, now=5.0)
    assert listening.census.claimed_by("f-1")
    assert not listening.census.is_connected(GATEWAY.name)
    assert listening.census.complete_since is None
    listening.census.connected(GATEWAY.name, snapshot(CLAIMED), now=6.0)
    assert listening.census.agent("a") == Agent(CLAIMED, GATEWAY.name, since=1.0, connected_since=1.0)
    listening.census.connected(GATEWAY.name, snapshot(), now=7.0)
    assert listening.census.agent("a") is None
    assert listening.news() == [EVERYTHING, EVERYTHING, EVERYTHING]


def test_a_gateway_that_is_gone_has_nobody() -> None:
    listening = connected(FREE)
    listening.census.remove_gateway(GATEWAY.name, now=5.0)
    assert listening.census.agent("a") is None
    assert listening.news() == [EVERYTHING]
    listening.census.connected(GATEWAY.name, snapshot(FREE), now=6.0)  # a line that was under way
    listening.census.changed(GATEWAY.name, Changes([FREE], [], {}), now=6.0)
    listening.census.disconnected(GATEWAY.name, now=6.0)
    listening.census.remove_gateway(GATEWAY.name, now=6.0)
    assert listening.census.agent("a") is None
    assert listening.news() == []


def test_of_two_gateways_that_share_a_pods_environments_the_one_counts_that_knows_it_larger() -> None:
    """Its first environment has moved, one that was opened beside it runs something still."""
    census = connected(msgspec.structs.replace(CLAIMED, memory_mb=256)).census
    census.put_gateway(SECOND, now=0.0)
    for memory_mb, larger in ((512, SECOND), (128, GATEWAY), (None, GATEWAY)):
        census.connected(SECOND.name, snapshot(msgspec.structs.replace(CLAIMED, memory_mb=memory_mb)), now=2.0)
        agent = census.agent("a")
        assert agent is not None and agent.gateway == larger.name


def test_of_two_gateways_the_one_counts_that_has_it_furthest() -> None:
    census = connected(WANTED).census
    census.put_gateway(SECOND, now=0.0)
    census.connected(SECOND.name, snapshot(CLAIMED, hello=EnvironmentCounts(ready=1)), now=2.0)
    census.changed(GATEWAY.name, Changes([], [], {"hello": EnvironmentCounts(ready=2)}), now=2.0)
    agent = census.agent("a")
    assert agent is not None and agent.told == CLAIMED and agent.gateway == SECOND.name
    assert census.counts("hello") == EnvironmentCounts(ready=3)
    census.changed(SECOND.name, Changes([], ["a"], {}), now=3.0)
    agent = census.agent("a")
    assert agent is not None and agent.told == WANTED
    assert not census.claimed_by("f-1")
    assert census.states() == {"gateway-0": True, "gateway-1": True}


def test_whose_code_does_not_start() -> None:
    census = connected(CLAIMED, AgentEntry("b", "p", "claimed", "hello", "f-1", "4", 128, "ImportError")).census
    assert census.init_error("f-2", "4") is None
    assert (census.init_error("f-1", "4"), census.init_error("f-1", "5")) == ("ImportError", None)
    census.changed(GATEWAY.name, Changes([], ["b"], {}), now=2.0)
    assert census.init_error("f-1", "4") is None


def test_how_far_a_function_has_come_is_the_sum_of_what_gateways_tell() -> None:
    census = connected().census
    census.put_gateway(SECOND, now=0.0)
    assert census.rollout("hello", "f-1/4") == Rollout("f-1/4", 0, 0)
    one, two = {"hello": EnvironmentCounts(ready=1)}, {"hello": EnvironmentCounts(ready=2)}
    census.changed(GATEWAY.name, Changes([], [], two, {"hello": Rollout("f-1/4", 1, 1)}), now=2.0)
    census.connected(SECOND.name, Snapshot("whoever", [], two, {"hello": Rollout("f-1/4", 2, 0)}), now=2.0)
    assert census.rollout("hello", "f-1/4") == Rollout("f-1/4", 3, 1)
    assert census.rollout("hello", "f-1/5") == Rollout("f-1/5", 0, 4), "no gateway has taken it up"
    census.changed(GATEWAY.name, Changes([], [], one, {"hello": Rollout("f-1/5", 1, 0)}), now=3.0)
    assert census.rollout("hello", "f-1/5") == Rollout("f-1/5", 1, 2), "one has"
    census.changed(SECOND.name, Changes([], [], {"hello": EnvironmentCounts()}), now=4.0)
    assert census.rollout("hello", "f-1/5") == Rollout("f-1/5", 1, 0)


def test_a_gateway_of_an_earlier_release_does_not_say_how_far_a_function_has_come() -> None:
    census = connected().census
    census.put_gateway(SECOND, now=0.0)
    one = {"hello": EnvironmentCounts(ready=1)}
    census.changed(GATEWAY.name, Changes([], [], one, {"hello": Rollout("f-1/4", 1, 0)}), now=2.0)
    census.connected(SECOND.name, snapshot(**one), now=2.0)
    assert census.rollout("hello", "f-1/4") is None
    census.changed(SECOND.name, Changes([], [], {"hello": EnvironmentCounts()}), now=3.0)
    assert census.rollout("hello", "f-1/4") == Rollout("f-1/4", 1, 0)


def test_the_last_words_of_a_gateway_that_is_gone_do_not_count() -> None:
    """C5: its node is without power, its pod object stays, and its agents have gone to the other one or are over."""
    failed = msgspec.structs.replace(CLAIMED, init_error="ImportError")
    census = connected().census
    census.put_gateway(SECOND, now=1.0)
    rollouts = {"hello": Rollout("f-1/4", 1, 0)}
    census.connected(SECOND.name, Snapshot("whoever", [failed, AgentEntry("b", "p", "free")], ONE, rollouts), now=2.0)

    def said() -> tuple[object, ...]:
        return (
            census.counts("hello"), census.rollout("hello", "f-1/5"), census.pool_counts("p"), census.init_error("f-1", "4"),
            census.is_current("a"),
        )  # fmt: skip

    all_of_it = (ONE["hello"], Rollout("f-1/5", 0, 1), (1, 0), "ImportError", True)
    census.put_gateway(replace(SECOND, ready=False, deleting=True), now=3.0)
    assert said() == all_of_it, "it tells still"
    census.put_gateway(SECOND, now=4.0)
    census.disconnected(SECOND.name, now=5.0)
    assert said() == all_of_it, "it may be back in a moment, and till then nothing is shown"
    census.put_gateway(replace(SECOND, ready=False), now=6.0)
    assert said() == (EnvironmentCounts(), Rollout("f-1/5", 0, 0), (0, 0), None, False)
    assert census.missing_since("a") is None and census.claimed_by("f-1") == {"a"}, "C3"
    census.changed(GATEWAY.name, Changes([CLAIMED, AgentEntry("b", "p", "free")], [], ONE, rollouts), now=7.0)
    assert said() == (ONE["hello"], Rollout("f-1/5", 0, 1), (1, 0), None, True)
    census.connected(SECOND.name, snapshot(failed, AgentEntry("c", "p", "free")), now=8.0)
    assert (census.init_error("f-1", "4"), census.pool_counts("p")) == ("ImportError", (2, 0))
    census.disconnected(SECOND.name, now=9.0)
    assert (census.init_error("f-1", "4"), census.pool_counts("p")) == (None, (1, 0))


def test_of_two_gateways_that_want_the_same_the_one_is_believed_that_is_there() -> None:
    census = connected(WANTED).census
    census.put_gateway(SECOND, now=2.0)
    census.connected(SECOND.name, snapshot(WANTED), now=2.0)
    for gone, other in ((GATEWAY, SECOND), (SECOND, GATEWAY)):
        census.disconnected(gone.name, now=3.0)
        census.put_gateway(replace(gone, ready=False), now=3.0)
        agent = census.agent("a")
        assert agent is not None and agent.gateway == other.name
        census.put_gateway(gone, now=4.0)
        census.connected(gone.name, snapshot(WANTED), now=4.0)


def test_since_when_no_gateway_is_there() -> None:
    census = Listening().census
    assert census.away_since == 0.0
    census.put_gateway(GATEWAY, now=0.0)
    assert census.away_since == 0.0
    census.connected(GATEWAY.name, snapshot(), now=1.0)
    assert census.away_since is None
    census.disconnected(GATEWAY.name, now=2.0)
    census.remove_gateway(GATEWAY.name, now=3.0)
    assert census.away_since == 2.0


def test_a_gateway_that_goes_while_it_is_connected_is_away_from_then_on() -> None:
    census = connected().census
    census.remove_gateway(GATEWAY.name, now=3.0)
    assert census.away_since == 3.0


def test_who_left_is_remembered_for_ten_minutes() -> None:
    """Who is forgotten is missing for as long as anybody could be; by then its pod is gone."""
    census = connected(*(AgentEntry(id, "p", "free") for id in "abcd")).census
    census.changed(GATEWAY.name, Changes([], ["a"], {}), now=10.0)
    census.changed(GATEWAY.name, Changes([], ["b"], {}), now=20.0)
    census.changed(GATEWAY.name, Changes([AgentEntry("a", "p", "free")], [], {}), now=30.0)
    census.changed(GATEWAY.name, Changes([], ["a"], {}), now=40.0)
    census.changed(GATEWAY.name, Changes([], ["c"], {}), now=620.0)
    assert [census.missing_since(id) for id in "abc"] == [40.0, 20.0, 620.0]
    census.changed(GATEWAY.name, Changes([], ["d"], {}), now=620.5)
    assert [census.missing_since(id) for id in "abcd"] == [40.0, 1.0, 620.0, 620.5]


def test_nothing_is_kept_of_what_came_and_went() -> None:
    census = connected().census
    sizes = []
    for number in range(3):
        id, pool, function, now = f"a-{number}", f"p-{number}", f"fn-{number}", 3_600.0 * number
        for entry in (
            AgentEntry(id, pool, "wanted", function, f"uid-{number}"),
            AgentEntry(id, pool, "free"),
            AgentEntry(id, pool, "claimed", function, f"uid-{number}"),
        ):
            counts, rollouts = {function: EnvironmentCounts(busy=1)}, {function: Rollout("f-1/4", 1, 0)}
            census.changed(GATEWAY.name, Changes([entry], [], counts, rollouts), now=now)
        census.changed(GATEWAY.name, Changes([], [id], {function: EnvironmentCounts()}), now=now)
        sizes.append(held(census))
    assert sizes == [sizes[0]] * 3
