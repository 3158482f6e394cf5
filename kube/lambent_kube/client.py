"""
Requests to the Kubernetes API: objects are dictionaries, errors are exceptions with the server's own words.
"""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import orjson

from lambent_kube.config import ClusterAccess
from lambent_kube.json_lines import json_lines
from lambent_kube.resources import Resource

Object = dict[str, Any]
Objects = list[Object]

MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
"""Lists such as a pod's containers are merged by their keys; for Kubernetes' own kinds only."""
PAGE_OBJECTS = 500
"""Objects per page of a list: kubectl's own number."""
REQUEST_SECONDS_MAX = 30.0
WATCH_SECONDS = 30
"""After so long the server ends a watch, and it is asked again from where it was. So one that a restart of the server left silent ends."""
APPLIED_KEY_CHARACTERS_MAX = 1_000
"""YAML reads no longer key that stands as JSON has it: what has one can't be applied."""
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
KEEPALIVE = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
"""That a server is gone without a word is found by the kernel, within half a minute."""


class KubernetesError(Exception):
    """The API server refused or could not be reached. `status` is HTTP's; 0 if there was no answer."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{reason or status}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class NotFound(KubernetesError):
    pass


class Conflict(KubernetesError):
    """Another resource version than the one given."""


class AlreadyExists(KubernetesError):
    pass


class Gone(KubernetesError):
    """The resource version is too old to watch from: list again."""


class Kubernetes:
    """One per process; `close` it. Safe for any number of requests at once. No request takes longer than `request_seconds_max`."""

    def __init__(
        self, access: ClusterAccess, *, field_manager: str, request_seconds_max: float = REQUEST_SECONDS_MAX
    ) -> None:
        self.field_manager = field_manager
        self._access = access
        self._request_seconds_max = request_seconds_max
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        return await self._request("GET", resource.path(namespace, name))

    async def list(self, resource: Resource, namespace: str | None, *, selector: str = "") -> tuple[Objects, str]:
        """All objects, page by page, and the resource version of the list."""
        objects: Objects = []
        version = ""
        async for page, page_version in self.pages(resource, namespace, selector=selector):
            objects += page
            version = page_version
        return objects, version

    async def pages(
        self, resource: Resource, namespace: str | None, *, selector: str = ""
    ) -> AsyncIterator[tuple[Objects, str]]:
        """The objects a page at a time, each with the resource version of the list: one memory-sparing look at a big collection."""
        query = {"limit": str(PAGE_OBJECTS)}
        if selector:
            query["labelSelector"] = selector
        while True:
            page = await self._request("GET", resource.path(namespace), query=query)
            yield page["items"], page["metadata"]["resourceVersion"]
            if not page["metadata"].get("continue"):
                return
            query["continue"] = page["metadata"]["continue"]

    async def create(self, resource: Resource, namespace: str | None, body: Object) -> Object:
        return await self._request("POST", resource.path(namespace), body, query=self._manager())

    async def replace(self, resource: Resource, namespace: str | None, name: str, body: Object) -> Object:
        """The whole object. Raises `Conflict` where `body` has a resource version that isn't the newest."""
        return await self._request("PUT", resource.path(namespace, name), body, query=self._manager())

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
        path = resource.path(namespace, name, subresource)
        return await self._request("PATCH", path, body, query=self._manager(), content_type=type)

    async def apply(
        self,
        resource: Resource,
        namespace: str | None,
        body: Object,
        *,
        subresource: str | None = None,
        force: bool = True,
    ) -> Object:
        """
        Server-side apply: the fields of `body` are this manager's then, and what it applied before and leaves out now goes, unless others
        have it too. Makes what isn't there, if `body` has no uid. `force` takes over what others have; else that raises `Conflict`.
        """
        query = self._manager() | ({"force": "true"} if force else {})
        path = resource.path(namespace, body["metadata"]["name"], subresource)
        return await self._request("PATCH", path, _yaml(body), query=query, content_type="application/apply-patch+yaml")

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        preconditions: Mapping[str, str] | None = None,
        grace_seconds: int | None = None,
    ) -> Object:
        """
        What is left of it (where finalizers keep it), or a Status. `preconditions`: `uid` and `resourceVersion` that it must have.
        `grace_seconds`: to end in, for a pod; None: its own.
        """
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if preconditions:
            body["preconditions"] = dict(preconditions)
        if grace_seconds is not None:
            body["gracePeriodSeconds"] = grace_seconds
        return await self._request("DELETE", resource.path(namespace, name), body)

    async def watch(
        self, resource: Resource, namespace: str | None, version: str, *, selector: str = ""
    ) -> AsyncIterator[tuple[str, Object]]:
        """
        Changes since a resource version: ("ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK", object), until the server ends the stream.

        Raises `Gone` when the version is too old.
        """
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        if selector:
            query["labelSelector"] = selector
        timeout = aiohttp.ClientTimeout(total=None, sock_read=WATCH_SECONDS + REQUEST_SECONDS_MAX)
        try:
            async with self._session_now().get(
                self._access.server + resource.path(namespace),
                params=query,
                timeout=timeout,
            ) as response:
                if response.status >= 400:
                    raise _error(response.status, await response.read())
                async for event in json_lines(response.content.iter_any()):
                    if event["type"] == "ERROR":
                        raise _error(event["object"].get("code", 0), orjson.dumps(event["object"]))
                    yield event["type"], event["object"]
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unreachable(error) from error

    def _manager(self) -> dict[str, str]:
        return {"fieldManager": self.field_manager}

    async def _request(
        self,
        method: str,
        path: str,
        body: Object | bytes | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        try:
            async with self._session_now().request(
                method,
                self._access.server + path,
                params=query,
                data=orjson.dumps(body) if isinstance(body, dict) else body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=self._request_seconds_max),
            ) as response:
                text = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unreachable(error) from error
        if response.status >= 400:
            raise _error(response.status, text)
        answer: Object = orjson.loads(text)
        return answer

    def _session_now(self) -> aiohttp.ClientSession:
        if self._session is None:  # only on a running loop
            self._session = open_session(self._access)
        return self._session


def open_session(access: ClusterAccess) -> aiohttp.ClientSession:
    """Connections to the API server, whose requests show who asks; whoever opens it closes it."""

    async def authorize(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        request.headers.update(access.authorization())  # read anew each time: the kubelet replaces the token
        return await handler(request)

    connector = aiohttp.TCPConnector(ssl=access.tls or True, limit=0, socket_factory=_socket)
    return aiohttp.ClientSession(connector=connector, middlewares=(authorize,))


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE:
        made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made


def _error(status: int, text: bytes) -> KubernetesError:
    try:
        told = orjson.loads(text)
        reason, message = told.get("reason", ""), told.get("message", "")
    except (orjson.JSONDecodeError, AttributeError):
        reason, message = "", text.decode("utf-8", "replace")[:200]
    if status == 409:
        kind: type[KubernetesError] = AlreadyExists if reason == "AlreadyExists" else Conflict
    else:
        kind = {404: NotFound, 410: Gone}.get(status, KubernetesError)
    return kind(status, reason, message)


def _yaml(body: Object) -> bytes:
    """JSON is YAML but for characters that YAML does not print, which it folds or refuses."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", orjson.dumps(body).decode()).encode()


def _unreachable(error: Exception) -> KubernetesError:
    return KubernetesError(0, "Unreachable", str(error) or type(error).__name__)
