from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from lambent_core.errors import ServiceUnavailable
from lambent_gateway.drivers.backlog_gauge import FRESH_SECONDS, BacklogGauge
from lambent_gateway.stores.events_base import Backlog, Event
from lambent_gateway.stores.events_memory import MemoryEventQueue
from tests.simulation.virtual_time import WallClock, run


class Counted(MemoryEventQueue):
    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.away = False

    async def backlog(self) -> Backlog:
        self.asked += 1
        await asyncio.sleep(0.1)
        if self.away:
            raise ServiceUnavailable("away")
        return await super().backlog()


def test_the_queue_is_asked_once_a_second_however_many_read() -> None:
    async def test() -> None:
        queue, clock = Counted(), WallClock(1_000.0)
        gauge = BacklogGauge(queue, clock.time)
        assert (gauge.depth(), gauge.age_seconds()) == (0, 0.0)
        await queue.accept(Event("id", "f", b"{}", clock.time() - 60))
        await asyncio.gather(*(gauge.refresh() for _ in range(5)))
        assert (queue.asked, gauge.depth(), round(gauge.age_seconds())) == (1, 1, 60)
        await asyncio.sleep(FRESH_SECONDS)
        await gauge.refresh()
        assert queue.asked == 2

    run(test())


def test_while_it_can_not_be_asked_its_last_answer_grows_older() -> None:
    async def test() -> None:
        queue, clock = Counted(), WallClock(1_000.0)
        gauge = BacklogGauge(queue, clock.time)
        await queue.accept(Event("id", "f", b"{}", clock.time()))
        await gauge.refresh()
        queue.away = True
        await asyncio.sleep(600)
        with capture_logs() as logs:
            await gauge.refresh()
        assert [entry["event"] for entry in logs] == ["the event queue can't be counted"]
        assert (gauge.depth(), round(gauge.age_seconds())) == (1, 600)

    run(test())
