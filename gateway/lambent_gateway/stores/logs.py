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


class FunctionLogs:
    """Owns `<data_dir>/logs/`."""

    def __init__(
        self, folder: Path, *, file_bytes_max: int = FILE_BYTES_MAX, follower_events_max: int = FOLLOWER_EVENTS_MAX
    ) -> None:
        self._folder = folder
        self._file_bytes_max = file_bytes_max
        self._follower_events_max = follower_events_max
        self._folder.mkdir(parents=True, exist_ok=True)
        self._waiting: dict[str, list[LogEvent]] = {}
        self._encoder = msgspec.json.Encoder()
        self._followers: dict[str, set[asyncio.Queue[LogEvent]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._failing = False

    def write(self, function: str, at_ms: int, stream: str, request_id: str | None, text: bytes) -> None:
        """`text` is any number of lines. They are kept as one record, and become an event each where somebody reads them."""
        records = self._waiting.get(function)
        if records is None:
            records = self._waiting[function] = []
        records.append(LogEvent(at_ms, stream, request_id, text.decode("utf-8", "replace")))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Writes what waits. Called by itself; `read` and shutdown call it too."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, {}
        for function, records in waiting.items():
            self._append(function, self._encoder.encode_lines(records))
            for queue in self._followers.get(function, ()):
                for event in (event for record in records for event in _events(record)):
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
                        record = decoder.decode(line)
                        if record.timestamp >= since_ms:
                            yield from _events(record)

    @contextlib.contextmanager
    def follow(self, function: str) -> Iterator[asyncio.Queue[LogEvent]]:
        """Events from now on, in a queue."""
        queue: asyncio.Queue[LogEvent] = asyncio.Queue(self._follower_events_max)
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
            if size > self._file_bytes_max:
                path.replace(self._path(function, older=True))
            self._failing = False
        except OSError as error:
            if not self._failing:
                log.error("function logs are being lost", path=str(path), error=str(error), fix="make room on the disk")
            self._failing = True

    def _path(self, function: str, *, older: bool = False) -> Path:
        assert re.fullmatch(r"[A-Za-z0-9_-]+", function), function
        return self._folder / f"{function}{'.1' if older else ''}.jsonl"


def _events(record: LogEvent) -> Iterator[LogEvent]:
    for line in record.message.splitlines():
        yield LogEvent(record.timestamp, record.stream, record.request_id, line)


LogWriter = Callable[[str, int, str, str | None, bytes], None]
"""`FunctionLogs.write`, for those who only write."""
