from __future__ import annotations

import asyncio
from itertools import islice

import kopf
from aiohttp import web
from aiohttp.test_utils import TestServer

from lambent_kube.config import ClusterAccess
from lambent_operator.watches import Pauses, watch

DISCOVERY = {
    "/api": {"versions": ["v1"]},
    "/apis": {"groups": []},
    "/api/v1": {
        "resources": [
            {"name": name, "kind": kind, "singularName": "", "namespaced": namespaced, "verbs": ["list", "watch"]}
            for name, kind, namespaced in (("pods", "Pod", True), ("namespaces", "Namespace", False))
        ]
    },
}
MORE_THAN_KOPF_TRIES = 12


def test_pauses_grow_to_two_seconds_and_never_end() -> None:
    assert list(islice(Pauses(), 6)) == [0.25, 0.5, 1.0, 2.0, 2.0, 2.0]


async def _sees_a_pod_after(refusals: list[int]) -> list[str]:
    """What a watch sees at an API server that answers lists of pods with these statuses first."""
    seen: list[str] = []
    stop = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path in DISCOVERY:
            return web.json_response(DISCOVERY[request.path])
        if request.query.get("watch"):
            await stop.wait()
            return web.Response()
        if refusals:
            return web.json_response({"kind": "Status"}, status=refusals.pop())
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "default", "uid": "u"}}
        return web.json_response({"kind": "PodList", "metadata": {"resourceVersion": "5"}, "items": [pod]})

    def register(registry: kopf.OperatorRegistry) -> None:
        @kopf.on.event("", "v1", "pods", registry=registry)
        async def event(name: str, **_: object) -> None:
            seen.append(name)
            stop.set()

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(application) as server:
        access = ClusterAccess(str(server.make_url("")).rstrip("/"), None)
        await watch(access, "default", [register], pod_selector="a=b", stop=stop, pauses=Pauses(0.001, 0.001))
    return seen


def test_a_watch_outlives_an_api_server_that_refuses() -> None:
    """As while its database is away, or behind a load balancer that has no server."""
    refusals = [*MORE_THAN_KOPF_TRIES * [503], *MORE_THAN_KOPF_TRIES * [403]]
    assert asyncio.run(asyncio.wait_for(_sees_a_pod_after(refusals), 30)) == ["a"]
