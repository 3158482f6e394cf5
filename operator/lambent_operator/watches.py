"""
kopf's part: it watches, and calls the handlers.

Nothing of kopf's own is written to any object: there are low-level handlers only, which need no finalizer and no annotation.
Two of its operators run, as the two namespaces have other kinds to watch and other labels to select by.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import kopf
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory

from lambent_kube.client import PAGE_OBJECTS, open_session
from lambent_kube.config import ClusterAccess

Register = Callable[[kopf.OperatorRegistry], None]

CONNECT_SECONDS_MAX = 5.0
"""
An attempt that nothing answers, as where an API server's machine is without power, would take kopf five minutes. The Lease is back within
seconds, and what is seen must not be older than the patience that runs from then.
"""
WORKER_IDLE_SECONDS = 0.05
"""kopf has a task for each object that an event came of; without daemons or retries it has nothing to stay for."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """
    Between attempts at one request, in seconds, without end: kopf would give up after a minute of an API server that refuses.

    None is long: until the next attempt nothing is seen.
    """

    first: float = 0.25
    most: float = 2.0

    def __iter__(self) -> Iterator[float]:
        pause = self.first
        while True:
            yield pause
            pause = min(2 * pause, self.most)


async def watch(
    access: ClusterAccess,
    namespace: str,
    handlers: list[Register],
    *,
    pod_selector: str,
    stop: asyncio.Event,
    pauses: Pauses = Pauses(),
) -> None:
    """Until `stop` is set, or kopf gives up: then it raises. The pods it sees are those that the selector names."""
    registry = kopf.OperatorRegistry()
    _register_login(registry, access)
    for register in handlers:
        register(registry)
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.queueing.idle_timeout = WORKER_IDLE_SECONDS
    settings.watching.chunk_size = PAGE_OBJECTS
    settings.networking.error_backoffs = pauses
    settings.networking.connect_timeout = CONNECT_SECONDS_MAX
    settings.watching.label_selectors["", "v1", "pods"] = pod_selector
    await kopf.operator(
        registry=registry,
        settings=settings,
        memories=_Forgetful(),
        standalone=True,
        identity=cast(Any, "lambent-operator"),  # else it asks who the user is, and in a container there is none
        namespaces=[namespace],
        stop_flag=stop,
    )


class _Forgetful(ResourceMemories):
    """kopf keeps a kilobyte for each object, for handlers of kinds that are not used here."""

    async def recall(
        self,
        raw_body: kopf.RawBody,
        *,
        memobase: object = None,
        noticed_by_listing: bool = False,
        ephemeral: bool = False,
    ) -> ResourceMemory:
        return await super().recall(raw_body, noticed_by_listing=noticed_by_listing, ephemeral=True)


def _register_login(registry: kopf.OperatorRegistry, access: ClusterAccess) -> None:
    @kopf.on.login(registry=registry)
    async def login(**_: object) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=access.server, aiohttp_session=open_session(access))
