"""
The only module that changes anything: does what plans say, through the Kubernetes API and the gateways' routes.

What is not watched it asks for: published versions. There are many, with all that was published in them, and only
making a pod needs one, or telling what keeps one from its pods.
Pods that are to be given up, and functions for want of which one is, it asks for, too: watches may lag behind.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, assert_never

import structlog

from lambent_core.function import API_VERSION
from lambent_kube import resources as kinds
from lambent_kube.client import (
    MERGE_PATCH,
    STRATEGIC_PATCH,
    AlreadyExists,
    KubernetesError,
    NotFound,
    Object,
)
from lambent_operator import labels
from lambent_operator.changes import (
    AdoptPod,
    Change,
    CreatePod,
    DeletePod,
    Event,
    LeaveAlone,
    ReportFailure,
    ResizePod,
    SetFinalizers,
    WriteStatus,
)
from lambent_operator.manifests.pod import CONTAINER, owner_reference
from lambent_operator.quantities import resources_of
from lambent_operator.resources import Identity
from lambent_operator.troubles import WEBHOOK_FAILED

log = structlog.get_logger(__name__)

CONTROLLER = "lambent.dev/operator"
EVENT_NOTE_BYTES_MAX = 1024
"""events.k8s.io refuses longer notes."""
GRACE_SECONDS = 30
"""For a pod that no gateway has: nobody waits for an answer of it."""
TOLD_MAX = 1_000
"""Events that need not be written again to know that they are there."""


class PodRefused(Exception):
    """The API server will not make the pod, however often it is asked. The message has its words."""


class ResizeRefused(Exception):
    """The API server will not resize the pod."""


class NotAwaited(Exception):
    """The gateway waits for the agent no longer: it may have it. Its census tells."""


class NotLeading(Exception):
    """Another operator may act by now, so this one must not."""


class KubernetesApi(Protocol):
    """What is used of `lambent_kube.client.Kubernetes`."""

    async def get(self, resource: kinds.Resource, namespace: str | None, name: str) -> Object: ...
    async def create(self, resource: kinds.Resource, namespace: str | None, body: Object) -> Object: ...
    async def patch(
        self,
        resource: kinds.Resource,
        namespace: str | None,
        name: str,
        body: Object,
        *,
        subresource: str | None = None,
        type: str = MERGE_PATCH,
    ) -> Object: ...
    async def apply(
        self, resource: kinds.Resource, namespace: str | None, body: Object, *, subresource: str | None = None
    ) -> Object: ...
    async def delete(
        self,
        resource: kinds.Resource,
        namespace: str | None,
        name: str,
        *,
        preconditions: dict[str, str] | None = None,
        grace_seconds: int | None = None,
    ) -> Object: ...


class Sink(Protocol):
    """Where the answers of the API server go, so that plans know of them at once."""

    def put(self, resource: kinds.Resource, thing: Object) -> None: ...
    def remove(self, resource: kinds.Resource, namespace: str, name: str, uid: str) -> None: ...


_KINDS = {"Function": kinds.FUNCTIONS, "RuntimePool": kinds.RUNTIME_POOLS}


class Cluster:
    def __init__(
        self,
        api: KubernetesApi,
        sink: Sink,
        report_failure: Callable[[str, str, Any], Awaitable[bool]],
        *,
        namespace: str,
        instance: str,
        may_act: Callable[[], bool],
        timestamp: Callable[[], str],
    ) -> None:
        """`instance` is this operator's pod, for Events. `timestamp` is RFC 3339 with microseconds."""
        self._api = api
        self._sink = sink
        self._report_failure = report_failure
        self._namespace = namespace
        self._instance = instance
        self._may_act = may_act
        self._timestamp = timestamp
        self._told: OrderedDict[str, None] = OrderedDict()
        """Names of Events that were written, the latest at the end."""

    async def function_version(self, name: str) -> Object | None:
        """None: it isn't there. Raises `KubernetesError`."""
        try:
            return await self._api.get(kinds.FUNCTION_VERSIONS, self._namespace, name)
        except NotFound:
            return None

    async def look_at_pod(self, name: str, uid: str) -> None:
        """Takes in what the API server knows of it now. Raises `KubernetesError`."""
        try:
            self._sink.put(kinds.PODS, await self._api.get(kinds.PODS, self._namespace, name))
        except NotFound:
            self._sink.remove(kinds.PODS, self._namespace, name, uid)

    async def look_at_function(self, name: str) -> None:
        """The same for a function; that it isn't there changes nothing."""
        with contextlib.suppress(NotFound):
            self._sink.put(kinds.FUNCTIONS, await self._api.get(kinds.FUNCTIONS, self._namespace, name))

    async def perform(self, change: Change) -> None:
        """Raises `KubernetesError`, `GatewayUnreachable`, `PodRefused`, `ResizeRefused`, `NotAwaited` or `NotLeading`."""
        if not self._may_act():
            raise NotLeading
        match change:
            case CreatePod():
                await self._create_pod(change.manifest)
            case AdoptPod():
                await self._patch_pod(change.name, change.uid, _adoption(change))
            case ResizePod():
                await self._resize_pod(change)
            case DeletePod():
                await self._delete_pod(change)
            case ReportFailure():
                log.warning("no environment", agent=change.agent, pool=change.pool, reason=change.trouble.reason)
                if not await self._report_failure(change.gateway, change.agent, change.trouble):
                    raise NotAwaited
            case LeaveAlone():
                log.warning("no room", pool=change.pool, reason=change.trouble.reason)
            case SetFinalizers():
                await self._take_in(change.function, self._set_finalizers(change))
            case WriteStatus():
                await self._take_in(change.of, self._write_status(change))
            case Event():
                await self._tell(change)
            case _:
                assert_never(change)

    async def _create_pod(self, manifest: Object) -> None:
        try:
            made = await self._api.create(kinds.PODS, self._namespace, manifest)
        except AlreadyExists:  # made before a restart, or by an answer that was lost: the watch is behind
            made = await self._api.get(kinds.PODS, self._namespace, manifest["metadata"]["name"])
        except KubernetesError as error:
            if error.status in (400, 403, 404, 422) or (error.status >= 500 and WEBHOOK_FAILED in error.message):
                raise PodRefused(error.message) from error
            raise
        self._sink.put(kinds.PODS, made)

    async def _patch_pod(self, name: str, uid: str, body: Object) -> None:
        try:
            self._sink.put(kinds.PODS, await self._api.patch(kinds.PODS, self._namespace, name, body))
        except NotFound:
            self._sink.remove(kinds.PODS, self._namespace, name, uid)

    async def _resize_pod(self, change: ResizePod) -> None:
        containers = [{"name": CONTAINER, "resources": resources_of(change.amounts)}]
        body = {"metadata": {"uid": change.uid}, "spec": {"containers": containers}}
        try:
            resized = await self._api.patch(
                kinds.PODS, self._namespace, change.name, body, subresource="resize", type=STRATEGIC_PATCH
            )
        except NotFound as error:
            if (
                f'"{change.name}"' not in error.message
            ):  # it is the subresource that isn't there: Kubernetes before 1.33
                raise ResizeRefused(error.message) from error
            self._sink.remove(kinds.PODS, self._namespace, change.name, change.uid)
            return
        except KubernetesError as error:
            if error.status in (400, 403, 405, 422):
                raise ResizeRefused(error.message) from error
            raise
        self._sink.put(kinds.PODS, resized)

    async def _delete_pod(self, change: DeletePod) -> None:
        try:
            left = await self._api.delete(
                kinds.PODS,
                self._namespace,
                change.name,
                preconditions={"uid": change.uid},
                grace_seconds=GRACE_SECONDS,
            )
        except NotFound:
            left = {}
        if left.get("kind") == "Pod" and left["metadata"].get("resourceVersion"):
            self._sink.put(kinds.PODS, left)  # it ends first; of one that is gone at once the answer has no version
        else:
            self._sink.remove(kinds.PODS, self._namespace, change.name, change.uid)

    async def _take_in(self, of: Identity, answer: Awaitable[Object]) -> None:
        try:
            self._sink.put(_KINDS[of.kind], await answer)
        except NotFound:
            self._sink.remove(_KINDS[of.kind], of.namespace, of.name, of.uid)

    def _set_finalizers(self, change: SetFinalizers) -> Awaitable[Object]:
        """Not by apply, which lets an element be that anybody else has applied too, as who saved a function and applied it again has."""
        body = {"metadata": {"finalizers": list(change.finalizers), "resourceVersion": str(change.version)}}
        return self._api.patch(kinds.FUNCTIONS, change.function.namespace, change.function.name, body)

    def _write_status(self, change: WriteStatus) -> Awaitable[Object]:
        """Of whatever has the name: a uid keeps nobody from a status. Is it another one by now, that is seen, and written to anew."""
        of = change.of
        body = {"apiVersion": API_VERSION, "kind": of.kind, "metadata": {"name": of.name}, "status": change.status}
        return self._api.apply(_KINDS[of.kind], of.namespace, body, subresource="status")

    async def _tell(self, event: Event) -> None:
        """Nothing waits for an Event: one that can't be written is said in the log alone."""
        manifest = event_manifest(event, self._instance, self._timestamp())
        name = manifest["metadata"]["name"]
        if name in self._told:
            return
        try:
            await self._api.create(kinds.EVENTS, event.regarding.namespace, manifest)
        except AlreadyExists:  # told before a restart
            pass
        except KubernetesError as error:
            log.warning("event not written", reason=event.reason, note=event.note, error=str(error))
            return
        self._told[name] = None
        if len(self._told) > TOLD_MAX:
            self._told.popitem(last=False)


def event_manifest(event: Event, instance: str, timestamp: str) -> Object:
    """Its name says what it tells: the same occurrence has one Event, whatever restarts."""
    about = event.regarding
    digest = hashlib.sha256("/".join((about.uid, event.reason, event.once)).encode()).hexdigest()[:16]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{about.name}.{digest}", "namespace": about.namespace},
        "eventTime": timestamp,
        "type": event.type,
        "reason": event.reason,
        "action": "Reconcile",
        "note": event.note.encode()[:EVENT_NOTE_BYTES_MAX].decode("utf-8", "ignore"),
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": about.kind,
            "namespace": about.namespace,
            "name": about.name,
            "uid": about.uid,
        },
        "reportingController": CONTROLLER,
        "reportingInstance": instance,
    }


def _adoption(change: AdoptPod) -> Object:
    return {
        "metadata": {
            "uid": change.uid,
            "labels": {labels.FUNCTION: change.function.name},
            "annotations": {labels.REVISION: change.revision},
            "ownerReferences": [owner_reference(change.function.name, change.function.uid)],
        }
    }
