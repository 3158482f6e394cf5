from hypothesis import given
from hypothesis import strategies as st

from lambent_core.admission import Admission, ThrottleReason


def test_a_reservation_caps_its_function_and_is_kept_from_the_others() -> None:
    admission = Admission(account_concurrency=3, reserved={"gold": 1})
    assert admission.admit("gold") is None
    assert admission.admit("gold") is ThrottleReason.RESERVED
    assert [admission.admit("a"), admission.admit("b")] == [None, None]
    assert admission.admit("a") is ThrottleReason.ACCOUNT
    admission.release("b")
    assert admission.admit("a") is None
    assert admission == Admission(3, {"gold": 1}, {"gold": 1, "a": 2}, unreserved_held=2)


def test_reservation_zero_refuses_everything() -> None:
    assert Admission(10, {"off": 0}).admit("off") is ThrottleReason.RESERVED


def test_who_reserves_more_than_there_is_throttles_nobody_else() -> None:
    """A2: the API refuses that, a manifest can say it."""
    admission = Admission(account_concurrency=20)
    admission.reserve("greedy", 5_000)
    assert [admission.admit("other") for _ in range(3)] == [None, None, ThrottleReason.ACCOUNT]
    admission.reserve("greedy", 15)
    assert admission.unreserved_max == 5


def test_what_runs_while_a_reservation_comes_and_goes_is_counted_once() -> None:
    admission = Admission(2)
    admission.admit("f")
    admission.reserve("f", 1)
    assert (admission.unreserved_held, admission.unreserved_max) == (0, 1)
    assert admission.admit("f") is ThrottleReason.RESERVED
    admission.reserve("f", None)
    assert (admission.unreserved_held, admission.unreserved_max) == (1, 2)
    admission.release("f")
    assert admission == Admission(2)


_FUNCTIONS = st.sampled_from("abc")
_MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("admit"), _FUNCTIONS, st.none()),
        st.tuples(st.just("release"), _FUNCTIONS, st.none()),
        st.tuples(st.just("reserve"), _FUNCTIONS, st.none() | st.integers(0, 3)),
    )
)


@given(_MOVES)
def test_limits_hold_whatever_happens(moves: list[tuple[str, str, int | None]]) -> None:
    admission = Admission(4)
    held: dict[str, int] = {}
    for move, function, number in moves:
        if move == "reserve":
            admission.reserve(function, number)
        elif move == "release" and held.get(function):
            admission.release(function)
            held[function] -= 1
        elif move == "admit":
            unreserved = sum(count for name, count in held.items() if name not in admission.reserved)
            limit = admission.reserved.get(function)
            free = 4 - sum(admission.reserved.values()) - unreserved if limit is None else limit - held.get(function, 0)
            reason = ThrottleReason.ACCOUNT if limit is None else ThrottleReason.RESERVED
            assert admission.admit(function) == (None if free > 0 else reason)  # A1, A2
            held[function] = held.get(function, 0) + (free > 0)
        assert admission.held == {name: count for name, count in held.items() if count}  # A3
