"""Which pod gets a further environment, and what becomes of those that don't come."""

from lambent_core.limits import ENVIRONMENTS_PER_POD_MAX
from lambent_core.pod_sharing import Opened, PodSharing, is_further, pod_of
from lambent_core.runtime_pool import AgentId

A, B = AgentId("a"), AgentId("b")


def further(pod: AgentId, number: int) -> AgentId:
    return AgentId(f"{pod}/{number}")


def sharing(*pods: AgentId, revision: str = "u/1", has_code: bool = True) -> PodSharing:
    made = PodSharing()
    for pod in pods:
        made.joined(pod, revision, None, has_code=has_code)
    return made


def test_an_agents_id_says_which_pod_it_is_in() -> None:
    assert (pod_of("a"), pod_of("a/2")) == (A, A)
    assert (is_further("a"), is_further("a/2")) == (False, True)


def test_the_pod_with_the_fewest_is_taken_until_all_are_full() -> None:
    pods = sharing(A, B)
    opened = [pods.open("u/1", 3, now=0) for _ in range(5)]
    assert opened == [further(A, 1), further(B, 1), further(A, 2), further(B, 2), None]


def test_another_revision_gets_none_of_it() -> None:
    pods = sharing(A)
    assert pods.open("u/2", 3, now=0) is None
    pods.joined(B, "u/2", None, has_code=True)
    assert pods.open("u/2", 3, now=0) == further(B, 1)


def test_a_place_that_is_left_is_taken_by_another_number() -> None:
    pods = sharing(A)
    assert pods.open("u/1", 2, now=0) == further(A, 1)
    pods.connected(further(A, 1))
    assert pods.open("u/1", 2, now=0) is None
    assert pods.gone(further(A, 1)) == []
    assert pods.open("u/1", 2, now=0) == further(A, 2)
    assert pods.gone(further(A, 2)) == [], "it could not be opened"
    assert pods.open("u/1", 2, now=0) == further(A, 3)


def test_a_pod_that_says_it_cannot_is_not_asked() -> None:
    pods = PodSharing()
    pods.joined(A, None, None, has_code=True)
    assert pods.open("u/1", 3, now=0) is None
    assert pods.most(A) == 1


def test_nothing_is_opened_beside_a_first_environment_that_is_to_end() -> None:
    pods = sharing(A)
    opened = pods.open("u/1", 3, now=0)
    assert opened == further(A, 1)
    pods.ending(A)
    pods.ending(B)
    assert pods.open("u/1", 3, now=0) is None
    pods.connected(opened)
    assert pods.in_pod(A) == [A, opened]


def test_what_was_being_opened_is_lost_with_the_first_of_its_pod() -> None:
    pods = sharing(A)
    for _ in range(3):
        pods.open("u/1", 4, now=0)
    pods.connected(further(A, 2))
    assert pods.gone(A) == [further(A, 1), further(A, 3)]
    assert pods.open("u/1", 4, now=0) is None
    assert (pods.in_pod(A), pods.most(A)) == ([A, further(A, 2)], 4)
    assert pods.gone(further(A, 2)) == []
    assert pods.pods == {}


def test_one_that_nobody_knows_is_gone_without_a_word() -> None:
    pods = sharing(A)
    assert pods.gone(B) == pods.gone(further(B, 1)) == []
    assert (pods.in_pod(B), pods.most(B)) == ([B], None)


def test_what_does_not_come_is_overdue() -> None:
    pods = sharing(A)
    assert pods.next_look() is None
    pods.open("u/1", 4, now=1)
    pods.open("u/1", 4, now=2)
    assert (pods.next_look(), pods.overdue(now=10.9)) == (11, [])
    assert pods.overdue(now=11) == [further(A, 1)]
    pods.connected(further(A, 1))
    assert (pods.next_look(), pods.overdue(now=99)) == (12, [further(A, 2)])


def test_its_time_counts_once_the_code_is_there() -> None:
    """A large package may take longer."""
    pods = sharing(A, has_code=False)
    pods.open("u/1", 3, now=0)
    assert (pods.next_look(), pods.overdue(now=1000)) == (None, [])
    pods.code_is_there(A, now=20)
    assert pods.next_look() == 30
    pods.open("u/1", 3, now=21)
    assert (pods.overdue(now=30), pods.overdue(now=31)) == ([further(A, 1)], [further(A, 1), further(A, 2)])
    pods.code_is_there(A, now=25)
    assert pods.overdue(now=31) == [further(A, 1), further(A, 2)], "telling it twice gives no more time"


def test_the_most_that_were_open_at_once_is_kept() -> None:
    pods = sharing(A)
    assert pods.most(A) == 1
    opened = [pods.open("u/1", 3, now=0) for _ in range(2)]
    assert pods.most(A) == 3
    for agent in opened:
        assert agent is not None
        pods.gone(agent)
    assert pods.most(A) == 3
    pods.open("u/1", 3, now=0)
    assert pods.most(A) == 3


def test_the_next_gateway_goes_on_where_the_last_one_stopped() -> None:
    pods = PodSharing()
    pods.joined(A, "u/1", Opened(last=5, most=4, alive=["a/3", "a/5", "b/1"]), has_code=True)
    assert pods.most(A) == 4
    assert pods.open("u/1", 3, now=0) is None, "two are on their way"
    pods.connected(further(A, 3))
    assert pods.open("u/1", 3, now=0) is None
    assert pods.open("u/1", 4, now=0) == further(A, 6)
    assert pods.in_pod(A) == [A, further(A, 3)]
    pods.gone(further(A, 5))
    assert pods.open("u/1", 4, now=0) == further(A, 7), "its first agent has told that it won't come"


def test_a_first_agent_that_comes_later_than_the_others_counts_them_once() -> None:
    pods = PodSharing()
    pods.connected(further(A, 3))
    assert (pods.most(A), pods.open("u/1", 9, now=0)) == (None, None)
    pods.joined(A, "u/1", Opened(last=4, most=2, alive=["a/3", "a/4"]), has_code=True)
    assert pods.most(A) == 3
    assert pods.open("u/1", 3, now=0) is None
    assert pods.open("u/1", 4, now=0) == further(A, 5)


def test_what_is_known_of_a_pod_is_forgotten_with_its_last_agent_here() -> None:
    pods = PodSharing()
    pods.connected(further(A, 3))
    pods.joined(B, "u/1", Opened(last=1, most=2, alive=["b/1"]), has_code=True)
    pods.gone(further(A, 3))
    pods.gone(B)
    assert pods.pods == {}


def test_a_first_agent_that_comes_back_is_believed_anew() -> None:
    pods = PodSharing()
    pods.joined(A, "u/1", Opened(last=2, most=3, alive=["a/1", "a/2"]), has_code=True)
    pods.connected(further(A, 1))
    pods.gone(A)
    pods.joined(A, "u/1", Opened(last=2, most=3, alive=["a/1"]), has_code=True)
    assert pods.open("u/1", 3, now=0) == further(A, 3)


def test_an_agent_does_not_make_its_pod_as_large_as_it_likes() -> None:
    pods = PodSharing()
    pods.joined(A, "u/1", Opened(last=1, most=10**9, alive=[]), has_code=True)
    assert pods.most(A) == ENVIRONMENTS_PER_POD_MAX
