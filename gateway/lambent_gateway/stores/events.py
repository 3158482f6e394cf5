"""
The queue of asynchronous invocations in a database. It keeps Q1 to Q4 of `events_base`; the tables and what differs
between databases are in `events_tables`, the thread that writes in `events_writer`.

A lease is the row's own `due` moved to the lease's end, with `owner` set: so one index finds new, retried and
abandoned events alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, Engine, Row, Select, bindparam, delete, func, insert, select, update

from lambent_core.caller import Caller
from lambent_core.retry import Tries
from lambent_gateway.stores.events_base import Claimed, Event, QueuedEvent, Reschedule, Room
from lambent_gateway.stores.events_tables import events, open_sqlite, payloads, reading, take_ids, translated
from lambent_gateway.stores.events_writer import GroupCommit

IDS_PER_STATEMENT = 500
"""SQLite takes at most 32,766 parameters a statement, PostgreSQL's protocol 65,535."""


class SqlEventQueue:
    """Made by `open`. One process writes a SQLite store; leases and `SKIP LOCKED` are for databases that several share."""

    def __init__(self, engine: Engine, path: Path, depth: int) -> None:
        self._engine = engine
        self._writer = GroupCommit(engine, _insert, inserted=self._count, translate=partial(translated, path=path))
        self._depth = depth

    @classmethod
    async def open(cls, path: Path) -> SqlEventQueue:
        """Raises `EventStoreUnusable`."""
        engine = open_sqlite(path)
        with reading(engine) as connection:
            depth = connection.scalar(select(func.count()).select_from(events)) or 0
        return cls(engine, path, depth)

    async def accept(self, event: Event) -> None:
        await self._writer.insert(event)

    async def claim(self, now: float, room: Room, *, lease_seconds: float, owner: str) -> Claimed:
        return await self._writer.do(partial(_claim, now=now, room=room, until=now + lease_seconds, owner=owner))

    async def settle(self, ids: Sequence[int]) -> int:
        settling = self._writer.do(partial(_settle, ids=ids))
        settling.add_done_callback(self._count_settled)
        return await asyncio.shield(settling)  # what is settled is counted, whether or not somebody waits for it

    async def reschedule(self, changes: Sequence[Reschedule]) -> None:
        if changes:
            await self._writer.do(partial(_reschedule, changes=changes))

    async def recover(self, owner: str, now: float) -> int:
        statement = update(events).where(events.c.owner == owner).values(owner=None, due=now)
        return await self._writer.do(lambda connection: connection.execute(statement).rowcount)

    async def hasten(self, now: float, latest: float) -> int:
        statement = update(events).where(events.c.owner.is_(None), events.c.due > latest).values(due=now)
        return await self._writer.do(lambda connection: connection.execute(statement).rowcount)

    def depth(self) -> int:
        return self._depth

    def oldest_accepted_at(self) -> float | None:
        with reading(self._engine) as connection:
            return connection.scalar(_OLDEST)

    async def close(self) -> None:
        await self._writer.close()
        self._engine.dispose()

    def _count(self, more: int) -> None:
        self._depth += more

    def _count_settled(self, settling: asyncio.Future[int]) -> None:
        if settling.exception() is None:
            self._count(-settling.result())


def _insert(connection: Connection, accepted: Sequence[Event]) -> None:
    ids = take_ids(connection, len(accepted))
    connection.execute(
        _INSERT,
        [
            {
                "id": id,
                "function": event.function,
                "due": event.accepted_at,
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
    connection.execute(_INSERT_PAYLOAD, rows)


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


_INSERT, _INSERT_PAYLOAD = insert(events), insert(payloads)
_HEADS = _heads()
_OLDEST = select(events.c.accepted_at).order_by(events.c.id).limit(1)
_DUE = (
    select(events, payloads.c.payload)
    .join_from(events, payloads, events.c.id == payloads.c.id)
    .where(events.c.function == bindparam("function"), events.c.due <= bindparam("now"))
    .order_by(events.c.due, events.c.id)
    .limit(bindparam("wanted"))
    .with_for_update(skip_locked=True, of=events)
)
_FIRST_DUE = select(func.min(events.c.due)).where(events.c.function == bindparam("function"))
_RESCHEDULE = (
    update(events)
    .where(events.c.id == bindparam("event"))
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
            if first_due is not None:
                dues.append(first_due)
    return Claimed(tuple(map(_queued, taken)), min(dues, default=None))


def _lease(connection: Connection, rows: Sequence[Row[tuple[object, ...]]], until: float, owner: str) -> None:
    ids = [row.id for row in rows]
    for start in range(0, len(ids), IDS_PER_STATEMENT):
        some = ids[start : start + IDS_PER_STATEMENT]
        connection.execute(update(events).where(events.c.id.in_(some)).values(owner=owner, due=until))


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
    return QueuedEvent(row.id, event, Tries(row.attempts, row.setbacks))


def _settle(connection: Connection, ids: Sequence[int]) -> int:
    settled = 0
    for start in range(0, len(ids), IDS_PER_STATEMENT):
        some = ids[start : start + IDS_PER_STATEMENT]
        settled += connection.execute(delete(events).where(events.c.id.in_(some))).rowcount
        connection.execute(delete(payloads).where(payloads.c.id.in_(some)))
    return settled


def _reschedule(connection: Connection, changes: Sequence[Reschedule]) -> None:
    connection.execute(
        _RESCHEDULE,
        [
            {"event": change.id, "at": change.due, "ran": change.tries.attempts, "set_back": change.tries.setbacks}
            for change in changes
        ],
    )
