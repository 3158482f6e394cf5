"""
The tables of the event queue, and all that differs between databases.

The payload has a table of its own, so that claiming and rescheduling write narrow rows only: with the payload in the
row small events are accepted a quarter faster, but claiming writes every payload anew, which halves the pace of large
ones and needs room for all of them, just when a nearly full disk has to be drained.

How the schema changes: `SCHEMA_VERSION` grows by one and `_MIGRATIONS` gets the statements that lead there from the
version before; they run at open, in one transaction. A store with a newer version is refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    Connection,
    Double,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    bindparam,
    create_engine,
    event,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from lambent_core.errors import LambdaError, ServiceException, ServiceUnavailable
from lambent_gateway.stores.events_base import EventStoreUnusable

SCHEMA_VERSION = 1
_MIGRATIONS: Mapping[int, Sequence[str]] = {}
"""Statements by the version they lead to."""

metadata = MetaData()

_ID = BigInteger().with_variant(Integer, "sqlite")
"""SQLite keeps rows in the order of their key if it is called INTEGER."""

schema_version = Table("event_schema_version", metadata, Column("version", Integer, nullable=False))

events = Table(
    "events",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=False),
    Column("function", Text, nullable=False),
    Column("due", Double, nullable=False),
    Column("owner", Text),
    Column("attempts", Integer, nullable=False),
    Column("setbacks", Integer, nullable=False),
    Column("accepted_at", Double, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("qualifier", Text, nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("principal", Text, nullable=False),
)
payloads = Table(
    "event_payloads",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=False),
    Column("payload", LargeBinary, nullable=False),
)
ids = Table("event_ids", metadata, Column("next", BigInteger, nullable=False))
Index("events_by_function_and_due", events.c.function, events.c.due)


def open_sqlite(path: Path) -> Engine:
    """The store at `path`, created or brought to the current schema. Raises `EventStoreUnusable`."""
    engine = create_engine(URL.create("sqlite", database=str(path)))
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_at_once)
    try:
        with engine.begin() as connection:
            _bring_up(connection, path)
    except DBAPIError as error:
        engine.dispose()
        raise EventStoreUnusable(
            f"The event store {path} can't be opened: {error.orig}. "
            "Check that the folder exists and can be written, and that the file is a database of Lambent."
        ) from error
    except EventStoreUnusable:
        engine.dispose()
        raise
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_at_once, not by the driver
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a committed event survives a power cut (Q1)


def reading(engine: Engine) -> Connection:
    """A connection that waits for no writer and keeps none waiting."""
    return engine.connect().execution_options(reading=True)


def _begin_at_once(connection: Connection) -> None:
    # SQLite's default is to ask for the write lock at the first write, which fails at once if another has it.
    only_reads = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if only_reads else "BEGIN IMMEDIATE")


def _bring_up(connection: Connection, path: Path) -> None:
    metadata.create_all(connection)
    version = connection.scalar(select(schema_version.c.version))
    if version is None:
        connection.execute(schema_version.insert().values(version=SCHEMA_VERSION))
        connection.execute(ids.insert().values(next=1))
        return
    if version > SCHEMA_VERSION:
        raise EventStoreUnusable(
            f"The event store {path} has schema version {version}, this Lambent knows {SCHEMA_VERSION}: it was written "
            "by a newer one. Start that version, or move the file away to begin with an empty queue."
        )
    for step in range(version + 1, SCHEMA_VERSION + 1):
        for statement in _MIGRATIONS[step]:
            connection.exec_driver_sql(statement)
    connection.execute(schema_version.update().values(version=SCHEMA_VERSION))


def take_ids(connection: Connection, count: int) -> range:
    """
    Ids that were never used and never will be.

    A counter in a row, because SQLite has no sequences; one writer makes it cheap. Where many write, take a sequence.
    """
    end = connection.execute(_TAKE_IDS, {"count": count}).scalar_one()
    return range(end - count, end)


_TAKE_IDS = update(ids).values(next=ids.c.next + bindparam("count")).returning(ids.c.next)


def translated(error: Exception, path: Path) -> LambdaError:
    """What a caller is told when the database refuses. A full or failing disk passes; anything else is our mistake."""
    if isinstance(error, DBAPIError) and isinstance(error.orig, sqlite3.OperationalError):
        return ServiceUnavailable(
            f"The event store {path} can't be written: {error.orig}. Nothing was accepted. "
            "Free some space on its disk; events are taken again as soon as there is room."
        )
    return ServiceException(f"The event store {path} failed: {error}")
