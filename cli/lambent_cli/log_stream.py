"""The log of a function as the platform keeps it: records as they come, and how a person reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from lambent_cli.connection import Platform
from lambent_cli.failures import Failure

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Record:
    timestamp: int
    """Milliseconds since the epoch."""
    stream: str
    request_id: str | None
    message: str

    def line(self) -> str:
        """Local time and message, on one line."""
        moment = datetime.fromtimestamp(self.timestamp / 1000, UTC).astimezone()
        return f"{moment:%Y-%m-%d %H:%M:%S}.{self.timestamp % 1000:03d}  {self.message.rstrip()}"

    def document(self) -> dict[str, object]:
        return {
            "timestamp": self.timestamp,
            "stream": self.stream,
            "requestId": self.request_id,
            "message": self.message,
        }


def records(platform: Platform, name: str, *, since_ms: int, follow: bool) -> Iterator[Record]:
    """Oldest first; with `follow` without end."""
    path = f"/functions/{quote(name, safe='')}/logs?since={since_ms}&follow={'true' if follow else 'false'}"
    for item in platform.lines(path):
        yield Record(item["timestamp"], item["stream"], item.get("requestId"), item["message"])


def since(text: str, *, now_ms: int) -> int:
    """The moment that `--since` names, milliseconds since the epoch: an age (`10m`) or a time in ISO 8601."""
    age = re.fullmatch(r"(\d+)([smhd])", text)
    if age:
        return max(0, now_ms - int(age[1]) * _UNITS[age[2]] * 1000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Failure(
            f"--since {text!r} is neither an age nor a time.", fix="E.g. 30s, 10m, 2h, 1d, or 2026-01-31T08:00."
        ) from error
    # Without an offset it is the user's own clock.
    return max(0, int(moment.astimezone().timestamp() * 1000))
