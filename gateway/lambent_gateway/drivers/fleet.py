"""
From agents to execution environments: claims pre-started agents, specialises them, tells when they are ready or lost.

Decides nothing itself: `RuntimePool` says which agent becomes which environment and when to start more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, BinaryIO, Protocol

import msgspec
import structlog

from lambent_core.census import AgentEntry, Census
from lambent_core.link import Frame, FrameType, Report
from lambent_core.placement import EnvironmentId
from lambent_core.pod_sharing import PodSharing, is_further, pod_of
from lambent_core.runtime_pool import (
    AgentId,
    Claim,
    Connected,
    Despair,
    Dismiss,
    Effect,
    Event,
    Expected,
    Gone,
    OpenedBeside,
    RuntimePool,
    Spawn,
    Unwanted,
    Wanted,
)
from lambent_gateway.drivers.openings import Openings, Wanting
from lambent_gateway.drivers.package_sending import PackageSender
from lambent_gateway.environments.agents import Agent, Decided
from lambent_gateway.environments.link_bodies import Hello, Initialized, NotOpened, SlotState, Specialization
from lambent_gateway.environments.provider import EnvironmentProvider

log = structlog.get_logger(__name__)


class EnvironmentOwner(Wanting, Protocol):
    """Who asked for an environment and gets its frames."""

    @property
    def memory_mb(self) -> int: ...

    def entry(self, pod: str, pool: str) -> AgentEntry:
        """The pod of this name as the census has it, with this environment in it and no other."""

    def claimed(self, agent: Agent) -> Specialization:
        """An agent is there: what shall it become?"""

    def initialized(self, outcome: Initialized) -> None: ...
    def answered(self, payload: bytes, report: Report) -> None: ...
    def frame_received(self, frame: Frame) -> None: ...
    def leaving(self) -> None:
        """Its agent was asked to end and waits for our word."""

    def lost(self, reason: str = "") -> None:
        """The environment is gone, or could not be had at all; why, if that is known."""


@dataclass(slots=True)
class _Claimed:
    """An agent that is an execution environment: routes its frames."""

    fleet: Fleet
    agent: Agent
    owner: EnvironmentOwner
    answered: Callable[[bytes, Report], None] = field(init=False)
    """The owner's own: one call less for each invocation."""

    def __post_init__(self) -> None:
        self.answered = self.owner.answered

    def frame_received(self, frame: Frame) -> None:
        if frame.type > FrameType.INVOKE:
            self.owner.frame_received(frame)
        elif frame.type == FrameType.INIT:
            self.fleet.initialized(self.agent)
            self.owner.initialized(msgspec.json.decode(frame.body, type=Initialized))
        elif frame.type == FrameType.FETCH:
            self.fleet.fetch(self.agent, msgspec.json.decode(frame.body)["sha256"])

    def agent_leaving(self) -> None:
        self.owner.leaving()

    def agent_lost(self) -> None:
        self.owner.lost()


@dataclass(frozen=True, slots=True)
class PoolSize:
    size: int
    """Agents kept ready."""
    size_max: int
    """The same after bursts, at most."""


class Fleet:
    """Owns the pools and knows which agent is what."""

    def __init__(
        self,
        provider: EnvironmentProvider,
        *,
        new_agent_id: Callable[[str], AgentId],
        pool_size: Callable[[str], PoolSize],
        spawning_max: int,
        open_package: Callable[[str], Awaitable[BinaryIO]],
        census: Census,
        found: Callable[[Agent, SlotState], EnvironmentOwner | None],
    ) -> None:
        self._provider = provider
        self._new_agent_id = new_agent_id
        self._pool_size = pool_size
        self._spawning_max = spawning_max
        self._packages = PackageSender(open_package)
        self._census = census
        self._found = found
        self._pools: dict[str, RuntimePool] = {}
        self._reviews: dict[str, asyncio.TimerHandle] = {}
        self._agents: dict[AgentId, Agent] = {}
        self._sharing = PodSharing()
        self._openings: Openings[EnvironmentOwner] = Openings(provider, self._agents, self._sharing)
        self._wanting: dict[EnvironmentId, tuple[str, EnvironmentOwner]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._successor: str | None = None
        """The gateway that agents go to which nobody here waits for: this one ends, and keeps none ready."""
        self._one_gone = asyncio.Event()

    def prepare(self, runtime: str) -> None:
        """Keeps agents of this runtime ready from now on."""
        if runtime not in self._pools and self._size_of(runtime).size > 0:
            self._adjust(runtime)

    def expect(self, runtime: str, function: str) -> None:
        """A function that has no environment was deployed: it will be called."""
        if self._size_of(runtime).size > 0:
            self._step(runtime, Expected(function))

    def resize(self) -> None:
        """Looks again how many agents of each runtime are to be kept ready."""
        for runtime in list(self._pools):
            self._adjust(runtime)

    def redirect_free(self, gateway: str) -> None:
        """
        This gateway ends: agents that nobody here waits for go to another one, also those that are on their way.

        What is wanted nonetheless, as nobody else can take it, gets its agent as ever.
        """
        self._successor = gateway
        self.resize()

    def want(self, environment: EnvironmentId, runtime: str, function: str, owner: EnvironmentOwner) -> None:
        """
        Starts an execution environment: `owner.claimed` follows, or `owner.lost`.

        On a waiting agent, else in a pod of the same revision that has room, else on an agent that is spawned. Of one
        `function` all environments that wait take turns with those of others.
        """
        self.prepare(runtime)
        if not self._pool(runtime).has_one_for(function) and self._open(environment, owner):
            return
        self._wanting[environment] = (runtime, owner)
        self._step(runtime, Wanted(environment, function, owner.environments_per_pod))

    def give_up(self, environment: EnvironmentId) -> bool:
        """The environment is no longer wanted. False: it has its agent already, which must be shut down."""
        if self._openings.give_up(environment):
            return True
        entry = self._wanting.pop(environment, None)
        if entry is None:
            return False
        self._step(entry[0], Unwanted(environment))
        return True

    def spare(self, environment: EnvironmentId) -> bool:
        """Whether the environment is given up: it is where no agent is on its way to it."""
        entry = self._wanting.get(environment)
        return entry is not None and self._pools[entry[0]].unbegun > 0 and self.give_up(environment)

    def shut_down(self, agent: Agent, reason: str = "spindown") -> None:
        self._sharing.ending(agent.id)
        agent.send(FrameType.SHUTDOWN, {"reason": reason})

    def redirect(self, agent: Agent, gateway: str) -> None:
        """The agent goes to another gateway, with all that it is."""
        self._sharing.ending(agent.id)
        agent.send(FrameType.REDIRECT, {"gateway": gateway})

    def size(self, agent: Agent, owner: EnvironmentOwner) -> bool:
        """
        Gives an agent's sandbox the memory of what is in it. False: the agent must hold its environment to the limit itself.

        So it must wherever a sandbox holds several environments, or will.
        """
        if is_further(agent.id):
            return False
        return self._provider.size(agent.id, owner.memory_mb, 1) and owner.environments_per_pod == 1

    def tell(self, agent: AgentId) -> None:
        """Brings the census up to date about the pod that an agent is in, and all environments there."""
        pod = pod_of(agent)
        agents = [self._agents[id] for id in self._sharing.in_pod(pod) if id in self._agents]
        if not agents:
            self._census.remove(pod)
            return
        assert agents[0].hello is not None
        runtime = agents[0].hello.runtime
        entries = [one.owner.owner.entry(pod, runtime) for one in agents if isinstance(one.owner, _Claimed)]
        if not entries:
            self._census.put(AgentEntry(pod, runtime, "free"))
            return
        most, memory_mb = self._sharing.most(pod), entries[0].memory_mb
        told = msgspec.structs.replace(
            entries[0],
            memory_mb=most * memory_mb if most is not None and memory_mb is not None else None,
            init_error=next((entry.init_error for entry in entries if entry.init_error), None),
        )
        self._census.put(told)

    def states(self) -> dict[tuple[str, str], int]:
        """Pre-started agents by runtime and state."""
        counts = {}
        for runtime, pool in self._pools.items():
            counts[runtime, "ready"] = len(pool.free)
            counts[runtime, "starting"] = len(pool.spawning)
        return counts

    def connected(self) -> set[AgentId]:
        """Pods with an agent that is connected."""
        return {pod_of(agent) for agent in self._agents}

    async def close(self, seconds_max: float) -> None:
        """Shuts every agent down, starts no more, and returns when they are gone or the time is over."""
        self._closing = True
        self._openings.close()
        for agent in self._agents.values():
            self.shut_down(agent)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds_max):
                while self._agents:
                    self._one_gone.clear()
                    await self._one_gone.wait()

    # --- told by the link

    def admit(self, hello: Hello, decided: Decided) -> asyncio.Task[None] | None:
        return self._provider.admit(hello, decided)

    def agent_connected(self, agent: Agent) -> None:
        assert agent.hello is not None
        earlier = self._agents.get(agent.id)
        self._agents[agent.id] = agent
        slot = agent.hello.slots[0]
        wanting = self._openings.connected(agent.id) if is_further(agent.id) else None
        self.tell(agent.id)
        if slot.state == "generic":
            if not is_further(agent.id):
                self.prepare(agent.hello.runtime)
                if agent.id not in self._pool(agent.hello.runtime).free:
                    self._step(agent.hello.runtime, Connected(agent.id))
            elif wanting is not None:
                self._claim(agent, wanting)
            else:
                self.shut_down(agent)
            if earlier is not None:
                self._replaced(earlier)
            return
        owner = earlier.owner if earlier is not None else None
        if isinstance(owner, _Claimed):  # its connection was cut and is back before we noticed
            self.shut_down(agent, "failure")
            return
        found = self._found(agent, slot)
        if found is None:
            self.shut_down(agent)
        else:
            self._own(agent, found)
            self._fill(agent.hello.runtime, found)

    def agent_gone(self, agent: Agent) -> None:
        assert agent.hello is not None
        if self._agents.get(agent.id) is agent:
            del self._agents[agent.id]
            self._openings.gone(agent.id)
            self.tell(agent.id)
            self._one_gone.set()
            if agent.owner is None:
                self._withdraw(agent)

    def agent_leaving(self, agent: Agent) -> None:
        """Somebody else asked the agent to end: nobody of ours is to lose by it."""
        self._openings.leaving(agent.id)
        if agent.owner is not None:
            agent.owner.agent_leaving()
        else:
            self._withdraw(agent)
            self.shut_down(agent)

    def not_opened(self, agent: Agent, failure: NotOpened) -> None:
        self._openings.failed(agent.id, failure)

    def initialized(self, agent: Agent) -> None:
        """The agent has its code, whatever became of it."""
        if not is_further(agent.id):
            self._openings.code_is_there(agent.id)

    def fetch(self, agent: Agent, sha256: str) -> None:
        """The agent asks for a package that it does not find on its node."""
        self._in_background(self._packages.send(agent, sha256))

    def _replaced(self, earlier: Agent) -> None:
        """Its connection was cut, and the agent is back without code: what it was claimed for has not reached it."""
        if earlier.owner is not None:
            earlier.owner.agent_leaving()
        earlier.close("the agent is back on another connection")

    def _withdraw(self, agent: Agent) -> None:
        """An agent without an owner is not to be claimed any more."""
        assert agent.hello is not None
        pool = self._pools.get(agent.hello.runtime)
        if pool is not None and agent.id in pool.free:
            self._step(agent.hello.runtime, Gone(agent.id))

    # --- doing what the pool says

    def _pool(self, runtime: str) -> RuntimePool:
        pool = self._pools.get(runtime)
        if pool is None:
            ids = (self._new_agent_id(runtime) for _ in repeat(None))
            size = self._size_of(runtime)
            pool = self._pools[runtime] = RuntimePool(ids, size.size, self._spawning_max, size.size_max)
        return pool

    def _size_of(self, runtime: str) -> PoolSize:
        return self._pool_size(runtime) if self._successor is None else PoolSize(0, 0)

    def _adjust(self, runtime: str) -> None:
        pool, size = self._pool(runtime), self._size_of(runtime)
        pool.size, pool.size_max = size.size, size.size_max
        self._perform(runtime, pool.adjust(now=asyncio.get_running_loop().time()))
        self._review(runtime, pool)

    def _review(self, runtime: str, pool: RuntimePool) -> None:
        """A pool that could not be filled, or that a burst made larger, is looked at again when it is time."""
        loop = asyncio.get_running_loop()
        at = pool.next_look(loop.time())
        if at is None or self._closing:
            return
        earlier = self._reviews.get(runtime)
        if earlier is not None:
            if earlier.when() <= at:
                return
            earlier.cancel()
        self._reviews[runtime] = loop.call_at(at, self._reviewed, runtime)

    def _reviewed(self, runtime: str) -> None:
        del self._reviews[runtime]
        if runtime in self._pools and not self._closing:
            self._adjust(runtime)

    def _step(self, runtime: str, event: Event, reason: str = "") -> None:
        pool = self._pool(runtime)
        self._perform(runtime, pool.step(event, now=asyncio.get_running_loop().time()), reason)
        self._review(runtime, pool)
        if pool.empty and pool.size == 0:
            self._pools.pop(runtime, None)

    def _perform(self, runtime: str, effects: list[Effect], reason: str = "") -> None:
        claimed = []
        for effect in effects:
            match effect:
                case Spawn(agent):
                    self._census.put(AgentEntry(agent, runtime, "wanted"))
                    self._in_background(self._spawn(runtime, agent))
                case Claim(agent_id, environment):
                    owner = self._wanting.pop(environment)[1]
                    self._claim(self._agents[agent_id], owner)
                    claimed.append(owner)
                case Dismiss(agent_id):
                    self._dismiss(self._agents[agent_id])
                case Despair(environment):
                    self._wanting.pop(environment)[1].lost(reason)
        for owner in claimed:
            self._fill(runtime, owner)

    def _dismiss(self, agent: Agent) -> None:
        if self._successor is None:
            self.shut_down(agent)
        else:
            self.redirect(agent, self._successor)

    def _fill(self, runtime: str, owner: EnvironmentOwner) -> None:
        """Others of an environment's revision that wait for an agent are opened in its pod."""
        if owner.environments_per_pod == 1:
            return
        waiting = [
            environment
            for environment, (pool, other) in self._wanting.items()
            if pool == runtime and other.revision == owner.revision
        ]
        opened = tuple(environment for environment in waiting if self._open(environment, self._wanting[environment][1]))
        for environment in opened:
            del self._wanting[environment]
        self._step(runtime, OpenedBeside(opened))

    def _open(self, environment: EnvironmentId, owner: EnvironmentOwner) -> bool:
        """Opens the environment in a pod of its revision. False: none has room, or its function shares no pods."""
        if owner.environments_per_pod == 1:
            return False
        agent = self._openings.begin(environment, owner)
        if agent is None:
            return False
        pod = pod_of(agent)
        self._provider.size(pod, owner.memory_mb, self._sharing.most(pod) or 1)
        self.tell(pod)
        return True

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _spawn(self, runtime: str, agent: AgentId) -> None:
        if self._closing:
            return
        try:
            await self._provider.spawn(agent, runtime, lambda reason: self._ended(runtime, agent, reason))
        except OSError as error:
            self._ended(runtime, agent, str(error))

    def _ended(self, runtime: str, agent: AgentId, reason: str) -> None:
        pool = self._pools.get(runtime)
        if pool is not None and agent in pool.spawning and not self._closing:
            self._census.remove(agent)
            log.error("an agent could not be had", agent=agent, runtime=runtime, reason=reason or "it ended early")
            self._step(runtime, Gone(agent), reason)

    def _claim(self, agent: Agent, owner: EnvironmentOwner) -> None:
        self._own(agent, owner)
        agent.send(FrameType.SPECIALIZE, owner.claimed(agent))

    def _own(self, agent: Agent, owner: EnvironmentOwner) -> None:
        assert agent.hello is not None
        agent.owner = _Claimed(self, agent, owner)
        if not is_further(agent.id):
            hello, slot = agent.hello, agent.hello.slots[0]
            revision = owner.revision if hello.opens else None
            self._sharing.joined(agent.id, revision, hello.opened, has_code=slot.state in ("idle", "busy"))
        self.tell(agent.id)
