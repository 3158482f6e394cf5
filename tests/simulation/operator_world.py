"""
A cluster and a gateway around the operator's engine, in virtual time: requests take time and get lost, watches are behind, pods start,
fail and end, agents look for their gateway for a minute, and everybody may be restarted.
"""

from __future__ import annotations

import asyncio
import copy
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from prometheus_client import CollectorRegistry

from lambent_core.census import AgentEntry, Rollout, Snapshot
from lambent_core.census import Census as GatewayCensus
from lambent_core.function import EnvironmentCounts
from lambent_kube.client import MERGE_PATCH, AlreadyExists, Conflict, KubernetesError, NotFound, Object
from lambent_kube.resources import FUNCTIONS, PODS, Resource
from lambent_operator.census import Census
from lambent_operator.census_client import GatewayUnreachable
from lambent_operator.engine import Engine
from lambent_operator.manifests.pod import AgentSource, Link
from lambent_operator.metrics import Metrics
from lambent_operator.resources import GatewayPod
from lambent_operator.troubles import Trouble

NAMESPACE, SYSTEM = "default", "lambent-system"
AGENT_PATIENCE_SECONDS = 60.0
POOL, GATEWAY = "python3.11", "gateway-0"
Watcher = Callable[[str, Resource, Object], None]


class Clock:
    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def timestamp(self) -> str:
        return f"2026-11-24T00:00:00Z+{int(self.monotonic())}"

    timestamp_micro = timestamp


class ApiServer:
    """What the operator uses of Kubernetes. Objects are given out as copies, in whatever order requests arrive."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.objects: dict[tuple[Resource, str], Object] = {}
        self.version = 100
        self.away = False
        self.lossy = True
        self.silent = False
        """Watches bring nothing, as after an outage until they stand again."""
        self.watches: dict[Watcher, asyncio.Queue[tuple[str, Resource, Object]]] = {}
        self.created: Counter[str] = Counter()
        """Pods by name, over all time."""
        self.applied: dict[str, set[str]] = {}
        """Members of statuses that the operator has, by the object's uid."""
        self.statuses: list[Object] = []
        """That were applied."""
        self.refuses_pods: KubernetesError | None = None
        self.on_pod: Callable[[Object], None] = lambda pod: None
        self.on_delete: Callable[[Object], None] = lambda pod: None

    # Requests

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        return await self._request(lambda: copy.deepcopy(self._there(resource, name)))

    async def create(self, resource: Resource, namespace: str | None, body: Object) -> Object:
        return await self._request(lambda: self.make(resource, body))

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        body: Object,
        *,
        subresource: str | None = None,
        type: str = MERGE_PATCH,
    ) -> Object:
        return await self._request(lambda: self._patch(resource, name, body, subresource))

    async def apply(
        self, resource: Resource, namespace: str | None, body: Object, *, subresource: str | None = None
    ) -> Object:
        return await self._request(lambda: self._apply_status(resource, body["metadata"]["name"], body["status"]))

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        preconditions: dict[str, str] | None = None,
        grace_seconds: int | None = None,
    ) -> Object:
        return await self._request(lambda: self._delete_pod(name, preconditions or {}))

    async def _request(self, do: Callable[[], Object]) -> Object:
        await self._travel()
        answer = do()
        if self.lossy and self.chance.random() < 0.03:
            raise KubernetesError(0, "Unreachable", "the answer got lost")
        await self._travel()
        return answer

    async def _travel(self) -> None:
        await asyncio.sleep(self.chance.uniform(0.001, 0.03))
        if self.away:
            raise KubernetesError(0, "Unreachable", "the API server is away")

    # What happens

    def make(self, resource: Resource, body: Object) -> Object:
        name = body["metadata"]["name"]
        if (resource, name) in self.objects:
            raise AlreadyExists(409, "AlreadyExists", f"{name} is there")
        if resource is PODS and self.refuses_pods is not None:
            raise self.refuses_pods
        thing = copy.deepcopy(body)
        thing["metadata"] |= {"uid": f"{name}-{self.version}", "generation": 1}
        thing["metadata"].setdefault("namespace", NAMESPACE)
        if resource is PODS:
            thing["status"] = {"phase": "Pending"}
        self._store(resource, thing, "ADDED")
        if resource is PODS:
            self.created[name] += 1
            self.on_pod(thing)
        return copy.deepcopy(thing)

    def change(self, resource: Resource, name: str, change: Callable[[Object], None]) -> None:
        """By somebody else than the operator."""
        thing = self.objects.get((resource, name))
        if thing is not None:
            change(thing)
            self._store(resource, thing, "MODIFIED")

    def remove(self, resource: Resource, name: str) -> None:
        thing = self.objects.pop((resource, name), None)
        if thing is not None:
            self._tell("DELETED", resource, thing)

    def delete_function(self, name: str) -> None:
        self.change(FUNCTIONS, name, lambda thing: thing["metadata"].update(deletionTimestamp="now"))
        self._let_go(name)

    def of(self, resource: Resource) -> list[Object]:
        return [thing for (kind, _), thing in self.objects.items() if kind is resource]

    def names(self, resource: Resource) -> set[str]:
        return {thing["metadata"]["name"] for thing in self.of(resource)}

    def _there(self, resource: Resource, name: str) -> Object:
        if (resource, name) not in self.objects:
            raise NotFound(404, "NotFound", f'{resource.plural} "{name}" not found')
        return self.objects[resource, name]

    def _patch(self, resource: Resource, name: str, body: Object, subresource: str | None) -> Object:
        thing = self._there(resource, name)
        for member in ("uid", "resourceVersion"):
            if member in body.get("metadata", {}) and body["metadata"][member] != thing["metadata"][member]:
                raise Conflict(409, "Conflict", f"another {member}")
        if subresource == "resize":
            thing["spec"]["containers"][0]["resources"] = body["spec"]["containers"][0]["resources"]
        else:
            _merge(thing, body)
        self._store(resource, thing, "MODIFIED")
        if resource is FUNCTIONS:
            self._let_go(name)
        return copy.deepcopy(thing)

    def _apply_status(self, resource: Resource, name: str, status: Object) -> Object:
        """Nobody else applies to it: what was applied before and is left out is gone."""
        thing = self._there(resource, name)
        uid, own = thing["metadata"]["uid"], copy.deepcopy(status)
        left = {name: value for name, value in thing.get("status", {}).items() if name not in self.applied.get(uid, ())}
        thing["status"] = left | own
        self.applied[uid] = {*own}
        self.statuses.append(own)
        self._store(resource, thing, "MODIFIED")
        return copy.deepcopy(thing)

    def _let_go(self, function: str) -> None:
        metadata = self.objects[FUNCTIONS, function]["metadata"]
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            self.remove(FUNCTIONS, function)

    def _delete_pod(self, name: str, preconditions: dict[str, str]) -> Object:
        pod = self._there(PODS, name)
        if preconditions.get("uid", pod["metadata"]["uid"]) != pod["metadata"]["uid"]:
            raise Conflict(409, "Conflict", "another uid")
        if "deletionTimestamp" not in pod["metadata"]:
            self.on_delete(pod)
            self.change(PODS, name, lambda pod: pod["metadata"].update(deletionTimestamp="now"))
        return copy.deepcopy(pod)

    def _store(self, resource: Resource, thing: Object, event: str) -> None:
        self.version += 1
        thing["metadata"]["resourceVersion"] = str(self.version)
        self.objects[resource, thing["metadata"]["name"]] = thing
        self._tell(event, resource, thing)

    def _tell(self, event: str, resource: Resource, thing: Object) -> None:
        for queue in () if self.silent else self.watches.values():
            queue.put_nowait((event, resource, copy.deepcopy(thing)))

    async def watch(self, watcher: Watcher) -> None:
        """The whole, then changes, some time after they happened."""
        queue = self.watches[watcher] = asyncio.Queue()
        try:
            whole = [(resource, copy.deepcopy(thing)) for (resource, _), thing in self.objects.items()]
            await asyncio.sleep(self.chance.uniform(0, 1))
            for resource, thing in whole:
                watcher("", resource, thing)
            watcher("LISTED", PODS, {})
            while True:
                told = await queue.get()
                await asyncio.sleep(self.chance.uniform(0, 0.02))
                watcher(*told)
        finally:
            del self.watches[watcher]


class World:
    """Also the node and its agents, the gateway, and the operator's process."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.api = ApiServer(self.chance)
        self.api.on_pod = lambda pod: self._task(self._life_of(pod["metadata"]["name"], pod["metadata"]["uid"]))
        self.api.on_delete = self._check_delete
        self.gateway = GatewayCensus(GATEWAY)
        self.gateway_up = False
        self.failed: set[str] = set()
        """Agents that the gateway was told can't be had."""
        self.image_there = True
        self.asked = 0
        self.claims: dict[str, str] = {}
        """Function by agent: what the agent itself knows."""
        self.on_report: Callable[[str], None] = lambda agent: None
        """Before the gateway takes in that it can't be had."""
        self.broken: list[str] = []
        """Invariants, in words."""
        self.lost: set[str] = set()
        """Pods that somebody deleted."""
        self.tasks: set[asyncio.Task[None]] = set()
        self.operator: asyncio.Task[None] | None = None
        self.engine: Engine
        self.acts = True
        """Whether the operator has its Lease."""

    # The gateway

    def start_gateway(self) -> None:
        self.gateway, self.gateway_up = GatewayCensus(GATEWAY), True
        body = {"metadata": {"name": GATEWAY, "namespace": SYSTEM}, "spec": {"containers": [{}]}}
        self._gateway_pod = self.api.make(Resource("", "v1", "gateways"), body)

    def end_gateway(self) -> None:
        """It is told to end, and serves on."""
        self.api.change(
            Resource("", "v1", "gateways"), GATEWAY, lambda pod: pod["metadata"].update(deletionTimestamp="now")
        )

    def stop_gateway(self) -> None:
        self.gateway_up = False
        self.api.remove(Resource("", "v1", "gateways"), GATEWAY)

    def want(self, count: int) -> None:
        for _ in range(count):
            self.asked += 1
            self.gateway.put(AgentEntry(f"agent-{self.asked}", POOL, "wanted"))

    def claim(self, function: str) -> None:
        free = sorted(id for id, entry in self.gateway.agents.items() if entry.state == "free")
        thing = self.api.objects.get((FUNCTIONS, function))
        if free and thing is not None and "deletionTimestamp" not in thing["metadata"]:
            self.claims[free[0]] = function
            self.connected(free[0])

    def release(self, id: str) -> None:
        """The environment is over: its agent ends."""
        self.claims.pop(id, None)
        self.gateway.remove(id)
        self._count()
        self.api.change(PODS, id, lambda pod: pod["status"].update(phase="Succeeded"))

    def connected(self, id: str) -> None:
        function = self.claims.get(id)
        thing = self.api.objects.get((FUNCTIONS, function)) if function else None
        pool = self.api.objects[PODS, id]["metadata"]["annotations"]["lambent.dev/pool"]
        if function is None:
            self.gateway.put(AgentEntry(id, pool, "free"))
        else:
            uid = thing["metadata"]["uid"] if thing is not None else "gone"
            self.gateway.put(AgentEntry(id, pool, "claimed", function, uid, f"{uid}/1", 256))
        self._count()

    def _count(self) -> None:
        agents = [entry for entry in self.gateway.agents.values() if entry.function is not None]
        claimed = Counter((entry.function or "", entry.revision or "") for entry in agents)
        self.gateway.count(
            {name: EnvironmentCounts(ready=count) for (name, _), count in claimed.items()},
            {name: Rollout(revision, count, 0) for (name, revision), count in claimed.items()},
        )

    def fail(self, id: str) -> None:
        self.failed.add(id)
        self.gateway.remove(id)

    # The node

    async def _life_of(self, name: str, uid: str) -> None:
        """Of a pod and the agent in it, until the pod is gone."""
        await asyncio.sleep(self.chance.uniform(0.2, 3.0))
        if not self.image_there:
            waiting = {"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}
            self.api.change(PODS, name, lambda pod: pod["status"].update(containerStatuses=[waiting]))
        elif self._is(name, uid):
            self.api.change(PODS, name, lambda pod: pod["status"].update(phase="Running"))
        connected, lost_at = None, self._now()
        while self._is(name, uid):
            pod = self.api.objects[PODS, name]
            if "deletionTimestamp" in pod["metadata"]:
                await asyncio.sleep(self.chance.uniform(0, 2.0))
                if self._is(name, uid):
                    self.claims.pop(name, None)
                    if self.gateway_up:
                        self.gateway.remove(name)
                        self._count()
                    self.api.remove(PODS, name)
                return
            if pod["status"]["phase"] == "Running":
                if connected is not None and connected is not self.gateway:
                    connected, lost_at = None, self._now()
                if connected is None and self.gateway_up and self.chance.random() < 0.5 and name not in self.failed:
                    connected = self.gateway
                    self.connected(name)
                if connected is None and self._now() > lost_at + AGENT_PATIENCE_SECONDS:
                    self.api.change(PODS, name, lambda pod: pod["status"].update(phase="Failed"))
            await asyncio.sleep(1.0)

    def _is(self, pod: str, uid: str) -> bool:
        there = self.api.objects.get((PODS, pod))
        return there is not None and there["metadata"]["uid"] == uid

    def _check_delete(self, pod: Object) -> None:
        """K3, whatever the operator knew."""
        name, finished = pod["metadata"]["name"], pod["status"]["phase"] in ("Succeeded", "Failed")
        has = self.gateway_up and name in self.gateway.agents
        if has and not finished:
            self.broken.append(f"K3: {name} is deleted, and the gateway has it: {self.gateway.agents[name]}")

    def delete_by_hand(self, name: str) -> None:
        self.lost.add(name)
        self.api.change(PODS, name, lambda pod: pod["metadata"].update(deletionTimestamp="now"))

    # The operator

    def start_operator(self) -> None:
        self.operator = asyncio.create_task(self._operate())

    async def kill_operator(self) -> None:
        assert self.operator is not None
        self.operator.cancel()
        await asyncio.gather(self.operator, return_exceptions=True)

    def elect(self) -> None:
        self.acts = True
        self.engine.reconciler.elected()

    async def _operate(self) -> None:
        listed = asyncio.Event()
        self.engine = engine = Engine(
            self.api,
            lambda census: _Connections(self, census),
            Metrics(CollectorRegistry()),
            namespace=NAMESPACE,
            instance="operator-0",
            link=Link(9001, "link:9001"),
            source=AgentSource("lambent"),
            pod_labels={},
            may_act=lambda: self.acts,
            clock=Clock(),
            chance=self.chance.random,
        )

        def see(event: str, resource: Resource, thing: Object) -> None:
            if event == "LISTED":
                listed.set()
            elif resource.plural == "gateways":
                metadata = thing["metadata"]
                if event == "DELETED":
                    engine.intake.remove_gateway(metadata["name"], metadata["uid"])
                else:
                    ready = {"type": "Ready", "status": "True"}
                    status = {"phase": "Running", "podIP": "10.0.0.1", "conditions": [ready]}
                    engine.intake.put_gateway(thing | {"status": status})
            elif event == "DELETED":
                metadata = thing["metadata"]
                engine.intake.remove(resource, metadata["namespace"], metadata["name"], metadata["uid"])
            else:
                engine.intake.put(resource, thing)

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.api.watch(see))
                group.create_task(engine.run(listed))
        finally:
            engine.gateways.close()

    def _task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


class _Connections:
    """To the gateway, as one operator has them."""

    def __init__(self, world: World, census: Census) -> None:
        self._world = world
        self._census = census
        self._following: asyncio.Task[None] | None = None

    def put_gateway(self, pod: GatewayPod) -> None:
        self._census.put_gateway(pod, now=self._world._now())
        self.close()
        self._following = asyncio.create_task(self._follow())

    def remove_gateway(self, name: str) -> None:
        self.close()
        self._census.remove_gateway(name, now=self._world._now())

    async def report_failure(self, gateway: str, agent: str, trouble: Trouble) -> bool:
        await asyncio.sleep(self._world.chance.uniform(0, 0.02))
        if not self._world.gateway_up or self._world.chance.random() < 0.05:
            raise GatewayUnreachable("the gateway is away")
        self._world.on_report(agent)
        entry = self._world.gateway.agents.get(agent)
        if entry is None or entry.state != "wanted":
            return False
        self._world.fail(agent)
        return True

    def close(self) -> None:
        if self._following is not None:
            self._following.cancel()

    async def _follow(self) -> None:
        world = self._world
        await asyncio.sleep(world.chance.uniform(0, 0.5))
        source = world.gateway
        reader, snapshot = source.read()
        try:
            assert isinstance(snapshot, Snapshot)
            self._census.connected(GATEWAY, snapshot, now=world._now())
            while world.gateway_up and world.gateway is source:
                await asyncio.sleep(0.2)
                if (changes := source.changes(reader)) is not None:
                    self._census.changed(GATEWAY, changes, now=world._now())
        finally:
            source.close(reader)
            self._census.disconnected(GATEWAY, now=world._now())


def function(name: str) -> Object:
    return {
        "apiVersion": "lambent.dev/v1",
        "kind": "Function",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"runtime": "python3.11", "memorySize": 256},
        "status": {"state": "Active", "lastUpdateStatus": "Successful", "observedGeneration": 1, "codeRevision": 1},
    }


def function_version(name: str, number: int, **spec: Any) -> Object:
    """Of the function of that name."""
    was = {"runtime": "python3.11", "memorySize": 256} | spec
    return {
        "apiVersion": "lambent.dev/v1",
        "kind": "FunctionVersion",
        "metadata": {"name": f"{name}.{number}", "namespace": NAMESPACE},
        "spec": {"functionName": name, "version": number, "function": was},
    }


def runtime_pool() -> Object:
    return {
        "apiVersion": "lambent.dev/v1",
        "kind": "RuntimePool",
        "metadata": {"name": POOL, "namespace": SYSTEM},
        "spec": {"runtimes": ["python3.11"], "image": "python", "command": ["python3"]},
    }


def _merge(into: Object, patch: Object) -> None:
    for name, value in patch.items():
        if value is None:
            into.pop(name, None)
        elif isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value
