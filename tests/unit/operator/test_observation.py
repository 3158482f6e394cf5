from __future__ import annotations

from dataclasses import replace

from lambent_operator.observation import Key, Objects, Observation
from lambent_operator.resources import Pod
from lambent_operator.troubles import Trouble
from tests.unit.operator.things import GATEWAY, POOL, function, held, pod


class Watched:
    def __init__(self) -> None:
        self.now = 0.0
        self.woken: set[Key] = set()
        self.observation = Observation(self.woken.add, clock=lambda: self.now)

    def news(self) -> set[Key]:
        news = set(self.woken)
        self.woken.clear()
        return news


AGENT, HELLO, OTHER = Key("agent", "a"), Key("function", "hello"), Key("function", "other")


def test_a_pod_wakes_its_agent_and_its_functions() -> None:
    watched = Watched()
    watched.observation.put_pod(pod())
    assert watched.news() == {AGENT}
    watched.observation.put_pod(pod(version=11, function="hello"))
    assert watched.news() == {AGENT, HELLO}
    assert watched.observation.pods_of("hello") == [pod(version=11, function="hello")]
    watched.observation.put_pod(pod(version=12, function="other"))
    assert watched.news() == {AGENT, HELLO, OTHER}
    assert watched.observation.pods_of("hello") == []
    watched.observation.remove_pod("a", "p-a")
    assert watched.news() == {AGENT, OTHER}
    assert watched.observation.pods_of("other") == []


def test_older_states_change_nothing() -> None:
    """O1."""
    watched = Watched()
    watched.observation.put_pod(pod(version=12))
    watched.news()
    watched.observation.put_pod(pod(version=12, phase="Failed"))
    watched.observation.put_pod(pod(version=11, phase="Failed"))
    assert watched.news() == set()
    assert watched.observation.pods.get("a") == pod(version=12)


def test_what_went_never_comes_back() -> None:
    """O2: a list that was made before tells of it later. Another one of its name is another one."""
    watched = Watched()
    watched.observation.put_function(function(version=20))
    watched.observation.remove_function("hello", "f-0")
    assert watched.observation.functions.get("hello") == function(version=20)
    watched.observation.remove_function("hello", "f-1")
    watched.observation.put_function(function(version=19))
    assert watched.observation.functions.get("hello") is None
    again = function(version=30, uid="f-2")
    watched.observation.put_function(again)
    watched.observation.remove_function("hello", "f-1")
    assert watched.observation.functions.get("hello") == again
    watched.news()
    watched.observation.put_function(function(version=31))
    assert watched.news() == set()


def test_of_what_went_the_latest_five_thousand_are_remembered() -> None:
    """As many as may go while a list is made."""
    pods: Objects[str, Pod] = Objects()
    for number in range(5_001):
        assert pods.put(str(number), pod(str(number)))
        assert pods.remove(str(number), f"p-{number}") == pod(str(number))
    assert pods.put("0", pod("0"))
    for number in (1, 5_000):
        assert not pods.put(str(number), pod(str(number)))
    assert [*pods.items()] == [("0", pod("0"))]
    assert len(pods) == 1


def test_nothing_is_kept_of_what_came_and_went() -> None:
    """But for the uids of those that went last."""
    watched = Watched()
    sizes = []
    for number in range(3 * 5_001):
        name = str(number)
        watched.observation.put_function(function(name=name, uid=f"f-{number}"))
        for version, owner in enumerate((name, f"other-{number}")):
            watched.observation.put_pod(pod(name, version=version, function=owner))
        watched.observation.remove_pod(name, f"p-{number}")
        watched.observation.remove_function(name, f"f-{number}")
        watched.news()
        if number % 5_001 == 5_000:
            sizes.append(held(watched.observation))
    assert sizes == [sizes[0]] * 3


def test_since_when_a_pod_is_known_and_in_trouble() -> None:
    watched = Watched()
    watched.now = 10.0
    watched.observation.put_pod(pod(version=1))
    watched.now = 20.0
    pulling = Trouble("ImagePullFailed", "ErrImagePull")
    watched.observation.put_pod(pod(version=2, trouble=pulling))
    watched.now = 30.0  # the kubelet says the same in other words
    watched.observation.put_pod(pod(version=3, trouble=replace(pulling, message="Back-off")))
    assert (watched.observation.seen_since("a"), watched.observation.trouble_since("a")) == (10.0, 20.0)
    watched.observation.put_pod(pod(version=4))
    assert watched.observation.trouble_since("a") == 30.0
    watched.now = 40.0
    watched.observation.put_pod(pod(version=5, uid="another"))
    assert (watched.observation.seen_since("a"), watched.observation.trouble_since("a")) == (40.0, 40.0)


def test_which_runtime_pool_it_is() -> None:
    watched = Watched()
    own = replace(POOL, namespace="default", uid="rp-2")
    first = replace(POOL, name="a-python", uid="rp-3")
    for pool in (POOL, first):
        assert watched.observation.put_runtime_pool(pool)
    assert watched.observation.runtime_pool_for("python3.11", "default") == first
    assert watched.observation.runtime_pool_named("python3.11", "default") == POOL
    assert watched.observation.put_runtime_pool(own)
    assert watched.observation.runtime_pool_for("python3.11", "default") == own
    assert watched.observation.runtime_pool_named("python3.11", "default") == own
    assert watched.observation.runtime_pool_for("nodejs22.x", "default") is None
    assert watched.observation.runtimes() == ("python3.11",)


def test_only_another_spec_of_a_runtime_pool_is_news_for_functions() -> None:
    watched = Watched()
    assert watched.observation.put_runtime_pool(POOL)
    assert not watched.observation.put_runtime_pool(replace(POOL, version=8, ready=1))
    assert watched.observation.put_runtime_pool(replace(POOL, version=9, generation=2))
    assert watched.observation.put_runtime_pool(replace(POOL, version=10, generation=2, uid="rp-2"))
    assert watched.news() == {Key("runtime_pool", "python3.11", "lambent-system")}


def test_what_a_whole_list_lacks_is_absent_unless_it_is_younger() -> None:
    watched = Watched()
    for name, version in (("a", 10), ("b", 11), ("c", 99)):
        watched.observation.put_pod(pod(name, version=version))
    there = {"a": "p-a", "b": "another"}
    assert watched.observation.pods.absent(there, 50) == [("b", pod("b", version=11))]
    assert [name for name, _ in watched.observation.pods.absent(there, 11)] == ["b"]
    assert watched.observation.pods.absent(there, 10) == []


def test_a_function_wakes_its_pods() -> None:
    """One that is adopted by a function that wasn't known yet."""
    watched = Watched()
    watched.observation.put_pod(pod(function="hello"))
    watched.news()
    watched.observation.put_function(function())
    assert watched.news() == {AGENT, HELLO}


def test_a_function_that_went_is_told_and_its_namesake_is_left_alone() -> None:
    watched = Watched()
    watched.observation.put_function(function())
    watched.news()
    assert not watched.observation.remove_function("hello", "f-0")
    assert watched.news() == set()
    assert watched.observation.remove_function("hello", "f-1")
    assert watched.news() == {HELLO}


def test_a_function_is_another_with_another_spec_alone() -> None:
    watched = Watched()
    assert watched.observation.put_function(function(version=20, generation=3))
    assert not watched.observation.put_function(function(version=21, generation=3, state="Failed"))
    assert not watched.observation.put_function(function(version=19, generation=2))
    assert watched.observation.put_function(function(version=22, generation=4))
    assert watched.observation.put_function(function(version=23, generation=4, uid="f-2"))


def test_a_pod_that_went_leaves_nothing_to_one_of_its_name() -> None:
    watched = Watched()
    watched.observation.put_pod(pod(function="hello"))
    watched.now = 10.0
    watched.observation.remove_pod("a", "p-a")
    watched.observation.put_pod(pod(uid="another", version=11))
    assert watched.observation.seen_since("a") == 10.0
    assert watched.observation.pods_of("hello") == []


def test_a_runtime_pool_that_went_is_news_once() -> None:
    watched = Watched()
    watched.observation.put_runtime_pool(POOL)
    assert not watched.observation.put_runtime_pool(replace(POOL, generation=0, version=6))
    assert not watched.observation.remove_runtime_pool(POOL.namespace, POOL.name, "rp-0")
    assert watched.observation.remove_runtime_pool(POOL.namespace, POOL.name, "rp-1")
    assert not watched.observation.remove_runtime_pool(POOL.namespace, POOL.name, "rp-1")
    assert watched.observation.runtime_pool_for("python3.11", "default") is None


def test_gateways_are_known_by_their_newest_state() -> None:
    watched = Watched()
    assert watched.observation.gateways.put("gateway-0", GATEWAY)
    assert not watched.observation.gateways.put("gateway-0", replace(GATEWAY, version=4, ready=False))
    assert [*watched.observation.gateways.values()] == [GATEWAY]
