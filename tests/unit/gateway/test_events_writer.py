from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, insert
from sqlalchemy.event import listen

from lambent_core.errors import ServiceException, ServiceUnavailable
from lambent_gateway.stores.events import SqlEventQueue
from lambent_gateway.stores.events_base import Event
from lambent_gateway.stores.events_databases import open_database
from lambent_gateway.stores.events_writer import GroupCommit


class Refused(Exception):
    pass


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(tmp_path / "events.db").engine
    table.create(engine)
    yield engine
    engine.dispose()


table = Table("numbers", MetaData(), Column("number", Integer, nullable=False))


def stored(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return sorted(row.number for row in connection.execute(table.select()))


def write(connection: Connection, numbers: Sequence[int | None]) -> None:
    connection.execute(insert(table), [{"number": number} for number in numbers])


class Watched:
    """A writer whose next transaction begins when it is let go, so that a group can gather."""

    def __init__(self, engine: Engine) -> None:
        self.commits = 0
        listen(engine, "commit", self.count)
        self.writer = GroupCommit(engine, write, translate=lambda error: Refused(str(error)))
        self.held = threading.Event()
        self.reached = threading.Event()

    def count(self, _: Connection) -> None:
        self.commits += 1

    async def hold(self) -> asyncio.Future[None]:
        def wait(_: Connection) -> None:
            self.reached.set()
            self.held.wait(10)

        holding = self.writer.do(wait)
        await asyncio.to_thread(self.reached.wait, 10)
        return holding


async def test_what_arrives_during_a_commit_is_one_group(engine: Engine) -> None:
    watched = Watched(engine)
    holding = await watched.hold()
    waiters = [watched.writer.insert(number) for number in range(2, 10)]
    seen = watched.writer.do(lambda connection: len(connection.execute(table.select()).all()))
    watched.held.set()
    await asyncio.gather(holding, *waiters)
    assert await seen == 8, "work sees the rows of its group"
    assert watched.commits == 2, "the one that was held, and one for all of them"
    await watched.writer.close()
    assert stored(engine) == list(range(2, 10))


async def test_one_works_error_undoes_no_other(engine: Engine) -> None:
    def fail(connection: Connection) -> None:
        connection.execute(insert(table), {"number": 666})
        raise ValueError("mine")

    watched = Watched(engine)
    holding = await watched.hold()
    good, bad = watched.writer.insert(2), watched.writer.insert(None)
    failing = watched.writer.do(fail)
    watched.held.set()
    _, _, refused, failed = await asyncio.gather(holding, good, bad, failing, return_exceptions=True)
    assert isinstance(refused, Refused)
    assert str(failed) == "mine"
    await watched.writer.close()
    assert stored(engine) == [2]


async def test_a_waiter_that_went_away_disturbs_nobody(engine: Engine) -> None:
    watched = Watched(engine)
    holding = await watched.hold()
    gone, stays = watched.writer.insert(2), watched.writer.insert(3)
    gone_too = watched.writer.do(lambda connection: 1)
    gone.cancel()
    gone_too.cancel()
    watched.held.set()
    await asyncio.gather(holding, stays)
    await watched.writer.close()
    assert stored(engine) == [2, 3]


async def test_a_waiter_that_went_away_before_an_error(engine: Engine) -> None:
    watched = Watched(engine)
    holding = await watched.hold()
    gone, stays = watched.writer.insert(None), watched.writer.insert(None)
    gone.cancel()
    watched.held.set()
    await holding
    with pytest.raises(Refused):
        await stays
    await watched.writer.close()


async def test_closing_does_what_was_asked_for(engine: Engine) -> None:
    watched = Watched(engine)
    holding = await watched.hold()
    waiter = watched.writer.insert(2)
    closing = asyncio.ensure_future(watched.writer.close())
    watched.held.set()
    await asyncio.gather(holding, waiter, closing)
    assert stored(engine) == [2]


async def test_a_mistake_of_ours_is_no_full_disk(tmp_path: Path) -> None:
    queue = await SqlEventQueue.open(tmp_path / "events.db")
    with pytest.raises(ServiceException) as failed:
        await queue.accept(Event("\ud800", "f", b"{}", 0))
    assert not isinstance(failed.value, ServiceUnavailable)
    await queue.accept(Event("fine", "f", b"{}", 0))
    assert (await queue.backlog()).depth == 1
    await queue.close()


async def test_metrics_are_read_while_a_transaction_writes(tmp_path: Path) -> None:
    queue = await SqlEventQueue.open(tmp_path / "events.db")
    await queue.accept(Event("1", "f", b"{}", 7))
    other = open_database(tmp_path / "events.db").engine
    with other.begin():
        assert (await queue.backlog()).oldest_accepted_at == 7
    other.dispose()
    await queue.close()
