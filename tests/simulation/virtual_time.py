"""
An event loop whose time passes only when nothing is left to do, and then at once to the next timer.

So hours take milliseconds, and a test may wait for any time without waiting.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Instead of waiting for so many seconds, has them passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everything waits for something that no timer and no task will bring")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """Like `asyncio.run`, without waiting."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


class WallClock:
    """The wall clock of such a loop. `ahead` is how far it has been set ahead (or back)."""

    def __init__(self, ahead: float = 1_800_000_000.0) -> None:
        self.ahead = ahead

    def time(self) -> float:
        return asyncio.get_running_loop().time() + self.ahead
