"""Sends packages to agents that don't find them on their node, as each of them takes it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import BinaryIO

import structlog

from lambent_core.documents import PackageNotFound
from lambent_core.errors import LambdaError
from lambent_core.link import BLOB_ABSENT, BLOB_LAST, FrameType, encode
from lambent_gateway.environments.agents import Agent
from lambent_gateway.paced import next_part

log = structlog.get_logger(__name__)

SENDING_MAX = 32
"""Packages of more than one part that are sent at once, in order of asking. Of each a part or two are in memory."""


class PackageSender:
    def __init__(self, open_package: Callable[[str], Awaitable[BinaryIO]]) -> None:
        self._open_package = open_package
        self._sending = asyncio.Semaphore(SENDING_MAX)

    async def send(self, agent: Agent, sha256: str) -> None:
        """What can't be read the agent is told to be absent."""
        try:
            with await self._open_package(sha256) as file:
                if await _send_part(agent, file):
                    return
                async with self._sending:  # small ones need not wait for others
                    while not await _send_part(agent, file):
                        pass
        except (LambdaError, PackageNotFound, OSError) as error:
            log.error("a package could not be sent", sha256=sha256, error=str(error))
            if not agent.transport.is_closing():
                agent.write(encode(FrameType.BLOB, flags=BLOB_ABSENT | BLOB_LAST))


async def _send_part(agent: Agent, file: BinaryIO) -> bool:
    """Sends the next part once the agent has taken the last. Whether there is no more to send."""
    await agent.room()
    data, last = await next_part(file)
    if agent.transport.is_closing():
        return True
    agent.write(encode(FrameType.BLOB, data, flags=BLOB_LAST if last else 0))
    return last
