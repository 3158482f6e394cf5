"""
The tables of the event queue, the same in every database.

The payload has a table of its own, so that claiming and rescheduling write narrow rows only: with the payload in the
row small events are accepted a quarter faster, but claiming writes every payload anew, which halves the pace of large
ones and needs room for all of them, just when a nearly full disk has to be drained.

How the schema changes: `SCHEMA_VERSION` grows by one and `_MIGRATIONS` gets the statements that lead there from the
version before, in SQL that all databases know; they run at open, in one transaction. Gateways of the version before may
still be at work in a database that several share: so statements add, and what they add has a default. A store with a
newer version is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    select,
)
from sqlalchemy.schema import Sequence as IdSequence

from lambent_gateway.stores.events_base import EventStoreUnusable

SCHEMA_VERSION = 2
_MIGRATIONS: Mapping[int, Sequence[str]] = {
    2: ["ALTER TABLE events ADD COLUMN epoch INTEGER DEFAULT 0 NOT NULL"],
}
"""Statements by the version they lead to."""

metadata, of_sqlite, of_postgres = MetaData(), MetaData(), MetaData()
"""What all databases have, and each besides."""

_ID = BigInteger().with_variant(Integer, "sqlite")
"""SQLite keeps rows in the order of their key if it is called INTEGER."""
_NAME = Text().with_variant(Text(collation="C"), "postgresql")
"""Ordered by its bytes, as SQLite does it."""
_VACUUM_OFTEN = {"autovacuum_vacuum_scale_factor": 0, "autovacuum_vacuum_threshold": 5_000}
"""Rows live for moments and each dies several times over; PostgreSQL's default waits until a fifth of a table is dead."""

schema_version = Table("event_schema_version", metadata, Column("version", Integer, nullable=False))

events = Table(
    "events",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=False),
    Column("function", _NAME, nullable=False),
    Column("due", Double, nullable=False),
    Column("owner", Text),
    Column("epoch", Integer, nullable=False, server_default="0"),
    Column("attempts", Integer, nullable=False),
    Column("setbacks", Integer, nullable=False),
    Column("accepted_at", Double, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("qualifier", Text, nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("principal", Text, nullable=False),
    postgresql_with=_VACUUM_OFTEN,
)
payloads = Table(
    "event_payloads",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=False),
    Column("payload", LargeBinary, nullable=False),
    postgresql_with=_VACUUM_OFTEN,
)
Index("events_by_function_and_due", events.c.function, events.c.due).ddl_if(dialect="sqlite")
Index("events_by_function_due_and_id", events.c.function, events.c.due, events.c.id).ddl_if(dialect="postgresql")
"""In the order of claiming; SQLite's indexes end in the id of themselves."""

id_counter = Table("event_ids", of_sqlite, Column("next", BigInteger, nullable=False))
"""The last id taken and one, in a row. For one writer: others would wait for it until the writer's commit."""
id_sequence = IdSequence("event_id_sequence", metadata=of_postgres)
"""The same for many writers."""


def bring_up(connection: Connection, besides: MetaData, name: str) -> None:
    """Creates the tables or brings them to the current schema. Raises `EventStoreUnusable`."""
    metadata.create_all(connection)
    besides.create_all(connection)
    version = connection.scalar(select(schema_version.c.version))
    if version is None:
        connection.execute(schema_version.insert().values(version=SCHEMA_VERSION))
        return
    if version > SCHEMA_VERSION:
        raise EventStoreUnusable(
            f"The event store {name} has schema version {version}, this Lambent knows {SCHEMA_VERSION}: it was written "
            "by a newer one. Start that version, or move it away to begin with an empty queue."
        )
    for statement in _steps(version):
        connection.exec_driver_sql(statement)
    connection.execute(schema_version.update().values(version=SCHEMA_VERSION))


def _steps(version: int) -> Iterable[str]:
    for step in range(version + 1, SCHEMA_VERSION + 1):
        yield from _MIGRATIONS[step]
