"""Constant traffic, of which each call is counted: so many callers, each with the next call as soon as it has its answer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import randrange

import aiohttp

CALLS_MAX = 50_000
PAUSE_SECONDS = 0.05
FIRST_CALL_SECONDS = 0.5
"""From one function's first call to the next one's."""
TIMEOUT_SECONDS = 60.0
FAILURES_KEPT = 20


@dataclass
class Traffic:
    """What has come of it so far. `answered` are those calls whose answer was the right one."""

    url: str
    callers: int
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    """The first of them, with the moment and what was said."""
    slowest_seconds: float = 0.0
    _began: float = field(default_factory=time.monotonic)
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def answered(self) -> int:
        return self.outcomes["answered"]

    @property
    def failed(self) -> dict[str, int]:
        return {outcome: count for outcome, count in self.outcomes.items() if outcome != "answered"}

    def flows(self, calls: int = 50, *, seconds: float = 60.0) -> None:
        """Returns when so many more have been answered."""
        wanted, ends = self.answered + calls, time.monotonic() + seconds
        while self.answered < wanted:
            assert time.monotonic() < ends, f"no {calls} answers within {seconds:.0f} s: {self}"
            time.sleep(0.02)

    def __str__(self) -> str:
        return f"{dict(self.outcomes)}, slowest {self.slowest_seconds:.2f} s, {self.failures}"

    async def _run(self) -> None:
        # A connection per call, as from many clients: each one is balanced anew.
        to_loopback = self.url.startswith("http://127.")
        source = (
            (_unused_loopback_address(), 0) if to_loopback else None
        )  # to a pod's own address none leads from there
        connector = aiohttp.TCPConnector(limit=0, force_close=True, local_addr=source)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            await self._calls(session)

    async def _calls(self, session: aiohttp.ClientSession) -> None:
        await asyncio.gather(*(self._call_on(session, number) for number in range(self.callers)))

    async def _call_on(self, session: aiohttp.ClientSession, caller: int) -> None:
        call = 0
        while not self._stop.is_set() and self.outcomes.total() < CALLS_MAX:
            call += 1
            await self._call(session, self.url, f'{{"caller": {caller}, "call": {call}}}')
            await asyncio.sleep(PAUSE_SECONDS)

    async def _call(self, session: aiohttp.ClientSession, url: str, payload: str) -> None:
        began = time.monotonic()
        try:
            async with session.post(url, data=payload) as response:
                text = await response.text()
                right = response.status == 200 and "X-Amz-Function-Error" not in response.headers
                right = right and text == payload
                self._note("answered" if right else f"{response.status}", f"{response.status} {text[:300]}")
        except (aiohttp.ClientError, TimeoutError) as error:
            self._note(type(error).__name__, f"{error} {getattr(error, 'os_error', '')}")
        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)

    def _note(self, outcome: str, said: str) -> None:
        self.outcomes[outcome] += 1
        if outcome != "answered" and len(self.failures) < FAILURES_KEPT:
            self.failures.append(f"{time.monotonic() - self._began:.2f} s: {outcome} {said}")


@dataclass
class FirstCalls(Traffic):
    """One call of each function, whether or not those before it are answered."""

    names: tuple[str, ...] = ()

    async def _calls(self, session: aiohttp.ClientSession) -> None:
        async with asyncio.TaskGroup() as calls:
            for number, name in enumerate(self.names):
                if self._stop.is_set():
                    break
                calls.create_task(self._call(session, _invocations(self.url, name), f"{number}"))
                await asyncio.sleep(FIRST_CALL_SECONDS)


def _invocations(endpoint: str, name: str) -> str:
    return f"{endpoint}/2015-03-31/functions/{name}/invocations"


def _unused_loopback_address() -> str:
    """
    A source of its own, as another machine would be.

    The node's kernel remembers for two minutes to which pod a connection from this address and port went, and sends a new one from there to
    the same pod: ports come round within a minute, and the pod may have been killed by an earlier test.
    """
    return f"127.{randrange(1, 255)}.{randrange(256)}.{randrange(1, 255)}"


@contextmanager
def traffic(endpoint: str, name: str, *, callers: int = 4) -> Iterator[Traffic]:
    """To a function that returns its event, from a thread of its own while the block runs. Flows when the block begins."""
    with _flowing(Traffic(_invocations(endpoint, name), callers), 20) as made:
        yield made
    print(f"traffic to {name}: {made}")


@contextmanager
def first_calls(endpoint: str, names: tuple[str, ...]) -> Iterator[Traffic]:
    """Of functions that return their event, one after the other, until the block ends or all have been called."""
    with _flowing(FirstCalls(endpoint, 1, names=names), 2) as made:
        yield made
    print(f"first calls: {made}")


@contextmanager
def _flowing(made: Traffic, calls: int) -> Iterator[Traffic]:
    thread = threading.Thread(target=lambda: asyncio.run(made._run()), daemon=True)
    thread.start()
    try:
        made.flows(calls)
        yield made
    finally:
        made._stop.set()
        thread.join(TIMEOUT_SECONDS + 10)
