"""
Events that were claimed ahead of need: leased, and waiting for their function to have room.

A claim takes a commit, and short runs are over before it is on disk. So of a function that ran out of events while a claim was written,
and whose runs are short, the next claim takes twice as many more than can run at once; of one whose runs take longer, none.

    C1  a function's events begin in the order in which they were claimed
    C2  an event whose lease ends too soon for a run is not begun: it is the queue's again
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from lambent_gateway.stores.events_base import QueuedEvent

AHEAD_MAX = 64
"""Of one function. At a commit every few milliseconds enough for ten thousand events a second; of the largest events 64 MB."""

SHORT_RUN_SECONDS_MAX = 1.0
"""Who runs longer doesn't notice how long a claim takes, and others may have room for what would wait behind it."""


@dataclass(frozen=True, slots=True)
class _Leased:
    queued: QueuedEvent
    until: float
    """When it is too late to begin it."""


class ClaimedEvents:
    """The one owner of them."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[_Leased]] = {}
        self._ahead = Counter[str]()
        self._short: set[str] = set()
        """Functions of which a short run ended since the last claim began."""

    def begin_claim(self) -> Counter[str]:
        """How many more than can run to claim now, by function."""
        self._ahead = Counter({name: count for name, count in self._ahead.items() if name in self._short})
        self._short.clear()
        return self._ahead

    def ran_out(self, function: str) -> None:
        """Nothing of it waited when the claim was written, though there was something in the queue."""
        self._ahead[function] = min(2 * self._ahead[function] + 1, AHEAD_MAX)

    def counts(self) -> Counter[str]:
        return Counter({function: len(waiting) for function, waiting in self._waiting.items()})

    def ended(self, function: str, ran_seconds: float) -> None:
        """A run is over."""
        if ran_seconds <= SHORT_RUN_SECONDS_MAX:
            self._short.add(function)

    def add(self, queued: QueuedEvent, until: float) -> None:
        self._waiting.setdefault(queued.event.function, deque()).append(_Leased(queued, until))

    def take(self, now: float, has_room: Callable[[str], bool]) -> tuple[QueuedEvent | None, list[QueuedEvent]]:
        """The next to begin, of the function that has waited longest for its turn, and those that waited too long."""
        late: list[QueuedEvent] = []
        for function in list(self._waiting):
            if not has_room(function):
                continue
            waiting = self._waiting.pop(function)
            found = None
            while waiting and found is None:
                leased = waiting.popleft()
                if leased.until > now:
                    found = leased.queued
                else:
                    late.append(leased.queued)
            if waiting:
                self._waiting[function] = waiting  # behind the others
            if found is not None:
                return found, late
        return None, late

    def waiting(self) -> list[QueuedEvent]:
        """All of them, for whoever gives them back."""
        return [leased.queued for waiting in self._waiting.values() for leased in waiting]
