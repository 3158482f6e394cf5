"""
The dialling end: hands invocations to another gateway and brings back what came of them.

    D1  an invocation that the other gateway can't have seen is given back, to be run elsewhere; one that it may have seen is not run twice:
        when that gateway is lost, it is an orphan
    D2  whatever happens to the connection, each invocation ends once
    D3  who has told of a write goes on once the other gateway has seen it, or is lost, or has been silent for `SEEN_SECONDS_MAX`; a silent
        one is told, but not waited for, until it is heard of again
    D4  a gateway from which nothing has come for 30 s, not even that it is alive, is lost, whether or not it is a member still
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar, cast

import structlog

from lambent_core.errors import LambdaError
from lambent_core.invocation import Invocation, Outcome
from lambent_gateway.peers.heartbeat import Heartbeat
from lambent_gateway.peers.messages import (
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
    Refused,
    Seen,
    Started,
    Wanted,
    Written,
    encode,
    error_of,
    proof,
)
from lambent_gateway.sinks import Sink
from lambent_kube.client import Object

log = structlog.get_logger(__name__)

CONNECT_SECONDS_MAX = 2.0
SEEN_SECONDS_MAX = 1.0
Done = Callable[[Outcome | LambdaError], None]
T = TypeVar("T")


@dataclass(slots=True)
class Handed:
    """An invocation that another gateway runs."""

    invocation: Invocation
    done: Done
    sink: Sink | None


@dataclass(slots=True)
class _Fetch:
    whole: asyncio.Future[bytes | None]
    pieces: list[bytes] = field(default_factory=list)


class PeerClient:
    """One other gateway. `give_back` takes invocations that never reached it, `orphaned` those that it ran when it was lost."""

    def __init__(
        self,
        gateway: str,
        host: str,
        port: int,
        *,
        me: str,
        key: bytes,
        give_back: Callable[[Handed], None],
        orphaned: Callable[[Handed], None],
    ) -> None:
        self.gateway = gateway
        self._host, self._port = host, port
        self._me = me
        self._key = key
        self._give_back = give_back
        self._orphaned = orphaned
        self._ids = count(1)
        self._handed: dict[int, Handed] = {}
        self._fetches: dict[int, _Fetch] = {}
        self._unseen: dict[int, asyncio.Future[None]] = {}
        self._silent = False
        self._waiting: list[Handed] = []
        """Until the connection stands."""
        self._connection: _Connection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._closed = False

    def begin(self, handed: Handed) -> None:
        if self._connection is not None:
            self._hand_over(self._connection, handed)
            return
        self._waiting.append(handed)
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def fetch(self, sha256: str) -> bytes | None:
        """A package of the other gateway's; None if it has none, or can't be asked."""
        connection = await self._connected()
        if connection is None:
            return None
        id, fetch = next(self._ids), _Fetch(asyncio.get_running_loop().create_future())
        self._fetches[id] = fetch
        connection.transport.write(encode(Wanted(id, sha256)))
        return await fetch.whole

    async def tell(self, kind: str, resource: Object, *, gone: bool) -> None:
        """Of a resource that was written; returns as D3 says."""
        id, seen = next(self._ids), asyncio.get_running_loop().create_future()
        self._unseen[id] = seen
        try:
            async with asyncio.timeout(0 if self._silent else SEEN_SECONDS_MAX):
                connection = self._connection or await self._connected()
                if connection is not None and connection.edition >= 1:
                    connection.transport.write(encode(Written(id, kind, resource, gone)))
                    await seen
        except TimeoutError:
            if not self._silent:
                log.warning("a gateway does not say that it has seen a write", gateway=self.gateway)
            self._silent = True
        finally:
            del self._unseen[id]

    def close(self) -> None:
        """The gateway is ready no more. What it runs may still end."""
        self._closed = True
        if not self._handed and self._connection is not None:
            self._connection.transport.close()

    # --- told by the connection

    def stands(self, connection: _Connection) -> None:
        self._connection = connection
        waiting, self._waiting = self._waiting, []
        for handed in waiting:
            self._hand_over(connection, handed)

    def received(self, message: Message) -> None:
        match message:
            case Ended(id, outcome):
                self._end(id, outcome)
            case Refused(id):
                self._end(id, error_of(message))
            case Started(id, content_type, version):
                if (handed := self._handed.get(id)) is not None and handed.sink is not None:
                    handed.sink.start(content_type, version)
            case Chunk(id, data):
                if (handed := self._handed.get(id)) is not None and handed.sink is not None:
                    handed.sink.chunk(data, _Remote(self, id))
            case Piece(id, data, last):
                if (fetch := self._fetches.get(id)) is not None:
                    fetch.pieces.append(data)
                    if last:
                        self._fetched(id, b"".join(fetch.pieces))
            case Absent(id):
                self._fetched(id, None)
            case Seen(id):
                self._silent = False
                if (seen := self._unseen.get(id)) is not None:
                    _resolve(seen, None)
            case Alive():
                pass
            case _:
                raise BrokenMessage(f"{type(message).__name__} was not to be sent")

    def lost(self) -> None:
        self._connection = None
        for id in list(self._fetches):
            self._fetched(id, None)
        for seen in self._unseen.values():
            _resolve(seen, None)
        handed, self._handed = self._handed, {}
        for one in handed.values():
            self._orphaned(one)
        self._return_waiting()

    def flow(self, id: int, *, paused: bool) -> None:
        if self._connection is not None:
            self._connection.transport.write(encode(Flow(id, paused)))

    def _hand_over(self, connection: _Connection, handed: Handed) -> None:
        id = next(self._ids)
        self._handed[id] = handed
        connection.transport.write(encode(Begin(id, handed.invocation, handed.sink is not None)))

    def _end(self, id: int, result: Outcome | LambdaError) -> None:
        handed = self._handed.pop(id, None)
        if handed is not None:
            handed.done(result)
        if self._closed and not self._handed and self._connection is not None:
            self._connection.transport.close()

    def _fetched(self, id: int, package: bytes | None) -> None:
        fetch = self._fetches.pop(id, None)
        if fetch is not None:
            _resolve(fetch.whole, package)

    async def _connected(self) -> _Connection | None:
        if self._connection is None:
            if self._connecting is None:
                self._connecting = asyncio.get_running_loop().create_task(self._connect())
            await asyncio.wait({self._connecting})
        return self._connection

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                transport, connection = await loop.create_connection(lambda: _Connection(self), self._host, self._port)
                try:
                    await connection.challenged.wait()
                except asyncio.CancelledError:
                    transport.abort()
                    raise
        except (OSError, TimeoutError) as error:
            log.warning("peer out of reach", gateway=self.gateway, error=str(error))
        finally:
            self._connecting = None
            self._return_waiting()

    def _return_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for handed in waiting:
            self._give_back(handed)

    def answer(self, nonce: bytes) -> Greeting:
        return Greeting(self._me, proof(self._key, nonce, self._me))


def _resolve(future: asyncio.Future[T], result: T) -> None:
    """Unless whoever waited for it has given up."""
    if not future.done():
        future.set_result(result)


class _Connection(asyncio.Protocol):
    def __init__(self, client: PeerClient) -> None:
        self._client = client
        self._reader = MessageReader()
        self.challenged = asyncio.Event()
        self.edition = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._heartbeat = Heartbeat(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._heartbeat.stop()
        self._client.lost()

    def data_received(self, data: bytes) -> None:
        self._heartbeat.heard()
        try:
            for message in self._reader.feed(data):
                if isinstance(message, Challenge) and not self.challenged.is_set():
                    self.challenged.set()
                    self.edition = message.edition
                    self.transport.write(encode(self._client.answer(message.nonce)))
                    if message.edition >= 2:
                        self._heartbeat.start()
                    self._client.stands(self)
                else:
                    self._client.received(message)
        except BrokenMessage as error:
            log.warning("peer broke the protocol", gateway=self._client.gateway, error=str(error))
            self.transport.close()


@dataclass(slots=True)
class _Remote:
    """An agent of another gateway, as far as a sink knows agents: it can be told to wait."""

    client: PeerClient
    id: int

    @property
    def transport(self) -> _Remote:
        return self

    def pause_reading(self) -> None:
        self.client.flow(self.id, paused=True)

    def resume_reading(self) -> None:
        self.client.flow(self.id, paused=False)

    def is_closing(self) -> bool:
        return False
