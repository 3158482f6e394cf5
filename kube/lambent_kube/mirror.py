"""
A copy of a collection that follows the API server: lists, watches, lists again after a break, for ever.

    W1  whoever listens sees each object appear, change and go, in the server's order
    W2  what went while the watch was broken is told after the next list
    W3  the copy follows on whatever fails, whoever listens included
    W4  nothing goes back: neither with the answer to an earlier write, nor with what the server tells late of what was written meanwhile
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from lambent_kube.client import Gone, Kubernetes, KubernetesError, Object
from lambent_kube.resources import Resource

log = structlog.get_logger(__name__)

PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 0.2, 10.0
GONE_MAX = 256
"""How many of the last that went are remembered. An answer is late by milliseconds."""

Key = tuple[str, str]
"""Namespace and name."""
Told = Callable[[Object | None, Object | None], None]
"""(old, new): old is None for what appeared, new is None for what went."""


def key_of(thing: Object) -> Key:
    metadata = thing["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def version_of(thing: Object) -> int:
    """Resource versions of one object grow (Kubernetes documents them as comparable since 1.35; they have always been numbers of etcd)."""
    return int(thing["metadata"]["resourceVersion"])


class Mirror:
    """Owns `objects`. Run `follow` as a task; `listed` is set when the copy is whole for the first time."""

    def __init__(
        self, kubernetes: Kubernetes, resource: Resource, namespace: str | None, told: Told, *, selector: str = ""
    ) -> None:
        self._kubernetes = kubernetes
        self._resource = resource
        self._namespace = namespace
        self._selector = selector
        self._told = told
        self.objects: dict[Key, Object] = {}
        self.listed = asyncio.Event()
        self._gone: dict[str, int] = {}
        """By uid, the version in which it went. Of a selection it may come back, in a later one."""
        self._version = -1
        """Up to which the server has told everything."""

    async def follow(self) -> None:
        pause = PAUSE_SECONDS_MIN
        while True:
            try:
                objects, version = await self._kubernetes.list(self._resource, self._namespace, selector=self._selector)
                self._replace(objects, int(version))
                self.listed.set()
                pause = PAUSE_SECONDS_MIN
                await self._watch(version)
            except Gone:
                continue
            except KubernetesError as error:
                log.warning("watch broken", resource=self._resource.plural, error=str(error), pause_seconds=pause)
            except Exception:  # a copy that ended without a word would be taken for true for ever
                log.exception("watch failed", resource=self._resource.plural, pause_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    def put(self, thing: Object) -> None:
        """
        Takes an object that a write just returned; an echo of it, or an older one, changes nothing.

        Who manages which field is left out: it takes more memory than all the rest of a function.
        """
        old, uid = self.objects.get(key_of(thing)), thing["metadata"]["uid"]
        seen = self._gone.get(uid, -1) if old is None else max(version_of(old), self._gone.get(uid, -1))
        if old is None or old["metadata"]["uid"] != uid:
            seen = max(seen, self._version)  # the server would have told of it
        if version_of(thing) > seen:
            self._take(thing)

    def remove(self, thing: Object) -> None:
        """Of an object that is gone; nothing if another one has its name by now."""
        self._drop(thing, version_of(thing))

    def _take(self, thing: Object) -> None:
        old = self.objects.get(key_of(thing))
        thing["metadata"].pop("managedFields", None)
        self.objects[key_of(thing)] = thing
        self._tell(old, thing)

    def _drop(self, thing: Object, version: int) -> None:
        uid = thing["metadata"]["uid"]
        self._gone[uid] = max(version, self._gone.pop(uid, -1))
        if len(self._gone) > GONE_MAX:
            del self._gone[next(iter(self._gone))]
        old = self.objects.get(key_of(thing))
        if old is not None and old["metadata"]["uid"] == uid:
            del self.objects[key_of(thing)]
            self._tell(old, None)

    def _tell(self, old: Object | None, new: Object | None) -> None:
        try:
            self._told(old, new)
        except Exception:  # of one object: the others are told all the same
            namespace, name = key_of(new or old or {})
            log.exception("a change was not taken", resource=self._resource.plural, namespace=namespace, name=name)

    async def _watch(self, version: str) -> None:
        """Goes on from the last version seen as long as the server only ends the stream; it does so every few minutes."""
        while True:
            async for kind, thing in self._kubernetes.watch(
                self._resource, self._namespace, version, selector=self._selector
            ):
                version = thing["metadata"]["resourceVersion"]
                if kind == "DELETED":
                    self.remove(thing)
                elif kind != "BOOKMARK":
                    self.put(thing)
                self._version = int(version)

    def _replace(self, objects: list[Object], version: int) -> None:
        there = {key_of(thing): thing["metadata"]["uid"] for thing in objects}
        for key, thing in list(self.objects.items()):
            # What was written after the list was made is in no list yet.
            if there.get(key) != thing["metadata"]["uid"] and version_of(thing) <= version:
                self._drop(thing, version)
        for thing in objects:
            old = self.objects.get(key_of(thing))
            newer = old is None or version_of(thing) > version_of(old)
            if newer and self._gone.get(thing["metadata"]["uid"], -1) <= version:
                self._take(thing)
        self._version = version
