"""Where a streamed response comes from and goes to, as each end sees the other."""

from __future__ import annotations

from typing import Protocol


class Pausable(Protocol):
    """A connection that can be read from later."""

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def is_closing(self) -> bool: ...


class Source(Protocol):
    """Where chunks come from: an agent, here or at another gateway."""

    @property
    def transport(self) -> Pausable: ...


class Sink(Protocol):
    """Where a streamed response goes."""

    def start(self, content_type: str, version: str) -> None: ...
    def chunk(self, data: bytes, source: Source) -> None:
        """A receiver that can't follow pauses the source's transport, and resumes it."""
