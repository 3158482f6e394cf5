"""
Which agents gateways have and want: all gateways' censuses as one.

Times are the caller's monotonic seconds: nobody's wall clock decides what is deleted.

    C1  an agent is missing only while every ready gateway has told everything, and there is one
    C2  it is missing since the youngest of: it left, a gateway began to tell
    C3  what a gateway told is kept while its connection is broken, for as long as its pod is there
    C4  while a gateway ends that has never told, nobody is missing before its last call must be over: it takes no more connections
    C5  numbers, and what is said of code, are of gateways that are connected or ready: another's agents go elsewhere, or are over
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field

from lambent_core import limits
from lambent_core.census import NONE_AT_ALL, AgentEntry, Changes, Rollout, Snapshot
from lambent_core.function import EnvironmentCounts
from lambent_operator.resources import GatewayPod

STATES = ("wanted", "free", "claimed")
LEFT_SECONDS_MAX = 600.0
"""How long is remembered that an agent left; longer than anybody waits with its pod."""
ENDING_SECONDS_MAX = limits.TIMEOUT_SECONDS_MAX + 60.0
"""A gateway that was told to end runs calls for no longer: the longest, and time for it to take the last one and to be seen to end."""


@dataclass(frozen=True, slots=True)
class Agent:
    told: AgentEntry
    gateway: str
    since: float
    """When it was first in a census."""
    connected_since: float | None
    """When it was first seen to be free or claimed; None: it is wanted still."""


@dataclass(frozen=True, slots=True)
class Touched:
    """What to look at again."""

    agents: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    pools: frozenset[str] = frozenset()
    everything: bool = False
    """Who is missing, or whether that can be known, has changed."""


@dataclass(slots=True)
class _GatewayCensus:
    pod: GatewayPod
    connected_since: float | None = None
    told_uid: str | None = None
    """Of the last pod that told."""
    ending_since: float | None = None
    """When the pod was first seen to be told to end."""
    agents: dict[str, Agent] = field(default_factory=dict)
    functions: dict[str, EnvironmentCounts] = field(default_factory=dict)
    rollouts: dict[str, Rollout] = field(default_factory=dict)

    @property
    def counts(self) -> bool:
        """C5."""
        return self.connected_since is not None or self.pod.ready


class Census:
    """The one owner of what gateways told. `touched` is called after each change."""

    def __init__(self, touched: Callable[[Touched], None], *, now: float) -> None:
        self._touched = touched
        self._gateways: dict[str, _GatewayCensus] = {}
        self._agents: dict[str, Agent] = {}
        self._of_function: defaultdict[str, set[str]] = defaultdict(set)
        """Agents by the uid of the function that claimed them."""
        self._of_pool: defaultdict[str, dict[str, str]] = defaultdict(dict)
        """State by agent by pool, of those that gateways have that count (C5)."""
        self._left: OrderedDict[str, float] = OrderedDict()
        self._away_since: float | None = now

    # What is asked

    def agent(self, id: str) -> Agent | None:
        return self._agents.get(id)

    def agents(self) -> Iterable[str]:
        return self._agents.keys()

    def is_connected(self, gateway: str) -> bool:
        entry = self._gateways.get(gateway)
        return entry is not None and entry.connected_since is not None

    def gateway_pod(self, name: str) -> GatewayPod | None:
        entry = self._gateways.get(name)
        return None if entry is None else entry.pod

    def claimed_by(self, function_uid: str) -> Set[str]:
        return self._of_function.get(function_uid, frozenset())

    def is_current(self, id: str) -> bool:
        """Whether a gateway that counts has it (C5)."""
        return any(entry.counts and id in entry.agents for entry in self._gateways.values())

    def init_error(self, function_uid: str, revision: str) -> str | None:
        """Of one of its environments of this revision; None if none says of one."""
        ids = sorted(self.claimed_by(function_uid))
        counting = [entry.agents for entry in self._gateways.values() if entry.counts]
        agents = (told[id].told for id in ids for told in counting if id in told)
        errors = (agent.init_error for agent in agents if agent.revision == revision)
        return next((error for error in errors if error), None)

    def pool_counts(self, pool: str) -> tuple[int, int]:
        """Agents that are free, and that are wanted."""
        states = list(self._of_pool.get(pool, {}).values())
        return states.count("free"), states.count("wanted")

    def counts(self, function: str) -> EnvironmentCounts:
        counting = (entry.functions for entry in self._gateways.values() if entry.counts)
        told = [functions[function] for functions in counting if function in functions]
        return EnvironmentCounts(
            ready=sum(counts.ready for counts in told),
            busy=sum(counts.busy for counts in told),
            starting=sum(counts.starting for counts in told),
        )

    def rollout(self, function: str, revision: str) -> Rollout | None:
        """
        Of this revision, over all gateways that count; None: one that has environments of the function is of an earlier release.

        A gateway that goes by another revision has nothing but old ones.
        """
        updated = old = 0
        for entry in self._gateways.values():
            if not entry.counts:
                continue
            told = entry.rollouts.get(function)
            if told is None and function in entry.functions:
                return None
            if told is not None:
                current = told.updated if told.revision == revision else 0
                updated, old = updated + current, old + told.updated + told.old - current
        return Rollout(revision, updated, old)

    @property
    def complete_since(self) -> float | None:
        """None: a ready gateway has not told, or there is none."""
        began = [entry.connected_since for entry in self._gateways.values() if entry.pod.ready]
        known = [since for since in began if since is not None]
        return max(known) if known and len(known) == len(began) else None

    @property
    def away_since(self) -> float | None:
        """Since when no gateway at all is connected; None: one is."""
        return self._away_since

    def missing_since(self, id: str) -> float | None:
        """None: it is in a census, or nobody can know. Ahead of now while a gateway may have it that can't tell any more (C4)."""
        complete = self.complete_since
        if complete is None or id in self._agents:
            return None
        ends = (
            entry.ending_since + ENDING_SECONDS_MAX
            for entry in self._gateways.values()
            if entry.ending_since is not None and entry.pod.ip and entry.told_uid != entry.pod.uid
        )
        return max(complete, self._left.get(id, complete), *ends)

    def states(self) -> Mapping[str, bool]:
        """Connected or not, by gateway."""
        return {name: entry.connected_since is not None for name, entry in self._gateways.items()}

    # What happens

    def put_gateway(self, pod: GatewayPod, *, now: float) -> None:
        entry = self._gateways.setdefault(pod.name, _GatewayCensus(pod))
        news = entry.pod.ready != pod.ready
        entry.pod = pod
        if not pod.deleting:
            entry.ending_since = None
        elif entry.ending_since is None:
            entry.ending_since = now
        if news:
            self._merge_all(entry)
            self._touched(Touched(everything=True))

    def remove_gateway(self, name: str, *, now: float) -> None:
        entry = self._gateways.get(name)
        if entry is None:
            return
        self._take(entry, {}, now)
        del self._gateways[name]
        self._note_away(now)
        self._touched(Touched(everything=True))

    def connected(self, gateway: str, snapshot: Snapshot, *, now: float) -> None:
        entry = self._gateways.get(gateway)
        if entry is None:
            return
        entry.functions, entry.rollouts = dict(snapshot.functions), dict(snapshot.rollouts)
        entry.connected_since, entry.told_uid = now, entry.pod.uid
        self._take(entry, {agent.id: agent for agent in snapshot.agents}, now)
        self._note_away(now)
        self._touched(Touched(everything=True))

    def changed(self, gateway: str, changes: Changes, *, now: float) -> None:
        entry = self._gateways.get(gateway)
        if entry is None:
            return
        pools = {agent.pool for agent in changes.agents}
        functions = set(changes.functions) | {agent.function for agent in changes.agents if agent.function}
        for document in changes.agents:
            pools |= self._pools_of(document.id)
            self._put(entry, document, now)
        for id in changes.gone:
            pools |= self._pools_of(id)
            if (agent := entry.agents.get(id)) is not None and agent.told.function:
                functions.add(agent.told.function)
            self._remove(entry, id, now)
        for name, counts in changes.functions.items():
            entry.functions.pop(name, None)
            entry.rollouts.pop(name, None)
            if counts != NONE_AT_ALL:
                entry.functions[name] = counts
        entry.rollouts |= changes.rollouts
        agents = frozenset(agent.id for agent in changes.agents) | frozenset(changes.gone)
        self._touched(Touched(agents, frozenset(functions), frozenset(pools)))

    def given_up(self, gateway: str, id: str, *, now: float) -> None:
        """The gateway was told that it can't be had, and has left off wanting it before its census says so."""
        entry = self._gateways.get(gateway)
        if entry is not None:
            pools = self._pools_of(id)
            self._remove(entry, id, now)
            self._touched(Touched(frozenset({id}), pools=frozenset(pools)))

    def disconnected(self, gateway: str, *, now: float) -> None:
        entry = self._gateways.get(gateway)
        if entry is None or entry.connected_since is None:
            return
        entry.connected_since = None
        self._merge_all(entry)
        self._note_away(now)
        self._touched(Touched(everything=True))

    # How

    def _take(self, entry: _GatewayCensus, told: Mapping[str, AgentEntry], now: float) -> None:
        for id in [id for id in entry.agents if id not in told]:
            self._remove(entry, id, now)
        for document in told.values():
            self._put(entry, document, now)

    def _put(self, entry: _GatewayCensus, document: AgentEntry, now: float) -> None:
        old = entry.agents.get(document.id)
        entry.agents[document.id] = Agent(
            document,
            entry.pod.name,
            since=now if old is None else old.since,
            connected_since=None if document.state == "wanted" else (old and old.connected_since) or now,
        )
        self._merge(document.id)

    def _remove(self, entry: _GatewayCensus, id: str, now: float) -> None:
        if entry.agents.pop(id, None) is None:
            return
        self._merge(id)
        if id not in self._agents:
            self._left[id] = now
            self._left.move_to_end(id)
        while self._left and next(iter(self._left.values())) < now - LEFT_SECONDS_MAX:
            self._left.popitem(last=False)

    def _merge_all(self, entry: _GatewayCensus) -> None:
        """Whether the gateway counts may have changed."""
        for id in entry.agents:
            self._merge(id)

    def _merge(self, id: str) -> None:
        """Of several gateways the one is believed that has it furthest, or knows it to be larger; of equals one that counts."""
        if (old := self._agents.pop(id, None)) is not None:
            self._forget(old)
        told = [(entry.agents[id], entry.counts) for entry in self._gateways.values() if id in entry.agents]
        if told:
            agent, _ = max(told, key=lambda one: (_state(one[0]), one[0].told.memory_mb or 0, one[1]))
            self._agents[id] = agent
            if states := [_state(agent) for agent, counts in told if counts]:
                self._of_pool[agent.told.pool][id] = STATES[max(states)]
            if agent.told.state == "claimed" and agent.told.function_uid:
                self._of_function[agent.told.function_uid].add(id)

    def _forget(self, agent: Agent) -> None:
        told = agent.told
        self._of_pool[told.pool].pop(told.id, None)
        if not self._of_pool[told.pool]:
            del self._of_pool[told.pool]
        if (uid := told.function_uid) is not None:
            self._of_function[uid].discard(told.id)
            if not self._of_function[uid]:
                del self._of_function[uid]

    def _pools_of(self, id: str) -> set[str]:
        return {self._agents[id].told.pool} if id in self._agents else set()

    def _note_away(self, now: float) -> None:
        if any(entry.connected_since is not None for entry in self._gateways.values()):
            self._away_since = None
        elif self._away_since is None:
            self._away_since = now


def _state(agent: Agent) -> int:
    return STATES.index(agent.told.state)
