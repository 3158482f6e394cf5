"""Times on the wire."""

from __future__ import annotations

from lambent_core import timestamps

NOW = 1_795_486_086.25


def test_last_modified_has_milliseconds_and_an_offset() -> None:
    assert timestamps.last_modified(NOW) == "2026-11-24T02:08:06.250+0000"


def test_url_time_has_microseconds() -> None:
    assert timestamps.url_time(NOW) == "2026-11-24T02:08:06.250000Z"
