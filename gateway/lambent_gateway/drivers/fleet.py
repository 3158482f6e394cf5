"""
From agents to execution environments: claims pre-started agents, specialises them, tells when they are ready or lost.

Decides nothing itself: `RuntimePool` says which agent becomes which environment and when to start more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec
import structlog

from lambent_core import limits
from lambent_core.documents import PackageNotFound
from lambent_core.errors import LambdaError
from lambent_core.link import BLOB_ABSENT, BLOB_LAST, Frame, FrameType, encode
from lambent_core.placement import EnvironmentId
from lambent_core.runtime_pool import (
    AgentId,
    Claim,
    Connected,
    Despair,
    Effect,
    Event,
    Gone,
    RuntimePool,
    Spawn,
    Unwanted,
    Wanted,
)
from lambent_gateway.environments.agents import Agent, SlotState
from lambent_gateway.environments.provider import EnvironmentProvider

log = structlog.get_logger(__name__)

BLOB_CHUNK_BYTES = 1024 * 1024


class Package(msgspec.Struct, frozen=True, rename="camel"):
    sha256: str
    size: int
    target: str


class RuntimeCommand(msgspec.Struct, frozen=True, rename="camel"):
    protocol: str
    command: list[str]


class FunctionFacts(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    version: str
    arn: str
    memory_mb: int
    timeout_ms: int


class Specialization(msgspec.Struct, frozen=True, rename="camel"):
    """Body of SPECIALIZE; `docs/decisions/0002-env-link.md` explains the members."""

    revision: str
    function: FunctionFacts
    handler: str
    runtime: RuntimeCommand
    environment: dict[str, str]
    packages: list[Package]
    init_timeout_ms: int = limits.INIT_SECONDS_MAX * 1000
    memory_limit_bytes: int = 0


class Initialized(msgspec.Struct, frozen=True, rename="camel"):
    """Body of INIT: how initialisation ended. Times in nanoseconds."""

    status: Literal["success", "error", "timeout"]
    init_ns: int = 0
    phases: dict[str, int] = {}
    error_type: str | None = None


class EnvironmentOwner(Protocol):
    """Who asked for an environment and gets its frames."""

    def claimed(self, agent: Agent) -> Specialization:
        """An agent is there: what shall it become?"""

    def initialized(self, outcome: Initialized) -> None: ...
    def frame_received(self, frame: Frame) -> None: ...
    def lost(self) -> None:
        """The environment is gone, or could not be had at all."""


@dataclass(slots=True)
class _Claimed:
    """An agent that is an execution environment: routes its frames."""

    fleet: Fleet
    agent: Agent
    owner: EnvironmentOwner

    def frame_received(self, frame: Frame) -> None:
        if frame.type > FrameType.INVOKE:
            self.owner.frame_received(frame)
        elif frame.type == FrameType.INIT:
            self.owner.initialized(msgspec.json.decode(frame.body, type=Initialized))
        elif frame.type == FrameType.FETCH:
            self.fleet.fetch(self.agent, msgspec.json.decode(frame.body)["sha256"])

    def agent_lost(self) -> None:
        self.owner.lost()


class Fleet:
    """Owns the pools and knows which agent is what."""

    def __init__(
        self,
        provider: EnvironmentProvider,
        *,
        agent_ids: Iterator[AgentId],
        pool_size: int,
        spawning_max: int,
        read_package: Callable[[str], Awaitable[bytes]],
        found: Callable[[Agent, SlotState], EnvironmentOwner | None],
    ) -> None:
        self._provider = provider
        self._agent_ids = agent_ids
        self._pool_size = pool_size
        self._spawning_max = spawning_max
        self._read_package = read_package
        self._found = found
        self._pools: dict[str, RuntimePool] = {}
        self._agents: dict[AgentId, Agent] = {}
        self._wanting: dict[EnvironmentId, tuple[str, EnvironmentOwner]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._one_gone = asyncio.Event()

    def prepare(self, runtime: str) -> None:
        """Keeps agents of this runtime ready from now on."""
        pool = self._pools.get(runtime)
        if pool is None:
            pool = self._pools[runtime] = RuntimePool(self._agent_ids, self._pool_size, self._spawning_max)
            self._perform(runtime, pool.replenish())

    def want(self, environment: EnvironmentId, runtime: str, owner: EnvironmentOwner) -> None:
        """Starts an execution environment: `owner.claimed` follows, or `owner.lost`."""
        self.prepare(runtime)
        self._wanting[environment] = (runtime, owner)
        self._step(runtime, Wanted(environment))

    def give_up(self, environment: EnvironmentId) -> bool:
        """The environment is no longer wanted. False: it has its agent already, which must be shut down."""
        entry = self._wanting.pop(environment, None)
        if entry is None:
            return False
        self._step(entry[0], Unwanted(environment))
        return True

    def shut_down(self, agent: Agent, reason: str = "spindown") -> None:
        agent.send(FrameType.SHUTDOWN, {"reason": reason})

    def size(self, agent: Agent, memory_mb: int) -> bool:
        return self._provider.size(agent.id, memory_mb)

    def states(self) -> dict[tuple[str, str], int]:
        """Pre-started agents by runtime and state."""
        counts = {}
        for runtime, pool in self._pools.items():
            counts[runtime, "ready"] = len(pool.free)
            counts[runtime, "starting"] = len(pool.spawning)
        return counts

    def connected(self) -> set[AgentId]:
        return set(self._agents)

    async def close(self, seconds_max: float) -> None:
        """Shuts every agent down, starts no more, and returns when they are gone or the time is over."""
        self._closing = True
        for agent in self._agents.values():
            self.shut_down(agent)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds_max):
                while self._agents:
                    self._one_gone.clear()
                    await self._one_gone.wait()

    # --- told by the link

    def token_of(self, environment: str) -> str | None:
        return self._provider.token_of(environment)

    def agent_connected(self, agent: Agent) -> None:
        assert agent.hello is not None
        earlier = self._agents.get(agent.id)
        self._agents[agent.id] = agent
        slot = agent.hello.slots[0]
        if slot.state == "generic":
            self.prepare(agent.hello.runtime)
            self._step(agent.hello.runtime, Connected(agent.id))
            return
        owner = earlier.owner if earlier is not None else None
        if isinstance(owner, _Claimed):  # its connection was cut and is back before we noticed
            self.shut_down(agent, "failure")
            return
        found = self._found(agent, slot)
        if found is None:
            self.shut_down(agent)
        else:
            agent.owner = _Claimed(self, agent, found)

    def agent_gone(self, agent: Agent) -> None:
        assert agent.hello is not None
        if self._agents.get(agent.id) is agent:
            del self._agents[agent.id]
            self._one_gone.set()
        if agent.owner is None and agent.id in self._pool_of(agent).free:
            self._step(agent.hello.runtime, Gone(agent.id))

    def fetch(self, agent: Agent, sha256: str) -> None:
        """The agent asks for a package that it does not find on its node."""
        self._in_background(self._send_package(agent, sha256))

    async def _send_package(self, agent: Agent, sha256: str) -> None:
        try:
            package = await self._read_package(sha256)
        except (LambdaError, PackageNotFound) as error:
            log.error("a package could not be sent", sha256=sha256, error=str(error))
            agent.write(encode(FrameType.BLOB, flags=BLOB_ABSENT | BLOB_LAST))
            return
        for start in range(0, len(package) or 1, BLOB_CHUNK_BYTES):
            chunk = package[start : start + BLOB_CHUNK_BYTES]
            last = start + BLOB_CHUNK_BYTES >= len(package)
            agent.write(encode(FrameType.BLOB, chunk, flags=BLOB_LAST if last else 0))

    # --- doing what the pool says

    def _pool_of(self, agent: Agent) -> RuntimePool:
        assert agent.hello is not None
        return self._pools.setdefault(
            agent.hello.runtime, RuntimePool(self._agent_ids, self._pool_size, self._spawning_max)
        )

    def _step(self, runtime: str, event: Event) -> None:
        self._perform(runtime, self._pools[runtime].step(event))

    def _perform(self, runtime: str, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Spawn(agent):
                    self._in_background(self._spawn(runtime, agent))
                case Claim(agent_id, environment):
                    self._claim(self._agents[agent_id], self._wanting.pop(environment)[1])
                case Despair(environment):
                    self._wanting.pop(environment)[1].lost()

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _spawn(self, runtime: str, agent: AgentId) -> None:
        if self._closing:
            return
        try:
            await self._provider.spawn(agent, runtime, lambda: self._ended(runtime, agent))
        except OSError as error:
            log.error("an execution environment could not be started", runtime=runtime, error=str(error))
            self._step(runtime, Gone(agent))

    def _ended(self, runtime: str, agent: AgentId) -> None:
        if agent in self._pools[runtime].spawning and not self._closing:
            log.error("an agent ended before it connected", agent=agent)
            self._step(runtime, Gone(agent))

    def _claim(self, agent: Agent, owner: EnvironmentOwner) -> None:
        agent.owner = _Claimed(self, agent, owner)
        agent.send(FrameType.SPECIALIZE, owner.claimed(agent))
