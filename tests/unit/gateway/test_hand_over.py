"""
What waits and what starts when functions move between gateways: two of them, joined over real sockets, with pods that a test speaks for.

Who is ready each gateway hears from an API server of its own, so that a test says when.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from itertools import count
from pathlib import Path
from typing import BinaryIO

import msgspec
import pytest

from lambent_core.admission import Admission
from lambent_core.census import Census
from lambent_core.environment_variables import Surroundings
from lambent_core.errors import LambdaError
from lambent_core.invocation import Invocation, Outcome
from lambent_core.link import FrameType, Report, ReportStatus, decode_invoke, encode, encode_report
from lambent_core.ownership import Ownership
from lambent_core.runtime_pool import AgentId
from lambent_core.runtime_pools import RuntimePool
from lambent_core.scheduling import Scheduler, SchedulingLimits
from lambent_gateway.clock import SystemClock
from lambent_gateway.cluster_settings import from_environment
from lambent_gateway.drivers.catalogue import Catalogue
from lambent_gateway.drivers.fleet import Fleet, PoolSize
from lambent_gateway.drivers.invoker import Invoker
from lambent_gateway.drivers.specialization import specialization
from lambent_gateway.environments.agents import Agent
from lambent_gateway.environments.link_bodies import Hello, SlotState
from lambent_gateway.environments.pod_identities import PodIdentities, TokenReviewer
from lambent_gateway.environments.pod_provider import PodProvider
from lambent_gateway.environments.pool_runtimes import PoolRuntimes
from lambent_gateway.network import Network
from lambent_gateway.platform import Serving
from lambent_gateway.routing import Routing
from lambent_gateway.stores.logs import FunctionLogs
from lambent_gateway.telemetry import MetricsCollector
from lambent_kube.client import Kubernetes
from tests.ports import free_port
from tests.token_reviews import TokenReviews
from tests.unit.gateway.test_catalogue import PYTHON, function
from tests.unit.gateway.test_fleet import Pod, until
from tests.unit.gateway.test_membership import Slices, endpoint

KEY = b"k" * 32
ADDRESSES = {"gateway-0": "127.0.0.1", "gateway-1": "127.0.0.2"}
OWNER = Ownership("", ADDRESSES).owner("fn")
OTHER = next(name for name in ADDRESSES if name != OWNER)
REPORT = Report(1_000_000, 0, 50_000_000, ReportStatus.SUCCESS, "")


class Gateway:
    def __init__(
        self, name: str, ports: dict[str, str], folder: Path, members: Kubernetes, reviews: Kubernetes
    ) -> None:
        self.name, self.address = name, ADDRESSES[name]
        folder.mkdir()
        settings = from_environment(
            {
                "LAMBENT_DATA_DIR": str(folder),
                "LAMBENT_POD_NAME": name,
                "LAMBENT_SYSTEM_NAMESPACE": "lambent-system",
                "LAMBENT_ENDPOINT": "http://lambent",
                "LAMBENT_LINK_KEY_FILE": "key",
                "LAMBENT_OPERATOR_ACCOUNT": "operator",
                **ports,
            }
        )
        self.link_port, self.peer_port = settings.link_port, settings.peer_port
        self.network = Network(settings, members, key=KEY, open_package=_no_package)
        self.serving, self.census, self.runtimes = Serving("serving"), Census(name), PoolRuntimes()
        self.provider = PodProvider(PodIdentities(TokenReviewer(reviews), key=KEY, namespace="default"))
        admission, logs = Admission(100), FunctionLogs(folder)
        self.invoker = Invoker(
            Scheduler(SchedulingLimits(environments_max=100), admission, count(1)),
            Routing(lambda: 0.5),
            now=asyncio.get_running_loop().time,
            clock=SystemClock(),
            write_log=logs.write,
            specialize=lambda environment, sized: specialization(
                environment, sized=sized, platform=Surroundings("us-east-1", "http://lambent")
            ),
            new_log_stream=lambda version: "stream",
            gateway_of=self.network.gateway_of,
            forward=self.network.forward,
        )
        self.dispatcher = self.network.dispatch(self.invoker)
        numbers = count(1)
        self.fleet = Fleet(
            self.provider,
            new_agent_id=lambda pool: AgentId(f"{name}-{next(numbers)}"),
            pool_size=lambda pool: PoolSize(*(self.network.share(self.runtimes.size(pool)),) * 2),
            spawning_max=10,
            open_package=_no_package,
            census=self.census,
            found=self.invoker.found,
        )
        self.invoker.attach(self.fleet)
        self.catalogue = Catalogue(
            self.invoker,
            admission=admission,
            runtimes=self.runtimes,
            metrics=MetricsCollector(),
            logs=logs,
            region="us-east-1",
            account="000000000000",
        )

    async def open(self, stack: AsyncExitStack) -> None:
        await self.network.open()
        stack.push_async_callback(self.network.close)
        loop = asyncio.get_running_loop()
        accept = partial(self.network.accept, lambda kind, resource, gone: None)
        self.peers = await loop.create_server(accept, self.address, self.peer_port)
        link = await loop.create_server(lambda: Agent(self.fleet), self.address, self.link_port)
        stack.callback(lambda: [other.close() for other in self.network.others()])
        stack.callback(self.peers.close)
        stack.callback(link.close)
        self.network.join(self.fleet, self.serving)

    def offer(self, pool: RuntimePool) -> None:
        self.runtimes.put([pool], functions_namespace="default")
        self.catalogue.changed(None, function())

    def call(self) -> list[Outcome | LambdaError]:
        """A caller of this gateway, and what it is answered in the end."""
        answers: list[Outcome | LambdaError] = []
        self.dispatcher.begin(Invocation("r-1", "fn", b"1"), answers.append)
        return answers

    def told_to_end(self) -> None:
        self.serving.phase = "shutting down"
        self.network.leave()

    @property
    def told(self) -> dict[str, str]:
        """State by agent, as the operator is told."""
        return {id: entry.state for id, entry in self.census.agents.items()}


class World:
    def __init__(self) -> None:
        self.reviews = TokenReviews()
        self.api_servers = {name: Slices() for name in ADDRESSES}
        self.pods: list[Pod] = []

    async def open(self, folder: Path, stack: AsyncExitStack) -> None:
        reviews, gateways = await stack.enter_async_context(self.reviews.serving()), []
        ports = {name: str(free_port("")) for name in ("LAMBENT_LINK_PORT", "LAMBENT_PEER_PORT")}
        for name, api_server in self.api_servers.items():
            self.members(name, *ADDRESSES)
            members = await stack.enter_async_context(api_server.serving())
            gateways.append(Gateway(name, ports, folder / name, members, reviews))
        for gateway in gateways:
            await gateway.open(stack)
        self.owner, self.other = sorted(gateways, key=lambda gateway: gateway.name != OWNER)
        await until(lambda: all(server.watchers for server in self.api_servers.values()))

    def offer(self, size: int) -> None:
        pool = msgspec.structs.replace(PYTHON, spec=msgspec.structs.replace(PYTHON.spec, size=size))
        for gateway in (self.owner, self.other):
            gateway.offer(pool)

    def members(self, seen_by: str, *ready: str) -> None:
        self.api_servers[seen_by].place("link", *(endpoint(name, ADDRESSES[name]) for name in ready))

    async def only_the_other_is_ready(self) -> None:
        for name in ADDRESSES:
            self.members(name, OTHER)
        await until(lambda: self.owner.network.gateway_of("fn") and not self.other.network.gateway_of("fn"))

    async def pod(
        self,
        gateway: Gateway,
        name: str,
        slot: SlotState | None = None,
        secret: str = "",
        frames: tuple[FrameType, ...] = (),
    ) -> tuple[Pod, str]:
        """Dials in, is welcomed with the secret that is returned, and told what is expected."""
        pod = Pod(*await asyncio.open_connection(gateway.address, gateway.link_port))
        self.pods.append(pod)
        self.reviews.put_pod(f"token of {name}", name)
        pod.send(
            FrameType.HELLO,
            Hello(1, name, f"token of {name}", "python3.11", 7, [slot or SlotState(0, "generic", None)], secret=secret),
        )
        given: str = msgspec.json.decode((await pod.next(FrameType.WELCOME)).body)["secret"]
        for type in frames:
            await pod.next(type)
        return pod, given

    async def serve(self, pod: Pod, answers: list[Outcome | LambdaError]) -> None:
        """The call runs in the pod, and its caller is answered."""
        _, _, payload = decode_invoke((await pod.next(FrameType.INVOKE)).body)
        assert payload == b"1" and answers == []
        pod.write(encode(FrameType.RESPONSE, b"2") + encode_report(REPORT))
        await until(lambda: answers)
        assert answers == [Outcome(b"2", None, "", "$LATEST", REPORT)]


async def _no_package(sha256: str) -> BinaryIO:
    raise AssertionError("nobody asks for one")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World()
    async with AsyncExitStack() as stack:
        await made.open(tmp_path, stack)
        try:
            yield made
        finally:
            for pod in made.pods:
                await pod.close()
            await until(lambda: not made.owner.fleet.connected() and not made.other.fleet.connected())


@pytest.mark.parametrize("size", [0, 2])
@pytest.mark.parametrize("first", ["told to end", "members change"])
async def test_what_waits_at_a_gateway_that_ends_is_begun_at_the_next_owner(
    world: World, first: str, size: int
) -> None:
    """Whichever it hears of first: that it is to end, or that it counts no more."""
    world.offer(size)
    answers = world.owner.call()
    asked_for = dict(world.owner.told)
    assert set(asked_for.values()) == {"wanted"}
    if first == "told to end":
        world.owner.told_to_end()
    await world.only_the_other_is_ready()
    if first == "members change":
        world.owner.told_to_end()
    assert world.owner.told == asked_for, "no pod is asked for by a gateway that ends"
    await until(lambda: world.other.invoker.environments())
    late, secret = await world.pod(world.owner, f"{OWNER}-1", frames=(FrameType.REDIRECT,))
    await late.close()
    pod, _ = await world.pod(world.other, f"{OWNER}-1", secret=secret, frames=(FrameType.SPECIALIZE,))
    pod.send(FrameType.INIT, {"status": "success"})
    await world.serve(pod, answers)


async def test_what_starts_at_a_gateway_that_ends_serves_its_caller_at_the_next_owner(world: World) -> None:
    world.offer(0)
    answers = world.owner.call()
    pod, secret = await world.pod(world.owner, f"{OWNER}-1", frames=(FrameType.SPECIALIZE,))
    world.owner.told_to_end()
    await world.only_the_other_is_ready()
    await until(lambda: world.other.invoker.environments())
    pod.send(FrameType.INIT, {"status": "success"})
    address = f"tcp:{world.other.address}:{world.other.link_port}"
    assert msgspec.json.decode((await pod.next(FrameType.REDIRECT)).body) == {"gateway": address}
    await pod.close()
    pod, _ = await world.pod(world.other, f"{OWNER}-1", SlotState(0, "idle", "u/1"), secret)
    await world.serve(pod, answers)


async def test_what_waits_at_a_gateway_that_is_alone_is_served_there_to_the_end(world: World) -> None:
    world.offer(1)
    world.members(OWNER, OWNER)
    await until(lambda: world.owner.network.others() == [])
    world.owner.told_to_end()
    answers = world.owner.call()
    world.members(OWNER)
    pod, _ = await world.pod(world.owner, f"{OWNER}-1", frames=(FrameType.SPECIALIZE,))
    assert world.owner.told == {f"{OWNER}-1": "claimed", f"{OWNER}-2": "wanted"}
    pod.send(FrameType.INIT, {"status": "success"})
    await world.serve(pod, answers)


async def test_what_waits_is_served_by_a_gateway_that_ends_where_no_other_can_be_reached(world: World) -> None:
    world.offer(2)
    world.other.peers.close()
    answers = world.owner.call()
    world.owner.told_to_end()
    await world.only_the_other_is_ready()
    await until(lambda: world.owner.invoker.environments())
    pod, _ = await world.pod(world.owner, f"{OWNER}-1", frames=(FrameType.SPECIALIZE,))
    pod.send(FrameType.INIT, {"status": "success"})
    await world.serve(pod, answers)
    await pod.next(FrameType.REDIRECT)
    assert world.owner.told == {f"{OWNER}-1": "claimed"}


async def test_what_is_handed_to_a_gateway_that_ends_already_is_begun_at_the_next_owner(world: World) -> None:
    """By one that has not heard of it yet."""
    world.offer(0)
    world.owner.told_to_end()
    world.members(OWNER, OTHER)
    await until(lambda: world.owner.network.gateway_of("fn"))
    answers = world.other.call()
    await until(lambda: world.other.told)
    assert world.owner.told == {} and world.other.network.gateway_of("fn")
    pod, _ = await world.pod(world.other, f"{OTHER}-1", frames=(FrameType.SPECIALIZE,))
    pod.send(FrameType.INIT, {"status": "success"})
    await world.serve(pod, answers)
