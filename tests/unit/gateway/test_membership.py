"""Which gateways are ready, by the API server's own word: EndpointSlices that are listed and watched over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from lambent_gateway.peers.membership import Membership, ready_members
from lambent_kube.client import Kubernetes
from lambent_kube.config import ClusterAccess

SERVICE_LABEL = "kubernetes.io/service-name"
Members = dict[str, str]


def endpoint(name: str, *addresses: str, **conditions: bool) -> dict[str, Any]:
    """Ready and not ending, unless it is said otherwise."""
    return {
        "addresses": list(addresses),
        "conditions": {"ready": True, "serving": True, "terminating": False} | conditions,
        "targetRef": {"kind": "Pod", "name": name, "namespace": "lambent-system"},
    }


def endpoints(*there: dict[str, Any]) -> dict[str, Any]:
    return {"endpoints": list(there)}


ZERO, ONE = endpoint("gateway-0", "10.0.0.1"), endpoint("gateway-1", "10.0.0.2")


@pytest.mark.parametrize(
    ("slices", "members"),
    [
        ([], {}),
        ([endpoints(ZERO, ONE)], {"gateway-0": "10.0.0.1", "gateway-1": "10.0.0.2"}),
        ([endpoints(ZERO), endpoints(ONE)], {"gateway-0": "10.0.0.1", "gateway-1": "10.0.0.2"}),
        ([endpoints(endpoint("gateway-0", "fd00::1", "fd00::2"))], {"gateway-0": "fd00::1"}),
        ([endpoints(endpoint("gateway-0", "10.0.0.1", ready=False), ONE)], {"gateway-1": "10.0.0.2"}),
        ([endpoints(endpoint("gateway-0", "10.0.0.1", terminating=True), ONE)], {"gateway-1": "10.0.0.2"}),
        ([endpoints(ZERO | {"conditions": {"ready": True}})], {"gateway-0": "10.0.0.1"}),
        ([endpoints(ZERO | {"targetRef": {"kind": "Node", "name": "n"}}, ONE)], {"gateway-1": "10.0.0.2"}),
        ([endpoints({"addresses": ["10.0.0.1"], "conditions": {"ready": True}}, ONE)], {"gateway-1": "10.0.0.2"}),
        ([{"endpoints": None}, {}, endpoints(ONE)], {"gateway-1": "10.0.0.2"}),
    ],
    ids=[
        "none",
        "one slice",
        "two slices",
        "several addresses",
        "not ready",
        "ready still, and ending",
        "nothing said of ending",
        "no pod",
        "of nothing",
        "a slice without endpoints",
    ],
)
def test_who_is_ready(slices: list[dict[str, Any]], members: Members) -> None:
    assert ready_members(slices) == members


class ApiServer:
    """What Membership asks of Kubernetes: a list of EndpointSlices with a label, and a watch of what becomes of them."""

    def __init__(self) -> None:
        self.slices: dict[str, dict[str, Any]] = {}
        self.version = 1
        self.watchers: dict[asyncio.Queue[bytes], str] = {}
        """With the label that each asked for."""

    def put(self, name: str, *there: dict[str, Any], service: str = "lambent-gateway-link") -> None:
        kind = "MODIFIED" if name in self.slices else "ADDED"
        self.version += 1
        metadata = {
            "name": name,
            "namespace": "lambent-system",
            "uid": f"uid-of-{name}",
            "resourceVersion": str(self.version),
            "labels": {SERVICE_LABEL: service},
        }
        self.slices[name] = {"metadata": metadata, **endpoints(*there)}
        self._tell(kind, self.slices[name])

    def remove(self, name: str) -> None:
        self._tell("DELETED", self.slices.pop(name))

    def _tell(self, kind: str, thing: dict[str, Any]) -> None:
        for watcher, selector in self.watchers.items():
            if _selected(thing, selector):
                watcher.put_nowait(json.dumps({"type": kind, "object": thing}).encode() + b"\n")

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        selector = request.query.get("labelSelector", "")
        if "watch" not in request.query:
            items = [thing for thing in self.slices.values() if _selected(thing, selector)]
            return web.json_response({"metadata": {"resourceVersion": str(self.version)}, "items": items})
        response = web.StreamResponse()
        await response.prepare(request)
        news: asyncio.Queue[bytes] = asyncio.Queue()
        self.watchers[news] = selector
        try:
            while True:
                await response.write(await news.get())
        finally:
            del self.watchers[news]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Kubernetes]:
        """A client of it."""
        app = web.Application()
        path = "/apis/discovery.k8s.io/v1/namespaces/lambent-system/endpointslices"
        app.router.add_get(path, self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        client = Kubernetes(ClusterAccess(f"http://127.0.0.1:{runner.addresses[0][1]}", None), field_manager="test")
        try:
            yield client
        finally:
            await client.close()
            await runner.cleanup()


def _selected(thing: dict[str, Any], selector: str) -> bool:
    name, _, value = selector.partition("=")
    return not selector or thing["metadata"]["labels"].get(name) == value


async def test_members_are_followed_from_the_moment_they_are_known() -> None:
    server, told = ApiServer(), asyncio.Queue[Members]()
    server.put("link-a", ZERO)
    server.put("others", endpoint("console-0", "10.0.0.9"), service="lambent-console")
    async with server.serving() as kubernetes:
        membership = Membership(kubernetes, "lambent-system", "lambent-gateway-link", told.put_nowait)
        assert membership.members == {}
        await membership.open()
        assert membership.members == {"gateway-0": "10.0.0.1"}
        assert await told.get() == {"gateway-0": "10.0.0.1"}
        await _watched(server)
        server.put("link-b", ONE)
        assert await told.get() == {"gateway-0": "10.0.0.1", "gateway-1": "10.0.0.2"}
        server.put("link-a", endpoint("gateway-0", "10.0.0.1", ready=False))
        assert await told.get() == {"gateway-1": "10.0.0.2"}
        server.remove("link-b")
        assert await told.get() == {}
        assert "Mirror.follow" in _running()
        await membership.close()
        assert "Mirror.follow" not in _running()
        assert told.empty()


def _running() -> set[str]:
    return {task.get_coro().__qualname__ for task in asyncio.all_tasks()}


async def _watched(server: ApiServer) -> None:
    while not server.watchers:
        await asyncio.sleep(0.001)


async def test_one_that_was_never_opened_is_closed() -> None:
    async with ApiServer().serving() as kubernetes:
        await Membership(kubernetes, "lambent-system", "lambent-gateway-link", lambda members: None).close()
