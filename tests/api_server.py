"""A Kubernetes API server in memory: what is asked of it over HTTP, for any kind, without schemas, admission or garbage collection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from lambent_gateway.stores.kubernetes_writes import ATOMIC_MEMBERS
from lambent_kube.client import Kubernetes
from lambent_kube.config import ClusterAccess

Object = dict[str, Any]


class ApiServer:
    """Who holds it writes as another client does."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        """By plural and name, of whatever namespace."""
        self.version = 1
        self.url = ""
        self.watchers: dict[asyncio.Queue[bytes], tuple[str, str]] = {}
        """With the plural and the label that each asked for."""

    def put(self, plural: str, name: str, thing: Object, *, namespace: str = "default", **metadata: Any) -> Object:
        """A new object, or another state of one."""
        own = {"name": name, "namespace": namespace, "uid": f"uid-of-{name}", "generation": 1} | metadata
        return self._write(plural, thing | {"metadata": own})

    def remove(self, plural: str, name: str) -> None:
        self._tell("DELETED", plural, self.objects.pop((plural, name)))

    def say(self, line: bytes) -> None:
        """To all who watch."""
        for watcher in self.watchers:
            watcher.put_nowait(line)

    async def watched(self, *plurals: str) -> None:
        while not {*plurals} <= {plural for plural, _ in self.watchers.values()}:
            await asyncio.sleep(0.001)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Kubernetes]:
        """A client of it."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        client = Kubernetes(ClusterAccess(self.url, None), field_manager="test")
        try:
            yield client
        finally:
            await client.close()
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        plural, *rest = request.path.partition("/namespaces/")[2].split("/")[1:]
        selector = request.query.get("labelSelector", "")
        if "watch" in request.query:
            return await self._watch(request, plural, selector)
        if not rest:
            items = [
                thing for (kind, _), thing in self.objects.items() if kind == plural and _selected(thing, selector)
            ]
            return web.json_response({"metadata": {"resourceVersion": str(self.version)}, "items": items})
        thing = self.objects.get((plural, rest[0]))
        if thing is None:
            return _refused(404, "NotFound")
        if request.method == "GET":
            return web.json_response(thing)
        if request.method == "DELETE":
            self.remove(plural, rest[0])
            return web.json_response({"kind": "Status"})
        patch = await request.json()
        version = thing["metadata"]["resourceVersion"]
        if patch.get("metadata", {}).get("resourceVersion", version) != version:
            return _refused(409, "Conflict")
        write = _applied if request.content_type == "application/apply-patch+yaml" else _merged
        merged = write(thing, patch)
        if merged.get("spec") != thing.get("spec"):
            merged["metadata"]["generation"] += 1
        return web.json_response(self._write(plural, merged))

    async def _watch(self, request: web.Request, plural: str, selector: str) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        news: asyncio.Queue[bytes] = asyncio.Queue()
        self.watchers[news] = plural, selector
        try:
            while True:
                await response.write(await news.get())
        finally:
            del self.watchers[news]

    def _write(self, plural: str, thing: Object) -> Object:
        self.version += 1
        key = plural, thing["metadata"]["name"]
        event = "MODIFIED" if key in self.objects else "ADDED"
        thing["metadata"]["resourceVersion"] = str(self.version)
        self.objects[key] = thing
        self._tell(event, plural, thing)
        return thing

    def _tell(self, event: str, plural: str, thing: Object) -> None:
        for watcher, (watched, selector) in self.watchers.items():
            if watched == plural and _selected(thing, selector):
                watcher.put_nowait(json.dumps({"type": event, "object": thing}).encode() + b"\n")


def _selected(thing: Object, selector: str) -> bool:
    name, _, value = selector.partition("=")
    return not selector or thing["metadata"].get("labels", {}).get(name) == value


def _merged(thing: Object, patch: Object) -> Object:
    """RFC 7396."""
    merged = {name: value for name, value in thing.items() if name not in patch}
    for name, value in patch.items():
        if isinstance(value, dict):
            merged[name] = _merged(thing.get(name) or {}, value)
        elif value is not None:
            merged[name] = value
    return merged


def _applied(thing: Object, body: Object) -> Object:
    """Server-side apply of one more field: who has which is not noted, so nothing goes."""
    both = thing | body
    for name in thing.keys() & body.keys() - ATOMIC_MEMBERS:
        if isinstance(thing[name], dict):
            both[name] = _applied(thing[name], body[name])
        elif name == "ownerReferences":
            uids = {one["uid"] for one in body[name]}
            both[name] = [one for one in thing[name] if one["uid"] not in uids] + body[name]
    return both


def _refused(status: int, reason: str) -> web.Response:
    return web.json_response({"kind": "Status", "reason": reason, "message": reason, "code": status}, status=status)
