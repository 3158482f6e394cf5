"""
The queue of asynchronous invocations in a database. It keeps Q1 to Q5 of `events_base`; the tables are in
`events_tables`, what differs between databases in `events_databases`, the thread that writes in `events_writer`.

A lease is the row's own `due` moved to the lease's end, with `owner` set and `epoch` counted up: so one index finds
new, retried and abandoned events alike. Claims pass over rows that others are at; all else locks rows in the order of
their ids, so that no two wait for each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, delete, func, select, update
from sqlalchemy.exc import DBAPIError

from lambent_core.caller import Caller
from lambent_core.retry import Tries
from lambent_gateway.stores.events_base import Backlog, Claimed, Event, Lease, QueuedEvent, Reschedule, Room
from lambent_gateway.stores.events_databases import Database, open_database, reading
from lambent_gateway.stores.events_tables import events, payloads
from lambent_gateway.stores.events_writer import GroupCommit

IDS_PER_STATEMENT = 500
"""SQLite takes at most 32,766 parameters a statement, PostgreSQL's protocol 65,535."""


class SqlEventQueue:
    """Made by `open`. One process writes a file of SQLite; a database of PostgreSQL may be shared."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writer = GroupCommit(database.engine, partial(_insert, database), translate=database.told)
        self.shared = database.shared

    @classmethod
    async def open(cls, where: Path | str) -> SqlEventQueue:
        """In a file of SQLite, or in PostgreSQL by its connection string. Raises `EventStoreUnusable`."""
        return cls(await asyncio.to_thread(open_database, where))

    async def accept(self, event: Event) -> None:
        await self._writer.insert(event)

    async def claim(self, now: float, room: Room, *, lease_seconds: float, owner: str) -> Claimed:
        return await self._writer.do(partial(_claim, now=now, room=room, until=now + lease_seconds, owner=owner))

    async def settle(self, leases: Sequence[Lease]) -> int:
        return await self._writer.do(partial(_settle, leases=leases))

    async def reschedule(self, changes: Sequence[Reschedule]) -> None:
        if changes:
            await self._writer.do(partial(_reschedule, changes=changes))

    async def recover(self, owner: str, now: float, held: Collection[int] = ()) -> int:
        return await self._writer.do(partial(_make_due, whose=events.c.owner == owner, now=now, but=set(held)))

    async def hasten(self, now: float, latest: float) -> int:
        whose = events.c.owner.is_(None) & (events.c.due > latest)
        return await self._writer.do(partial(_make_due, whose=whose, now=now, but=()))

    async def backlog(self) -> Backlog:
        return await asyncio.to_thread(self._look)

    def _look(self) -> Backlog:
        try:
            with reading(self._database.engine) as connection:
                return Backlog(connection.scalar(_DEPTH) or 0, connection.scalar(_OLDEST))
        except DBAPIError as error:
            raise self._database.told(error) from error.orig

    async def close(self) -> None:
        await self._writer.close()
        self._database.engine.dispose()


def _insert(database: Database, connection: Connection, accepted: Sequence[Event]) -> None:
    ids = database.take_ids(connection, len(accepted))
    database.insert(
        connection,
        events,
        [
            {
                "id": id,
                "function": event.function,
                "due": event.accepted_at,
                "epoch": 0,
                "attempts": 0,
                "setbacks": 0,
                "accepted_at": event.accepted_at,
                "request_id": event.request_id,
                "qualifier": event.qualifier,
                "trace_id": event.trace_id,
                "account": event.caller.account,
                "region": event.caller.region,
                "principal": event.caller.principal,
            }
            for id, event in zip(ids, accepted, strict=True)
        ],
    )
    rows = [{"id": id, "payload": event.payload} for id, event in zip(ids, accepted, strict=True)]
    database.insert(connection, payloads, rows)


def _heads() -> Select[tuple[str, float]]:
    """
    Each function that has events, with the time at which its first is due.

    Jumps through the index from one function to the next, so that a function's backlog costs nothing here.
    """
    functions = select(func.min(events.c.function).label("function")).cte("functions", recursive=True)
    following = select(func.min(events.c.function)).where(events.c.function > functions.c.function)
    functions = functions.union_all(
        select(following.scalar_subquery()).where(functions.c.function.is_not(None)),
    )
    first_due = select(func.min(events.c.due)).where(events.c.function == functions.c.function).scalar_subquery()
    due = first_due.label("due")
    return (
        select(functions.c.function, due).where(functions.c.function.is_not(None)).order_by(due, functions.c.function)
    )


def _due() -> Select[tuple[object, ...]]:
    """A function's first due events. They are chosen before their payloads are looked at."""
    first = (
        select(events)
        .where(events.c.function == bindparam("function"), events.c.due <= bindparam("now"))
        .order_by(events.c.due, events.c.id)
        .limit(bindparam("wanted"))
        .with_for_update(skip_locked=True)
        .subquery("first")
    )
    return (
        select(first, payloads.c.payload)
        .join_from(first, payloads, first.c.id == payloads.c.id)
        .order_by(first.c.due, first.c.id)
    )


_HEADS = _heads()
_DEPTH = select(func.count()).select_from(events)
_OLDEST = select(events.c.accepted_at).order_by(events.c.id).limit(1)
_DUE = _due()
_EPOCHS = select(events.c.id, events.c.epoch).order_by(events.c.id).with_for_update()
_FIRST_DUE = select(func.min(events.c.due)).where(events.c.function == bindparam("function"))
_RESCHEDULE = (
    update(events)
    .where(events.c.id == bindparam("event"), events.c.epoch == bindparam("last"))
    .values(due=bindparam("at"), attempts=bindparam("ran"), setbacks=bindparam("set_back"), owner=None)
)


def _claim(connection: Connection, now: float, room: Room, until: float, owner: str) -> Claimed:
    taken: list[Row[tuple[object, ...]]] = []
    dues: list[float] = []
    for head in connection.execute(_HEADS).all():
        function, due = head.function, head.due
        wanted = min(room.of(function), room.total - len(taken))
        rows: Sequence[Row[tuple[object, ...]]] = ()
        if due <= now and wanted > 0:
            rows = connection.execute(_DUE, {"function": function, "now": now, "wanted": wanted}).all()
            _lease(connection, rows, until, owner)
            taken += rows
        if room.of(function) > len(rows):
            first_due = connection.scalar(_FIRST_DUE, {"function": function}) if rows else due
            # What is due, wanted and yet not had is in the hands of others just now: nothing to wait for.
            if first_due is not None and not (first_due <= now and wanted > len(rows)):
                dues.append(first_due)
    return Claimed(tuple(map(_queued, taken)), min(dues, default=None))


def _lease(connection: Connection, rows: Sequence[Row[tuple[object, ...]]], until: float, owner: str) -> None:
    leased = update(events).values(owner=owner, due=until, epoch=events.c.epoch + 1)
    for some in _portions([row.id for row in rows]):
        connection.execute(leased.where(events.c.id.in_(some)))


def _queued(row: Row[tuple[object, ...]]) -> QueuedEvent:
    event = Event(
        request_id=row.request_id,
        function=row.function,
        payload=row.payload,
        accepted_at=row.accepted_at,
        qualifier=row.qualifier,
        trace_id=row.trace_id,
        caller=Caller(row.account, row.region, row.principal),
    )
    return QueuedEvent(Lease(row.id, row.epoch + 1), event, Tries(row.attempts, row.setbacks))


def _settle(connection: Connection, leases: Sequence[Lease]) -> int:
    epochs = {lease.id: lease.epoch for lease in leases}
    settled = 0
    for asked in _portions(sorted(epochs)):
        found = connection.execute(_EPOCHS.where(events.c.id.in_(asked))).all()
        ids = [row.id for row in found if row.epoch == epochs[row.id]]
        if ids:
            connection.execute(delete(events).where(events.c.id.in_(ids)))
            connection.execute(delete(payloads).where(payloads.c.id.in_(ids)))
            settled += len(ids)
    return settled


def _reschedule(connection: Connection, changes: Sequence[Reschedule]) -> None:
    connection.execute(
        _RESCHEDULE,
        [
            {
                "event": change.lease.id,
                "last": change.lease.epoch,
                "at": change.due,
                "ran": change.tries.attempts,
                "set_back": change.tries.setbacks,
            }
            for change in sorted(changes, key=lambda change: change.lease.id)
        ],
    )


def _make_due(connection: Connection, whose: ColumnElement[bool], now: float, but: Collection[int]) -> int:
    """What `whose` says, but for those ids, is nobody's and due."""
    found = connection.scalars(select(events.c.id).where(whose).order_by(events.c.id).with_for_update())
    ids = [id for id in found if id not in but]
    for some in _portions(ids):
        connection.execute(update(events).where(events.c.id.in_(some)).values(owner=None, due=now))
    return len(ids)


def _portions(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), IDS_PER_STATEMENT):
        yield ids[start : start + IDS_PER_STATEMENT]
