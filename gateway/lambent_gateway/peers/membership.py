"""Which gateways are ready, and which end: the EndpointSlices of their headless Service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from lambent_kube.client import Kubernetes, Object
from lambent_kube.mirror import Mirror
from lambent_kube.resources import ENDPOINT_SLICES


class Membership:
    """Follows the slices of one Service; `changed` is called with addresses by pod name."""

    def __init__(
        self, kubernetes: Kubernetes, namespace: str, service: str, changed: Callable[[dict[str, str]], None]
    ) -> None:
        self._changed = changed
        self._mirror = Mirror(
            kubernetes,
            ENDPOINT_SLICES,
            namespace,
            lambda old, new: self._changed(self.members),
            selector=f"kubernetes.io/service-name={service}",
        )
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._task = asyncio.create_task(self._mirror.follow())
        await self._mirror.listed.wait()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def members(self) -> dict[str, str]:
        """Addresses of ready gateways, by the names of their pods."""
        return ready_members(list(self._mirror.objects.values()))

    @property
    def ending(self) -> dict[str, str]:
        """Addresses of gateways that are told to end, and may answer still."""
        return ending_members(list(self._mirror.objects.values()))


def ready_members(slices: list[Object]) -> dict[str, str]:
    # A pod that is told to end is not ready any more, but says so a moment later than that it ends.
    return {
        name: address
        for name, address, conditions in _pods(slices)
        if conditions.get("ready") and not conditions.get("terminating")
    }


def ending_members(slices: list[Object]) -> dict[str, str]:
    return {name: address for name, address, conditions in _pods(slices) if conditions.get("terminating")}


def _pods(slices: list[Object]) -> Iterator[tuple[str, str, Object]]:
    for each in slices:
        for endpoint in each.get("endpoints") or []:
            target = endpoint.get("targetRef") or {}
            if target.get("kind") == "Pod":
                yield target["name"], endpoint["addresses"][0], endpoint.get("conditions") or {}
