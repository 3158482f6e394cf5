"""The API server's TokenReview for tests that need no more of a cluster: it answers over HTTP what the real one would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from lambent_kube.client import Kubernetes
from lambent_kube.config import ClusterAccess

AUDIENCE = "lambent-gateway"
POD_NAME, POD_UID = "authentication.kubernetes.io/pod-name", "authentication.kubernetes.io/pod-uid"


@dataclass
class TokenReviews:
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By token; `audiences` are those it is good for."""
    asked: list[str] = field(default_factory=list)
    failing: bool = False
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    """Until it is set, whoever asks waits."""
    most_at_once: int = 0
    _under_way: int = 0

    def __post_init__(self) -> None:
        self.answering.set()

    def put(
        self, token: str, username: str, *, extra: dict[str, list[str]] | None = None, audience: str = AUDIENCE
    ) -> None:
        self.users[token] = {"username": username, "extra": extra or {}, "audiences": [audience]}

    def put_pod(
        self, token: str, name: str, *, uid: str | None = None, account: str = "default:lambent-function"
    ) -> None:
        """A token that is bound to a pod."""
        extra = {POD_NAME: [name], POD_UID: [uid or f"uid-of-{name}"]}
        self.put(token, f"system:serviceaccount:{account}", extra=extra)

    async def _review(self, request: web.Request) -> web.Response:
        spec = (await request.json())["spec"]
        self.asked.append(spec["token"])
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        await self.answering.wait()
        self._under_way -= 1
        if self.failing:
            return web.json_response({"kind": "Status", "message": "etcd is away"}, status=500)
        user = self.users.get(spec["token"])
        audiences = [one for one in user["audiences"] if one in spec["audiences"]] if user else []
        if user is None or not audiences:
            status: dict[str, Any] = {"user": {}, "error": "invalid bearer token"}
        else:
            told = {key: value for key, value in user.items() if key != "audiences"}
            status = {"authenticated": True, "audiences": audiences, "user": told}
        return web.json_response({"kind": "TokenReview", "status": status}, status=201)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Kubernetes]:
        """A client of it."""
        app = web.Application()
        app.router.add_post("/apis/authentication.k8s.io/v1/tokenreviews", self._review)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        client = Kubernetes(ClusterAccess(f"http://127.0.0.1:{port}", None), field_manager="test")
        try:
            yield client
        finally:
            await client.close()
            await runner.cleanup()
