"""The queue in a database against the one in memory, step by step: equal answers to anything asked in any order."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from lambent_core.retry import Tries
from lambent_gateway.stores.events import SqlEventQueue
from lambent_gateway.stores.events_base import Event, EventQueue, Lease, Reschedule, Room
from lambent_gateway.stores.events_memory import MemoryEventQueue
from tests.postgres_server import PostgresServer

functions = st.sampled_from(["a", "b", "c"])
owners = st.sampled_from(["x", "y"])


class Queues(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)
        self.where = self.empty_place()
        self.model = MemoryEventQueue()
        self.tested: EventQueue = self.runner.run(self.open())
        self.now = 1_000.0
        self.accepted: set[str] = set()
        self.settled: set[str] = set()
        self.claimed: dict[Lease, str] = {}
        """All leases there ever were of what is not settled; most of them are no longer the last."""

    @abstractmethod
    def empty_place(self) -> Path | str:
        """Where no queue is yet."""

    async def open(self) -> EventQueue:
        return await SqlEventQueue.open(self.where)

    @rule(function=functions, count=st.integers(1, 3))
    def accept(self, function: str, count: int) -> None:
        async def accept() -> None:
            for number in range(count):
                event = Event(f"{len(self.accepted)}.{number}", function, b"{}", self.now)
                await self.model.accept(event)
                await self.tested.accept(event)
                self.accepted.add(event.request_id)

        self.runner.run(accept())

    @rule(
        total=st.integers(0, 4),
        each=st.integers(0, 3),
        running=st.dictionaries(functions, st.integers(0, 2)),
        owner=owners,
    )
    def claim(self, total: int, each: int, running: dict[str, int], owner: str) -> None:
        room = Room(total, each, running)
        expected = self.runner.run(self.model.claim(self.now, room, lease_seconds=50, owner=owner))
        claimed = self.runner.run(self.tested.claim(self.now, room, lease_seconds=50, owner=owner))
        assert claimed == expected
        assert len(claimed.events) <= total
        for queued in claimed.events:
            assert queued.event.request_id not in self.settled, "Q3"
            self.claimed[queued.lease] = queued.event.request_id

    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        leases = self.drawn(data)
        expected = self.runner.run(self.model.settle(leases))
        assert self.runner.run(self.tested.settle(leases)) == expected
        last = {lease.id: max(each.epoch for each in self.claimed if each.id == lease.id) for lease in self.claimed}
        gone = {lease.id for lease in leases if last.get(lease.id) == lease.epoch}
        self.settled |= {name for lease, name in self.claimed.items() if lease.id in gone}
        self.claimed = {lease: name for lease, name in self.claimed.items() if lease.id not in gone}

    @rule(data=st.data(), seconds=st.integers(0, 100), attempts=st.integers(0, 3))
    def reschedule(self, data: st.DataObject, seconds: int, attempts: int) -> None:
        changes = [Reschedule(lease, self.now + seconds, Tries(attempts, seconds)) for lease in self.drawn(data)]
        self.runner.run(self.model.reschedule(changes))
        self.runner.run(self.tested.reschedule(changes))

    def drawn(self, data: st.DataObject) -> list[Lease]:
        leases = sorted(self.claimed, key=lambda lease: (lease.id, lease.epoch)) or [Lease(0, 1)]
        return data.draw(st.lists(st.sampled_from(leases), unique_by=lambda lease: lease.id))

    @rule(owner=owners, data=st.data())
    def recover(self, owner: str, data: st.DataObject) -> None:
        held = [lease.id for lease in self.drawn(data)]
        expected = self.runner.run(self.model.recover(owner, self.now, held))
        assert self.runner.run(self.tested.recover(owner, self.now, held)) == expected

    @rule(seconds=st.integers(-60, 120))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(ahead=st.integers(0, 60))
    def hasten(self, ahead: int) -> None:
        expected = self.runner.run(self.model.hasten(self.now, self.now + ahead))
        assert self.runner.run(self.tested.hasten(self.now, self.now + ahead)) == expected

    @rule()
    def reopen(self) -> None:
        self.runner.run(self.tested.close())
        self.tested = self.runner.run(self.open())

    @invariant()
    def nothing_is_lost(self) -> None:
        expected = self.runner.run(self.model.backlog())
        assert self.runner.run(self.tested.backlog()) == expected
        assert expected.depth == len(self.accepted) - len(self.settled)

    def teardown(self) -> None:
        self.runner.run(self.tested.close())
        self.runner.close()


EXAMPLES = {"sqlite": 40, "postgres": 15}
"""A database of many processes takes longer to open."""


@pytest.mark.parametrize("kind", EXAMPLES)
def test_equal_answers(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    numbers = count()

    class TestedQueues(Queues):
        def empty_place(self) -> Path | str:
            if kind == "sqlite":
                return tmp_path / f"{next(numbers)}.db"
            server: PostgresServer = request.getfixturevalue("postgres")
            return server.new_schema()

    run_state_machine_as_test(
        TestedQueues, settings=settings(max_examples=EXAMPLES[kind], stateful_step_count=30, deadline=None)
    )
