"""Gathers what is known of a key, asks the plan, and has it done: the same for every key, whatever woke it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog

from lambent_core import dedicated_pools
from lambent_core.dedicated_pools import DedicatedPool
from lambent_operator.census import Agent, Census, Touched
from lambent_operator.changes import Change, LeaveAlone, Plan, ReportFailure, ResizePod, WriteStatus
from lambent_operator.cluster import Cluster, NotAwaited, PodRefused, ResizeRefused
from lambent_operator.manifests.pod import AgentSource, Link
from lambent_operator.metrics import Metrics
from lambent_operator.observation import Key, Observation
from lambent_operator.plans.agent import (
    AgentView,
    function_to_look_at,
    gives_up,
    own_pool,
    plan_agent,
    plan_refused,
    resize_refused,
    version_to_make,
)
from lambent_operator.plans.function import FunctionView, plan_function, version_to_look_at
from lambent_operator.plans.runtime_pool import RuntimePoolView, plan_runtime_pool
from lambent_operator.resources import Function, Pod, RuntimePool, as_of_version
from lambent_operator.troubles import VERSION_SECONDS, PoolTrouble, Trouble, Troubles, trouble_of_refusal

log = structlog.get_logger(__name__)


class Reconciler:
    """Owns the pools' troubles. Everything else it looks up."""

    def __init__(
        self,
        observation: Observation,
        census: Census,
        cluster: Cluster,
        metrics: Metrics,
        wake: Callable[[Key], None],
        *,
        namespace: str,
        link: Link,
        source: AgentSource,
        pod_labels: Mapping[str, str],
        may_act: Callable[[], bool],
        clock: Callable[[], float],
        timestamp: Callable[[], str],
    ) -> None:
        """`timestamp` is RFC 3339 in whole seconds, for conditions."""
        self._observation = observation
        self._census = census
        self._cluster = cluster
        self._metrics = metrics
        self._wake = wake
        self._namespace = namespace
        self._link = link
        self._source = source
        self._pod_labels = pod_labels
        self._may_act = may_act
        self._clock = clock
        self._timestamp = timestamp
        self._acting_since = clock()
        """No patience runs before: while it doesn't act it may not see, and as little may whoever else lacks the API server."""
        self._troubles = Troubles()
        self._written: dict[Key, float] = {}
        """When a status was written last."""
        self._versions_seen: dict[Key, float] = {}
        """When a function's version in trouble was found to be there last."""
        self._resize_refused: dict[str, str] = {}
        """Uids of pods by their names."""

    async def work(self, key: Key) -> float | None:
        """Makes the key's plan and does it. Raises what `Cluster.perform` raises."""
        if not self._may_act():
            return None  # whoever is elected looks at everything
        began = time.perf_counter()
        if key.kind == "agent":
            again_seconds = await self._agent(key.name)
        elif key.kind == "function":
            again_seconds = await self._function(key)
        else:
            again_seconds = await self._do(key, self._runtime_pool_plan(key))
        self._metrics.seconds.labels(key.kind).observe(time.perf_counter() - began)
        return again_seconds

    # Who is woken

    def elected(self) -> None:
        """This operator acts from now on, for the first time or again."""
        self._acting_since = self._clock()
        self.wake_everything()

    def wake_everything(self) -> None:
        for id in {*self._census.agents(), *(name for name, _ in self._observation.pods.items())}:
            self._wake(Key("agent", id))
        for name, _ in self._observation.functions.items():
            self._wake(Key("function", name))
        for (namespace, name), _ in self._observation.runtime_pools.items():
            self._wake(Key("runtime_pool", name, namespace))

    def census_touched(self, touched: Touched) -> None:
        if touched.everything:
            self.wake_everything()
            return
        for id in touched.agents:
            self._wake(Key("agent", id))
        for name in touched.functions:
            self._wake(Key("function", name))
        for pool in touched.pools:
            self._wake_runtime_pool(pool)

    def runtime_pool_changed(self, name: str) -> None:
        """Another image, other runtimes: what was wrong may be right, and functions may have another pool."""
        self._troubles.end(name)
        for function, _ in self._observation.functions.items():
            self._wake(Key("function", function))
        for id in self._census.agents():
            self._wake(Key("agent", id))

    def function_changed(self, name: str) -> None:
        """Another specification, or it is gone: what was wrong with its own pods may be right, or be no function's any more."""
        self._end_own_troubles(lambda own: own.function == name)
        if (function := self._observation.functions.get(name)) is not None:
            for id in self._census.claimed_by(function.uid):  # their pods may not bear its name yet
                self._wake(Key("agent", id))

    def _wake_users(self, pool: str) -> None:
        """Of a pool by its name in the census."""
        self._wake_runtime_pool(pool)
        owner = own_pool(pool)
        if owner is not None:
            self._wake(Key("function", owner))
            return
        for name, function in self._observation.functions.items():
            if (offered := self._pool_for(function)) is not None and offered.name == pool:
                self._wake(Key("function", name))

    def _wake_runtime_pool(self, pool: str) -> None:
        found = self._observation.runtime_pool_named(pool, self._namespace)
        if found is not None:
            self._wake(Key("runtime_pool", found.name, found.namespace))

    # Agents

    async def _agent(self, id: str) -> float | None:
        now = self._clock()
        self._end_trouble(self._census.agent(id))
        view = await self._looked_up(id, now)
        plan = self._agent_plan(view, now)
        if gives_up(plan) and view.pod is not None:
            await self._cluster.look_at_pod(view.pod.name, view.pod.uid)
            view = await self._looked_up(id, now)
            plan = self._agent_plan(view, now)
        try:
            return await self._do(Key("agent", id), plan)
        except PodRefused as refusal:
            return await self._do(Key("agent", id), plan_refused(view, trouble_of_refusal(str(refusal))))

    def _agent_plan(self, view: AgentView, now: float) -> Plan:
        return plan_agent(
            view,
            namespace=self._namespace,
            link=self._link,
            source=self._source,
            pod_labels=self._pod_labels,
            now=now,
        )

    async def _looked_up(self, id: str, now: float) -> AgentView:
        """With what is not watched."""
        view = self._agent_view(id, now)
        if (function := function_to_look_at(view, now=now)) is not None:
            await self._cluster.look_at_function(function)
            view = self._agent_view(id, now)
        version = version_to_make(view, now=now)
        return view if version is None else await self._with_version(view, version)

    async def _with_version(self, view: AgentView, name: str) -> AgentView:
        thing = await self._cluster.function_version(name)
        if view.function is None or thing is None:
            return view
        version = as_of_version(view.function, thing)
        return replace(view, version=version, runtime_pool=self._pool_for(version))

    def _agent_view(self, id: str, now: float) -> AgentView:
        agent, pod = self._census.agent(id), self._observation.pods.get(id)
        if pod is None:
            self._resize_refused.pop(id, None)
        missing_since = self._census.missing_since(id)
        view = AgentView(
            id,
            agent=agent,
            pod=pod,
            missing_seconds=None
            if missing_since is None or pod is None
            else self._waited(max(missing_since, self._observation.seen_since(id)), now),
            pod_seconds=0.0 if pod is None else self._waited(self._observation.seen_since(id), now),
            trouble_seconds=0.0 if pod is None else self._waited(self._observation.trouble_since(id), now),
            resize_refused=pod is not None and self._resize_refused.get(id) == pod.uid,
        )
        if agent is None:
            return view
        told = agent.told
        connected = self._census.is_connected(agent.gateway)
        function = self._observation.functions.get(own_pool(told.pool) or told.function or "")
        return replace(
            view,
            gateway=self._census.gateway_pod(agent.gateway) if connected else None,
            wanted_seconds=self._waited(agent.since, now),
            function=function,
            runtime_pool=self._runtime_pool_of(told.pool, function),
            pool_trouble=self._troubles.pools.get(told.pool),
        )

    def _runtime_pool_of(self, pool: str, function: Function | None) -> RuntimePool | None:
        if own_pool(pool) is None:
            return self._observation.runtime_pool_named(pool, self._namespace)
        return None if function is None else self._pool_for(function)

    # Functions and RuntimePools

    async def _function(self, key: Key) -> float | None:
        view = self._function_view(key)
        while view is not None and (version := version_to_look_at(view)) is not None:
            await self._look_at_version(key, version)
            view = self._function_view(key)
        if view is None:
            self._written.pop(key, None)
            self._versions_seen.pop(key, None)
            return None
        return await self._do(key, plan_function(view, timestamp=self._timestamp()))

    async def _look_at_version(self, key: Key, version: str) -> None:
        if await self._cluster.function_version(f"{key.name}.{version}") is not None:
            self._versions_seen[key] = self._clock()
        else:
            self._end_own_troubles(lambda own: (own.function, own.version) == (key.name, version))  # T5

    def _function_view(self, key: Key) -> FunctionView | None:
        function = self._observation.functions.get(key.name)
        if function is None:
            return None
        pool = self._pool_for(function)
        trouble, own = self._trouble_of(function, pool)
        away_since = self._census.away_since
        return FunctionView(
            function,
            pool,
            offered=() if pool is not None else self._observation.runtimes(),
            trouble=trouble,
            trouble_seconds=self._clock() - trouble.since if trouble is not None else 0.0,
            own_pods=own is not None,
            version=own.version if own is not None else None,
            version_seconds=self._ago(self._versions_seen.get(key)),
            counts=self._census.counts(function.name),
            complete_seconds=self._ago(self._census.complete_since),
            away_seconds=None if away_since is None else self._waited(away_since, self._clock()),
            claims=any(self._is_there(id) for id in self._census.claimed_by(function.uid)),
            init_error=self._census.init_error(function.uid, function.revision),
            rollout=self._census.rollout(function.name, function.revision),
            pods=self._pods_of(function) if function.deleting else (),
            written_seconds=self._ago(self._written.get(key)),
        )

    def _runtime_pool_plan(self, key: Key) -> Plan:
        pool = self._observation.runtime_pools.get((key.namespace, key.name))
        if pool is None:
            self._written.pop(key, None)
            return Plan()
        ready, starting = self._census.pool_counts(pool.name)
        view = RuntimePoolView(
            pool,
            ready,
            starting,
            trouble=self._troubles.pools.get(pool.name),
            known=self._census.complete_since is not None,
            written_seconds=self._ago(self._written.get(key)),
        )
        return plan_runtime_pool(view, timestamp=self._timestamp())

    def _pool_for(self, function: Function) -> RuntimePool | None:
        return self._observation.runtime_pool_for(function.runtime, self._namespace)

    def _pods_of(self, function: Function) -> tuple[tuple[Pod, float | None], ...]:
        pods = []
        for pod in self._observation.pods_of(function.name):
            if pod.owner_uid in (None, function.uid):
                since = self._census.missing_since(pod.name)
                seen = self._observation.seen_since(pod.name)
                pods.append((pod, None if since is None else self._waited(max(since, seen), self._clock())))
        return tuple(pods)

    def _is_there(self, agent: str) -> bool:
        """What a gateway said last that is gone proves nothing, where no pod does (C5)."""
        return self._census.is_current(agent) or self._observation.pods.get(agent) is not None

    def _trouble_of(
        self, function: Function, pool: RuntimePool | None
    ) -> tuple[PoolTrouble | None, DedicatedPool | None]:
        """The trouble that keeps it from environments, else a version of it, and the pool where it is of its own pods."""
        own = []
        for name, trouble in list(self._troubles.pools.items()):
            found = dedicated_pools.parse(name)
            if found is None or found.function != function.name:
                continue
            if found.version is not None and self._clock() - trouble.since >= VERSION_SECONDS:
                self._troubles.end(name)  # T5
                continue
            own.append(((found.version is None, int(found.version or 0), trouble.since), trouble, found))
        shared = None if pool is None or function.pod is not None else self._troubles.pools.get(pool.name)
        # `$LATEST`'s comes first, then the newest version's: what is shown doesn't change with each that is tried again.
        first = max(own, key=lambda one: one[0], default=None)
        if first is not None and (shared is None or first[2].version is None):
            return first[1:]
        return shared, None

    def _end_trouble(self, agent: Agent | None) -> None:
        """T4: an agent of the pool connected after it failed."""
        if agent is None or agent.connected_since is None:
            return
        trouble = self._troubles.pools.get(agent.told.pool)
        if trouble is not None and agent.connected_since > trouble.since:
            self._troubles.end(agent.told.pool)
            if (own := dedicated_pools.parse(agent.told.pool)) is not None:
                self._end_own_troubles(lambda other: (other.function, other.version) == (own.function, own.version))
            self._wake_users(agent.told.pool)

    def _end_own_troubles(self, of: Callable[[DedicatedPool], bool]) -> None:
        """Of functions' own pods, those of older revisions too."""
        for name in list(self._troubles.pools):
            if (own := dedicated_pools.parse(name)) is not None and of(own):
                self._troubles.end(name)

    # How plans are done

    async def _do(self, key: Key, plan: Plan) -> float | None:
        for change in plan.changes:
            match change:
                case ReportFailure() if self._ends(change.gateway):
                    pass
                case ReportFailure() | LeaveAlone():
                    self._tell_trouble(change.pool, change.trouble)
            try:
                await self._cluster.perform(change)
            except ResizeRefused as refusal:
                await self._note_refusal(change, str(refusal))
            except NotAwaited:
                return None  # its census wakes the key
            if isinstance(change, WriteStatus):
                self._written[key] = self._clock()
            self._metrics.changes.labels(type(change).__name__).inc()
            if isinstance(change, ReportFailure):
                self._census.given_up(change.gateway, change.agent, now=self._clock())
                if self._census.agent(change.agent) is not None:
                    return None  # another gateway has it, and is to be told before its pod goes
        return plan.again_seconds

    def _ends(self, gateway: str) -> bool:
        """It may have sent its pods away: that they ended says nothing of their pool."""
        pod = self._census.gateway_pod(gateway)
        return pod is not None and pod.deleting

    def _tell_trouble(self, pool: str, trouble: Trouble) -> None:
        if self._troubles.tell(pool, trouble, now=self._clock()):
            self._wake_users(pool)

    async def _note_refusal(self, change: Change, why: str) -> None:
        assert isinstance(change, ResizePod)
        self._resize_refused[change.name] = change.uid
        pod = self._observation.pods.get(change.name)
        if pod is not None and pod.uid == change.uid:
            await self._cluster.perform(resize_refused(change.function, pod, why))

    def _waited(self, since: float, now: float) -> float:
        """Seconds since then that this operator has acted in."""
        return now - max(since, self._acting_since)

    def _ago(self, since: float | None) -> float | None:
        return None if since is None else self._clock() - since
