"""Wall-clock time, for people and wires alone; what waits uses the event loop's own clock."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def time(self) -> float:
        """Unix time, seconds."""


class SystemClock:
    time = staticmethod(time.time)
