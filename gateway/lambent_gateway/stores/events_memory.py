"""The queue of asynchronous invocations in memory: what the others are compared with. It keeps Q2 to Q5, not Q1."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import count

from lambent_core.retry import Tries
from lambent_gateway.stores.events_base import Backlog, Claimed, Event, Lease, QueuedEvent, Reschedule, Room


@dataclass(slots=True)
class _Kept:
    id: int
    event: Event
    due: float
    """While leased, the end of the lease."""
    tries: Tries = field(default_factory=Tries)
    owner: str | None = None
    epoch: int = 0

    @property
    def lease(self) -> Lease:
        return Lease(self.id, self.epoch)


class MemoryEventQueue:
    shared = False

    def __init__(self) -> None:
        self._ids = count(1)
        self._kept: dict[int, _Kept] = {}

    async def accept(self, event: Event) -> None:
        id = next(self._ids)
        self._kept[id] = _Kept(id, event, due=event.accepted_at)

    async def claim(self, now: float, room: Room, *, lease_seconds: float, owner: str) -> Claimed:
        taken: list[_Kept] = []
        for function in self._functions_by_due():
            if room.of(function) > 0:
                due = [kept for kept in self._of(function) if kept.due <= now]
                taken += due[: min(room.of(function), room.total - len(taken))]
        for kept in taken:
            kept.owner, kept.due, kept.epoch = owner, now + lease_seconds, kept.epoch + 1
        return Claimed(
            events=tuple(QueuedEvent(kept.lease, kept.event, kept.tries) for kept in taken),
            next_due=self._next_due(now, room, taken),
        )

    async def settle(self, leases: Sequence[Lease]) -> int:
        return sum(self._kept.pop(lease.id, None) is not None for lease in leases if self._is_last(lease))

    async def reschedule(self, changes: Sequence[Reschedule]) -> None:
        for change in changes:
            if self._is_last(change.lease):
                kept = self._kept[change.lease.id]
                kept.due, kept.tries, kept.owner = change.due, change.tries, None

    async def recover(self, owner: str, now: float, held: Collection[int] = ()) -> int:
        leased = [kept for kept in self._kept.values() if kept.owner == owner and kept.id not in held]
        for kept in leased:
            kept.due, kept.owner = now, None
        return len(leased)

    async def hasten(self, now: float, latest: float) -> int:
        late = [kept for kept in self._kept.values() if kept.owner is None and kept.due > latest]
        for kept in late:
            kept.due = now
        return len(late)

    async def backlog(self) -> Backlog:
        oldest = self._kept[min(self._kept)].event.accepted_at if self._kept else None
        return Backlog(len(self._kept), oldest)

    async def close(self) -> None:
        pass

    def _is_last(self, lease: Lease) -> bool:
        return lease.id in self._kept and self._kept[lease.id].lease == lease

    def _of(self, function: str) -> list[_Kept]:
        mine = (kept for kept in self._kept.values() if kept.event.function == function)
        return sorted(mine, key=lambda kept: (kept.due, kept.id))

    def _functions_by_due(self) -> list[str]:
        functions = {kept.event.function for kept in self._kept.values()}
        return sorted(functions, key=lambda function: (self._of(function)[0].due, function))

    def _next_due(self, now: float, room: Room, taken: list[_Kept]) -> float | None:
        """Of functions without room nothing is awaited: their room becomes free by an event's end, not by time."""
        dues = []
        for function in self._functions_by_due():
            if room.of(function) - sum(kept.event.function == function for kept in taken) > 0:
                dues.append(self._of(function)[0].due)
        return min(dues, default=None)
