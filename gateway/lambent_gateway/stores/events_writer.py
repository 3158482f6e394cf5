"""
One thread that writes: whatever arrived while the last commit ran goes into the next transaction, as a group.

So a commit, which waits for the disk, is paid once for all who wait. Other work that writes rides along.

    W1  a waiter is released after the commit of its work, or with the error that undid it
    W2  an error of one work undoes no other: the group is then done again one by one
    W3  where the connection is lost and no other to be had, or lost in a commit, all who wait are told at once
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

T = TypeVar("T")
Row = TypeVar("Row")
Work = Callable[[Connection], Any]


@dataclass(slots=True)
class _Group(Generic[Row]):
    rows: list[Row] = field(default_factory=list)
    row_waiters: list[asyncio.Future[None]] = field(default_factory=list)
    works: list[tuple[Work, asyncio.Future[Any]]] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.rows) + len(self.works)


class GroupCommit(Generic[Row]):
    """
    Used from the loop it was made in.

    `insert` writes rows; `translate` makes errors the callers'. Making one raises what connecting raises.
    """

    def __init__(
        self,
        engine: Engine,
        insert: Callable[[Connection, Sequence[Row]], None],
        *,
        translate: Callable[[Exception], Exception],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection = engine.connect()
        """The thread's own."""
        self._insert = insert
        self._translate = translate
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._group: _Group[Row] = _Group()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="event-store", daemon=True)
        self._thread.start()

    def insert(self, row: Row) -> asyncio.Future[None]:
        waiter: asyncio.Future[None] = self._loop.create_future()
        with self._lock:
            self._group.rows.append(row)
            self._group.row_waiters.append(waiter)
        if not self._wake.is_set():
            self._wake.set()
        return waiter

    def do(self, work: Callable[[Connection], T]) -> asyncio.Future[T]:
        waiter: asyncio.Future[T] = self._loop.create_future()
        with self._lock:
            self._group.works.append((work, waiter))
        self._wake.set()
        return waiter

    async def close(self) -> None:
        """Does what was asked for, then ends the thread."""
        self._closing = True
        self._wake.set()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        with self._connection:
            while True:
                if not self._closing:
                    self._wake.wait()
                    self._wake.clear()
                with self._lock:
                    group, self._group = self._group, _Group()
                if group.size:
                    self._commit(group)
                elif self._closing:
                    return

    def _commit(self, group: _Group[Row]) -> None:
        try:
            results = self._attempt(group)
        except Exception as error:  # whatever it is, someone waits to be told
            if group.size > 1 and not self._connection.invalidated:
                for part in _one_by_one(group):
                    self._commit(part)
            else:
                waiters = [*group.row_waiters, *(waiter for _, waiter in group.works)]
                self._loop.call_soon_threadsafe(_fail, waiters, self._translate(error))
            return
        self._loop.call_soon_threadsafe(self._release, group, results)

    def _attempt(self, group: _Group[Row]) -> list[Any]:
        lost_before, all_done = self._connection.invalidated, False
        try:
            with self._connection.begin():
                results = self._do(group)
                all_done = True
            return results
        except DBAPIError:
            if lost_before or all_done or not self._connection.invalidated:
                raise
        # The connection broke before a commit was asked for, often long ago and unnoticed: nothing is done yet.
        with self._connection.begin():
            return self._do(group)

    def _do(self, group: _Group[Row]) -> list[Any]:
        if group.rows:
            self._insert(self._connection, group.rows)
        return [work(self._connection) for work, _ in group.works]

    def _release(self, group: _Group[Row], results: Sequence[Any]) -> None:
        for row_waiter in group.row_waiters:
            if not row_waiter.done():
                row_waiter.set_result(None)
        for (_, waiter), result in zip(group.works, results, strict=True):
            if not waiter.done():
                waiter.set_result(result)


def _one_by_one(group: _Group[Row]) -> list[_Group[Row]]:
    """Work before rows: on a full disk it is settling that makes room."""
    parts: list[_Group[Row]] = [_Group(works=[work]) for work in group.works]
    rows = zip(group.rows, group.row_waiters, strict=True)
    return parts + [_Group(rows=[row], row_waiters=[waiter]) for row, waiter in rows]


def _fail(waiters: Sequence[asyncio.Future[Any]], error: Exception) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_exception(error)
