"""
Lambent in a cluster, under test: its functions, its runtime pool, its pods and their processes.

Calls go to the Service's address on loopback; everything else is asked of the API server, metrics of each gateway through its proxy.
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from math import ceil, inf
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit
from urllib.request import urlopen

import aiohttp
import orjson

from benchmarks import functions, pods, processes
from benchmarks.client import Caller
from benchmarks.gateway import FUNCTION, ROLE, metric, package, wait_until
from benchmarks.programs import CannotRun
from lambent_kube.client import Kubernetes, KubernetesError, Object, Objects, open_session
from lambent_kube.config import ClusterAccess, NoCluster, cluster_access
from lambent_kube.resources import FUNCTIONS, PODS, RUNTIME_POOLS, Resource
from tools.cluster.places import NAMESPACE

T = TypeVar("T")
ENVIRONMENT = Path(".cluster/env")
SECONDS_MAX = 90.0
POLL_SECONDS = 0.05
WAKING_CALLS_MAX = 8
WAKING_SECONDS = 4.0
LOOPBACK = ("127.0.0.1", "localhost")
GATEWAY = "app.kubernetes.io/component=gateway"
OPERATOR = "app.kubernetes.io/component=operator"
AGENT_COMMAND = "lambent-agent"
PAUSE_COMMAND = "pause"
PORT = 9000
PREFIX = "bench-"
"""Of all names that benchmarks give."""
KEEPER = "keeper"
"""A function that is never called: there is a pool as long as a function uses it."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the cluster is, and Lambent in it."""

    access: ClusterAccess
    address: str
    """host:port on loopback, where the gateways' Service answers."""
    namespace: str
    """Of gateways and operator."""


def find(environ: Mapping[str, str]) -> Target:
    """What the environment names, else what `make cluster` made. Raises `CannotRun`, which says why there is none."""
    if not (environ.get("KUBECONFIG") and environ.get("LAMBENT_ENDPOINT")):
        if not ENVIRONMENT.exists():
            raise CannotRun("no cluster: `make cluster` makes one, or set KUBECONFIG and LAMBENT_ENDPOINT")
        lines = ENVIRONMENT.read_text().splitlines()
        environ = {**environ, **dict(line.split("=", 1) for line in lines if "=" in line)}
    endpoint = environ["LAMBENT_ENDPOINT"].rstrip("/")
    try:
        access = cluster_access(dict(environ))
        with urlopen(f"{endpoint}/healthz", timeout=10) as answer:
            answer.read()
    except NoCluster as error:
        raise CannotRun(str(error)) from error
    except OSError as error:
        raise CannotRun(f"no gateway answers at {endpoint}: {error}") from error
    parts = urlsplit(endpoint)
    if parts.scheme != "http" or parts.hostname not in LOOPBACK:
        raise CannotRun(f"{endpoint} is not a loopback address: no load is sent elsewhere")
    return Target(access, parts.netloc, environ.get("LAMBENT_SYSTEM_NAMESPACE") or NAMESPACE)


class Cluster:
    """What a scenario makes is gone after the block, and the pool has its size again."""

    def __init__(self) -> None:
        self._target = find(os.environ)
        self.address = self._target.address
        self.kubernetes = Kubernetes(self._target.access, field_manager="lambent-benchmarks")
        self._runner = asyncio.Runner()
        self._session: aiohttp.ClientSession | None = None
        self._prefix = f"{PREFIX}{secrets.token_hex(3)}"
        self._functions: list[str] = []

    def __enter__(self) -> Self:
        try:
            self._look_around()
        except BaseException:
            self._close()
            raise
        try:
            self.create(KEEPER, functions.NO_OP)
            self._wake_pool()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    # --- functions

    def name(self, short: str) -> str:
        """Of a function of this run."""
        return f"{self._prefix}-{short}"

    def create(self, short: str, source: str) -> None:
        """Creates a Python function and waits until every gateway can run it."""
        name = self.name(short)
        body = {
            "FunctionName": name,
            "Runtime": self.runtime,
            "Role": ROLE,
            "Handler": "app.handler",
            "Timeout": 30,
            "Code": {"ZipFile": base64.b64encode(package(source)).decode()},
        }
        self._functions.append(short)
        with self._caller() as caller:
            caller.call("POST", "/2015-03-31/functions", body)
        wait_until(lambda: self._is_active(name), f"function {name} to be Active", poll_seconds=0.02)

    def share_pods(self, short: str, per_pod: int) -> None:
        """So many environments of a function may be in one pod."""
        body = {"spec": {"environmentsPerPod": per_pod}}
        self.run(self.kubernetes.patch(FUNCTIONS, self._functions_namespace, self.name(short), body))

    def delete(self, short: str) -> None:
        self._functions.remove(short)
        with self._caller() as caller:
            caller.call("DELETE", FUNCTION.format(self.name(short)))

    def timed_ms(self, short: str) -> float:
        """How long an invocation took over a connection that was there, from request to answer."""
        with self._caller() as caller:
            return caller.timed_ms(self.name(short), {"key": "value"})

    # --- pods

    @contextmanager
    def pool_of(self, size: int | None = None, size_max: int = 0) -> Iterator[None]:
        """
        The pool has this size within the block, if none is given its own; `size_max` no larger, whatever a burst needed. It is afterwards
        as it was.
        """
        before = self._sizes
        size = before[0] if size is None else size
        self._resize(size, max(size, size_max))
        try:
            self.wait_until_settled()
            yield
        finally:
            self._insist(lambda: self._resize(*before))

    @contextmanager
    def replicas(self, resource: Resource, name: str, count: int) -> Iterator[None]:
        """A workload of the platform has so many pods within the block, and as many as before afterwards."""
        found = self.run(self.kubernetes.get(resource, self._target.namespace, name))
        before = found["spec"]["replicas"]
        self._scale(resource, name, count)
        try:
            yield
        finally:
            self._insist(lambda: self._scale(resource, name, before))

    def gateways(self) -> Objects:
        return self._listed(self._target.namespace, GATEWAY)

    def operators(self) -> Objects:
        return self._listed(self._target.namespace, OPERATOR)

    def environments(self, short: str) -> Objects:
        """Pods that are execution environments of a function."""
        return self._listed(self._functions_namespace, f"lambent.dev/function={self.name(short)}")

    def waiting_pods(self) -> Objects:
        """Pods of the pool that have no code yet."""
        return self._listed(self._functions_namespace, f"lambent.dev/pool={self._pool},!lambent.dev/function")

    def start_bare_pod_ms(self) -> float:
        """A pod of the runtime's image that does nothing, until it is Ready."""
        manifest = pods.bare_pod(f"{self._prefix}-bare", self._image, self._pull_policy)
        return self.run(pods.start_bare_pod_ms(self.kubernetes, self._functions_namespace, manifest))

    def watched(self, work: Callable[[], T]) -> tuple[T, dict[str, pods.PodTimes]]:
        """What `work` answers, and the pods of the pool that were made meanwhile."""
        selector = f"lambent.dev/pool={self._pool}"
        return self.run(pods.watched(self.kubernetes, self._functions_namespace, selector, work))

    def wait_until_settled(self) -> None:
        """Until the pool is full, no pod is on its way, and no deleted function of a benchmark has one left."""
        wait_until(self._is_settled, "a settled pool", seconds_max=SECONDS_MAX, poll_seconds=POLL_SECONDS)

    def wait_for_pool(self, seconds_max: float) -> bool:
        """Until the pool is full, but no longer than this. Whether it is."""
        deadline = time.monotonic() + seconds_max
        while not (full := self._pool_is_full()) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return full

    # --- what is read

    def metric(self, name: str, **labels: str) -> float:
        """Sum over the gateways. A function is named by its short name."""
        if "function" in labels:
            labels["function"] = self.name(labels["function"])
        return sum(metric(text, name, **labels) for text in self._of_gateways("/metrics"))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Raises `CannotRun` where the API server refuses."""
        try:
            return self._runner.run(work)
        except (KubernetesError, aiohttp.ClientError) as error:
            raise CannotRun(f"the API server: {error}") from error

    # --- within

    def _look_around(self) -> None:
        gateways = self.gateways()
        if not gateways:
            raise CannotRun(f"no gateway in the namespace {self._target.namespace}: LAMBENT_SYSTEM_NAMESPACE names it")
        variables = gateways[0]["spec"]["containers"][0]["env"]
        self._functions_namespace = next(each["value"] for each in variables if each["name"] == "LAMBENT_NAMESPACE")
        listed, _ = self.run(self.kubernetes.list(RUNTIME_POOLS, self._target.namespace))
        offers = [(runtime, pool) for pool in listed for runtime in pool["spec"]["runtimes"] if "python" in runtime]
        if not offers:
            raise CannotRun("no RuntimePool offers Python")
        self.runtime, pool = offers[0]
        self._pool = pool["metadata"]["name"]
        self._sizes = pool["spec"]["size"], pool["spec"].get("sizeMax")
        self._image, self._pull_policy = pool["spec"]["image"], pool["spec"]["imagePullPolicy"]

    def _end(self) -> None:
        try:
            self._insist(self._delete_functions)
        finally:
            self._close()

    def _close(self) -> None:
        async def close() -> None:
            await self.kubernetes.close()
            if self._session is not None:
                await self._session.close()

        self._runner.run(close())
        self._runner.close()

    def _delete_functions(self) -> None:
        listed, _ = self.run(self.kubernetes.list(FUNCTIONS, self._functions_namespace))
        for name in (function["metadata"]["name"] for function in listed):
            if name.startswith(self._prefix):
                self.run(self.kubernetes.delete(FUNCTIONS, self._functions_namespace, name))

    def _insist(self, act: Callable[[], None]) -> None:
        """What brings things back to what they were must outlast an API server that is away."""

        def done() -> bool:
            try:
                act()
            except CannotRun:
                return False
            return True

        wait_until(done, "the API server to put things back", seconds_max=SECONDS_MAX, poll_seconds=1.0)

    @contextmanager
    def _caller(self) -> Iterator[Caller]:
        """A new connection: it leads to any of the gateways. Raises `CannotRun` where it breaks."""
        try:
            with closing(Caller(self.address)) as caller:
                yield caller
        except (OSError, HTTPException) as error:
            raise CannotRun(f"no gateway answers at {self.address}: {error}") from error

    def _wake_pool(self) -> None:
        """A gateway that could not have a pod asks for none until one is wanted: first calls make them all try again."""
        for attempt in range(WAKING_CALLS_MAX):
            if self.wait_for_pool(WAKING_SECONDS):
                break
            self.create(f"wakes-{attempt}", functions.NO_OP)
            self.timed_ms(f"wakes-{attempt}")
            self.delete(f"wakes-{attempt}")
        self.wait_until_settled()

    def _resize(self, size: int, size_max: int | None) -> None:
        self._sizes = size, size_max
        body = {"spec": {"size": size, "sizeMax": size_max}}
        self.run(self.kubernetes.patch(RUNTIME_POOLS, self._target.namespace, self._pool, body))

    def _scale(self, resource: Resource, name: str, count: int) -> None:
        namespace = self._target.namespace
        self.run(self.kubernetes.patch(resource, namespace, name, {"spec": {"replicas": count}}))

        def scaled() -> bool:
            status = self.run(self.kubernetes.get(resource, namespace, name))["status"]
            return bool(status.get("replicas", 0) == status.get("readyReplicas", 0) == count)

        wait_until(scaled, f"{count} × {name}", seconds_max=SECONDS_MAX, poll_seconds=POLL_SECONDS)

    def _is_settled(self) -> bool:
        return self._pool_is_full() and not any(
            pod["metadata"].get("deletionTimestamp") or self._is_leftover(pod)
            for pod in self._listed(self._functions_namespace, f"lambent.dev/pool={self._pool}")
        )

    def _is_leftover(self, pod: Object) -> bool:
        function = pod["metadata"]["labels"].get("lambent.dev/function", "")
        return function.startswith(PREFIX) and function not in map(self.name, self._functions)

    def _pool_is_full(self) -> bool:
        texts = self._of_gateways("/metrics")
        ready, starting = (
            sum(metric(text, "lambent_pool_runtimes", runtime=self._pool, state=state) for text in texts)
            for state in ("ready", "starting")
        )
        size, size_max = self._sizes
        # Each gateway keeps its share, rounded up.
        most = inf if size_max is None else len(texts) * ceil(max(size, size_max) / len(texts))
        return size <= ready <= most and not starting

    def _is_active(self, name: str) -> bool:
        answers = self._of_gateways(f"{FUNCTION.format(name)}/configuration")
        return all(orjson.loads(answer).get("State") == "Active" for answer in answers)

    def _listed(self, namespace: str, selector: str) -> Objects:
        return self.run(self.kubernetes.list(PODS, namespace, selector=selector))[0]

    def _of_gateways(self, path: str) -> list[str]:
        """What each gateway answers to GET; those that are on their way out or in are left out."""
        names = [
            pod["metadata"]["name"]
            for pod in self.gateways()
            if not pod["metadata"].get("deletionTimestamp") and pods.is_ready(pod)
        ]
        return self.run(self._proxied(names, path))

    async def _proxied(self, names: list[str], path: str) -> list[str]:
        if self._session is None:
            self._session = open_session(self._target.access)
        texts = []
        for name in names:
            url = self._target.access.server + PODS.path(self._target.namespace, f"{name}:{PORT}", "proxy") + path
            async with self._session.get(url) as response:
                texts.append(await response.text())
        return texts


def processes_of(found: Objects) -> list[int]:
    """Raises `CannotRun` where the pods run on other machines."""
    pids = processes.of_pods([pod["metadata"]["uid"] for pod in found])
    if found and not pids:
        raise CannotRun("the pods' processes are not on this machine")
    return pids
