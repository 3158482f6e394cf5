"""
Documents in SQLite: read once at the start, then written through by one thread. A commit is on disk (WAL, fsync) before the write returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    event,
    select,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from lambent_core.documents import KINDS, Document, StoreFull, StoreUnusable
from lambent_gateway.stores.base import KeptDocuments, Key

_SCHEMA = MetaData()
_DOCUMENTS = Table(
    "documents",
    _SCHEMA,
    Column("kind", String, primary_key=True),
    Column("namespace", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("document", LargeBinary, nullable=False),
)
_VERSIONS = Table(
    "versions",
    _SCHEMA,
    Column("one", Integer, primary_key=True),
    Column("last", Integer, nullable=False),
)
"""One row: the highest resource version ever given out."""


class SqliteDocuments(KeptDocuments):
    """`path` is the database file; its folder exists. Open one at a time on a file, and `close` it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # One connection for good: this thread reads it before the first write, then the writer alone uses it.
        self._engine = create_engine(
            f"sqlite:///{path}", poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
        event.listen(self._engine, "connect", _set_up)
        with self._told_plainly(), self._engine.begin() as connection:
            _SCHEMA.create_all(connection)
            documents = list(_read_all(connection))
            last = connection.execute(select(_VERSIONS.c.last)).scalar()
        super().__init__(documents)
        self._version = max(self._version, last or 0)
        self._writer = ThreadPoolExecutor(1, "documents")

    async def close(self) -> None:
        """Finishes what is being written."""
        await asyncio.to_thread(self._writer.shutdown)
        self._engine.dispose()

    async def _save(self, key: Key, document: Document | None, version: int) -> None:
        await asyncio.get_running_loop().run_in_executor(self._writer, self._commit, key, document, version)

    def _commit(self, key: Key, document: Document | None, version: int) -> None:
        with self._told_plainly(), self._engine.begin() as connection:
            if document is None:
                row = _DOCUMENTS.c
                connection.execute(
                    delete(_DOCUMENTS).where(row.kind == key.kind, row.namespace == key.namespace, row.name == key.name)
                )
            else:
                text = msgspec.json.encode(document)
                values = {"kind": key.kind, "namespace": key.namespace, "name": key.name, "document": text}
                connection.execute(insert(_DOCUMENTS).values(values).on_conflict_do_update(set_={"document": text}))
            connection.execute(
                insert(_VERSIONS).values(one=1, last=version).on_conflict_do_update(set_={"last": version})
            )

    @contextmanager
    def _told_plainly(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            reason = str(error.orig)
            if "full" in reason:
                raise StoreFull(
                    f"The disk that holds {self._path} is full: free some space, then try again."
                ) from error
            raise StoreUnusable(
                f"{self._path} can't be used ({reason}): make sure that it and its folder can be read and written by "
                "the user who runs Lambent, and that it is Lambent's own database."
            ) from error


def _read_all(connection: Connection) -> Iterator[Document]:
    for kind, text in connection.execute(select(_DOCUMENTS.c.kind, _DOCUMENTS.c.document)):
        document: Document = msgspec.json.decode(text, type=KINDS[kind])
        yield document


def _set_up(connection: Any, _: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
