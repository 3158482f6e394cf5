"""
A process that accepts events into the store at argv[1], a path or a connection string, until it is killed; run by
`test_events_survive_kill.py`.

It says on stdout what it knows to have happened, a line each: `accepted <request id>` after `accept` has returned, and
`settling <request id>` before `settle` is called.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from lambent_gateway.stores.events import SqlEventQueue
from lambent_gateway.stores.events_base import Event, Room

SECONDS_MAX = 60


def say(what: str, request_id: str) -> None:
    os.write(1, f"{what} {request_id}\n".encode())  # unbuffered, and whole lines only: they are below PIPE_BUF


async def accept_for_ever(queue: SqlEventQueue, name: str) -> None:
    number = 0
    while True:
        request_id = f"{name}-{number}"
        await queue.accept(Event(request_id, f"function-{number % 3}", os.urandom(1024), time.time()))
        say("accepted", request_id)
        number += 1


async def settle_for_ever(queue: SqlEventQueue) -> None:
    while True:
        claimed = await queue.claim(time.time(), Room(5, 5, {}), lease_seconds=600, owner="writer")
        for queued in claimed.events:
            say("settling", queued.event.request_id)
        await queue.settle([queued.lease for queued in claimed.events])


async def main(store: str, round: str) -> None:
    queue = await SqlEventQueue.open(store if store.startswith("postgresql:") else Path(store))
    async with asyncio.timeout(SECONDS_MAX), asyncio.TaskGroup() as tasks:
        tasks.create_task(settle_for_ever(queue))
        for acceptor in range(16):
            tasks.create_task(accept_for_ever(queue, f"{round}-{acceptor}"))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
