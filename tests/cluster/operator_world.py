"""
An operator as its own process against a real API server, with gateways that say what a test has them say.

The gateways are scripted because they are the operator's peer here; the whole path is tested elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import yaml
from aiohttp import web

from lambent_core.census import AgentEntry, Alive, Changes, Line, Snapshot
from lambent_core.function import EnvironmentCounts
from lambent_kube.client import Kubernetes, NotFound, Object
from lambent_kube.config import from_kubeconfig
from lambent_kube.resources import EVENTS, FUNCTION_VERSIONS, FUNCTIONS, PODS, RUNTIME_POOLS, Resource
from tests.ports import free_port

ROOT = Path(__file__).parent.parent.parent
NAMESPACES = Resource("", "v1", "namespaces", namespaced=False)
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts")
QUOTAS = Resource("", "v1", "resourcequotas")
CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", namespaced=False)
IMAGE = os.environ.get("LAMBENT_TEST_IMAGE", "localhost/lambent/python:dev")
PATIENCE_SECONDS = 90.0


def kubeconfig() -> Path | None:
    """Of KUBECONFIG, or of the cluster that `make cluster` made."""
    if "KUBECONFIG" in os.environ:
        return Path(os.environ["KUBECONFIG"])
    made = ROOT / ".cluster" / "kubeconfig"
    return made if made.exists() else None


async def until(look: Callable[[], Any], what: str, *, seconds: float = PATIENCE_SECONDS) -> Any:
    """Waits until `look` (which may be a coroutine function) says something; it may say None or False, or find nothing."""
    last: object = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                try:
                    last = look()
                    if asyncio.iscoroutine(last):
                        last = await last
                    if last:
                        return last
                except (NotFound, LookupError, AssertionError) as error:
                    last = repr(error)
                await asyncio.sleep(0.1)
    raise AssertionError(f"waited in vain until {what}; last: {last}")


@dataclass
class Gateway:
    """The HTTP side of a gateway: tells the census that a test gives it, and notes the failures that it is told."""

    name: str
    ip: str
    port: int
    agents: dict[str, AgentEntry] = field(default_factory=dict)
    functions: dict[str, EnvironmentCounts] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    _readers: set[asyncio.Queue[Line]] = field(default_factory=set)
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/lambent/v1/agents", self._tell)
        app.router.add_post("/lambent/v1/agents/{id}/failure", self._fail)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.ip, self.port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def readers(self) -> int:
        return len(self._readers)

    def put(self, *agents: AgentEntry, **functions: EnvironmentCounts) -> None:
        self.agents |= {agent.id: agent for agent in agents}
        self.functions |= functions
        self._say(Changes(list(agents), [], functions))

    def drop(self, *ids: str, **functions: EnvironmentCounts) -> None:
        for id in ids:
            self.agents.pop(id, None)
        self.functions |= functions
        self._say(Changes([], list(ids), functions))

    def _say(self, line: Line) -> None:
        for reader in self._readers:
            reader.put_nowait(line)

    async def _tell(self, request: web.Request) -> web.StreamResponse:
        self.tokens.add(request.headers.get("Authorization", ""))
        response = web.StreamResponse()
        await response.prepare(request)
        lines: asyncio.Queue[Line] = asyncio.Queue()
        lines.put_nowait(Snapshot(self.name, list(self.agents.values()), dict(self.functions)))
        self._readers.add(lines)
        try:
            while True:
                try:
                    line = await asyncio.wait_for(lines.get(), 10)
                except TimeoutError:
                    line = Alive()
                await response.write(msgspec.json.encode(line) + b"\n")
        except ConnectionError:
            return response
        finally:
            self._readers.discard(lines)

    async def _fail(self, request: web.Request) -> web.Response:
        id = request.match_info["id"]
        if id not in self.agents:
            return web.Response(status=404)
        self.failures[id] = await request.json()
        self.drop(id)
        return web.Response(status=204)


@dataclass
class World:
    """Two namespaces of a test's own, and what runs in them."""

    api: Kubernetes
    kubeconfig: Path
    folder: Path
    namespace: str
    system: str
    port: int
    gateways: dict[str, Gateway] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    ways: list[Cut] = field(default_factory=list)

    # The operator

    def start_operator(self, name: str = "operator-0", *, kubeconfig: Path | None = None) -> subprocess.Popen[bytes]:
        token = self.folder / "token"
        token.write_text("operators-token\n")
        settings = {
            "KUBECONFIG": str(kubeconfig or self.kubeconfig),
            "LAMBENT_NAMESPACE": self.namespace,
            "LAMBENT_SYSTEM_NAMESPACE": self.system,
            "LAMBENT_POD_NAME": name,
            "LAMBENT_GATEWAY_SELECTOR": "app.kubernetes.io/component=gateway",
            "LAMBENT_GATEWAY_PORT": str(self.port),
            "LAMBENT_LINK_PORT": "9001",
            "LAMBENT_LINK_SERVICE": f"nobody.{self.system}.svc:9001",  # agents find no gateway, and look for a minute
            "LAMBENT_GATEWAY_TOKEN_FILE": str(token),
            "LAMBENT_AGENT_IMAGE": "localhost/lambent/lambent:dev",
            "LAMBENT_HEALTH_PORT": str(free_port()),
            "LAMBENT_LOG_LEVEL": "debug",
        }
        folders = [str(ROOT / folder) for folder in ("core", "kube", "operator")]
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(folders)} | settings
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen([sys.executable, "-m", "lambent_operator"], env=environ, stderr=log, stdout=log)
        self.processes.append(process)
        return process

    def log(self, name: str = "operator-0") -> str:
        return (self.folder / f"{name}.log").read_text()

    async def way(self) -> tuple[Cut, Path]:
        """An own way to the API server, and a kubeconfig that goes by it."""
        way, path = await way_to(self.kubeconfig, self.folder)
        self.ways.append(way)
        return way, path

    # Gateways

    async def start_gateway(self, name: str = "gateway-0", ip: str = "127.0.0.1") -> Gateway:
        """The server, and a pod whose address it has. No node takes the pod."""
        gateway = self.gateways[name] = Gateway(name, ip, self.port)
        await gateway.start()
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/component": "gateway"}},
            "spec": {
                "schedulerName": "nobody",
                "containers": [{"name": "gateway", "image": "none"}],
            },
        }
        await self.api.create(PODS, self.system, pod)
        await self.set_ready(name)
        return gateway

    async def set_ready(self, name: str, ready: bool = True) -> None:
        condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": "2026-01-01T00:00:00Z"}
        ip = self.gateways[name].ip
        status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [condition]}
        await self.api.patch(PODS, self.system, name, {"status": status}, subresource="status")

    # Resources

    async def put_pool(self, name: str = "python3.11", **spec: Any) -> Object:
        body = {
            "apiVersion": "lambent.dev/v1",
            "kind": "RuntimePool",
            "metadata": {"name": name},
            "spec": {
                "runtimes": ["python3.11"],
                "image": IMAGE,
                "command": ["/usr/bin/python3.11", "/var/runtime/bootstrap.py"],
                "environment": {"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": "/var/runtime"},
                "resources": {
                    "requests": {"cpu": "10m", "memory": "64Mi"},
                    "limits": {"memory": "256Mi"},
                },
            }
            | spec,
        }
        return await self.api.apply(RUNTIME_POOLS, self.system, body)

    async def put_function(self, name: str = "hello", *, settled: bool = True, **spec: Any) -> Object:
        """With the status that a gateway gives it once it has taken it up."""
        body = {
            "apiVersion": "lambent.dev/v1",
            "kind": "Function",
            "metadata": {"name": name},
            "spec": {
                "runtime": "python3.11",
                "handler": "app.handler",
                "code": {"inline": "def handler(event, context):\n    return event\n"},
            }
            | spec,
        }
        made = await self.api.apply(FUNCTIONS, self.namespace, body)
        return await self.settle(name, made["metadata"]["generation"]) if settled else made

    async def put_version(self, number: int = 1, function: str = "hello", **spec: Any) -> Object:
        """As a gateway publishes it."""
        was = {"runtime": "python3.11", "handler": "app.handler", "code": {"sha256": "ab" * 32, "size": 9}} | spec
        name = f"{function}.{number}"
        body = {
            "apiVersion": "lambent.dev/v1",
            "kind": "FunctionVersion",
            "metadata": {"name": name},
            "spec": {"functionName": function, "version": number, "function": was},
        }
        return await self.api.apply(FUNCTION_VERSIONS, self.namespace, body)

    async def settle(self, name: str, generation: int, **status: Any) -> Object:
        active = {"state": "Active", "lastUpdateStatus": "Successful", "codeRevision": 1}
        told = active | {"observedGeneration": generation} | status
        return await self.api.patch(FUNCTIONS, self.namespace, name, {"status": told}, subresource="status")

    async def function(self, name: str = "hello") -> Object:
        return await self.api.get(FUNCTIONS, self.namespace, name)

    async def conditions(self, name: str = "hello") -> dict[str, tuple[str, str]]:
        """Status and reason by type."""
        return conditions_of(await self.function(name))

    async def pool_conditions(self, name: str = "python3.11") -> dict[str, tuple[str, str]]:
        return conditions_of(await self.api.get(RUNTIME_POOLS, self.system, name))

    async def pods(self) -> dict[str, Object]:
        pods, _ = await self.api.list(PODS, self.namespace)
        return {pod["metadata"]["name"]: pod for pod in pods}

    async def pod(self, name: str) -> Object:
        return await self.api.get(PODS, self.namespace, name)

    async def events(self, namespace: str, about: str) -> set[str]:
        events, _ = await self.api.list(EVENTS, namespace)
        ours = [event for event in events if event.get("reportingController") == "lambent.dev/operator"]
        return {event["reason"] for event in ours if event["regarding"]["name"] == about}

    async def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()
        for gateway in self.gateways.values():
            await gateway.stop()
        for way in self.ways:
            await way.cut()
        for function in (await self.api.list(FUNCTIONS, self.namespace))[0]:
            body = {"metadata": {"finalizers": None}}
            await self.api.patch(FUNCTIONS, self.namespace, function["metadata"]["name"], body)
        for namespace in (self.namespace, self.system):
            await self.api.delete(NAMESPACES, None, namespace)
        await self.api.close()


def conditions_of(thing: Object) -> dict[str, tuple[str, str]]:
    conditions = thing.get("status", {}).get("conditions", [])
    return {condition["type"]: (condition["status"], condition["reason"]) for condition in conditions}


async def apply_definitions(api: Kubernetes) -> None:
    for path in sorted((ROOT / "charts" / "lambent" / "crds").glob("*.yaml")):
        body = yaml.safe_load(path.read_text())
        name = body["metadata"]["name"]
        await api.apply(CRDS, None, body)

        async def established(name: str = name) -> bool:
            status = (await api.get(CRDS, None, name)).get("status", {})
            return any(one["type"] == "Established" and one["status"] == "True" for one in status.get("conditions", []))

        await until(established, f"{name} is established")


@contextlib.asynccontextmanager
async def world(folder: Path, config: Path) -> AsyncIterator[World]:
    api = Kubernetes(from_kubeconfig(config), field_manager="operator-test")
    name = f"operator-test-{uuid.uuid4().hex[:8]}"
    made = World(api, config, folder, namespace=name, system=f"{name}-system", port=free_port())
    await apply_definitions(api)
    for namespace, level in ((made.namespace, "restricted"), (made.system, "privileged")):
        labels = {"pod-security.kubernetes.io/enforce": level}
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}
        await api.create(NAMESPACES, None, body)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "lambent-function"}}
    await api.create(SERVICE_ACCOUNTS, made.namespace, account)
    try:
        yield made
        for log in folder.glob("*.log"):
            assert "not understood" not in log.read_text(), (
                "something that was told is not what the operator takes it for"
            )
    finally:
        await made.close()


class Cut:
    """A way to the API server that can be cut: what a network that fails looks like from within."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = free_port()

    async def open(self) -> None:
        assert self._server is None
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, far_writer}
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            self._writers -= {writer, far_writer}


async def way_to(config: Path, folder: Path) -> tuple[Cut, Path]:
    """An open way to the API server of a kubeconfig, and a kubeconfig that goes by it."""
    server = urlsplit(from_kubeconfig(config).server)
    assert server.hostname is not None and server.port is not None
    way = Cut(server.hostname, server.port)
    await way.open()
    document = yaml.safe_load(config.read_text())
    for entry in document["clusters"]:
        entry["cluster"]["server"] = f"https://127.0.0.1:{way.port}"
    path = folder / f"kubeconfig-{way.port}"
    path.write_text(yaml.safe_dump(document))
    return way, path


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    writer.close()
