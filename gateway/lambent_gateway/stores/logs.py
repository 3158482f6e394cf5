"""
Functions' logs as files: one folder a function, JSON lines, two generations.

Writing is a list append on the caller's side; a flush a moment later takes everything at once. A full disk costs log lines, never
invocations.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import structlog

log = structlog.get_logger(__name__)

FLUSH_SECONDS = 0.1
FILE_BYTES_MAX = 32 * 1024 * 1024
"""Size at which a file becomes the older generation. Two of them: at most 64 MB a function."""
FOLLOWER_EVENTS_MAX = 10_000
"""A follower that is this far behind loses the oldest events."""


class LogEvent(msgspec.Struct, frozen=True, rename="camel"):
    timestamp: int
    """Unix time, milliseconds."""
    stream: str
    request_id: str | None
    message: str


Entry = tuple[int, str, str | None, bytes]
"""Time in milliseconds, stream, request id, text of any number of lines."""


class FunctionLogs:
    """Owns `<data_dir>/logs/`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self._waiting: dict[str, list[Entry]] = {}
        self._followers: dict[str, set[asyncio.Queue[LogEvent]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._failing = False

    def write(self, function: str, at_ms: int, stream: str, request_id: str | None, text: bytes) -> None:
        entries = self._waiting.get(function)
        if entries is None:
            entries = self._waiting[function] = []
        entries.append((at_ms, stream, request_id, text))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Writes what waits. Called by itself; `read` and shutdown call it too."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, {}
        for function, entries in waiting.items():
            events = [event for entry in entries for event in _events(entry)]
            self._append(function, msgspec.json.Encoder().encode_lines(events))
            for queue in self._followers.get(function, ()):
                for event in events:
                    if queue.full():
                        queue.get_nowait()
                    queue.put_nowait(event)

    def read(self, function: str, *, since_ms: int = 0) -> Iterator[LogEvent]:
        """Events from `since_ms` on, oldest first. What is written by now is included; iterating may happen in a thread."""
        self.flush()
        return self._read(function, since_ms)

    def _read(self, function: str, since_ms: int) -> Iterator[LogEvent]:
        decoder = msgspec.json.Decoder(LogEvent)
        for path in (self._path(function, older=True), self._path(function)):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as lines:
                for line in lines:
                    with contextlib.suppress(msgspec.MsgspecError):  # cut by a crash or a full disk
                        event = decoder.decode(line)
                        if event.timestamp >= since_ms:
                            yield event

    @contextlib.contextmanager
    def follow(self, function: str) -> Iterator[asyncio.Queue[LogEvent]]:
        """Events from now on, in a queue."""
        queue: asyncio.Queue[LogEvent] = asyncio.Queue(FOLLOWER_EVENTS_MAX)
        followers = self._followers.setdefault(function, set())
        followers.add(queue)
        try:
            yield queue
        finally:
            followers.discard(queue)

    def forget(self, function: str) -> None:
        """A deleted function's log goes with it."""
        self._waiting.pop(function, None)
        for path in (self._path(function, older=True), self._path(function)):
            path.unlink(missing_ok=True)

    def _append(self, function: str, lines: bytes) -> None:
        path = self._path(function)
        try:
            with path.open("ab") as file:
                file.write(lines)
                size = file.tell()
            if size > FILE_BYTES_MAX:
                path.replace(self._path(function, older=True))
            self._failing = False
        except OSError as error:
            if not self._failing:
                log.error("function logs are being lost", path=str(path), error=str(error), fix="make room on the disk")
            self._failing = True

    def _path(self, function: str, *, older: bool = False) -> Path:
        assert re.fullmatch(r"[A-Za-z0-9_-]+", function), function
        return self._folder / f"{function}{'.1' if older else ''}.jsonl"


def _events(entry: Entry) -> Iterator[LogEvent]:
    at_ms, stream, request_id, text = entry
    for line in text.decode("utf-8", "replace").splitlines():
        yield LogEvent(at_ms, stream, request_id, line)


LogWriter = Callable[[str, int, str, str | None, bytes], None]
"""`FunctionLogs.write`, for those who only write."""
