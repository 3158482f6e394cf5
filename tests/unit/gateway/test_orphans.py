"""What becomes of an invocation whose gateway was lost (O1)."""

from __future__ import annotations

import asyncio

import pytest

from lambent_core.errors import LambdaError, ServiceException
from lambent_core.invocation import Invocation, Outcome
from lambent_core.link import Report, ReportStatus
from lambent_gateway.drivers import orphans
from lambent_gateway.drivers.orphans import Orphan, Orphans

REPORT = Report(1_000_000, 0, 50_000_000, ReportStatus.ERROR, "")


class Waiting:
    def __init__(self) -> None:
        self.told: list[Outcome | LambdaError] = []
        self.orphan = Orphan(Invocation("r-1", "f", b"1"), self.told.append)


def test_its_answer_is_passed_on() -> None:
    waiting = Waiting()
    waiting.orphan.payload = b"2"
    waiting.orphan.reported(REPORT, "7")
    assert waiting.told == [Outcome(b"2", None, "", "7", REPORT)]


def test_its_error_is_passed_on() -> None:
    waiting = Waiting()
    waiting.orphan.payload, waiting.orphan.error_type, waiting.orphan.function_error = b"{}", "ValueError", True
    waiting.orphan.reported(REPORT, "$LATEST")
    assert waiting.told == [Outcome(b"{}", "Unhandled", "ValueError", "$LATEST", REPORT)]


def test_an_end_without_an_answer_is_no_answer() -> None:
    waiting = Waiting()
    waiting.orphan.reported(REPORT, "$LATEST")
    assert [type(one) for one in waiting.told] == [ServiceException]


async def test_who_comes_is_given_its_orphan_once() -> None:
    waiting, waited = Waiting(), Orphans()
    waited.put(waiting.orphan)
    assert waited.take("r-2") is None
    assert waited.take(None) is None
    assert waited.take("r-1") is waiting.orphan
    assert waited.take("r-1") is None
    assert waiting.told == []


async def test_whose_environment_does_not_come_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans, "ARRIVAL_SECONDS_MAX", 0.01)
    waiting, waited = Waiting(), Orphans()
    waited.put(waiting.orphan)
    async with asyncio.timeout(5):
        while not waiting.told:
            await asyncio.sleep(0.005)
    assert [type(one) for one in waiting.told] == [ServiceException]
    assert "Whether it ended is not known" in str(waiting.told[0])
    assert waited.take("r-1") is None
