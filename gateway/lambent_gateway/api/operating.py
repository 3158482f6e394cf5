"""
What operators and the CLI ask of the platform itself: health, metrics, functions' logs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse, StreamingResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from lambent_core.caller import Caller
from lambent_core.errors import ResourceNotFound

_LOOK_SECONDS = 1.0
"""A follower of a silent log is asked so often whether it may stay."""
_BATCH = 1_000
"""Events read at once, off the loop."""


class Logs(Protocol):
    def read(self, function: str, *, since_ms: int = 0) -> Iterator[Any]:
        """Log events, oldest first; anything that msgspec can encode."""

    def follow(self, function: str) -> AbstractContextManager[asyncio.Queue[Any]]: ...


LogsElsewhere = Callable[[str, str], AsyncIterator[bytes] | None]
"""
Lines of a function's log that another gateway has: called with the function and the query of the request; None if this one has it.
"""
FORWARDED = "x-lambent-forwarded"
"""A request that another gateway passes on is answered with what is here."""


@dataclass(frozen=True, slots=True)
class Operating:
    """What the routes read."""

    registry: CollectorRegistry
    logs: Logs
    ready: Callable[[], str | None]
    """None while the platform serves, else why not."""
    exists: Callable[[str], bool]
    refresh: Callable[[], Awaitable[None]]
    """Awaited before the registry is read: brings up to date what has to be asked for elsewhere."""
    ending: Callable[[], bool]
    """Whether followers of logs are to be sent away."""
    logs_elsewhere: LogsElsewhere | None = None


def router(parts: Operating) -> APIRouter:
    routes = APIRouter(tags=["platform"])

    @routes.get("/healthz", response_class=PlainTextResponse)
    async def healthz() -> str:
        """The process is alive."""
        return "ok"

    @routes.get("/readyz", response_class=PlainTextResponse)
    async def readyz() -> PlainTextResponse:
        """The platform serves; 503 with the reason while it starts or shuts down."""
        reason = parts.ready()
        return PlainTextResponse(reason or "ok", 503 if reason else 200)

    @routes.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> PlainTextResponse:
        """Prometheus metrics."""
        await parts.refresh()
        return PlainTextResponse(generate_latest(parts.registry), media_type=CONTENT_TYPE_LATEST)

    @routes.get("/lambent/v1/functions/{name}/logs")
    async def logs(
        request: Request,
        name: str,
        since: int = Query(0, ge=0, description="Unix time in milliseconds"),
        follow: bool = Query(False, description="go on with new events until the client hangs up"),
    ) -> StreamingResponse:
        """A function's log events as JSON lines, oldest first."""
        if not parts.exists(name):
            raise ResourceNotFound(f"Function not found: {Caller().function_arn(name)}")
        lines: AsyncIterator[bytes] | None = None
        if parts.logs_elsewhere is not None and FORWARDED not in request.headers:
            lines = parts.logs_elsewhere(name, request.url.query)
        return StreamingResponse(lines or _lines(parts, name, since, follow), media_type="application/x-ndjson")

    return routes


async def _lines(parts: Operating, name: str, since_ms: int, follow: bool) -> AsyncIterator[bytes]:
    encoder = msgspec.json.Encoder()
    with parts.logs.follow(name) as coming:
        events = parts.logs.read(name, since_ms=since_ms)
        while batch := await asyncio.to_thread(lambda: list(islice(events, _BATCH))):
            yield encoder.encode_lines(batch)
        while follow and not parts.ending():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    event = await coming.get()
                yield encoder.encode(event) + b"\n"
