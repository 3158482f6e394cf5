"""Times as Lambda's API writes them. `now` is Unix time in seconds."""

from __future__ import annotations

from datetime import UTC, datetime


def last_modified(now: float) -> str:
    """`2026-11-24T02:06:26.123+0000`: what FunctionConfiguration carries."""
    return f"{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H:%M:%S}.{int(now % 1 * 1_000):03}+0000"


def url_time(now: float) -> str:
    """`2026-11-24T02:06:26.123456Z`: what FunctionUrlConfig carries, and what Kubernetes writes into metadata."""
    return f"{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H:%M:%S}.{int(now % 1 * 1_000_000):06}Z"


def condition_time(now: float) -> str:
    """`2026-11-24T02:06:26Z`: what Kubernetes' conditions carry."""
    return f"{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H:%M:%SZ}"


def seconds(text: str) -> float:
    """Unix time of an RFC 3339 text, as `url_time` and Kubernetes write it."""
    return datetime.fromisoformat(text).timestamp()
