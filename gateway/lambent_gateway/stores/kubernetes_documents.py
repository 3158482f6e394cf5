"""
Documents as custom resources of one namespace: read from a copy that follows the API server, written as what differs (`kubernetes_writes`).

`spec` and `status` are two requests. A crash between them leaves a generation that nobody has observed, which is then brought about like
any change that others make (`lambent_core.generations`). What others own in `spec` stays as it is: inline code, say, whose package
is in `status`.

    K1  what `put` and `delete` have returned of is what the other gateways go by, as far as they can be told (`tell_others`): who changes a
        function through one gateway and calls it through another gets what was made of it, though watches bring it a moment later
    K2  none of them hears of it before this gateway goes by it: who has seen it at one finds it at the other
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

import msgspec
import structlog

from lambent_core import deployment, generations, versions
from lambent_core.documents import KINDS, D, Document, DocumentConflict, StoreUnusable, Watcher
from lambent_core.function import API_VERSION, Function
from lambent_core.resources import UnreadableResource, from_resource, to_resource
from lambent_core.versions import FunctionAlias, FunctionVersion
from lambent_gateway.stores.kubernetes_writes import (
    ATOMIC_MEMBERS,
    additions,
    difference,
    overlaid,
    owners_of,
    user_part,
    with_own_code,
)
from lambent_kube.client import AlreadyExists, Conflict, Kubernetes, KubernetesError, NotFound, Object, Objects
from lambent_kube.managed_fields import applied
from lambent_kube.mirror import Mirror
from lambent_kube.resources import FUNCTION_ALIASES, FUNCTION_VERSIONS, FUNCTIONS, LAYER_VERSIONS, Resource

log = structlog.get_logger(__name__)

RESOURCES: dict[str, Resource] = {
    "Function": FUNCTIONS,
    "FunctionVersion": FUNCTION_VERSIONS,
    "FunctionAlias": FUNCTION_ALIASES,
    "LayerVersion": LAYER_VERSIONS,
}
_KIND_NAMES = {kind: name for name, kind in KINDS.items()}
GONE_SECONDS_MAX = 30.0
"""How long a new document waits for one of its name that is on its way out."""
READY_SECONDS_MAX = 60.0
OPERATORS_STATUS = {"Function": ("conditions", "environments", "replicas", "selector")}
"""Members of `status` that the operator writes, by kind."""


class KubernetesDocuments:
    """Keeps T1 to T4 of `DocumentStore`. `open` it before anything is asked of it, and `close` it."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        namespace: str,
        url_of: Callable[[Function], str | None],
        tell_others: Callable[[str, Object, bool], Awaitable[None]],
    ) -> None:
        """`tell_others` brings a resource that was written here, its kind before it and whether it is gone after it, to their `heard`."""
        self._tell_others = tell_others
        self._kubernetes = kubernetes
        self._namespace = namespace
        self._url_of = url_of
        self._watchers: list[Watcher] = []
        self._documents: dict[tuple[str, str], Document] = {}
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        """Of each document one write at a time; a lock is there as long as somebody holds it or waits for it."""
        self._halves: set[tuple[str, str]] = set()
        """Documents whose `spec` is being written here, and whose `status` is not yet: watchers are told when both are."""
        self._mirrors = {
            kind: Mirror(kubernetes, resource, namespace, self._teller(kind)) for kind, resource in RESOURCES.items()
        }
        self._tasks: list[asyncio.Task[None]] = []
        self._told = asyncio.Event()

    async def open(self) -> None:
        """Raises `StoreUnusable` where the API server does not answer, or lacks the custom resources."""
        self._tasks = [asyncio.create_task(mirror.follow()) for mirror in self._mirrors.values()]
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                for mirror in self._mirrors.values():
                    await mirror.listed.wait()
        except TimeoutError:
            raise StoreUnusable(
                "The Kubernetes API does not list Lambent's resources: are the CRDs of charts/lambent/crds installed, "
                f"and may this service account read them in the namespace {self._namespace}?"
            ) from None

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def get(self, kind: type[D], name: str, namespace: str = "default") -> D | None:
        found = self._documents.get((_KIND_NAMES[kind], name))
        return found if isinstance(found, kind) else None

    def list(self, kind: type[D]) -> list[D]:
        found = [document for document in self._documents.values() if isinstance(document, kind)]
        return sorted(found, key=lambda document: document.metadata.name)

    def unreadable(self) -> Sequence[str]:
        known = {*self._documents, *self._halves}
        return [
            f"{kind} {name}"
            for kind, mirror in self._mirrors.items()
            for (_, name), thing in mirror.objects.items()
            if (kind, name) not in known and "deletionTimestamp" not in thing["metadata"]
        ]

    def subscribe(self, watcher: Watcher) -> Callable[[], None]:
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    async def put(self, document: D, expected_resource_version: str) -> D:
        kind, name = _KIND_NAMES[type(document)], document.metadata.name
        if not expected_resource_version:
            await self._wait_until_gone(kind, name)
        async with self._writing(kind, name):
            if expected_resource_version:
                thing = await self._change(kind, document, expected_resource_version)
            else:
                thing = await self._create(kind, document)
            self._mirrors[kind].put(thing)
        stored = self.get(type(document), name)
        await self._tell_others(kind, thing, False)
        if stored is None:
            raise DocumentConflict(f"{kind} {name} was deleted meanwhile")
        return stored

    async def delete(self, document: Document, expected_resource_version: str) -> None:
        kind, name = _KIND_NAMES[type(document)], document.metadata.name
        async with self._writing(kind, name):
            thing = self._current(kind, name, expected_resource_version)
            preconditions = {"uid": thing["metadata"]["uid"], "resourceVersion": expected_resource_version}
            try:
                left = await self._kubernetes.delete(
                    RESOURCES[kind], self._namespace, name, preconditions=preconditions
                )
            except NotFound:
                left = {}
            except Conflict:
                await self._refresh(kind, name)
                raise
            held = left.get("kind") == kind  # by finalizers, for a while
            if held:
                self._mirrors[kind].put(left)
            else:
                self._mirrors[kind].remove(thing)
        await self._tell_others(kind, left if held else thing, not held)

    def heard(self, kind: str, thing: Object, gone: bool) -> None:
        """Another gateway has written this: it counts from now on, before a watch brings it."""
        mirror = self._mirrors[kind]
        if gone:
            mirror.remove(thing)
        else:
            mirror.put(thing)
        name = thing["metadata"]["name"]
        if mirror.objects.get((self._namespace, name)) in (thing, None):  # not the half of what is written here
            self._tell(kind, name)

    @asynccontextmanager
    async def _writing(self, kind: str, name: str) -> AsyncIterator[None]:
        """One at a time of each document. Raises DocumentConflict or StoreUnusable for what Kubernetes answers."""
        key = kind, name
        turn = self._turns.setdefault(key, asyncio.Lock())
        async with turn:
            try:
                yield
            except KubernetesError as error:
                raise _translated(error) from error
            finally:
                self._halves.discard(key)
                self._tell(kind, name)

    async def _create(self, kind: str, document: Document) -> Object:
        name = document.metadata.name
        if (kind, name) in self._documents:
            raise DocumentConflict(f"{kind} {name} exists")
        wanted = with_own_code(document, None)
        metadata = {"name": name, "ownerReferences": owners_of(wanted)}
        body = overlaid(user_part(wanted), {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata})
        self._halves.add((kind, name))
        try:
            thing = await self._kubernetes.create(RESOURCES[kind], self._namespace, body)
        except AlreadyExists as error:
            await self._refresh(kind, name)
            raise DocumentConflict(str(error)) from error
        return await self._complete(kind, thing, self._noted(document, thing))

    async def _change(self, kind: str, document: Document, expected: str) -> Object:
        name = document.metadata.name
        thing = self._current(kind, name, expected)
        before = from_resource(thing)
        wanted = with_own_code(document, before)
        old, new = user_part(before), user_part(wanted)
        if owners := [] if owners_of(before) else owners_of(wanted):
            await self._expect_owner(owners[0])
        try:
            if new == old and not owners:
                if isinstance(document, Function) and deployment.is_unsettled(document):
                    # An image by the same tag again: what it came to may be another.
                    document = self._noted(document, thing)
                return await self._write_status(kind, thing, document)
            self._halves.add((kind, name))
            thing = await self._write_spec(kind, thing, old, new, owners)
            return await self._complete(kind, thing, self._noted(document, thing))
        except (Conflict, NotFound) as error:
            await self._refresh(kind, name)
            raise DocumentConflict(str(error)) from error

    async def _write_spec(self, kind: str, thing: Object, old: Object, new: Object, owners: Objects) -> Object:
        """With new `owners`, beside others'. Raises Conflict or NotFound if `thing` is not the latest."""
        name = thing["metadata"]["name"]
        metadata = {key: thing["metadata"][key] for key in ("name", "uid", "resourceVersion")}
        if (added := additions(old, new)) is None:
            if owners:
                metadata["ownerReferences"] = thing["metadata"].get("ownerReferences", []) + owners
            patch = overlaid(difference(old, new), {"metadata": metadata})
            return await self._kubernetes.patch(RESOURCES[kind], self._namespace, name, patch)
        if owners:
            metadata["ownerReferences"] = owners
        # The copy doesn't keep who manages what. Is this one newer than the copy, the version in `metadata` is refused.
        now = await self._kubernetes.get(RESOURCES[kind], self._namespace, name)
        own = applied(now, self._kubernetes.field_manager, ATOMIC_MEMBERS)
        body = overlaid(overlaid(own, added), {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata})
        return await self._kubernetes.apply(RESOURCES[kind], self._namespace, body)

    async def _expect_owner(self, reference: Object) -> None:
        """
        By the API server's own word: Kubernetes deletes what is given to a function that is gone.

        Raises DocumentConflict.
        """
        await self._refresh("Function", reference["name"])
        function = self.get(Function, reference["name"])
        if function is None or function.metadata.uid != reference["uid"]:
            raise DocumentConflict(f"Function {reference['name']} with uid {reference['uid']} is gone")

    async def _complete(self, kind: str, thing: Object, document: Document) -> Object:
        """
        Writes the `status` to a `spec` that was written just now, beside whatever others make of that meanwhile.

        Raises DocumentConflict if it was deleted meanwhile.
        """
        name, uid = thing["metadata"]["name"], thing["metadata"]["uid"]
        while True:
            try:
                return await self._write_status(kind, thing, document)
            except Conflict:
                thing = await self._kubernetes.get(RESOURCES[kind], self._namespace, name)
            if thing["metadata"]["uid"] != uid:
                raise DocumentConflict(f"{kind} {name} was deleted meanwhile")
            theirs = from_resource(thing)
            if isinstance(document, Function) and isinstance(theirs, Function):
                document = generations.beside(document, theirs)

    async def _write_status(self, kind: str, thing: Object, document: Document) -> Object:
        """Raises Conflict if `thing` is not the latest."""
        before = to_resource(from_resource(thing)).get("status", {})
        wanted = to_resource(document).get("status", {})
        patch = difference(
            *(
                {k: v for k, v in status.items() if k not in OPERATORS_STATUS.get(kind, ())}
                for status in (before, wanted)
            )
        )
        if not patch:
            return thing
        body = {"status": patch, "metadata": {"resourceVersion": thing["metadata"]["resourceVersion"]}}
        return await self._kubernetes.patch(
            RESOURCES[kind], self._namespace, thing["metadata"]["name"], body, subresource="status"
        )

    def _noted(self, document: Document, thing: Object) -> Document:
        """As it is to be written to `thing`, whose `spec` is written already."""
        before = from_resource(thing)
        match document, before:
            case Function(), Function():
                generation, url = before.metadata.generation, self._url_of(document)
                return generations.noted(document, before.status, generation=generation, url=url)
            case FunctionAlias(), _:
                return msgspec.structs.replace(document, observed_generation=before.metadata.generation)
        return document

    def _current(self, kind: str, name: str, expected: str) -> Object:
        thing = self._mirrors[kind].objects.get((self._namespace, name))
        found = thing["metadata"]["resourceVersion"] if thing is not None and (kind, name) in self._documents else ""
        if thing is None or found != expected:
            raise DocumentConflict(f"{kind} {name} has resource version {found or 'none'}, not {expected}")
        return thing

    async def _refresh(self, kind: str, name: str) -> None:
        """What the API server has now, so that whoever tries again sees it."""
        mirror = self._mirrors[kind]
        old = mirror.objects.get((self._namespace, name))
        try:
            mirror.put(await self._kubernetes.get(RESOURCES[kind], self._namespace, name))
        except NotFound:
            if old is not None:
                mirror.remove(old)

    async def _wait_until_gone(self, kind: str, name: str) -> None:
        """A deleted function's resource stays until its environments are gone; Lambda's API lets its name be used again at once."""
        mirror = self._mirrors[kind]
        try:
            async with asyncio.timeout(GONE_SECONDS_MAX):
                while (old := mirror.objects.get((self._namespace, name))) and "deletionTimestamp" in old["metadata"]:
                    self._told.clear()
                    await self._told.wait()
        except TimeoutError:
            raise StoreUnusable(
                f"{kind} {name} is being deleted and its environments have not ended yet: try again in a moment."
            ) from None

    def _teller(self, kind: str) -> Callable[[Object | None, Object | None], None]:
        def told(old: Object | None, new: Object | None) -> None:
            name = (new or old or {})["metadata"]["name"]
            if (kind, name) not in self._halves:
                self._tell(kind, name)
            self._told.set()

        return told

    def _tell(self, kind: str, name: str) -> None:
        thing = self._mirrors[kind].objects.get((self._namespace, name))
        old = self._documents.pop((kind, name), None)
        new = None if thing is None else _read(thing)
        if new is not None:
            self._documents[kind, name] = new
        if old != new:
            for watcher in [*self._watchers]:
                watcher(old, new)


def _read(thing: Object) -> Document | None:
    """The document as the gateway sees it; None for one that is on its way out, or can't be read."""
    if "deletionTimestamp" in thing["metadata"]:
        return None
    try:
        document = from_resource(thing)
    except UnreadableResource as error:
        log.error("a resource can't be read", error=str(error))
        return None
    match document:
        case Function():
            return generations.seen(document)
        case FunctionVersion():
            return versions.seen_version(document)
        case FunctionAlias():
            return versions.seen_alias(document)
    return document


def _translated(error: KubernetesError) -> Exception:
    if isinstance(error, Conflict):
        return DocumentConflict(str(error))
    if error.status == 422:
        return StoreUnusable(f"Kubernetes refuses the resource: {error.message}")
    return StoreUnusable(f"The Kubernetes API can't be used now ({error.message}): try again.")
