"""Two gateways over real sockets: invocations, streams and packages on their way between them (D1, D2)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
import pytest

from lambent_core import deployment, layers
from lambent_core.errors import LambdaError, TooManyRequests
from lambent_core.function import Code, FunctionLayer, FunctionSpec
from lambent_core.invocation import Invocation, Outcome
from lambent_core.link import Report, ReportStatus
from lambent_core.ownership import Ownership
from lambent_core.package import Package
from lambent_gateway.drivers.streaming import QueueSink
from lambent_gateway.paced import PART_BYTES
from lambent_gateway.peers import client as peer_client
from lambent_gateway.peers import heartbeat
from lambent_gateway.peers.client import Handed, PeerClient
from lambent_gateway.peers.clients import PeerClients
from lambent_gateway.peers.messages import (
    EDITION,
    Absent,
    Alive,
    Challenge,
    Greeting,
    Message,
    MessageReader,
    Piece,
    Seen,
    Wanted,
    Written,
    encode,
    proof,
)
from lambent_gateway.peers.packages import TAKING_MAX, SharedPackages
from lambent_gateway.peers.server import Guests, PeerServer
from lambent_gateway.sinks import Sink, Source
from lambent_gateway.stores.memory import MemoryPackages

KEY = b"k" * 32
REPORT = Report(1_000_000, 0, 50_000_000, ReportStatus.SUCCESS, "")
Done = Callable[[Outcome | LambdaError], None]


def outcome(payload: bytes) -> Outcome:
    return Outcome(payload, None, "", "$LATEST", REPORT)


@dataclass
class Pace:
    """An agent's connection, as far as a sink knows it."""

    paused: list[bool] = field(default_factory=list)

    @property
    def transport(self) -> Pace:
        return self

    def pause_reading(self) -> None:
        self.paused.append(True)

    def resume_reading(self) -> None:
        self.paused.append(False)

    def is_closing(self) -> bool:
        return False


class Wire:
    """Between two gateways. Cut, it swallows all and closes nothing, as when the machine of one loses power."""

    def __init__(self) -> None:
        self.cut = False
        self.alive = 0
        """How often an end has said so."""
        self._ends: list[asyncio.StreamWriter] = []
        self._ways: set[asyncio.Task[None]] = set()

    async def to(self, port: int) -> int:
        """The port to dial."""
        self._port = port
        self._server = await asyncio.start_server(self._joined, "127.0.0.1", 0)
        address: tuple[str, int] = self._server.sockets[0].getsockname()
        return address[1]

    def close(self) -> None:
        self._server.close()
        for end in self._ends:
            end.close()

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there = await asyncio.open_connection("127.0.0.1", self._port)
        self._ends += [writer, there]
        loop = asyncio.get_running_loop()
        self._ways |= {loop.create_task(self._pass(reader, there)), loop.create_task(self._pass(there_reader, writer))}

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        messages = MessageReader()
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                if not self.cut:
                    self.alive += sum(isinstance(message, Alive) for message in messages.feed(data))
                    writer.write(data)


class Pair:
    """The owner `b` runs what the test says; `a` hands over."""

    def __init__(self) -> None:
        self.began: list[tuple[Invocation, Done, Sink | None]] = []
        self.given_back: list[Handed] = []
        self.ownership = Ownership("a")
        self.owners_packages, self.own_packages = MemoryPackages(), MemoryPackages()
        self.connections: list[asyncio.BaseTransport] = []
        self.arrived = asyncio.Event()
        self.refuse: LambdaError | None = None
        self.guests = Guests()
        self.heard: list[tuple[str, dict[str, Any], bool]] = []
        self.orphans: list[Handed] = []
        self.orphaned = asyncio.Event()

    async def open(self, key: bytes = KEY, wire: Wire | None = None) -> None:
        self.server = await asyncio.get_running_loop().create_server(self._accept, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        if wire is not None:
            port = await wire.to(port)
        self.clients = PeerClients(
            self.ownership, port=port, key=key, give_back=self._take_back, orphaned=self._take_orphan
        )
        self.packages = SharedPackages(self.own_packages, self.clients.all)
        self.clients.members_changed({"a": "127.0.0.1", "b": "127.0.0.1"})

    def close(self) -> None:
        self.server.close()
        for client in self.clients.all():
            client.close()
        for connection in self.connections:
            connection.close()

    def hand(self, payload: bytes = b"1", sink: Sink | None = None) -> asyncio.Future[Outcome | LambdaError]:
        future: asyncio.Future[Outcome | LambdaError] = asyncio.get_running_loop().create_future()
        self.clients.of("b").begin(Handed(Invocation("r-1", "f", payload), future.set_result, sink))
        return future

    async def begun(self) -> tuple[Invocation, Done, Sink | None]:
        await asyncio.wait_for(self.arrived.wait(), 5)
        self.arrived.clear()
        return self.began[-1]

    def _take_back(self, handed: Handed) -> None:
        self.given_back.append(handed)
        handed.done(outcome(b"run here"))

    def _take_orphan(self, handed: Handed) -> None:
        self.orphans.append(handed)
        self.orphaned.set()

    def _accept(self) -> PeerServer:
        pair = self

        class Remembered(PeerServer):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                pair.connections.append(transport)
                super().connection_made(transport)

        return Remembered(self._run, self.owners_packages.file, self._hear, self.guests, key=KEY, nonce=b"n" * 32)

    def _hear(self, kind: str, resource: dict[str, Any], gone: bool) -> None:
        self.heard.append((kind, resource, gone))

    def _run(self, invocation: Invocation, done: Done, sink: Sink | None) -> None:
        self.began.append((invocation, done, sink))
        self.arrived.set()
        if self.refuse is not None:
            raise self.refuse


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    pair = Pair()
    await pair.open()
    yield pair
    pair.close()


async def test_an_invocation_runs_at_its_owner(pair: Pair) -> None:
    answer = pair.hand(b'{"a": 1}')
    invocation, done, sink = await pair.begun()
    assert (invocation.payload, invocation.request_id, sink) == (b'{"a": 1}', "r-1", None)
    done(outcome(b"2"))
    assert await answer == outcome(b"2")


async def test_an_error_comes_back_as_it_was(pair: Pair) -> None:
    pair.refuse = TooManyRequests("Rate Exceeded.", fields={"Reason": "x"}, headers={"Retry-After": "1"})
    error = await pair.hand()
    assert isinstance(error, TooManyRequests)
    assert (error.body(), error.headers) == (pair.refuse.body(), {"Retry-After": "1"})


async def test_the_owner_knows_when_it_runs_nothing_for_others(pair: Pair) -> None:
    answer = pair.hand()
    _, done, _ = await pair.begun()
    gone = asyncio.ensure_future(pair.guests.gone())
    await asyncio.sleep(0)
    assert not gone.done(), "it runs"
    done(outcome(b"2"))
    await answer
    await asyncio.wait_for(gone, 5)
    pair.refuse = TooManyRequests("Rate Exceeded.")
    await pair.hand()
    await asyncio.wait_for(pair.guests.gone(), 5)


async def test_many_at_once_do_not_mix(pair: Pair) -> None:
    answers = [pair.hand(b"%d" % number) for number in range(100)]
    while len(pair.began) < 100:
        await pair.begun()
    for invocation, done, _ in reversed(pair.began):
        done(outcome(invocation.payload))
    assert [(await answer).payload for answer in answers] == [b"%d" % number for number in range(100)]  # type: ignore[union-attr]


async def test_what_never_reached_the_owner_is_given_back(pair: Pair) -> None:
    pair.server.close()
    await pair.server.wait_closed()
    assert await pair.hand() == outcome(b"run here")
    assert pair.began == []


async def test_what_may_have_run_is_not_run_again_but_an_orphan(pair: Pair) -> None:
    answer = pair.hand()
    await pair.begun()
    pair.connections[0].close()
    await asyncio.wait_for(pair.orphaned.wait(), 5)
    assert [orphan.invocation.request_id for orphan in pair.orphans] == ["r-1"]
    assert pair.given_back == []
    assert not answer.done(), "whoever takes the orphan answers"


async def test_after_a_loss_the_owner_is_dialled_again(pair: Pair) -> None:
    pair.hand()
    await pair.begun()
    pair.connections[0].close()
    await asyncio.wait_for(pair.orphaned.wait(), 5)
    second = pair.hand()
    _, done, _ = await pair.begun()
    done(outcome(b"2"))
    assert await second == outcome(b"2")


async def test_whoever_lacks_the_key_runs_nothing() -> None:
    pair = Pair()
    await pair.open(key=b"other" * 8)
    pair.hand()
    await asyncio.wait_for(pair.orphaned.wait(), 5)
    assert pair.began == []
    pair.close()


async def test_a_stream_passes_and_the_agent_is_paused_when_the_reader_can_not_follow(pair: Pair) -> None:
    sink = QueueSink()
    answer = pair.hand(sink=sink)
    answer.add_done_callback(lambda done: sink.finish(done.result()))
    _, done, owners_sink = await pair.begun()
    assert owners_sink is not None
    agent: Source = Pace()
    owners_sink.start("text/plain", "7")
    for _ in range(3):
        owners_sink.chunk(b"x" * 600_000, agent)
    assert isinstance(agent, Pace)
    while agent.paused[-1:] != [True]:
        await asyncio.sleep(0)
    started: list[tuple[str, str]] = []
    read: list[bytes] = []

    async def take(chunk: bytes) -> None:
        read.append(chunk)

    reading = asyncio.ensure_future(sink.drain(lambda *head: started.append(head), take))
    while agent.paused[-1:] != [False]:
        await asyncio.sleep(0)
    done(outcome(b""))
    assert await reading == outcome(b"")
    assert (started, sum(map(len, read))) == ([("text/plain", "7")], 1_800_000)


async def test_a_package_is_taken_from_whoever_has_it(pair: Pair) -> None:
    data = b"zip" * 1_000_000
    digest = hashlib.sha256(data).hexdigest()
    await pair.owners_packages.put(digest, data)
    assert await pair.packages.size(digest) == len(data)
    assert await pair.own_packages.read(digest) == data
    assert (await pair.packages.file(digest)).read() == data
    assert await pair.packages.size("ab" * 32) is None


async def test_a_package_is_taken_from_a_gateway_that_ends(pair: Pair) -> None:
    """It was given it last, and nobody else has it."""
    digest = hashlib.sha256(b"zip").hexdigest()
    await pair.owners_packages.put(digest, b"zip")
    pair.clients.members_changed({"a": "127.0.0.1"})
    assert await pair.packages.size(digest) is None
    ending = {"a": "127.0.0.1", "b": "127.0.0.1"}
    packages = SharedPackages(pair.own_packages, lambda: pair.clients.ending(ending))
    assert await packages.size(digest) == 3
    (client,) = pair.clients.ending(ending)
    assert pair.clients.ending(ending) == [client], "the connection is kept"
    assert pair.clients.ending({"b": "127.0.0.2"}) != [client], "a later one of the name is another"
    assert pair.clients.ending({}) == []


async def test_a_package_that_a_gateway_takes_slowly_is_not_in_memory(pair: Pair) -> None:
    data = b"zip" * 8_000_000
    digest = hashlib.sha256(data).hexdigest()
    await pair.owners_packages.put(digest, data)
    reader, writer = await asyncio.open_connection(*pair.server.sockets[0].getsockname())
    messages = MessageReader()
    (challenge,) = messages.feed(await reader.read(65_536))
    assert isinstance(challenge, Challenge)
    writer.write(encode(Greeting("a", proof(KEY, challenge.nonce, "a"))) + encode(Wanted(1, digest)))
    transport = cast(asyncio.WriteTransport, pair.connections[0])
    pieces: list[Piece] = []
    async with asyncio.timeout(5):
        while transport.get_write_buffer_size() == 0:
            await asyncio.sleep(0.005)
        assert transport.get_write_buffer_size() <= 2 * PART_BYTES
        while not pieces or not pieces[-1].last:
            pieces += cast(Iterator[Piece], messages.feed(await reader.read(65_536)))
    assert b"".join(piece.data for piece in pieces) == data
    writer.close()


async def test_few_packages_are_taken_at_once() -> None:
    async with quiet_gateway() as (quiet, other):
        quiet.has_packages = True
        packages = SharedPackages(MemoryPackages(), lambda: [other])
        sizes = [asyncio.ensure_future(packages.size(f"{number:064x}")) for number in range(2 * TAKING_MAX)]
        async with asyncio.timeout(5):
            while len(quiet.wanted) < TAKING_MAX:
                await asyncio.sleep(0)
            told = asyncio.ensure_future(other.tell("Function", RESOURCE, gone=False))
            id = await quiet.takes()
            assert len(quiet.wanted) == TAKING_MAX
            quiet.send(Seen(id))
            await told
            quiet.has_packages = False
            for id in quiet.wanted:
                quiet.send(Absent(id))
            assert await asyncio.gather(*sizes) == [None] * len(sizes)


async def test_packages_of_layers_are_taken_ahead(pair: Pair) -> None:
    """Of a layer version that somebody may use next, and of what functions use already."""
    datas = [b"a layer's", b"a function's", b"of a layer that is deleted"]
    digests = [hashlib.sha256(data).hexdigest() for data in datas]
    for data, digest in zip(datas, digests, strict=True):
        await pair.owners_packages.put(digest, data)
    version = layers.version_of("deps", 1, {}, Package(digests[0], 9, 9), uid="u", now=0.0)
    used = FunctionLayer(layer="gone:1", sha256=digests[2], size=9, unzipped_size=9)
    function = deployment.created("fn", FunctionSpec(code=Code(sha256=digests[1])), uid="u", revision_id="r", now=0.0)
    status = msgspec.structs.replace(function.status, layers=[used])
    for document in (version, msgspec.structs.replace(function, status=status)):
        pair.packages.changed(None, document)
    async with asyncio.timeout(5):
        while set(await pair.own_packages.stored()) != set(digests):
            await asyncio.sleep(0)


RESOURCE = {"kind": "Function", "metadata": {"name": "f", "resourceVersion": "7"}}


async def test_a_write_is_seen_when_its_telling_returns(pair: Pair) -> None:
    await pair.clients.of("b").tell("Function", RESOURCE, gone=False)
    assert pair.heard == [("Function", RESOURCE, False)]
    await pair.clients.of("b").tell("Function", RESOURCE, gone=True)
    assert pair.heard[1:] == [("Function", RESOURCE, True)]


class Quiet(asyncio.Protocol):
    """A gateway that takes writes, and says so when the test wants it to. Without an edition it says nothing at all."""

    def __init__(self, edition: int | None) -> None:
        self.edition = edition
        self.reader = MessageReader()
        self.written: list[Written] = []
        self.alive = 0
        self.has_packages = False
        self.wanted: list[int] = []
        self.arrived = asyncio.Event()
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self.edition is not None:
            self.send(Challenge(b"n" * 32, self.edition))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()

    def send(self, message: Message) -> None:
        self.transport.write(encode(message))

    def data_received(self, data: bytes) -> None:
        for message in self.reader.feed(data):
            match message:
                case Written():
                    self.written.append(message)
                    self.arrived.set()
                case Alive():
                    self.alive += 1
                case Wanted(id):
                    self.wanted.append(id)
                    if not self.has_packages:
                        self.send(Absent(id))

    async def takes(self) -> int:
        """The id of the next write."""
        await asyncio.wait_for(self.arrived.wait(), 5)
        self.arrived.clear()
        return self.written[-1].id


@asynccontextmanager
async def quiet_gateway(edition: int | None = EDITION) -> AsyncIterator[tuple[Quiet, PeerClient]]:
    quiet = Quiet(edition)
    server = await asyncio.get_running_loop().create_server(lambda: quiet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    given_back: list[Handed] = []
    other = PeerClient("b", "127.0.0.1", port, me="a", key=KEY, give_back=given_back.append, orphaned=given_back.append)
    try:
        yield quiet, other
    finally:
        other.close()
        server.close()


async def test_a_silent_gateway_is_not_waited_for_again_until_it_is_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_client, "SEEN_SECONDS_MAX", 0.05)
    async with quiet_gateway() as (quiet, other):
        await other.tell("Function", RESOURCE, gone=False)
        first = await quiet.takes()
        monkeypatch.setattr(peer_client, "SEEN_SECONDS_MAX", 3600)
        await asyncio.wait_for(other.tell("Function", RESOURCE, gone=False), 5)
        await quiet.takes()
        quiet.send(Seen(first))
        assert await other.fetch("ab") is None  # what was sent before has come
        third = asyncio.ensure_future(other.tell("Function", RESOURCE, gone=False))
        id = await quiet.takes()
        assert not third.done()
        quiet.send(Seen(id))
        await asyncio.wait_for(third, 5)


async def test_a_gateway_that_is_lost_is_not_waited_for() -> None:
    async with quiet_gateway() as (quiet, other):
        told = asyncio.ensure_future(other.tell("Function", RESOURCE, gone=False))
        await quiet.takes()
        quiet.transport.close()
        await asyncio.wait_for(told, 5)


async def test_a_gateway_of_an_earlier_edition_is_not_told_of_writes() -> None:
    async with quiet_gateway(edition=0) as (quiet, other):
        await other.tell("Function", RESOURCE, gone=False)
        assert await other.fetch("ab") is None
        assert quiet.written == []


async def test_nobody_waits_for_a_gateway_that_is_out_of_reach() -> None:
    async with quiet_gateway() as (_, other):
        pass
    await asyncio.wait_for(other.tell("Function", RESOURCE, gone=False), 5)


@pytest.fixture
async def wired(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Pair, Wire]]:
    monkeypatch.setattr(heartbeat, "ALIVE_SECONDS", 0.01)
    pair, wire = Pair(), Wire()
    await pair.open(wire=wire)
    yield pair, wire
    pair.close()
    wire.close()


@pytest.mark.parametrize("still_a_member", [True, False])
async def test_a_gateway_that_falls_silent_is_lost(wired: tuple[Pair, Wire], still_a_member: bool) -> None:
    pair, wire = wired
    answer = pair.hand()
    await pair.begun()
    if not still_a_member:
        pair.clients.members_changed({"a": "127.0.0.1"})
    wire.cut = True
    await asyncio.wait_for(pair.orphaned.wait(), 5)
    assert [orphan.invocation.request_id for orphan in pair.orphans] == ["r-1"]
    assert pair.given_back == [] and not answer.done()


async def test_what_is_begun_after_a_gateway_fell_silent_is_given_back(
    wired: tuple[Pair, Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_client, "CONNECT_SECONDS_MAX", 0.05)
    pair, wire = wired
    wire.cut = True
    assert await asyncio.wait_for(pair.hand(), 5) == outcome(b"run here")
    assert pair.began == [] and pair.orphans == []


async def test_who_waits_for_a_gateway_that_falls_silent_does_without_it(wired: tuple[Pair, Wire]) -> None:
    pair, wire = wired
    await pair.clients.of("b").tell("Function", RESOURCE, gone=False)
    wire.cut = True
    assert await asyncio.wait_for(pair.clients.of("b").fetch("ab" * 32), 5) is None


async def test_an_agent_does_not_wait_for_a_reader_whose_gateway_fell_silent(wired: tuple[Pair, Wire]) -> None:
    pair, wire = wired
    sink = QueueSink()
    pair.hand(sink=sink)
    _, _, owners_sink = await pair.begun()
    agent = Pace()
    assert owners_sink is not None
    owners_sink.start("text/plain", "7")
    for _ in range(3):
        owners_sink.chunk(b"x" * 600_000, cast(Source, agent))
    async with asyncio.timeout(5):
        while agent.paused[-1:] != [True]:
            await asyncio.sleep(0)
        wire.cut = True
        while agent.paused[-1:] != [False]:
            await asyncio.sleep(0.005)


async def test_a_gateway_that_ends_and_is_alive_ends_what_it_runs(wired: tuple[Pair, Wire]) -> None:
    pair, wire = wired
    answer = pair.hand()
    _, done, _ = await pair.begun()
    pair.clients.members_changed({"a": "127.0.0.1"})
    async with asyncio.timeout(5):
        while wire.alive < 10 * heartbeat.UNHEARD_MAX:
            await asyncio.sleep(0.005)
        assert not answer.done() and pair.orphans == []
        done(outcome(b"2"))
        assert await answer == outcome(b"2")
        while not pair.connections[0].is_closing():
            await asyncio.sleep(0.005)


async def test_a_gateway_of_an_earlier_edition_need_not_say_that_it_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "ALIVE_SECONDS", 0)
    async with quiet_gateway(edition=1) as (quiet, other):
        told = asyncio.ensure_future(other.tell("Function", RESOURCE, gone=False))
        id = await quiet.takes()
        quiet.send(Seen(id))
        await told
        for _ in range(100):
            await asyncio.sleep(0)
        assert await other.fetch("ab") is None
        assert quiet.alive == 0 and not quiet.transport.is_closing()


async def test_a_connection_on_which_no_gateway_answers_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is stopped, say: else it might answer later, on several at once."""
    monkeypatch.setattr(peer_client, "CONNECT_SECONDS_MAX", 0.05)
    async with quiet_gateway(edition=None) as (quiet, other):
        assert await other.fetch("ab") is None
        await asyncio.wait_for(quiet.lost.wait(), 5)
