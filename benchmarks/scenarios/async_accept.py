"""
Asynchronous invocations: how many are accepted per second, on disk before their 202, and is one of them lost when the gateway is killed?

The gateway is killed in the middle of the last round and started again. Every number that got a 202 is then looked for: in the
file that the function appends to, or still in the queue.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from benchmarks import functions
from benchmarks.client import INVOKE, Load, load, must_succeed
from benchmarks.figures import Figure, Mode
from benchmarks.gateway import Gateway, wait_until
from benchmarks.programs import CannotRun

CONNECTIONS = 128
RESERVED = 2
"""Environments that run events meanwhile: accepting and running share the processors."""
NUMBERS_APART = 10_000_000
DRAIN_SECONDS = 15.0


def run(mode: Mode) -> list[Figure]:
    with Gateway(pool_size=0) as gateway:
        evidence, accepted = gateway.data_dir / "evidence", gateway.data_dir / "accepted"
        gateway.create("evident", functions.LEAVES_EVIDENCE, Environment={"Variables": {"EVIDENCE": str(evidence)}})
        gateway.reserve("evident", RESERVED)
        numbers: set[int] = set()
        rounds = []
        for number in range(mode.rounds + 1):
            rounds.append(must_succeed(_accept(gateway, number, accepted, mode)))
            numbers |= _numbers(accepted)
        _kill_while_accepting(gateway, mode.rounds + 1, accepted, mode)
        numbers |= _numbers(accepted)
        before, began = len(_ran(evidence)), time.monotonic()
        queued, ran = _found(gateway, evidence, numbers)
        drained = (len(ran) - before) / (time.monotonic() - began)
    rates = [done.rate for done in rounds[1:] or rounds]
    lost = numbers - queued - ran.keys()
    twice = sum(count > 1 for count in ran.values())
    return [
        Figure("events accepted", median(rates), "events/s", 5_000, at_least=True, detail={"rounds": rates}),
        Figure(
            "events lost by kill -9", len(lost), "events", 0, detail={"accepted": len(numbers), "queued": len(queued)}
        ),
        Figure("events accepted in all", len(numbers), "events"),
        Figure("events run when all was counted", len(numbers & ran.keys()), "events"),
        Figure(f"events run after the restart, over {RESERVED} environments", drained, "events/s"),
        Figure("events run more than once", twice, "events"),
        Figure("p50 of accepting", median(done.ok.p50 for done in rounds), "ms"),
        Figure("p99 of accepting", median(done.ok.p99 for done in rounds), "ms"),
    ]


def _accept(gateway: Gateway, number: int, accepted: Path, mode: Mode) -> Load:
    return load(
        gateway.address,
        INVOKE.format("evident"),
        connections=CONNECTIONS,
        seconds=mode.seconds,
        header="X-Amz-Invocation-Type: Event",
        body='{"n":%d,"and":"what makes it 48 bytes"}',
        first=number * NUMBERS_APART,
        answered=accepted,
    )


def _kill_while_accepting(gateway: Gateway, number: int, accepted: Path, mode: Mode) -> None:
    done: list[Load] = []
    sending = threading.Thread(target=lambda: done.append(_accept(gateway, number, accepted, mode)))
    store = gateway.data_dir / "events.sqlite"
    before = _ids_taken(store)
    sending.start()
    wait_until(lambda: _ids_taken(store) > before, "events of the last round")
    time.sleep(mode.seconds / 2)  # the moment of the crash is the experiment
    gateway.crash_and_restart()
    sending.join()
    if not done or not done[0].errors:
        raise CannotRun("the gateway was not killed while it accepted events")


def _found(gateway: Gateway, evidence: Path, numbers: set[int]) -> tuple[set[int], Counter[int]]:
    """What is in the queue and what was run (and how often), some time after the restart."""
    deadline = time.monotonic() + DRAIN_SECONDS
    wait_until(lambda: numbers <= _ran(evidence).keys() or time.monotonic() > deadline, "events to be run")
    queued = _queued(gateway.data_dir / "events.sqlite")  # first: an event leaves the queue after it was run
    return queued, _ran(evidence)


def _queued(store: Path) -> set[int]:
    return {orjson.loads(payload)["n"] for (payload,) in _rows(store, "SELECT payload FROM event_payloads")}


def _ids_taken(store: Path) -> int:
    """How many events were ever accepted."""
    return int(_rows(store, "SELECT next FROM event_ids")[0][0])


def _rows(store: Path, statement: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def _ran(evidence: Path) -> Counter[int]:
    return Counter(_list(evidence))


def _numbers(path: Path) -> set[int]:
    return set(_list(path))


def _list(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []
