"""
How many agents are started at once: as many as hardly slow one another down, wherever that is.

A machine with two cores has soon enough of them, a hundred nodes don't, and nobody says which it is: the time that a start takes tells.
Next to the quickest of the last minutes, one that takes `SLOWDOWN` times as long leaves the window as it is; quicker ones widen it, by one
each at most, slower ones narrow it. So while starts don't hinder one another, each round of them is twice as large as the one before.

    W1  the window stays between `WINDOW_MIN` and `most`
    W2  only starts that filled the window widen it: fewer say nothing of how many a machine takes
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

WINDOW_MIN, WINDOW_FIRST = 2.0, 4.0
SLOWDOWN = 2.0
QUICKEST_SECONDS = 600.0
"""How long the quickest start is remembered: a pool may move to slower nodes."""


@dataclass(slots=True)
class Pace:
    most: int
    window: float = WINDOW_FIRST
    quickest: float = inf
    """Seconds."""
    quickest_at: float = 0.0

    @property
    def at_once(self) -> int:
        """Starts that may be under way."""
        return min(int(self.window), self.most)

    def started(self, seconds: float, *, under_way: int, now: float) -> None:
        """A start took so long; so many were under way to its end, itself among them."""
        if seconds <= self.quickest or now - self.quickest_at > QUICKEST_SECONDS:
            self.quickest, self.quickest_at = seconds, now
        gain = SLOWDOWN * self.quickest / seconds - 1 if seconds > 0 else 1.0
        if gain > 0 and under_way < self.at_once:
            return
        self.window = max(WINDOW_MIN, min(self.window + gain, float(self.most)))
