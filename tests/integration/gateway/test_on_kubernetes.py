"""A whole gateway whose documents are custom resources, beside an API server in memory: what it does with what others have applied."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.api_server import ApiServer, Object
from tests.cluster.gateway_process import GatewayProcess, start_gateway_process
from tests.cluster.operator_world import World, until

INLINE = "def handler(event, context):\n    return event\n"
PYTHON = {"runtime": "python3.11", "handler": "app.handler", "code": {"inline": INLINE}}
UNREADABLE = PYTHON | {"packageType": "Wasm"}


def put(server: ApiServer, kind: str, name: str, spec: Object, **metadata: Any) -> None:
    plural = {"Function": "functions", "FunctionAlias": "functionaliases", "FunctionVersion": "functionversions"}[kind]
    server.put(plural, name, {"apiVersion": "lambent.dev/v1", "kind": kind, "spec": spec}, **metadata)


def put_alias(server: ApiServer, name: str, **metadata: Any) -> None:
    function, _, own = name.partition(".")
    spec = {"functionName": function, "name": own, "functionVersion": "$LATEST"}
    put(server, "FunctionAlias", name, spec, **metadata)


def owner(function: str) -> Object:
    return {
        "apiVersion": "lambent.dev/v1",
        "kind": "Function",
        "name": function,
        "uid": f"uid-of-{function}",
        "controller": False,
        "blockOwnerDeletion": False,
    }


def owned(server: ApiServer) -> dict[str, list[Object]]:
    """Owners of what belongs to functions, by name."""
    return {
        name: thing["metadata"].get("ownerReferences", [])
        for (plural, name), thing in sorted(server.objects.items())
        if plural != "functions"
    }


@asynccontextmanager
async def ready_gateway(server: ApiServer, folder: Path) -> AsyncIterator[GatewayProcess]:
    async with server.serving() as api:
        config = folder / "kubeconfig"
        cluster, user = {"server": server.url}, {"token": "any"}
        config.write_text(
            yaml.safe_dump(
                {
                    "current-context": "c",
                    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                    "clusters": [{"name": "c", "cluster": cluster}],
                    "users": [{"name": "u", "user": user}],
                }
            )
        )
        gateway = start_gateway_process(World(api, config, folder, "default", "lambent-system", 0))
        try:
            await until(lambda: gateway.answers("/readyz"), "the gateway is ready")
            yield gateway
        finally:
            gateway.process.kill()
            gateway.process.wait()


async def test_a_gateway_that_starts_deletes_nothing_that_others_made(tmp_path: Path) -> None:
    """What has no function is given to it if it is there, and else left to those who made it and to Kubernetes' garbage collection."""
    server = ApiServer()
    put(server, "Function", "there", PYTHON)
    put(server, "Function", "newer", UNREADABLE)
    put(server, "Function", "ending", PYTHON, deletionTimestamp="2026-01-01T00:00:00Z")
    for name in ("there.applied", "newer.applied", "ending.applied", "absent.applied"):
        put_alias(server, name)
    for name in ("newer.live", "ending.live", "absent.live"):
        put_alias(server, name, ownerReferences=[owner(name.partition(".")[0])])
    put_alias(server, "there.earlier", ownerReferences=[owner("there") | {"uid": "earlier"}])
    version = {"functionName": "newer", "version": 1, "function": PYTHON | {"code": {"sha256": "ab" * 32}}}
    put(server, "FunctionVersion", "newer.1", version, ownerReferences=[owner("newer")])
    before = owned(server)
    async with ready_gateway(server, tmp_path) as gateway:
        await until(lambda: owned(server) != before, "an alias is given to its function")
        # what comes later is given away too, after all that was there
        put_alias(server, "there.later")
        await until(lambda: owned(server).get("there.later"), "the next one is")
        assert owned(server) == before | {"there.applied": [owner("there")], "there.later": [owner("there")]}
        found = await asyncio.to_thread(gateway.client().get_alias, FunctionName="there", Name="applied")
        assert found["FunctionVersion"] == "$LATEST"
