"""How many starts at once, on machines that take many and on such that don't."""

from hypothesis import given
from hypothesis import strategies as st

from lambent_core.pace import WINDOW_FIRST, WINDOW_MIN, Pace


def rounds(pace: Pace, count: int, seconds_of: float, cores: float) -> list[int]:
    """Sizes of rounds of starts, each of which takes `seconds_of` a core for itself."""
    sizes, now = [], 0.0
    for _ in range(count):
        size = pace.at_once
        sizes.append(size)
        seconds = seconds_of * max(1.0, size / cores)
        now += seconds
        for _ in range(size):
            pace.started(seconds, under_way=pace.at_once, now=now)
    return sizes


def test_where_starts_do_not_hinder_one_another_each_round_is_twice_as_large() -> None:
    assert rounds(Pace(100), 5, 0.8, cores=1_000) == [4, 8, 16, 32, 64]


def test_on_a_small_machine_starts_take_twice_as_long_as_alone_and_no_longer() -> None:
    pace = Pace(100)
    pace.started(0.6, under_way=4, now=0)
    assert rounds(pace, 20, 0.6, cores=3)[-5:] == [6, 6, 6, 6, 6]


def test_the_quickest_start_counts_for_ten_minutes() -> None:
    pace = Pace(100)
    for seconds, now, window in (
        (1, 100, WINDOW_FIRST + 1),
        (4, 700, WINDOW_FIRST + 0.5),
        (4, 701, WINDOW_FIRST + 1.5),  # it is the quickest now
        (4, 1_000, WINDOW_FIRST + 2.5),
        (8, 1_500, WINDOW_FIRST + 2.5),  # one that was as quick has made it count for longer
    ):
        pace.started(seconds, under_way=100, now=now)
        assert pace.window == window


def test_starts_that_take_no_time_are_the_quickest() -> None:
    pace = Pace(100)
    pace.started(0.0, under_way=4, now=1)
    assert pace.window == WINDOW_FIRST + 1
    pace.started(0.5, under_way=1, now=2)
    assert pace.window == WINDOW_FIRST, "next to nothing, half a second is long"


def test_two_at_once_are_always_tried() -> None:
    pace = Pace(100)
    pace.started(0.1, under_way=1, now=0)
    for now in range(100):
        pace.started(50, under_way=1, now=now)
    assert pace.at_once == 2


def test_starts_one_at_a_time_do_not_say_that_a_machine_takes_many() -> None:
    pace = Pace(100)
    for now in range(100):
        pace.started(0.5, under_way=3, now=now)
    assert pace.window == WINDOW_FIRST, "W2"
    pace.started(0.5, under_way=4, now=100)
    assert pace.window == WINDOW_FIRST + 1
    pace.started(2.0, under_way=1, now=101)
    assert pace.window == WINDOW_FIRST + 0.5, "a slow one counts whatever was beside it"


@given(st.integers(2, 50), st.lists(st.tuples(st.floats(0, 100), st.integers(1, 60)), max_size=200))
def test_the_window_stays_within_its_bounds(most: int, starts: list[tuple[float, int]]) -> None:
    pace = Pace(most)
    for now, (seconds, under_way) in enumerate(starts):
        pace.started(seconds, under_way=under_way, now=now)
        assert WINDOW_MIN <= pace.window <= max(most, WINDOW_FIRST), "W1"
        assert 2 <= pace.at_once <= most
