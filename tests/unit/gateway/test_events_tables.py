from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from lambent_core.retry import Tries
from lambent_gateway.stores import events_tables
from lambent_gateway.stores.events import SqlEventQueue
from lambent_gateway.stores.events_base import Claimed, Event, EventStoreUnusable, Lease, QueuedEvent, Room
from lambent_gateway.stores.events_databases import open_database


async def test_a_committed_event_survives_a_power_cut_by_these_settings(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "events.db").engine
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    engine.dispose()


async def test_a_store_of_the_same_version_is_gone_on_with(tmp_path: Path) -> None:
    for depth in (0, 1):
        queue = await SqlEventQueue.open(tmp_path / "events.db")
        assert (await queue.backlog()).depth == depth
        await queue.accept(Event("id", "f", b"{}", 1))
        await queue.close()


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    open_database(path).engine.dispose()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE event_schema_version SET version = 3")
    connection.close()
    with pytest.raises(EventStoreUnusable, match=r"events\.db has schema version 3, this Lambent knows 2.*newer one"):
        await SqlEventQueue.open(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT version FROM event_schema_version").fetchall() == [(3,)]
    connection.close()


async def test_an_older_schema_is_brought_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.db"
    open_database(path).engine.dispose()
    monkeypatch.setattr(events_tables, "SCHEMA_VERSION", 4)
    monkeypatch.setattr(
        events_tables,
        "_MIGRATIONS",
        {3: ["CREATE TABLE added (a)"], 4: ["INSERT INTO added VALUES (1)", "INSERT INTO added VALUES (2)"]},
    )
    for _ in range(2):
        engine = open_database(path).engine
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT a FROM added").all() == [(1,), (2,)]
        engine.dispose()


async def test_events_of_the_first_schema_are_still_there(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(FIRST_SCHEMA)
    connection.close()
    queue = await SqlEventQueue.open(path)
    await queue.accept(Event("new", "f", b"{}", 2))
    claimed = await queue.claim(3, Room(9, 9, {}), lease_seconds=10, owner="me")
    assert claimed == Claimed(
        (
            QueuedEvent(Lease(4, 1), Event("old", "f", b"{}", 1), Tries(1, 2)),
            QueuedEvent(Lease(5, 1), Event("new", "f", b"{}", 2), Tries()),
        ),
        next_due=13,
    )
    await queue.close()


FIRST_SCHEMA = """
CREATE TABLE event_schema_version (version INTEGER NOT NULL);
CREATE TABLE events (
    id INTEGER NOT NULL, function TEXT NOT NULL, due DOUBLE NOT NULL, owner TEXT, attempts INTEGER NOT NULL,
    setbacks INTEGER NOT NULL, accepted_at DOUBLE NOT NULL, request_id TEXT NOT NULL, qualifier TEXT NOT NULL,
    trace_id TEXT NOT NULL, account TEXT NOT NULL, region TEXT NOT NULL, principal TEXT NOT NULL, PRIMARY KEY (id)
);
CREATE TABLE event_payloads (id INTEGER NOT NULL, payload BLOB NOT NULL, PRIMARY KEY (id));
CREATE TABLE event_ids (next BIGINT NOT NULL);
CREATE INDEX events_by_function_and_due ON events (function, due);
INSERT INTO event_schema_version VALUES (1);
INSERT INTO event_ids VALUES (5);
INSERT INTO events VALUES (4, 'f', 1, NULL, 1, 2, 1, 'old', '', '', '000000000000', 'us-east-1', '');
INSERT INTO event_payloads VALUES (4, CAST('{}' AS BLOB));
"""


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    path.write_bytes(b"no database " * 100)
    with pytest.raises(EventStoreUnusable, match="file is not a database"):
        await SqlEventQueue.open(path)


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EventStoreUnusable, match="Check that the folder exists"):
        await SqlEventQueue.open(tmp_path / "nowhere" / "events.db")
