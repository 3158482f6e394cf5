"""
The queue of asynchronous invocations: what it promises, whoever keeps it.

    Q1  an event whose `accept` has returned survives a crash or a power cut at any moment
    Q2  an event is claimed by one owner at a time, until its lease ends or its owner is declared dead by `recover`
    Q3  a settled event is never claimed again
    Q4  no function's events are kept back by those of another: a claim looks at each function's oldest first
    Q5  an event obeys its last lease alone: who ends it by an older one changes nothing
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lambent_core.caller import Caller
from lambent_core.errors import ServiceException
from lambent_core.retry import Tries


@dataclass(frozen=True, slots=True)
class Event:
    """One asynchronous invocation as it was accepted. Times are epoch seconds."""

    request_id: str
    function: str
    payload: bytes
    accepted_at: float
    qualifier: str = ""
    """As the caller gave it; empty where nothing was said."""
    trace_id: str = ""
    caller: Caller = Caller()


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to say how an event ended."""

    id: int
    """The event's, of the queue's own, never used twice."""
    epoch: int
    """How often the event was claimed, this time included."""


@dataclass(frozen=True, slots=True)
class QueuedEvent:
    lease: Lease
    event: Event
    tries: Tries


@dataclass(frozen=True, slots=True)
class Claimed:
    events: tuple[QueuedEvent, ...]
    """Those of the function that has waited longest first; within a function in the order in which they are due."""
    next_due: float | None
    """When the next event that there would be room for is due, or its lease ends."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many events may run at once, and how many of each function already do."""

    total: int
    """Further events wanted."""
    per_function: int
    running: Mapping[str, int]
    """With those that were claimed and wait."""
    reserved: Mapping[str, int] = field(default_factory=dict)
    """Functions that may run fewer than `per_function`."""
    ahead: Mapping[str, int] = field(default_factory=dict)
    """Functions of whose events more may be claimed than may run, and how many more."""

    def of(self, function: str) -> int:
        most = min(self.per_function, self.reserved.get(function, self.per_function))
        return most + self.ahead.get(function, 0) - self.running.get(function, 0)


@dataclass(frozen=True, slots=True)
class Reschedule:
    """Try an event again at `due`, which may be now. Its lease ends with that."""

    lease: Lease
    due: float
    tries: Tries


@dataclass(frozen=True, slots=True)
class Backlog:
    depth: int
    """Events accepted and not settled, by whomever."""
    oldest_accepted_at: float | None


class EventStoreUnusable(ServiceException):
    """The store can't be opened; the message says what to do."""


class EventQueue(Protocol):
    """
    Whatever can't be written now raises `ServiceUnavailable`, and has then not happened. Where a connection broke before
    the answer came, it may have happened all the same.
    """

    shared: bool
    """Whether other processes accept and claim too, unseen by this one."""

    async def accept(self, event: Event) -> None:
        """Returns when the event is on disk. It is due at once."""

    async def claim(self, now: float, room: Room, *, lease_seconds: float, owner: str) -> Claimed:
        """Leases due events to `owner`. An event whose lease has ended is due again."""

    async def settle(self, leases: Sequence[Lease]) -> int:
        """The events are over and forgotten. Returns how many of them there still were."""

    async def reschedule(self, changes: Sequence[Reschedule]) -> None: ...

    async def recover(self, owner: str, now: float, held: Collection[int] = ()) -> int:
        """
        What is leased to `owner`, but for the ids `held`, is due now. Returns how many.

        For when `owner` is dead, or does not know what it claimed because the answer was lost.
        """

    async def hasten(self, now: float, latest: float) -> int:
        """
        For when the clock was set back: what waits for a time after `latest` is due now. Returns how many.

        Leases stay as they are.
        """

    async def backlog(self) -> Backlog: ...

    async def close(self) -> None:
        """Finishes what was asked for. Nothing may be asked for any more."""
