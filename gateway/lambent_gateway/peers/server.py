"""The listening end: runs for other gateways the invocations of functions that this one owns."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import BinaryIO, cast

import structlog

from lambent_core.documents import PackageNotFound
from lambent_core.errors import LambdaError
from lambent_core.invocation import Invocation, Outcome
from lambent_gateway.paced import Paced, next_part
from lambent_gateway.peers.heartbeat import Heartbeat
from lambent_gateway.peers.messages import (
    EDITION,
    Absent,
    Alive,
    Begin,
    BrokenMessage,
    Challenge,
    Chunk,
    Ended,
    Flow,
    Greeting,
    Message,
    MessageReader,
    Piece,
    Seen,
    Started,
    Wanted,
    Written,
    encode,
    proof,
    refused,
)
from lambent_gateway.sinks import Sink, Source
from lambent_kube.client import Object

log = structlog.get_logger(__name__)

GREETING_SECONDS_MAX = 10.0


Run = Callable[[Invocation, Callable[[Outcome | LambdaError], None], Sink | None], None]
"""Begins an invocation here, whoever owns its function; raises the `LambdaError` for which it can't begin."""
Hear = Callable[[str, Object, bool], None]
"""Takes a resource that another gateway has written: its kind, itself, and whether it is gone."""


class Guests:
    """Invocations that run here for other gateways, on all of their connections."""

    def __init__(self) -> None:
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()

    def began(self) -> None:
        self._count += 1
        self._none.clear()

    def ended(self) -> None:
        self._count -= 1
        if self._count == 0:
            self._none.set()

    async def gone(self) -> None:
        """Returns once there are none."""
        await self._none.wait()


class PeerServer(Paced):
    """One connection of another gateway."""

    def __init__(
        self,
        run: Run,
        open_package: Callable[[str], Awaitable[BinaryIO]],
        hear: Hear,
        guests: Guests,
        *,
        key: bytes,
        nonce: bytes,
    ) -> None:
        super().__init__()
        self._run = run
        self._hear = hear
        self._guests = guests
        self._open_package = open_package
        self._tasks: set[asyncio.Task[None]] = set()
        self._key = key
        self._nonce = nonce
        self._reader = MessageReader()
        self._known = False
        self._sinks: dict[int, _ForwardingSink] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._heartbeat = Heartbeat(self._transport)
        self._timer = asyncio.get_running_loop().call_later(GREETING_SECONDS_MAX, self._transport.close)
        self.send(Challenge(self._nonce, EDITION))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._timer.cancel()
        self._heartbeat.stop()
        for sink in self._sinks.values():
            sink.resume()

    def data_received(self, data: bytes) -> None:
        self._heartbeat.heard()
        try:
            for message in self._reader.feed(data):
                self._take(message)
        except BrokenMessage as error:
            log.warning("peer broke the protocol", error=str(error))
            self._transport.close()

    def send(self, message: Message) -> None:
        if not self._transport.is_closing():
            self._transport.write(encode(message))

    def _take(self, message: Message) -> None:
        match message:
            case Greeting(gateway, shown) if hmac.compare_digest(shown, proof(self._key, self._nonce, gateway)):
                self._known = True
                self._timer.cancel()
            case Begin() if self._known:
                self._begin(message)
            case Wanted() if self._known:
                task = asyncio.get_running_loop().create_task(self._send_package(message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case Written(id, kind, resource, gone) if self._known:
                self._hear(kind, resource, gone)
                self.send(Seen(id))
            case Flow(id, paused) if self._known:
                if (sink := self._sinks.get(id)) is not None:
                    sink.pause() if paused else sink.resume()
            case Alive() if self._known:
                self._heartbeat.start()
            case _:
                raise BrokenMessage(f"{type(message).__name__} was not to be sent")

    async def _send_package(self, wanted: Wanted) -> None:
        try:
            with await self._open_package(wanted.sha256) as file:
                last = False
                while not last and not self._transport.is_closing():
                    await self.room()
                    data, last = await next_part(file)
                    self.send(Piece(wanted.id, data, last))
        except (PackageNotFound, LambdaError, OSError):
            self.send(Absent(wanted.id))

    def _begin(self, begin: Begin) -> None:
        id = begin.id

        def done(result: Outcome | LambdaError) -> None:
            self._guests.ended()
            self._sinks.pop(id, None)
            self.send(refused(id, result) if isinstance(result, LambdaError) else Ended(id, result))

        sink = _ForwardingSink(id, self) if begin.sink else None
        if sink is not None:
            self._sinks[id] = sink
        self._guests.began()
        try:
            self._run(begin.invocation, done, sink)
        except LambdaError as error:
            done(error)


@dataclass(slots=True)
class _ForwardingSink:
    """Passes a streamed response on to the gateway that asked for it, at that one's pace."""

    id: int
    server: PeerServer
    source: Source | None = None
    paused: bool = False

    def start(self, content_type: str, version: str) -> None:
        self.server.send(Started(self.id, content_type, version))

    def chunk(self, data: bytes, source: Source) -> None:
        self.source = source
        self.server.send(Chunk(self.id, data))
        if self.paused:
            source.transport.pause_reading()

    def pause(self) -> None:
        self.paused = True
        if self.source is not None and not self.source.transport.is_closing():
            self.source.transport.pause_reading()

    def resume(self) -> None:
        self.paused = False
        if self.source is not None and not self.source.transport.is_closing():
            self.source.transport.resume_reading()
