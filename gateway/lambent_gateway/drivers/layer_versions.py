"""
Brings layer versions that others than the gateway have written from Pending to Active: on Kubernetes anybody may apply one.

It follows the document store, so that it also goes on with what a crash interrupted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from lambent_core import layers
from lambent_core.documents import Document, DocumentConflict, DocumentStore, PackageStore
from lambent_core.errors import ServiceUnavailable
from lambent_core.layers import LayerVersion
from lambent_core.package import Package
from lambent_gateway import code_packages
from lambent_gateway.code_packages import UnusableCode

log = structlog.get_logger(__name__)

_STORE_PAUSE_SECONDS = 1.0
"""From a write that the store could not take to the next try."""


class LayerPublications:
    def __init__(self, documents: DocumentStore, packages: PackageStore) -> None:
        self._documents = documents
        self._packages = packages
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._unsubscribe: Callable[[], None] | None = None

    def start(self) -> None:
        """On the running loop: takes up what is unsettled, then every change."""
        self._unsubscribe = self._documents.subscribe(self._changed)
        for version in self._documents.list(LayerVersion):
            self._changed(None, version)

    async def stop(self) -> None:
        if self._unsubscribe:
            self._unsubscribe()
            self._unsubscribe = None
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _changed(self, _: Document | None, new: Document | None) -> None:
        if isinstance(new, LayerVersion) and new.status.state == "Pending":
            name = new.metadata.name
            if name not in self._tasks:
                task = self._tasks[name] = asyncio.get_running_loop().create_task(self._settle(name))
                task.add_done_callback(lambda _: self._tasks.pop(name, None))

    async def _settle(self, name: str) -> None:
        while (version := self._documents.get(LayerVersion, name)) and version.status.state == "Pending":
            try:
                settled = layers.settled(version, await self._outcome(version))
                await self._documents.put(settled, version.metadata.resource_version)
            except DocumentConflict:
                continue
            except ServiceUnavailable as error:
                log.warning("a layer version could not be settled yet", layer_version=name, error=error.message)
                await asyncio.sleep(_STORE_PAUSE_SECONDS)

    async def _outcome(self, version: LayerVersion) -> Package | str:
        for path, message in layers.problems(version):
            return f"{path}: {message}. A layer version never changes: delete this one and apply it again."
        code = version.spec.code
        try:
            if code.sha256 is not None:
                return await code_packages.found(self._packages, code.sha256)
            return await code_packages.packed(self._packages, code.inline or {})
        except UnusableCode as error:
            return f"{error} A layer version never changes: delete this one and apply it again."
