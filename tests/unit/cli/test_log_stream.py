"""Moments that --since names, and records as a person reads them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lambent_cli.failures import Failure
from lambent_cli.log_stream import Record, since

NOW = 1_767_225_600_000


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30s", NOW - 30_000),
        ("10m", NOW - 600_000),
        ("2h", NOW - 7_200_000),
        ("1d", NOW - 86_400_000),
        ("99999d", 0),
        ("2026-01-01T00:00:00+00:00", 1_767_225_600_000),
        ("2026-01-01T01:00:00+01:00", 1_767_225_600_000),
    ],
)
def test_ages_and_times(text: str, moment: int) -> None:
    assert since(text, now_ms=NOW) == moment


def test_a_time_without_an_offset_is_the_users_own() -> None:
    own = datetime(2026, 1, 1, 12, 0, tzinfo=UTC).astimezone()
    assert since(own.replace(tzinfo=None).isoformat(), now_ms=NOW) == int(own.timestamp() * 1000)


@pytest.mark.parametrize("text", ["soon", "10", "m", "10w", "-5m", "2026-13-01"])
def test_what_is_neither(text: str) -> None:
    with pytest.raises(Failure, match="neither an age nor a time"):
        since(text, now_ms=NOW)


def test_a_record_is_a_line_with_its_time() -> None:
    line = Record(NOW + 7, "s", None, "hello\n").line()
    assert line.endswith(".007  hello")
    assert line[:10] == f"{datetime.fromtimestamp(NOW / 1000, UTC).astimezone():%Y-%m-%d}"
