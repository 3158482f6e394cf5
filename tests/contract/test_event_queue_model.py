"""The queue in a database against the one in memory, step by step: equal answers to anything asked in any order."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lambent_core.retry import Tries
from lambent_gateway.stores.events import SqlEventQueue
from lambent_gateway.stores.events_base import Event, EventQueue, Reschedule, Room
from lambent_gateway.stores.events_memory import MemoryEventQueue

functions = st.sampled_from(["a", "b", "c"])
owners = st.sampled_from(["x", "y"])


class Queues(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)
        self.folder = Path(tempfile.mkdtemp())
        self.model = MemoryEventQueue()
        self.tested: EventQueue = self.runner.run(self.open())
        self.now = 1_000.0
        self.accepted: set[str] = set()
        self.settled: set[str] = set()
        self.claimed: dict[int, str] = {}

    async def open(self) -> EventQueue:
        return await SqlEventQueue.open(self.folder / "events.db")

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
            self.claimed[queued.id] = queued.event.request_id

    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        ids = data.draw(st.lists(st.sampled_from(sorted(self.claimed) or [0]), unique=True))
        expected = self.runner.run(self.model.settle(ids))
        assert self.runner.run(self.tested.settle(ids)) == expected
        self.settled |= {self.claimed.pop(id) for id in ids if id in self.claimed}

    @rule(data=st.data(), seconds=st.integers(0, 100), attempts=st.integers(0, 3))
    def reschedule(self, data: st.DataObject, seconds: int, attempts: int) -> None:
        ids = data.draw(st.lists(st.sampled_from(sorted(self.claimed) or [0]), unique=True))
        changes = [Reschedule(id, self.now + seconds, Tries(attempts, seconds)) for id in ids]
        self.runner.run(self.model.reschedule(changes))
        self.runner.run(self.tested.reschedule(changes))

    @rule(owner=owners)
    def recover(self, owner: str) -> None:
        expected = self.runner.run(self.model.recover(owner, self.now))
        assert self.runner.run(self.tested.recover(owner, self.now)) == expected

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
        assert self.tested.depth() == self.model.depth() == len(self.accepted) - len(self.settled)
        assert self.tested.oldest_accepted_at() == self.model.oldest_accepted_at()

    def teardown(self) -> None:
        self.runner.run(self.tested.close())
        self.runner.close()
        shutil.rmtree(self.folder)


Queues.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestQueues = Queues.TestCase
