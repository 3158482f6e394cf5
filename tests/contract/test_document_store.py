"""Every document store keeps T1-T4; the one in memory is the specification."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from lambent_core.documents import Document, DocumentConflict, DocumentStore, StoreFull, StoreUnusable
from lambent_core.function import Function, FunctionSpec, Metadata
from lambent_gateway.stores.documents import SqliteDocuments
from lambent_gateway.stores.memory import MemoryDocuments


def function(name: str, *, namespace: str = "default", timeout: int = 3) -> Function:
    return Function(metadata=Metadata(name=name, namespace=namespace), spec=FunctionSpec(timeout=timeout))


@asynccontextmanager
async def in_memory(_: Path) -> AsyncIterator[DocumentStore]:
    yield MemoryDocuments()


@asynccontextmanager
async def in_sqlite(folder: Path) -> AsyncIterator[DocumentStore]:
    store = SqliteDocuments(folder / "documents.db")
    yield store
    await store.close()


@pytest.fixture(params=[in_memory, in_sqlite], ids=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[DocumentStore]:
    async with request.param(tmp_path) as opened:
        yield opened


async def test_what_was_put_is_read(store: DocumentStore) -> None:
    stored = await store.put(function("a"), "")
    assert stored.metadata.resource_version
    assert msgspec.structs.replace(
        stored, metadata=msgspec.structs.replace(stored.metadata, resource_version="")
    ) == function("a")
    assert store.get(Function, "a") == stored
    assert store.get(Function, "b") is None
    assert store.get(Function, "a", "another") is None
    assert list(store.unreadable()) == []


async def test_list_is_by_namespace_and_name(store: DocumentStore) -> None:
    for name, namespace in (("b", "y"), ("a", "y"), ("c", "x")):
        await store.put(function(name, namespace=namespace), "")
    assert [(one.metadata.namespace, one.metadata.name) for one in store.list(Function)] == [
        ("x", "c"),
        ("y", "a"),
        ("y", "b"),
    ]


@pytest.mark.parametrize("expected", ["", "999"])
async def test_a_write_against_another_version_is_a_conflict(store: DocumentStore, expected: str) -> None:
    stored = await store.put(function("a"), "")
    with pytest.raises(DocumentConflict):
        await store.put(function("a", timeout=9), expected)
    assert store.get(Function, "a") == stored


async def test_a_write_to_what_is_not_there_is_a_conflict(store: DocumentStore) -> None:
    with pytest.raises(DocumentConflict):
        await store.put(function("a"), "1")
    with pytest.raises(DocumentConflict):
        await store.delete(function("a"), "")
    assert store.list(Function) == []


async def test_of_many_writers_against_one_version_one_wins(store: DocumentStore) -> None:
    version = (await store.put(function("a"), "")).metadata.resource_version
    writes = [store.put(function("a", timeout=timeout), version) for timeout in range(10, 20)]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    won = [outcome for outcome in outcomes if isinstance(outcome, Function)]
    assert len(won) == 1
    assert sum(isinstance(outcome, DocumentConflict) for outcome in outcomes) == 9
    assert store.get(Function, "a") == won[0]


async def test_deleted_is_gone_and_its_version_never_comes_back(store: DocumentStore) -> None:
    first = await store.put(function("a"), "")
    await store.delete(first, first.metadata.resource_version)
    assert store.get(Function, "a") is None
    again = await store.put(function("a"), "")
    assert again.metadata.resource_version != first.metadata.resource_version


async def test_watchers_are_told_each_change_once_and_in_order(store: DocumentStore) -> None:
    told: list[tuple[Document | None, Document | None]] = []
    unsubscribe = store.subscribe(lambda old, new: told.append((old, new)))
    first = await store.put(function("a"), "")
    second = await store.put(function("a", timeout=9), first.metadata.resource_version)
    await store.delete(second, second.metadata.resource_version)
    unsubscribe()
    await store.put(function("b"), "")
    assert told == [(None, first), (first, second), (second, None)]


async def test_a_watcher_sees_the_store_as_it_was_told(store: DocumentStore) -> None:
    seen: list[bool] = []
    store.subscribe(lambda old, new: seen.append(store.get(Function, "a") == new))
    stored = await store.put(function("a"), "")
    await store.delete(stored, stored.metadata.resource_version)
    assert seen == [True, True]


async def test_a_writer_that_goes_away_leaves_memory_and_disk_alike(store: DocumentStore) -> None:
    written = asyncio.Event()
    store.subscribe(lambda old, new: written.set())
    write = asyncio.ensure_future(store.put(function("a"), ""))
    await asyncio.sleep(0)
    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write
    await written.wait()
    assert store.get(Function, "a") is not None


async def test_sqlite_is_read_back_and_goes_on_counting(tmp_path: Path) -> None:
    async with in_sqlite(tmp_path) as store:
        kept = await store.put(function("a"), "")
        gone = await store.put(function("b"), "")
        await store.delete(gone, gone.metadata.resource_version)
    async with in_sqlite(tmp_path) as store:
        assert store.list(Function) == [kept]
        assert (await store.put(function("b"), "")).metadata.resource_version > gone.metadata.resource_version


async def test_sqlite_commits_before_the_write_returns(tmp_path: Path) -> None:
    async with in_sqlite(tmp_path) as store:
        await store.put(function("a"), "")
        with sqlite3.connect(tmp_path / "documents.db") as another:
            assert another.execute("SELECT name FROM documents").fetchall() == [("a",)]
            assert another.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        another.close()


async def test_sqlite_in_no_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusable, match="make sure that it and its folder can be read and written"):
        SqliteDocuments(tmp_path / "missing" / "documents.db")


async def test_sqlite_does_not_take_another_file_for_its_own(tmp_path: Path) -> None:
    (tmp_path / "documents.db").write_text("not a database, but long enough to be read as one" * 100)
    with pytest.raises(StoreUnusable, match="not a database"):
        SqliteDocuments(tmp_path / "documents.db")


async def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    async with in_sqlite(tmp_path) as store:
        kept = await store.put(function("a"), "")
        _limit_pages(store)
        big = msgspec.structs.replace(kept, spec=FunctionSpec(description="x" * 10_000_000))
        with pytest.raises(StoreFull, match="free some space, then try again"):
            await store.put(big, kept.metadata.resource_version)
        assert store.get(Function, "a") == kept
        assert await store.put(function("b"), "")


def _limit_pages(store: DocumentStore) -> None:
    """SQLite's own way to have no more room."""
    assert isinstance(store, SqliteDocuments)
    limit: Callable[[], None] = lambda: store._engine.raw_connection().execute("PRAGMA max_page_count=64")  # type: ignore[attr-defined]  # noqa: E731
    store._writer.submit(limit).result()
