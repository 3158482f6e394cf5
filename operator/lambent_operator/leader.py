"""
One operator acts at a time: a Lease says which.

    L1  an operator acts only within `ACT_SECONDS` of having renewed the Lease
    L2  no request of a change takes longer than `LEASE_SECONDS - ACT_SECONDS`: none is under way when another may act
    L3  nobody takes a Lease that was renewed within `LEASE_SECONDS`, counted from when it was seen to be renewed: others' clocks
        are not trusted
    L4  an operator that ends gives the Lease back, so that the next need not wait
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from lambent_kube.client import AlreadyExists, Conflict, Kubernetes, KubernetesError, NotFound
from lambent_kube.resources import LEASES

log = structlog.get_logger(__name__)

LEASE_SECONDS = 15
"""client-go's own numbers, for all three."""
ACT_SECONDS = 10.0
RENEW_SECONDS = 2.0
CHANGE_SECONDS_MAX = LEASE_SECONDS - ACT_SECONDS
LEASE = "lambent-operator"


@dataclass(frozen=True, slots=True)
class Seen:
    """A Lease as it was read."""

    holder: str
    version: str
    since: float
    """When this version was seen first: monotonic seconds of whoever looks."""


def may_take(seen: Seen | None, *, me: str, now: float) -> bool:
    """Whether the Lease is free, mine, or run out (L3)."""
    return seen is None or seen.holder in ("", me) or now >= seen.since + LEASE_SECONDS


def seen_again(before: Seen | None, lease: dict[str, Any], *, now: float) -> Seen:
    version = lease["metadata"]["resourceVersion"]
    if before is not None and before.version == version:
        return before
    return Seen(lease["spec"].get("holderIdentity") or "", version, now)


def lease_manifest(*, namespace: str, holder: str, timestamp: str, before: dict[str, Any] | None) -> dict[str, Any]:
    """`before` is the Lease that it replaces: with its version, so that of two who try one fails. An empty holder gives it back."""
    old = before["spec"] if before is not None else {}
    changes_hands = old.get("holderIdentity") != holder
    metadata = {"name": LEASE, "namespace": namespace}
    if before is not None:
        metadata["resourceVersion"] = before["metadata"]["resourceVersion"]
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": metadata,
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": LEASE_SECONDS,
            "acquireTime": timestamp if changes_hands else old.get("acquireTime", timestamp),
            "renewTime": timestamp,
            "leaseTransitions": old.get("leaseTransitions", 0) + (1 if changes_hands and before is not None else 0),
        },
    }


class Leader:
    """Owns this operator's part in the election. `elected` is called when it begins to act."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        *,
        namespace: str,
        me: str,
        elected: Callable[[], None],
        clock: Callable[[], float],
        timestamp: Callable[[], str],
    ) -> None:
        self._kubernetes = kubernetes
        self._namespace = namespace
        self._me = me
        self._elected = elected
        self._clock = clock
        self._timestamp = timestamp
        self._seen: Seen | None = None
        self._acts_until = 0.0

    def may_act(self) -> bool:
        return self._clock() < self._acts_until

    async def run(self) -> None:
        """For ever: tries to get the Lease, and to keep it."""
        while True:
            try:
                await self._try()
            except (Conflict, AlreadyExists):
                log.info("another operator was first")
            except KubernetesError as error:
                log.warning("lease not renewed", error=str(error), acting=self.may_act())
            await asyncio.sleep(RENEW_SECONDS)

    async def resign(self) -> None:
        """L4. Call it when nothing acts any more."""
        self._acts_until = 0.0
        try:
            lease = await self._kubernetes.get(LEASES, self._namespace, LEASE)
            if lease["spec"].get("holderIdentity") == self._me:
                await self._write(holder="", before=lease)
        except KubernetesError as error:
            log.warning("lease not given back", error=str(error))

    async def _try(self) -> None:
        began = self._clock()  # before the request: the Lease may have been renewed as soon as it was sent
        try:
            lease: dict[str, Any] | None = await self._kubernetes.get(LEASES, self._namespace, LEASE)
        except NotFound:
            lease = None
        self._seen = None if lease is None else seen_again(self._seen, lease, now=self._clock())
        if not may_take(self._seen, me=self._me, now=self._clock()):
            self._acts_until = 0.0
            return
        self._seen = seen_again(None, await self._write(holder=self._me, before=lease), now=self._clock())
        acted = self.may_act()
        self._acts_until = began + ACT_SECONDS
        if not acted:
            log.info("acting", me=self._me)
            self._elected()

    async def _write(self, *, holder: str, before: dict[str, Any] | None) -> dict[str, Any]:
        body = lease_manifest(namespace=self._namespace, holder=holder, timestamp=self._timestamp(), before=before)
        if before is None:
            return await self._kubernetes.create(LEASES, self._namespace, body)
        return await self._kubernetes.replace(LEASES, self._namespace, LEASE, body)
