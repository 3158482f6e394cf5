"""Q1 to Q5 by example; over all orders of events in `tests/property/test_work_queue.py`."""

from __future__ import annotations

import pytest

from lambent_operator.work_queue import WorkQueue


def turns(queue: WorkQueue[str], *, now: float) -> list[str]:
    """Everything that has its turn by then, done at once."""
    taken = []
    while (key := queue.take(now=now)) is not None:
        queue.done(key)
        taken.append(key)
    return taken


def test_a_key_has_its_turn_at_its_time_and_not_before() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_later("a", at=5.0)
    assert queue.next_wakeup() == 5.0
    assert turns(queue, now=4.9) == []
    assert turns(queue, now=5.0) == ["a"]
    assert queue.next_wakeup() is None


def test_a_key_that_is_added_before_its_time_has_one_turn() -> None:
    """Q3."""
    queue: WorkQueue[str] = WorkQueue()
    queue.add_later("a", at=5.0)
    queue.add("a")
    assert turns(queue, now=1.0) == ["a"]
    assert turns(queue, now=9.0) == []


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_of_those_whose_time_is_the_same_the_first_come_is_first(order: str) -> None:
    """Q5."""
    queue: WorkQueue[str] = WorkQueue()
    for key in order:
        queue.add_later(key, at=5.0)
    assert turns(queue, now=5.0) == list(order)


def test_keys_need_no_order_of_their_own() -> None:
    queue: WorkQueue[object] = WorkQueue()
    keys = [object(), object()]
    for key in keys:
        queue.add_later(key, at=5.0)
    assert [queue.take(now=5.0), queue.take(now=5.0)] == keys


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 0.1), (0.5, 0.125), (1.0, 0.15)])
def test_chance_lengthens_a_wait_by_up_to_its_half(chance: float, pause: float) -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.take(now=0.0)
    assert queue.failed("a", now=0.0, chance=chance) == pytest.approx(pause)


def test_success_makes_the_next_failure_the_first() -> None:
    """Q4."""
    queue: WorkQueue[str] = WorkQueue()
    for succeeds in (False, False, True, False):
        queue.add("a")
        queue.take(now=100.0)
        pause = queue.done("a") if succeeds else queue.failed("a", now=0.0, chance=0.0)
    assert pause == 0.1
