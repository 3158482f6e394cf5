"""Pools of pods: asked for, greeted, claimed, dismissed and lost; over the real link, with pods that a test speaks for."""

from __future__ import annotations

import asyncio
import hmac
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
import pytest

from lambent_core import pod_sharing
from lambent_core.census import AgentEntry, Census
from lambent_core.documents import PackageNotFound
from lambent_core.link import BLOB_ABSENT, BLOB_LAST, Frame, FrameReader, FrameType, Report, encode
from lambent_core.pace import WINDOW_FIRST
from lambent_core.placement import EnvironmentId
from lambent_core.pod_sharing import Opened, is_further, pod_of
from lambent_core.runtime_pool import AgentId
from lambent_gateway.drivers import package_sending
from lambent_gateway.drivers.fleet import EnvironmentOwner, Fleet, PoolSize
from lambent_gateway.environments import agents
from lambent_gateway.environments.agents import STRANGER_BYTES_MAX, Agent
from lambent_gateway.environments.link_bodies import (
    FunctionFacts,
    Hello,
    Initialized,
    RuntimeCommand,
    SlotState,
    Specialization,
)
from lambent_gateway.environments.pod_identities import PodIdentities, TokenReviewer
from lambent_gateway.environments.pod_provider import PodProvider
from lambent_gateway.paced import PART_BYTES
from tests.token_reviews import TokenReviews

POOL = "python3.11"
SPAWNING_MAX = 5
PATIENCE_SECONDS = 10.0
NO_PING = {*FrameType} - {FrameType.PING}


@dataclass
class Environment:
    """Who asked for an environment."""

    revision: str = "u/1"
    environments_per_pod: int = 1
    memory_mb: int = 128
    agent: Agent | None = None
    frames: list[Frame] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    outcome: Initialized | None = None
    asked_to_leave: bool = False
    init_error: str | None = None
    lost_because: str | None = None

    def entry(self, pod: str, pool: str) -> AgentEntry:
        return AgentEntry(pod, pool, "claimed", "hello", "u", self.revision, self.memory_mb, self.init_error)

    def claimed(self, agent: Agent) -> Specialization:
        self.agent = agent
        facts = FunctionFacts("hello", "$LATEST", "arn", 128, 3000)
        return Specialization(self.revision, facts, "app.handler", RuntimeCommand("frames", ["python3"]), {}, [])

    def initialized(self, outcome: Initialized) -> None:
        self.outcome = outcome

    def answered(self, payload: bytes, report: Report) -> None:
        self.answers.append(payload)

    def frame_received(self, frame: Frame) -> None:
        self.frames.append(frame)

    def leaving(self) -> None:
        self.asked_to_leave = True

    def lost(self, reason: str = "") -> None:
        self.agent, self.lost_because = None, reason


class Pod:
    """The agent's end of the link."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._frames = FrameReader()
        self._received: list[Frame] = []

    def send(self, type: FrameType, body: object = None) -> None:
        self.write(encode(type, b"" if body is None else msgspec.json.encode(body)))

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def next(self, type: FrameType) -> Frame:
        """Of a PING, which may come at any time, only whoever waits for it is told."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self._received:
                data = await self._reader.read(65_536)
                assert data, "the gateway closed the connection"
                self._received += [frame for frame in self._frames.feed(data) if frame.type in (type, *NO_PING)]
        frame = self._received.pop(0)
        assert frame.type == type, FrameType(frame.type).name
        return frame

    async def is_over(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self._reader.read(65_536):
                pass

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


class World:
    def __init__(self, reviews: TokenReviews, provider: PodProvider, pods: str) -> None:
        self.reviews, self.provider = reviews, provider
        self.size = 0
        self.census = Census("gateway-0")
        self.surviving: dict[str, Environment] = {}
        """By revision: what a slot that says this revision is an environment of."""
        numbers = count(1)
        self.fleet = Fleet(
            provider,
            new_agent_id=lambda pool: AgentId(f"{pods}-{next(numbers)}"),
            pool_size=lambda pool: PoolSize(self.size, self.size),
            spawning_max=SPAWNING_MAX,
            open_package=self._package,
            census=self.census,
            found=lambda agent, slot: self._found(agent, slot),
        )
        self.packages: dict[str, Path] = {}
        """Those that are files."""
        self.port = 0
        self.pods: list[Pod] = []

    async def _package(self, sha256: str) -> BinaryIO:
        if sha256 == "absent":
            raise PackageNotFound(sha256)
        return self.packages[sha256].open("rb") if sha256 in self.packages else io.BytesIO(b"zip of " + sha256.encode())

    def _found(self, agent: Agent, slot: SlotState) -> EnvironmentOwner | None:
        found = self.surviving.get(slot.revision or "")
        if found is not None:
            found.agent = agent
        return found

    @property
    def told(self) -> dict[str, str]:
        """State by agent, as the operator is told."""
        return {id: entry.state for id, entry in self.census.agents.items()}

    def want(self, number: int = 1, **made_of: Any) -> Environment:
        environment = Environment(**made_of)
        self.fleet.want(EnvironmentId(number), POOL, "hello", environment)
        return environment

    def share(self, *numbers: int, per_pod: int = 4) -> list[Environment]:
        """Environments of a function whose pods may hold several."""
        return [self.want(number, environments_per_pod=per_pod) for number in numbers]

    async def first(self, name: str = "pod-1") -> Pod:
        """The first agent of a pod that becomes what is wanted."""
        pod, _ = await self.welcomed(name)
        await pod.next(FrameType.SPECIALIZE)
        return pod

    async def further(self, first: Pod) -> tuple[Pod, str]:
        """The agent that is opened next in a pod, with its id."""
        told = msgspec.json.decode((await first.next(FrameType.OPEN)).body)
        pod, secret = await self.welcomed(told["environment"], secret=told["secret"])
        assert secret == told["secret"]
        return pod, told["environment"]

    async def pod(
        self,
        name: str,
        *,
        state: Literal["generic", "initializing", "idle", "busy"] = "generic",
        revision: str | None = None,
        secret: str = "",
        opens: bool = True,
        opened: Opened | None = None,
    ) -> Pod:
        """Dials in and greets; what comes back is the test's to read."""
        pod = Pod(*await asyncio.open_connection("127.0.0.1", self.port))
        self.pods.append(pod)
        token = f"token of {pod_of(name)}"
        self.reviews.put_pod(token, pod_of(name))
        slots, opens = [SlotState(0, state, revision)], opens and not is_further(name)
        hello = Hello(1, name, token, POOL, 7, slots, secret=secret, opens=opens, opened=opened)
        pod.send(FrameType.HELLO, hello)
        return pod

    async def welcomed(self, name: str, **greeting: Any) -> tuple[Pod, str]:
        """With the secret that it was given."""
        pod = await self.pod(name, **greeting)
        secret: str = msgspec.json.decode((await pod.next(FrameType.WELCOME)).body)["secret"]
        return pod, secret


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with _world() as made:
        yield made


@asynccontextmanager
async def _world(pods: str = "pod") -> AsyncIterator[World]:
    """`pods` is what it calls them."""
    reviews = TokenReviews()
    async with reviews.serving() as kubernetes:
        provider = PodProvider(PodIdentities(TokenReviewer(kubernetes), key=b"k" * 32, namespace="default"))
        made = World(reviews, provider, pods)
        server = await asyncio.get_running_loop().create_server(lambda: Agent(made.fleet), "127.0.0.1", 0)
        made.port = server.sockets[0].getsockname()[1]
        try:
            yield made
        finally:
            for pod in made.pods:
                await pod.close()
            server.close()
            await until(lambda: not made.fleet.connected())


async def until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not look():
            await asyncio.sleep(0.005)


async def test_an_environment_is_a_pod_that_is_asked_for_comes_and_becomes_it(world: World) -> None:
    environment = world.want()
    assert world.told == {"pod-1": "wanted"}
    pod, _ = await world.welcomed("pod-1")
    told = msgspec.json.decode((await pod.next(FrameType.SPECIALIZE)).body)
    assert (told["revision"], told["handler"]) == ("u/1", "app.handler")
    assert world.census.agents["pod-1"] == AgentEntry("pod-1", POOL, "claimed", "hello", "u", "u/1", 128)
    pod.send(FrameType.INIT, {"status": "success", "initNs": 5})
    await until(lambda: environment.outcome)
    assert environment.outcome == Initialized("success", 5)


async def test_a_waiting_pod_is_claimed_and_another_asked_for(world: World) -> None:
    world.size = 1
    world.fleet.prepare(POOL)
    assert world.told == {"pod-1": "wanted"}
    pod, _ = await world.welcomed("pod-1")
    await until(lambda: world.told == {"pod-1": "free"})
    assert world.fleet.states() == {(POOL, "ready"): 1, (POOL, "starting"): 0}
    world.want()
    await pod.next(FrameType.SPECIALIZE)
    assert world.told == {"pod-1": "claimed", "pod-2": "wanted"}


async def test_a_pool_of_none_is_not_prepared(world: World) -> None:
    world.fleet.prepare(POOL)
    assert world.told == {} and world.fleet.states() == {}


async def test_a_pool_is_made_larger_and_smaller(world: World) -> None:
    world.size = 1
    world.fleet.prepare(POOL)
    pods = [await world.welcomed("pod-1")]
    world.size = 3
    world.fleet.resize()
    await until(lambda: world.told == {"pod-1": "free", "pod-2": "wanted", "pod-3": "wanted"})
    pods += [await world.welcomed("pod-2"), await world.welcomed("pod-3")]
    await until(lambda: world.fleet.states()[POOL, "ready"] == 3)
    world.size = 1
    world.fleet.resize()
    for pod, _ in pods[:2]:
        frame = await pod.next(FrameType.SHUTDOWN)
        assert msgspec.json.decode(frame.body) == {"reason": "spindown"}
        await pod.close()
    await until(lambda: world.told == {"pod-3": "free"})


async def test_a_pod_that_comes_when_nobody_wants_it_any_more_is_dismissed(world: World) -> None:
    environment = world.want()
    assert world.fleet.give_up(EnvironmentId(1))
    pod, _ = await world.welcomed("pod-1")
    await pod.next(FrameType.SHUTDOWN)
    await pod.close()
    await until(lambda: world.told == {})
    assert environment.lost_because is None


async def test_an_environment_is_given_up_where_no_pod_is_on_its_way_to_it(world: World) -> None:
    world.want(1)
    assert not world.fleet.spare(EnvironmentId(1)), "its pod is on its way"
    for number in range(2, int(WINDOW_FIRST) + 2):
        world.want(number)
    assert world.fleet.spare(EnvironmentId(1)), "they are one too many"
    assert not world.fleet.spare(EnvironmentId(1)), "it is given up already"
    assert not world.fleet.spare(EnvironmentId(2))


async def test_a_pod_that_cannot_be_had_is_told_to_who_waits_for_it(world: World) -> None:
    environment = world.want()
    await until(lambda: world.provider.failed(AgentId("pod-1"), "ImagePullBackOff: no such image"))
    assert environment.lost_because == "ImagePullBackOff: no such image"
    assert world.told == {}


async def test_a_waiting_pod_that_is_asked_to_leave_is_not_claimed_any_more(world: World) -> None:
    """As the kubelet asks when a node is drained."""
    world.size = 1
    world.fleet.prepare(POOL)
    pod, _ = await world.welcomed("pod-1")
    await until(lambda: world.told == {"pod-1": "free"})
    pod.send(FrameType.SHUTDOWN)
    await pod.next(FrameType.SHUTDOWN)
    assert world.told == {"pod-1": "free", "pod-2": "wanted"}, "it is there until it has gone"
    environment = world.want()
    assert environment.agent is None
    await pod.close()
    await until(lambda: "pod-1" not in world.told)


@pytest.fixture
async def ending(world: World) -> World:
    """One free pod, one on its way, and one that is claimed; then the gateway ends, and another is there."""
    world.size = 2
    world.want()
    await world.first()
    await world.welcomed("pod-2")
    await until(lambda: world.told == {"pod-1": "claimed", "pod-2": "free", "pod-3": "wanted"})
    world.fleet.redirect_free("tcp:10.0.0.2:9001")
    return world


async def test_free_pods_of_a_gateway_that_ends_go_to_another_and_none_is_asked_for(ending: World) -> None:
    free = ending.pods[1]
    assert msgspec.json.decode((await free.next(FrameType.REDIRECT)).body) == {"gateway": "tcp:10.0.0.2:9001"}
    await free.close()
    await until(lambda: ending.told == {"pod-1": "claimed", "pod-3": "wanted"})
    late, secret = await ending.welcomed("pod-3")
    assert secret, "the other gateway lets it in by that"
    assert msgspec.json.decode((await late.next(FrameType.REDIRECT)).body) == {"gateway": "tcp:10.0.0.2:9001"}
    await late.close()
    await until(lambda: ending.told == {"pod-1": "claimed"})
    ending.fleet.prepare(POOL)
    ending.fleet.resize()
    assert ending.told == {"pod-1": "claimed"}
    assert not any(ending.fleet.states().values())


async def test_a_gateway_that_ends_serves_whom_nobody_else_can(ending: World) -> None:
    environments = [ending.want(2), ending.want(3)]
    assert ending.told == {"pod-1": "claimed", "pod-2": "free", "pod-3": "wanted", "pod-4": "wanted"}
    await until(lambda: ending.provider.failed(AgentId("pod-4"), "EnvironmentEnded: it ended"))
    assert environments[0].lost_because == "EnvironmentEnded: it ended"
    pod, _ = await ending.welcomed("pod-3")
    await pod.next(FrameType.SPECIALIZE)
    assert environments[1].agent is not None
    assert ending.told == {"pod-1": "claimed", "pod-2": "free", "pod-3": "claimed"}


async def test_a_free_pod_whose_connection_was_cut_is_there_once(world: World) -> None:
    """It is back before the gateway has noticed."""
    world.size = 2
    world.fleet.prepare(POOL)
    earlier, secret = await world.welcomed("pod-1")
    await until(lambda: world.told == {"pod-1": "free", "pod-2": "wanted"})
    pod, _ = await world.welcomed("pod-1", secret=secret)
    with pytest.raises(AssertionError, match="the gateway closed the connection"):
        await earlier.next(FrameType.PING)
    assert world.told == {"pod-1": "free", "pod-2": "wanted"}
    assert world.fleet.states() == {(POOL, "ready"): 1, (POOL, "starting"): 1}
    environments = [world.want(1), world.want(2)]
    await pod.next(FrameType.SPECIALIZE)
    assert [one.agent is not None for one in environments] == [True, False]
    pod.send(FrameType.INIT, {"status": "success"})
    await until(lambda: environments[0].outcome)


async def test_a_pod_that_was_claimed_on_a_connection_that_was_cut_is_free_again(world: World) -> None:
    """Who waits for it is told first that it leaves, so that another is started, and then that it is lost."""
    environment = world.want()
    earlier, secret = await world.welcomed("pod-1")
    await earlier.next(FrameType.SPECIALIZE)
    other = world.want(2)
    pod, _ = await world.welcomed("pod-1", secret=secret)
    await pod.next(FrameType.SPECIALIZE)
    await until(lambda: environment.lost_because is not None)
    assert environment.asked_to_leave and other.agent is not None
    assert world.told == {"pod-1": "claimed", "pod-2": "wanted"}


async def test_an_environment_that_is_asked_to_leave_waits_for_its_owners_word(world: World) -> None:
    environment = world.want()
    pod, _ = await world.welcomed("pod-1")
    await pod.next(FrameType.SPECIALIZE)
    pod.send(FrameType.SHUTDOWN)
    await until(lambda: environment.asked_to_leave)
    assert world.told == {"pod-1": "claimed"}
    assert environment.agent is not None
    world.fleet.shut_down(environment.agent)
    await pod.next(FrameType.SHUTDOWN)


async def test_an_environment_whose_pod_goes_is_lost(world: World) -> None:
    environment = world.want()
    pod, _ = await world.welcomed("pod-1")
    await pod.next(FrameType.SPECIALIZE)
    await pod.close()
    await until(lambda: environment.lost_because is not None)
    assert world.told == {}


async def test_a_pod_that_outlived_a_gateway_is_what_it_was(world: World) -> None:
    environment = world.want()
    pod, secret = await world.welcomed("pod-1")
    await pod.next(FrameType.SPECIALIZE)
    async with _world() as later:
        later.surviving["u/1"] = environment
        pod, _ = await later.welcomed("pod-1", state="idle", revision="u/1", secret=secret)
        await until(lambda: later.told == {"pod-1": "claimed"})
        old, _ = await later.welcomed("pod-1", state="idle", revision="u/0", secret=secret)
        await old.next(FrameType.SHUTDOWN)


async def test_a_pod_without_its_secret_is_refused(world: World) -> None:
    world.want()
    pod, _ = await world.welcomed("pod-1")
    await pod.next(FrameType.SPECIALIZE)
    for secret in ("", "stolen"):
        thief = await world.pod("pod-1", state="idle", revision="u/1", secret=secret)
        assert msgspec.json.decode((await thief.next(FrameType.SHUTDOWN)).body) == {"reason": "failure"}
    assert world.told == {"pod-1": "claimed"}


async def test_a_review_takes_as_long_as_it_takes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a partition, or from a slow API server."""
    monkeypatch.setattr(agents, "HELLO_SECONDS_MAX", 0.05)
    monkeypatch.setattr(agents, "PING_SECONDS", 0.1)
    world.want()
    world.reviews.answering.clear()
    pod = await world.pod("pod-1")
    for _ in range(2):
        await pod.next(FrameType.PING)
        pod.send(FrameType.PONG)
    world.reviews.answering.set()
    await pod.next(FrameType.WELCOME)
    await pod.next(FrameType.SPECIALIZE)
    assert world.told == {"pod-1": "claimed"}


async def test_who_is_silent_while_it_is_reviewed_is_taken_for_gone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "PING_SECONDS", 0.05)
    monkeypatch.setattr(agents, "SILENCE_SECONDS_MAX", 0.05)
    world.want()
    world.reviews.answering.clear()
    pod = await world.pod("pod-1")
    await pod.is_over()
    world.reviews.answering.set()
    assert world.told == {"pod-1": "wanted"}


async def test_a_pod_that_went_while_it_was_reviewed_is_awaited_still(world: World) -> None:
    """Else it could not come any more, and who waits for it would never be told."""
    environment = world.want()
    world.reviews.answering.clear()
    pod = await world.pod("pod-1")
    await until(lambda: world.reviews.asked)
    await pod.close()
    world.reviews.answering.set()
    assert await world.first()
    assert environment.agent is not None
    world.want(2)
    world.reviews.answering.clear()
    pod = await world.pod("pod-2")
    await until(lambda: len(world.reviews.asked) == 3)
    await pod.close()
    world.reviews.answering.set()
    assert world.provider.failed(AgentId("pod-2"), "EnvironmentEnded")
    assert world.fleet.states() == {}


async def test_a_cut_connections_successor_is_let_in(world: World) -> None:
    world.want()
    world.reviews.answering.clear()
    earlier = await world.pod("pod-1")
    await until(lambda: world.reviews.asked)
    later = await world.pod("pod-1")
    await earlier.is_over()
    world.reviews.answering.set()
    await later.next(FrameType.WELCOME)


async def test_a_connection_has_one_hello(world: World) -> None:
    """Each may have the API server asked."""
    world.want()
    world.reviews.answering.clear()
    pod = await world.pod("pod-1")
    hello = encode(FrameType.HELLO, msgspec.json.encode(Hello(1, "pod-1", "token", POOL, 7, [SlotState(0, "generic")])))
    pod.write(10 * hello)
    await pod.is_over()
    assert len(world.reviews.asked) <= 1
    world.reviews.answering.set()
    await world.first()


async def test_a_stranger_is_not_listened_to_for_long(world: World) -> None:
    for early in (
        encode(FrameType.RESPONSE, b"{}"),
        encode(FrameType.PING) * (STRANGER_BYTES_MAX // 8 + 1),
        encode(FrameType.HELLO, b" " * (STRANGER_BYTES_MAX + 1))[:-1],
    ):
        pod = Pod(*await asyncio.open_connection("127.0.0.1", world.port))
        pod.write(early)
        await pod.is_over()
        await pod.close()


async def test_a_package_is_sent_to_the_pod_that_lacks_it(world: World) -> None:
    world.want()
    pod, _ = await world.welcomed("pod-1")
    await pod.next(FrameType.SPECIALIZE)
    pod.send(FrameType.FETCH, {"sha256": "ab"})
    frame = await pod.next(FrameType.BLOB)
    assert (frame.body, frame.flags) == (b"zip of ab", BLOB_LAST)
    pod.send(FrameType.FETCH, {"sha256": "absent"})
    frame = await pod.next(FrameType.BLOB)
    assert (frame.body, frame.flags) == (b"", BLOB_ABSENT | BLOB_LAST)


LARGE_BYTES = 24 * 1024 * 1024
"""More than both ends' kernels take from a sender that nobody reads."""


@pytest.fixture
def large(world: World, tmp_path: Path) -> bytes:
    """A package."""
    data = bytes(range(256)) * (LARGE_BYTES // 256)
    world.packages["large"] = tmp_path / "large"
    world.packages["large"].write_bytes(data)
    return data


async def _received(pod: Pod) -> bytes:
    """A package, to its end."""
    parts = []
    while True:
        frame = await pod.next(FrameType.BLOB)
        parts.append(frame.body)
        if frame.flags & BLOB_LAST:
            return b"".join(parts)


async def test_a_package_that_many_fetch_slowly_is_not_in_memory(world: World, large: bytes) -> None:
    environments = [world.want(number) for number in range(1, 5)]
    pods = [await world.first(f"pod-{number}") for number in range(1, 5)]
    for pod in pods:
        pod.send(FrameType.FETCH, {"sha256": "large"})

    def buffered() -> list[int]:
        return [one.agent.transport.get_write_buffer_size() for one in environments if one.agent]

    await until(lambda: min(buffered()) > 0)
    assert max(buffered()) <= 2 * PART_BYTES
    assert await asyncio.gather(*map(_received, pods)) == [large] * 4


@pytest.fixture
def one_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_sending, "SENDING_MAX", 1)


@pytest.mark.usefixtures("one_is_sent")
async def test_large_packages_are_sent_in_turn_and_small_ones_at_once(world: World, large: bytes) -> None:
    environment, *_ = [world.want(number) for number in range(1, 4)]
    slow, next_one, other = [await world.first(f"pod-{number}") for number in range(1, 4)]
    slow.send(FrameType.FETCH, {"sha256": "large"})
    await until(lambda: environment.agent and environment.agent.transport.get_write_buffer_size() > 0)
    next_one.send(FrameType.FETCH, {"sha256": "large"})
    assert len((await next_one.next(FrameType.BLOB)).body) == PART_BYTES
    other.send(FrameType.FETCH, {"sha256": "ab"})
    assert await _received(other) == b"zip of ab"
    next_one.send(FrameType.PING)
    await next_one.next(FrameType.PONG)
    await slow.close()
    assert await _received(next_one) == large[PART_BYTES:]


@pytest.mark.usefixtures("large")
async def test_an_agent_that_takes_nothing_is_lost_with_what_waits_for_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when its machine has lost power."""
    monkeypatch.setattr(agents, "PING_SECONDS", 0.01)
    environment = world.want()
    pod = await world.first()
    pod.send(FrameType.FETCH, {"sha256": "large"})
    await until(lambda: environment.agent and environment.agent.transport.get_write_buffer_size() > 0)
    monkeypatch.setattr(agents, "SILENCE_SECONDS_MAX", 0.0)  # from now on: before, a busy machine is no silence
    await until(lambda: environment.lost_because is not None)


async def test_a_burst_is_served_in_the_pod_of_the_first_that_came(world: World) -> None:
    """One pod is asked for; who waited for others is opened in it, once it is told what it is."""
    environments = world.share(1, 2, 3)
    assert world.told == {"pod-1": "wanted"}
    first = await world.first()
    for environment in environments[1:]:
        pod, _ = await world.further(first)
        told = msgspec.json.decode((await pod.next(FrameType.SPECIALIZE)).body)
        assert (told["revision"], told["handler"]) == ("u/1", "app.handler")
        pod.send(FrameType.INIT, {"status": "success", "initNs": 5})
        await until(lambda wanted=environment: wanted.outcome)
    assert [one.agent.id for one in environments if one.agent] == ["pod-1", "pod-1/1", "pod-1/2"]
    assert world.census.agents == {"pod-1": AgentEntry("pod-1", POOL, "claimed", "hello", "u", "u/1", 3 * 128)}


async def test_a_full_pod_takes_no_more_and_another_is_asked_for(world: World) -> None:
    world.share(1, per_pod=2)
    first = await world.first()
    world.share(2, 3, per_pod=2)
    assert world.told == {"pod-1": "claimed", "pod-2": "wanted"}
    await world.further(first)
    await world.first("pod-2")


async def test_an_agent_that_waits_is_taken_before_one_is_opened(world: World) -> None:
    world.size = 1
    world.fleet.prepare(POOL)
    await world.welcomed("pod-1")
    await until(lambda: world.told == {"pod-1": "free"})
    world.share(1)
    waiting, _ = await world.welcomed("pod-2")
    await until(lambda: world.told["pod-2"] == "free")
    world.share(2)
    await waiting.next(FrameType.SPECIALIZE)


async def test_nothing_is_opened_for_a_function_that_shares_no_pods_or_for_another_revision(world: World) -> None:
    world.share(1)
    await world.first()
    world.want(2, revision="u/2", environments_per_pod=4)
    world.want(3)
    assert world.told == {"pod-1": "claimed", "pod-2": "wanted", "pod-3": "wanted"}


async def test_an_agent_that_cannot_open_others_is_not_asked_to(world: World) -> None:
    """Of an earlier release, while the images are brought up to date."""
    world.share(1, 2)
    first, _ = await world.welcomed("pod-1", opens=False)
    await first.next(FrameType.SPECIALIZE)
    assert world.told == {"pod-1": "claimed", "pod-2": "wanted"}
    assert world.census.agents["pod-1"].memory_mb == 128


async def test_an_environment_that_cannot_be_opened_is_lost_with_the_reason(world: World) -> None:
    environments = world.share(1, 2, 3)
    first = await world.first()
    for number in (1, 2):
        told = msgspec.json.decode((await first.next(FrameType.OPEN)).body)
        first.send(FrameType.OPEN, {"environment": told["environment"], "error": f"no room for {number}"})
    await until(lambda: environments[2].lost_because)
    assert [one.lost_because for one in environments] == [None, "no room for 1", "no room for 2"]
    late = await world.pod("pod-1/1", secret=_secret("pod-1/1"))
    await late.next(FrameType.SHUTDOWN)
    world.share(4)
    _, id = await world.further(first)
    assert id == "pod-1/3"


async def test_nobody_else_says_that_one_could_not_be_opened(world: World) -> None:
    environments = world.share(1, 2, 3, per_pod=2)
    first, other = await world.first(), await world.first("pod-2")
    opening = msgspec.json.decode((await first.next(FrameType.OPEN)).body)
    for id in ("pod-1/1", "pod-1", "pod-2"):
        other.send(FrameType.OPEN, {"environment": id, "error": "not mine to say"})
    pod, _ = await world.welcomed(opening["environment"], secret=opening["secret"])
    await pod.next(FrameType.SPECIALIZE)
    first.send(FrameType.OPEN, {"environment": "pod-1/1", "error": "it is here by now"})
    first.send(FrameType.INIT, {"status": "success"})
    await until(lambda: environments[0].outcome)
    assert [one.lost_because for one in environments] == [None, None, None]
    assert world.census.agents["pod-1"].memory_mb == 256


async def test_an_environment_that_is_being_opened_is_lost_with_its_pod(world: World) -> None:
    environments = world.share(1, 2)
    first = await world.first()
    await first.next(FrameType.OPEN)
    await first.close()
    await until(lambda: environments[1].lost_because)
    assert environments[1].lost_because == "The pod pod-1 is gone, in which it was being opened."
    assert world.told == {}
    late = await world.pod("pod-1/1", secret=_secret("pod-1/1"))
    await late.next(FrameType.SHUTDOWN)


async def test_an_environment_that_does_not_come_is_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time counts once its pod has code."""
    monkeypatch.setattr(pod_sharing, "OPEN_SECONDS_MAX", 0.05)
    environments = world.share(1, 2)
    first = await world.first()
    await first.next(FrameType.OPEN)
    first.send(FrameType.INIT, {"status": "success"})
    await until(lambda: environments[1].lost_because)
    assert environments[0].outcome is not None
    assert "has not come within" in (environments[1].lost_because or "")
    assert world.told == {"pod-1": "claimed"}
    world.share(3)
    assert world.told == {"pod-1": "claimed", "pod-2": "wanted"}, "the pod may have no room to grow"


async def test_one_that_nobody_wants_any_more_is_sent_away_when_it_comes(world: World) -> None:
    environments = world.share(1, 2)
    first = await world.first()
    assert not world.fleet.spare(EnvironmentId(2)), "it is on its way"
    assert world.fleet.give_up(EnvironmentId(2))
    pod, _ = await world.further(first)
    await pod.next(FrameType.SHUTDOWN)
    await pod.close()
    world.share(3)
    await world.further(first)
    assert environments[1].lost_because is None


async def test_a_pod_is_in_the_census_until_its_last_environment_is_gone(world: World) -> None:
    """And as large as it ever was."""
    environments = world.share(1, 2)
    first = await world.first()
    pod, _ = await world.further(first)
    await pod.next(FrameType.SPECIALIZE)
    await first.close()
    await until(lambda: environments[0].lost_because is not None)
    assert world.census.agents == {"pod-1": AgentEntry("pod-1", POOL, "claimed", "hello", "u", "u/1", 256)}
    assert world.fleet.connected() == {"pod-1"}
    world.share(3)
    assert world.told == {"pod-1": "claimed", "pod-2": "wanted"}, "nothing more is opened in it"
    await pod.close()
    await until(lambda: world.told == {"pod-2": "wanted"})


@pytest.mark.parametrize("end", ["shut down", "redirected", "told to leave"])
async def test_nothing_is_opened_in_a_pod_whose_first_environment_is_to_end(world: World, end: str) -> None:
    environments = world.share(1, 2)
    first = await world.first()
    pod, _ = await world.further(first)
    await pod.next(FrameType.SPECIALIZE)
    agent = environments[0].agent
    assert agent is not None
    match end:
        case "shut down":
            world.fleet.shut_down(agent)
        case "redirected":
            world.fleet.redirect(agent, "tcp:127.0.0.1:1")
        case _:
            first.send(FrameType.SHUTDOWN)
            await until(lambda: environments[0].asked_to_leave)
    world.share(3)
    assert world.told == {"pod-1": "claimed", "pod-2": "wanted"}


async def test_what_is_being_opened_in_a_pod_that_leaves_is_told_so(world: World) -> None:
    """So that others are started in its place, before anybody has to lose by it."""
    environments = world.share(1, 2)
    first = await world.first()
    first.send(FrameType.SHUTDOWN)
    await until(lambda: environments[1].asked_to_leave)
    pod, _ = await world.further(first)
    await pod.next(FrameType.SPECIALIZE)


async def test_why_one_environment_of_a_pod_failed_is_told_whatever_the_others_say(world: World) -> None:
    environments = world.share(1, 2, 3)
    first = await world.first()
    pod, id = await world.further(first)
    await pod.next(FrameType.SPECIALIZE)
    environments[1].init_error = "Runtime.ImportModuleError"
    world.fleet.tell(AgentId(id))
    other, _ = await world.further(first)
    await other.next(FrameType.SPECIALIZE)
    assert world.census.agents["pod-1"].init_error == "Runtime.ImportModuleError"


async def test_the_next_gateway_finds_the_environments_of_a_pod_in_whatever_order(world: World) -> None:
    """While its first agent has not told how many there were, nobody resizes it."""
    world.share(1, 2, 3)
    first = await world.first()
    further = [await world.further(first) for _ in range(2)]
    secret = f"uid-of-pod-1.{_secret('pod-1', of='pod pod-1 uid-of-pod-1')}"
    async with _world("next") as later:
        later.surviving["u/1"] = Environment(environments_per_pod=4)
        await later.welcomed("pod-1/1", state="idle", revision="u/1", secret=_secret("pod-1/1"))
        await until(lambda: later.told == {"pod-1": "claimed"})
        assert later.census.agents["pod-1"].memory_mb is None
        later.share(1)
        assert later.told == {"pod-1": "claimed", "next-1": "wanted"}
        opened = Opened(last=2, most=3, alive=["pod-1/1", "pod-1/2"])
        first, _ = await later.welcomed("pod-1", state="idle", revision="u/1", secret=secret, opened=opened)
        _, id = await later.further(first)
        assert id == "pod-1/3", "who waited for another pod is opened in it"
        assert later.census.agents["pod-1"].memory_mb == 4 * 128
        later.share(2)
        assert later.told == {"pod-1": "claimed", "next-1": "wanted"}, "the one that has not come yet counts"
    assert len(further) == 2


async def test_at_the_end_nothing_is_opened_any_more(world: World) -> None:
    world.share(1, 2)
    first = await world.first()
    opening = msgspec.json.decode((await first.next(FrameType.OPEN)).body)
    closing = asyncio.create_task(world.fleet.close(PATIENCE_SECONDS))
    await first.next(FrameType.SHUTDOWN)
    late = await world.pod("pod-1/1", secret=opening["secret"])
    await late.next(FrameType.SHUTDOWN)
    await first.close()
    await closing


def _secret(agent: str, *, of: str | None = None) -> str:
    """That an agent is known by: of a pod's uid, or of a further agent and its revision."""
    return hmac.new(b"k" * 32, (of or f"opened {agent} u/1").encode(), "sha256").hexdigest()
