"""
A way to the API server that notes who asks for what, in the words of RBAC, and can keep watches silent.

Those who go by it have the rights of their own service account and no others: what is refused there would be refused in a cluster.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

from lambent_kube.client import open_session
from lambent_kube.config import from_kubeconfig

Grant = tuple[str, str, str, str, str]
"""Account, where, API group, resource, verb: as tests/chart/test_access.py reads them in docs/rbac.md."""
_PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)(?:/namespaces/(?P<namespace>[^/]+))?"
    r"/(?P<resource>[^/]+)(?:/(?P<name>[^/]+)(?:/(?P<subresource>[^/]+))?)?"
)
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
_PASSED_ON = ("Content-Type", "Accept")


def grant_of(
    account: str, method: str, path: str, query: Mapping[str, str], *, where: Mapping[str | None, str]
) -> Grant | None:
    """What RBAC is asked for a request (Kubernetes documentation, "Determine the request verb"). None: it is about no resource."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    resource = "/".join(part for part in (found["resource"], found["subresource"]) if part)
    if method == "GET":
        verb = "get" if found["name"] else "watch" if query.get("watch") in ("1", "true") else "list"
    elif method == "DELETE":
        verb = "delete" if found["name"] else "deletecollection"
    else:
        verb = _VERBS[method]
    return account, where[found["namespace"]], found["group"] or "", resource, verb


class Recorder:
    """For one account. `where` says which namespace is which, None being none."""

    def __init__(self, account: str, config: Path, *, where: Mapping[str | None, str]) -> None:
        """`config` is a kubeconfig with the account's token."""
        self.account = account
        self.used: set[Grant] = set()
        """What was granted to it."""
        self.refused: list[str] = []
        self._access = from_kubeconfig(config)
        self._where = where
        self._speaking = asyncio.Event()
        self._speaking.set()
        self._upstream: aiohttp.ClientSession
        self.port = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Recorder]:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        async with open_session(self._access) as self._upstream:
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.port = runner.addresses[0][1]
            try:
                yield self
            finally:
                self._speaking.set()
                await runner.cleanup()

    def kubeconfig(self, folder: Path) -> Path:
        """For who goes by this way."""
        path = folder / f"kubeconfig-{self.account}"
        path.write_text(
            yaml.safe_dump(
                {
                    "clusters": [{"name": "recorded", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
                    "users": [{"name": "recorded", "user": {}}],
                    "contexts": [{"name": "recorded", "context": {"cluster": "recorded", "user": "recorded"}}],
                    "current-context": "recorded",
                }
            )
        )
        return path

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Watches tell nothing meanwhile: who follows them knows no more than before."""
        self._speaking.clear()
        try:
            yield
        finally:
            self._speaking.set()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        grant = grant_of(self.account, request.method, request.path, request.query, where=self._where)
        async with self._upstream.request(
            request.method,
            f"{self._access.server}{request.path_qs}",
            data=await request.read() or None,
            headers={name: request.headers[name] for name in _PASSED_ON if name in request.headers},
            timeout=aiohttp.ClientTimeout(total=None),
        ) as answer:
            if answer.status in (401, 403):
                self.refused.append(f"{request.method} {request.path_qs}: {await answer.text()}")
            elif grant is not None:
                self.used.add(grant)
            response = web.StreamResponse(
                status=answer.status, headers={"Content-Type": answer.headers.get("Content-Type", "text/plain")}
            )
            await response.prepare(request)
            watching = grant is not None and grant[-1] == "watch"
            with suppress(ConnectionResetError):  # whoever asked is gone
                async for chunk in answer.content.iter_any():
                    if watching:
                        await self._speaking.wait()
                    await response.write(chunk)
            return response
