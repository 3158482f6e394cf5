"""Q1 to Q5 of the work queue, whatever is added, done and failed in whatever order."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lambent_operator.work_queue import BACK_OFF_SECONDS_MAX, WorkQueue

KEYS = st.sampled_from("abcd")


class Queue(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.queue: WorkQueue[str] = WorkQueue()
        self.now = 0.0
        self.owed: dict[str, float] = {}
        """Keys that must have a turn, and the latest time of it."""
        self.failing: dict[str, float] = {}
        """Keys that must not have a turn before that time."""

    @rule(key=KEYS)
    def add(self, key: str) -> None:
        self.queue.add(key)
        self.owed[key] = min(self.owed.get(key, float("inf")), self.failing.get(key, self.now))

    @rule(key=KEYS, seconds=st.floats(0.01, 20))
    def add_later(self, key: str, seconds: float) -> None:
        self.queue.add_later(key, at=self.now + seconds)
        self.owed[key] = min(self.owed.get(key, float("inf")), max(self.now + seconds, self.failing.get(key, 0.0)))

    @rule()
    def take(self) -> None:
        working = set(self.queue.working)
        key = self.queue.take(now=self.now)
        if key is None:
            ripe = {key for key, at in self.owed.items() if at <= self.now and key not in working}
            assert not ripe, "Q3: somebody's turn was lost"
            return
        assert key not in working, "Q1"
        assert key in self.owed, "nobody asked"
        assert self.now >= self.failing.get(key, 0.0), "Q4"
        del self.owed[key]
        self.failing.pop(key, None)

    @rule(data=st.data(), fails=st.booleans())
    def end(self, data: st.DataObject, fails: bool) -> None:
        if not self.queue.working:
            return
        key = data.draw(st.sampled_from(sorted(self.queue.working)))
        if fails:
            pause = self.queue.failed(key, now=self.now, chance=data.draw(st.floats(0, 1)))
            assert 0 < pause <= BACK_OFF_SECONDS_MAX
            self.failing[key] = self.owed[key] = self.now + pause
        else:
            self.queue.done(key)

    @rule(seconds=st.floats(0, 30))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def somebody_wakes_up(self) -> None:
        idle = {key for key in self.owed if key not in self.queue.working}
        if idle and not self.queue.ready:
            wakeup = self.queue.next_wakeup()
            assert wakeup is not None and wakeup <= min(self.owed[key] for key in idle)


TestQueue = Queue.TestCase
