"""The work queue's workers, in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter

from lambent_operator.work_queue import Workers
from tests.simulation import virtual_time


def test_so_many_at_once_and_each_key_alone() -> None:
    virtual_time.run(_many())


async def _many() -> None:
    running: Counter[str] = Counter()
    most, turns = 0, Counter[str]()

    async def work(key: str) -> float | None:
        nonlocal most
        running[key] += 1
        assert running[key] == 1, "Q1"
        most = max(most, running.total())
        turns[key] += 1
        await asyncio.sleep(1.0)
        running[key] -= 1
        return None

    loop = asyncio.get_running_loop()
    workers = Workers(work, failed=_never, clock=loop.time, chance=lambda: 0.0, parallel_max=3)
    task = asyncio.create_task(workers.run())
    for number in range(10):
        workers.add(f"key-{number}")
    await asyncio.sleep(0.5)
    workers.add("key-0")  # is being worked on: once more (Q2)
    workers.add("key-9")  # has its turn before it: no more than that (Q3)
    assert workers.queue.depth == 11
    await asyncio.sleep(10.0)
    assert most == 3
    assert turns == Counter({f"key-{number}": 1 for number in range(1, 10)} | {"key-0": 2})
    task.cancel()


def test_failures_wait_longer_and_longer_and_work_may_ask_for_another_turn() -> None:
    virtual_time.run(_failures())


async def _failures() -> None:
    loop = asyncio.get_running_loop()
    times: list[float] = []
    told: list[tuple[str, str, float]] = []

    async def work(key: str) -> float | None:
        times.append(round(loop.time(), 2))
        if len(times) <= 9:
            raise ValueError("no")
        return 7.0 if len(times) == 10 else 0.0 if len(times) == 11 else None

    def failed(key: str, error: Exception, pause: float) -> None:
        told.append((key, str(error), pause))
        workers.add(key)  # news of it: it waits all the same (Q4)

    workers = Workers(work, failed=failed, clock=loop.time, chance=lambda: 0.0, parallel_max=1)
    task = asyncio.create_task(workers.run())
    workers.add("key")
    await asyncio.sleep(200.0)
    assert times == [0.0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 12.7, 22.7, 32.7, 39.7, 39.71]
    assert told[0] == ("key", "no", 0.1)
    assert len(told) == 9
    task.cancel()


def test_what_is_added_while_nobody_works_is_worked_on_at_once_or_at_its_time() -> None:
    virtual_time.run(_added())


async def _added() -> None:
    loop = asyncio.get_running_loop()
    times: dict[str, float] = {}

    async def work(key: str) -> float | None:
        times[key] = round(loop.time(), 2)
        return None

    workers = Workers(work, failed=_never, clock=loop.time, chance=lambda: 0.0, parallel_max=3)
    task = asyncio.create_task(workers.run())
    await asyncio.sleep(5.0)
    workers.add("now")
    workers.add("soon", after_seconds=0.5)
    workers.add("later", after_seconds=7.0)
    await asyncio.sleep(100.0)
    assert times == {"now": 5.0, "soon": 5.5, "later": 12.0}
    task.cancel()


def test_what_is_due_while_all_work_waits_for_one_that_is_done() -> None:
    virtual_time.run(_full())


async def _full() -> None:
    loop = asyncio.get_running_loop()
    times: dict[str, float] = {}

    async def work(key: str) -> float | None:
        times[key] = round(loop.time(), 2)
        await asyncio.sleep(10.0)
        return None

    workers = Workers(work, failed=_never, clock=loop.time, chance=lambda: 0.0, parallel_max=1)
    task = asyncio.create_task(workers.run())
    workers.add("first")
    workers.add("second", after_seconds=1.0)
    await asyncio.sleep(30.0)
    assert times == {"first": 0.0, "second": 10.0}
    task.cancel()


def test_who_stops_the_workers_stops_their_work() -> None:
    virtual_time.run(_stopped())


async def _stopped() -> None:
    stopped: list[str] = []

    async def work(key: str) -> float | None:
        try:
            await asyncio.sleep(1_000.0)
        finally:
            stopped.append(key)
        return None

    loop = asyncio.get_running_loop()
    workers = Workers(work, failed=_never, clock=loop.time, chance=lambda: 0.0, parallel_max=3)
    task = asyncio.create_task(workers.run())
    workers.add("a")
    workers.add("b")
    await asyncio.sleep(1.0)
    task.cancel()
    await asyncio.sleep(1.0)
    assert sorted(stopped) == ["a", "b"]


def _never(key: str, error: Exception, pause: float) -> None:
    raise AssertionError from error
