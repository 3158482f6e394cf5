from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from lambent_gateway.stores import events_tables
from lambent_gateway.stores.events import SqlEventQueue
from lambent_gateway.stores.events_base import Event, EventStoreUnusable


async def test_a_committed_event_survives_a_power_cut_by_these_settings(tmp_path: Path) -> None:
    engine = events_tables.open_sqlite(tmp_path / "events.db")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    engine.dispose()


async def test_a_store_of_the_same_version_is_gone_on_with(tmp_path: Path) -> None:
    for depth in (0, 1):
        queue = await SqlEventQueue.open(tmp_path / "events.db")
        assert queue.depth() == depth
        await queue.accept(Event("id", "f", b"{}", 1))
        await queue.close()


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    events_tables.open_sqlite(path).dispose()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE event_schema_version SET version = 2")
    connection.close()
    with pytest.raises(EventStoreUnusable, match=r"events\.db has schema version 2, this Lambent knows 1.*newer one"):
        await SqlEventQueue.open(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT version FROM event_schema_version").fetchall() == [(2,)]
    connection.close()


async def test_an_older_schema_is_brought_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.db"
    events_tables.open_sqlite(path).dispose()
    monkeypatch.setattr(events_tables, "SCHEMA_VERSION", 3)
    monkeypatch.setattr(
        events_tables,
        "_MIGRATIONS",
        {2: ["CREATE TABLE added (a)"], 3: ["INSERT INTO added VALUES (1)", "INSERT INTO added VALUES (2)"]},
    )
    for _ in range(2):
        engine = events_tables.open_sqlite(path)
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT a FROM added").all() == [(1,), (2,)]
        engine.dispose()


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    path.write_bytes(b"no database " * 100)
    with pytest.raises(EventStoreUnusable, match="file is not a database"):
        await SqlEventQueue.open(path)


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EventStoreUnusable, match="Check that the folder exists"):
        await SqlEventQueue.open(tmp_path / "nowhere" / "events.db")
