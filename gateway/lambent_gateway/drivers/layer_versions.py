"""
Brings layer versions that others than the gateway have written from Pending to Active: on Kubernetes anybody may apply one.
"""

from __future__ import annotations

import asyncio

import structlog

from lambent_core import layers
from lambent_core.documents import Document, DocumentConflict, DocumentStore, PackageStore
from lambent_core.errors import ServiceUnavailable
from lambent_core.layers import LayerVersion
from lambent_core.package import Package
from lambent_gateway import code_packages
from lambent_gateway.code_packages import UnusableCode
from lambent_gateway.drivers.following import Following

log = structlog.get_logger(__name__)

_STORE_PAUSE_SECONDS = 1.0
"""From a write that the store could not take to the next try."""


class LayerPublications:
    def __init__(self, documents: DocumentStore, packages: PackageStore) -> None:
        self._documents = documents
        self._packages = packages
        self._following = Following(documents, self._changed, self._settle)

    def start(self) -> None:
        """On the running loop: takes up what is unsettled, then every change."""
        self._following.start(LayerVersion)

    async def stop(self) -> None:
        await self._following.stop()

    def _changed(self, _: Document | None, new: Document | None) -> None:
        if isinstance(new, LayerVersion) and new.status.state == "Pending":
            self._following.take_up(new.metadata.name)

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
