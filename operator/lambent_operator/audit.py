"""
Lists everything now and then: what went while a watch was broken is told by no watch.

The first list ends the operator's blindness: before it, what isn't known proves nothing, so nothing is planned.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from lambent_kube.client import Kubernetes, KubernetesError, Object
from lambent_kube.resources import FUNCTIONS, PODS, RUNTIME_POOLS, Resource
from lambent_operator import labels
from lambent_operator.intake import Intake
from lambent_operator.settings import Settings

log = structlog.get_logger(__name__)

AUDIT_SECONDS = 300.0
"""Objects that went unseen are met with by chance alone, at a broken watch: nobody waits for them."""
RETRY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Collection:
    resource: Resource
    namespace: str
    put: Callable[[Object], None]
    whole: Callable[[dict[str, str], int], None]
    """Gets the uids by name, and the version of the list."""
    selector: str = ""


def collections(settings: Settings, intake: Intake) -> list[Collection]:
    def own(resource: Resource, namespace: str, selector: str = "") -> Collection:
        return Collection(
            resource,
            namespace,
            lambda thing: intake.put(resource, thing),
            lambda there, version: intake.whole(resource, namespace, there, version),
            selector,
        )

    return [
        *(own(RUNTIME_POOLS, namespace) for namespace in sorted({settings.namespace, settings.system_namespace})),
        own(PODS, settings.namespace, labels.PODS_SELECTOR),
        own(FUNCTIONS, settings.namespace),
        Collection(
            PODS, settings.system_namespace, intake.put_gateway, intake.whole_gateways, settings.gateway_selector
        ),
    ]


async def audit(kubernetes: Kubernetes, wanted: list[Collection]) -> None:
    """Once. Raises `KubernetesError`."""
    for collection in wanted:
        there: dict[str, str] = {}
        listed = 0
        async for page, version in kubernetes.pages(
            collection.resource, collection.namespace, selector=collection.selector
        ):
            listed = int(version)
            for thing in page:
                collection.put(thing)
                there[thing["metadata"]["name"]] = thing["metadata"]["uid"]
        collection.whole(there, listed)


async def keep_auditing(kubernetes: Kubernetes, wanted: list[Collection], listed: asyncio.Event) -> None:
    """For ever. Sets `listed` after the first."""
    while True:
        try:
            await audit(kubernetes, wanted)
        except KubernetesError as error:
            log.warning("can't list what there is", error=str(error))
            await asyncio.sleep(RETRY_SECONDS)
            continue
        if not listed.is_set():
            log.info("everything is listed")
            listed.set()
        await asyncio.sleep(AUDIT_SECONDS)
