"""
The databases that can keep the event queue: how they are opened, and all in which they differ.

Whichever it is, a committed event survives a power cut (Q1).
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import (
    ARRAY,
    URL,
    BigInteger,
    Connection,
    Engine,
    MetaData,
    Table,
    bindparam,
    create_engine,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, OperationalError

from lambent_core.errors import LambdaError, ServiceException, ServiceUnavailable
from lambent_gateway.stores.events_base import EventStoreUnusable
from lambent_gateway.stores.events_tables import bring_up, id_counter, id_sequence, of_postgres, of_sqlite


class Database(ABC):
    """Made by `open_database`."""

    shared: ClassVar[bool]
    """Whether several processes may write at once."""
    advice: ClassVar[str]
    """What to do where it can't be opened."""
    besides: ClassVar[MetaData]
    """What it has besides the tables that all have."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self.name = name
        """As messages call it."""

    def bring_up(self, connection: Connection) -> None:
        bring_up(connection, self.besides, self.name)

    @abstractmethod
    def take_ids(self, connection: Connection, count: int) -> Sequence[int]:
        """Ids that were never used and never will be, in ascending order."""

    @abstractmethod
    def insert(self, connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
        """Rows that name all the table's columns alike, by the hundred."""

    @abstractmethod
    def _busy(self, error: Exception | None) -> str:
        """What a caller is told while the database can't do it."""

    def told(self, error: Exception) -> LambdaError:
        """What a caller is told when the database refuses. What passes is `ServiceUnavailable`; all else is our mistake."""
        if isinstance(error, LambdaError):
            return error
        if isinstance(error, OperationalError):
            told: LambdaError = ServiceUnavailable(self._busy(error.orig))
        else:
            told = ServiceException(f"The event store {self.name} failed: {error}")
        told.__cause__ = error.orig if isinstance(error, DBAPIError) else error
        return told


class Sqlite(Database):
    shared = False
    advice = "Check that the folder exists and can be written, and that the file is a database of Lambent."
    besides = of_sqlite

    def __init__(self, path: Path) -> None:
        super().__init__(create_engine(URL.create("sqlite", database=str(path)), hide_parameters=True), str(path))
        event.listen(self.engine, "connect", _set_up_sqlite)
        event.listen(self.engine, "begin", _begin_at_once)

    def bring_up(self, connection: Connection) -> None:
        super().bring_up(connection)
        if connection.scalar(select(id_counter.c.next)) is None:
            connection.execute(id_counter.insert().values(next=1))

    def take_ids(self, connection: Connection, count: int) -> Sequence[int]:
        end = connection.execute(_COUNT_UP, {"count": count}).scalar_one()
        return range(end - count, end)

    def insert(self, connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
        connection.execute(insert(table), rows)

    def _busy(self, error: Exception | None) -> str:
        return (
            f"The event store {self.name} can't be written: {error}. Nothing was accepted. "
            "Free some space on its disk; events are taken again as soon as there is room."
        )


class Postgres(Database):
    shared = True
    advice = "Check the connection string, that the server runs, and that its user may create tables in the database."
    besides = of_postgres

    def __init__(self, connection_string: str) -> None:
        parameters = connection_parameters(connection_string)
        super().__init__(
            create_engine(
                "postgresql+psycopg://",
                connect_args=parameters,
                pool_size=2,  # one connection writes, one reads for the metrics
                max_overflow=0,
                pool_pre_ping=True,
                hide_parameters=True,
            ),
            f"in PostgreSQL at {parameters.get('host', 'the default place')}",
        )
        event.listen(self.engine, "connect", _set_up_postgres)

    def bring_up(self, connection: Connection) -> None:
        # Gateways start together, and `create_all` looks first and creates then.
        connection.execute(select(func.pg_advisory_xact_lock(_BRINGING_UP)))
        super().bring_up(connection)

    def take_ids(self, connection: Connection, count: int) -> Sequence[int]:
        return connection.scalars(_NEXT_IDS, {"count": count}).all()

    def insert(self, connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
        # An array a column, so that a group is one statement for the server and for the driver.
        columns = [column for column in table.columns if column.name in rows[0]]
        arrays = [func.unnest(bindparam(column.name, type_=ARRAY(column.type))) for column in columns]
        statement = insert(table).from_select(columns, select(*arrays))
        connection.execute(statement, {column.name: [row[column.name] for row in rows] for column in columns})

    def _busy(self, error: Exception | None) -> str:
        # Where the database is and what it says is the operator's business: the cause is logged, callers are not told.
        return (
            "The event store can't be written now: its database does not answer, or refuses. Try again; events are taken "
            "as soon as it does."
        )


def open_database(where: Path | str) -> Database:
    """A file of SQLite, or PostgreSQL by its connection string; brought to the current schema. Raises `EventStoreUnusable`."""
    database = Sqlite(where) if isinstance(where, Path) else Postgres(where)
    try:
        with database.engine.begin() as connection:
            database.bring_up(connection)
    except DBAPIError as error:
        database.engine.dispose()
        reason = " ".join(str(error.orig).split())
        raise EventStoreUnusable(
            f"The event store {database.name} can't be opened: {reason}. {database.advice}"
        ) from error
    except EventStoreUnusable:
        database.engine.dispose()
        raise
    return database


def connection_parameters(connection_string: str) -> dict[str, Any]:
    """What the connection string says wins over `_CONNECTION`. Raises `EventStoreUnusable`."""
    try:
        from psycopg import ProgrammingError  # here, because only those who use PostgreSQL have the driver
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as error:
        raise EventStoreUnusable(
            f"PostgreSQL's driver is not installed ({error}): pip install 'lambent[postgres]'."
        ) from error
    try:
        return {**_CONNECTION, **conninfo_to_dict(connection_string)}
    except ProgrammingError:  # what it says may quote the password
        raise EventStoreUnusable(
            "The connection string of PostgreSQL can't be read: it must look like postgresql://USER:PASSWORD@HOST:5432/DATABASE, "
            "with special characters of user and password percent-encoded."
        ) from None


def reading(engine: Engine) -> Connection:
    """A connection that waits for no writer and keeps none waiting."""
    return engine.connect().execution_options(reading=True)


_COUNT_UP = update(id_counter).values(next=id_counter.c.next + bindparam("count")).returning(id_counter.c.next)


def _set_up_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_at_once, not by the driver
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a committed event survives a power cut (Q1)


def _begin_at_once(connection: Connection) -> None:
    # SQLite's default is to ask for the write lock at the first write, which fails at once if another has it.
    only_reads = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if only_reads else "BEGIN IMMEDIATE")


_BRINGING_UP = 0x6C616D62656E74
"""Key of an advisory lock: "lambent" in ASCII."""
_NEXT_IDS = select(id_sequence.next_value()).select_from(func.generate_series(1, bindparam("count", type_=BigInteger)))
_CONNECTION: dict[str, Any] = {
    "application_name": "lambent-gateway",
    "connect_timeout": 5,
    # A server that went without a word is given up after 15 seconds: callers wait so long for their 503.
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}
"""libpq's parameters."""
_SESSION = (
    # A gateway that froze in the middle of a transaction must not hold others up.
    "SET idle_in_transaction_session_timeout = '15s'",
    "SET lock_timeout = '10s'",
    # A queue is never as it was when its statistics were gathered: no plan may hang on them.
    "SET enable_bitmapscan = off",
    "SET enable_seqscan = off",
    "SET jit = off",
    # A committed event survives a power cut (Q1); whoever set more than that keeps it.
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
)


def _set_up_postgres(connection: Any, _: object) -> None:
    for statement in _SESSION:
        connection.execute(statement)
    connection.commit()
