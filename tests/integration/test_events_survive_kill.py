"""A process that accepts events is killed at any moment, again and again: what it acknowledged is there afterwards (Q1)."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lambent_gateway.stores.events import SqlEventQueue
from lambent_gateway.stores.events_base import Room
from tests.postgres_server import PostgresServer

ROUNDS = 8
WRITER = Path(__file__).with_name("event_writer.py")


def run_and_kill(store: Path | str, round: int, lines_until_kill: int) -> tuple[set[str], set[str]]:
    """What the killed process said to have accepted, and to have begun to settle."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, str(WRITER), str(store), str(round)], stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(lines_until_kill)]
        process.kill()
        lines += process.stdout.read().splitlines(keepends=True)
    assert process.returncode == -9, "it ran until it was killed"
    said = [line.decode().split() for line in lines if line.endswith(b"\n")]
    return {id for what, id in said if what == "accepted"}, {id for what, id in said if what == "settling"}


async def drain(store: Path | str) -> list[str]:
    queue = await SqlEventQueue.open(store)
    found: list[str] = []
    await queue.recover("writer", time.time())
    depth = (await queue.backlog()).depth
    while (claimed := await queue.claim(time.time(), Room(500, 500, {}), lease_seconds=600, owner="me")).events:
        found += [queued.event.request_id for queued in claimed.events]
        await queue.settle([queued.lease for queued in claimed.events])
    assert ((await queue.backlog()).depth, len(found)) == (0, depth)
    await queue.close()
    return found


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_every_acknowledged_event_is_on_disk(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    store: Path | str = tmp_path / "events.db"
    if kind == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        store = server.new_schema()
    seed = random.randrange(10**9)
    chance = random.Random(seed)
    for round in range(ROUNDS):
        accepted, settling = run_and_kill(store, round, chance.randint(1, 4_000))
        found = await drain(store)
        assert len(found) == len(set(found)), f"seed {seed}: an event was there twice"
        missing = accepted - set(found) - settling
        assert not missing, f"seed {seed}, round {round}: {len(missing)} of {len(accepted)} acknowledged events lost"
