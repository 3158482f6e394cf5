"""
Keeps the condition `Ready` of FunctionVersions, FunctionAliases and LayerVersions true: on Kubernetes, where people look at it.

Several gateways may do it at once: one writes, the others find it done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import structlog

from lambent_core import readiness, timestamps
from lambent_core.conditions import Finding
from lambent_core.documents import Document, DocumentConflict, DocumentStore
from lambent_core.errors import ServiceUnavailable
from lambent_core.function import Function
from lambent_core.layers import LayerVersion
from lambent_core.readiness import Judged
from lambent_core.versions import FunctionAlias, FunctionVersion
from lambent_gateway.api.qualified import Qualified
from lambent_gateway.clock import Clock
from lambent_gateway.drivers.following import Following

log = structlog.get_logger(__name__)

_STORE_PAUSE_SECONDS = 1.0
"""From a write that the store could not take to the next try."""


class Readiness:
    def __init__(self, documents: DocumentStore, clock: Clock) -> None:
        self._documents = documents
        self._clock = clock
        self._qualified = Qualified(documents)
        self._following = Following(documents, self._changed, self._judge)

    def start(self) -> None:
        """On the running loop."""
        self._following.start(FunctionVersion, FunctionAlias, LayerVersion)

    async def stop(self) -> None:
        await self._following.stop()

    def _changed(self, old: Document | None, new: Document | None) -> None:
        match new:
            case FunctionVersion() | FunctionAlias() | LayerVersion():
                self._following.take_up((type(new), new.metadata.name))
        match new or old:
            case FunctionVersion() as version if old is None or new is None:
                for alias in self._aliases_beside(version):
                    self._following.take_up((FunctionAlias, alias.metadata.name))

    def _aliases_beside(self, version: FunctionVersion) -> Sequence[FunctionAlias]:
        function = self._function_of(version)
        return self._qualified.aliases(function) if function is not None else ()

    def _function_of(self, owned: FunctionVersion | FunctionAlias) -> Function | None:
        function = self._documents.get(Function, owned.function_resource)
        return function if function is not None and function.metadata.uid == owned.function_uid else None

    async def _judge(self, key: tuple[type[Judged], str]) -> None:
        told: Finding | None = None
        while (document := self._documents.get(*key)) is not None:
            finding = self._finding(document)
            timestamp = timestamps.condition_time(self._clock.time())
            judged = readiness.with_finding(document, finding, timestamp=timestamp)
            if (
                judged is document or finding == told
            ):  # where the CRDs are of an earlier release, the API server drops it
                return
            try:
                await self._documents.put(judged, document.metadata.resource_version)
                told = finding
            except DocumentConflict:
                continue
            except ServiceUnavailable as error:
                log.warning("a condition could not be told yet", kind=document.kind, name=key[1], error=error.message)
                await asyncio.sleep(_STORE_PAUSE_SECONDS)

    def _finding(self, document: Judged) -> Finding:
        if isinstance(document, LayerVersion):
            return readiness.of_layer_version(document)
        function = self._function_of(document)
        if isinstance(document, FunctionVersion):
            return readiness.of_version(document, has_function=function is not None)
        return readiness.of_alias(document, None if function is None else partial(self._qualified.has, function))
