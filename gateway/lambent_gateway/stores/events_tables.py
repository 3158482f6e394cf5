"""
The tables of the event queue, and all that differs between databases.

One narrow index finds each function's next due event. The payload stands in the row itself: a table of its own was
measured at three quarters of the accept rate for 1 KB payloads, two inserts and two deletes for each event.

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
    create_engine,
    event,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from lambent_core.errors import LambdaError, ServiceException, ServiceUnavailable
from lambent_gateway.stores.events_base import EventStoreUnusable

SCHEMA_VERSION = 1
_MIGRATIONS: Mapping[int, Sequence[str]] = {}
"""Statements by the version they lead to."""

metadata = MetaData()

schema_version = Table("event_schema_version", metadata, Column("version", Integer, nullable=False))

events = Table(
    "events",
    metadata,
    # SQLite numbers by itself only what it calls INTEGER; AUTOINCREMENT, so that no id is used twice.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("function", Text, nullable=False),
    Column("due", Double, nullable=False),
    Column("owner", Text),
    Column("attempts", Integer, nullable=False),
    Column("setbacks", Integer, nullable=False),
    Column("accepted_at", Double, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("qualifier", Text, nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
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


def _begin_at_once(connection: Connection) -> None:
    # SQLite's default is to ask for the write lock at the first write, which fails at once if another has it.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _bring_up(connection: Connection, path: Path) -> None:
    metadata.create_all(connection)
    version = connection.scalar(select(schema_version.c.version))
    if version is None:
        connection.execute(schema_version.insert().values(version=SCHEMA_VERSION))
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


def translated(error: Exception, path: Path) -> LambdaError:
    """What a caller is told when the database refuses. A full or failing disk passes; anything else is our mistake."""
    if isinstance(error, DBAPIError) and isinstance(error.orig, sqlite3.OperationalError):
        return ServiceUnavailable(
            f"The event store {path} can't be written: {error.orig}. Nothing was accepted. "
            "Free some space on its disk; events are taken again as soon as there is room."
        )
    return ServiceException(f"The event store {path} failed: {error}")
