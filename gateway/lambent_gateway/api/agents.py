"""
The operator's door: the census of agents as a stream, and word of pods that can't be had (docs/decisions/0006-on-kubernetes.md).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

import msgspec
from fastapi import APIRouter, Header, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from lambent_core.census import Alive, Census
from lambent_core.errors import AccessDenied, ResourceNotFound

CHANGES_SECONDS = 0.05
"""Changes are told together, at most so often: twenty times a second."""
COUNT_SECONDS = 1.0
"""Environments are counted so often: which of them are busy changes with every invocation."""
ALIVE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class AgentsDoor:
    census: Census
    count: Callable[[], None]
    """Brings the census's numbers of environments up to date."""
    failed: Callable[[str, str], bool]
    """Told (agent, reason) of a pod that can't be had; False if nobody waits for it."""
    is_operator: Callable[[str], Awaitable[bool]]
    """Whether a token is the operator's."""
    ending: Callable[[], bool]
    """Whether streams are to end."""


class Failure(BaseModel):
    reason: str
    """One word, e.g. `ImagePullBackOff`."""
    message: str
    """What happened, and what to do."""


def router(door: AgentsDoor) -> APIRouter:
    routes = APIRouter(prefix="/lambent/v1/agents", tags=["agents"])

    async def check(authorization: str) -> None:
        _, _, token = authorization.partition("Bearer ")
        if not token or not await door.is_operator(token):
            raise AccessDenied(
                "Only Lambent's operator may ask this: show its service account's token, audience lambent-gateway."
            )

    @routes.get("")
    async def census(authorization: Annotated[str, Header()] = "") -> StreamingResponse:
        """All agents, then every change, as JSON lines."""
        await check(authorization)
        return StreamingResponse(_lines(door), media_type="application/x-ndjson")

    @routes.post("/{agent}/failure", status_code=204, response_class=Response)
    async def failure(agent: str, told: Failure, authorization: Annotated[str, Header()] = "") -> Response:
        """The agent's pod can't be had: whoever waits for it is told so."""
        await check(authorization)
        if not door.failed(agent, f"{told.reason}: {told.message}"):
            raise ResourceNotFound(f"Nobody waits for an agent {agent}")
        return Response(status_code=204)

    return routes


async def _lines(door: AgentsDoor) -> AsyncIterator[bytes]:
    clock, encoder = asyncio.get_running_loop().time, msgspec.json.Encoder()
    changed = asyncio.Event()
    door.count()
    reader, snapshot = door.census.read(changed.set)
    try:
        yield encoder.encode(snapshot) + b"\n"
        told_at = clock()
        while not door.ending():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(COUNT_SECONDS):
                    await changed.wait()
            await asyncio.sleep(CHANGES_SECONDS)
            changed.clear()
            door.count()
            changes = door.census.changes(reader)
            if changes is not None or clock() - told_at > ALIVE_SECONDS:
                yield encoder.encode(changes or Alive()) + b"\n"
                told_at = clock()
    finally:
        door.census.close(reader)
