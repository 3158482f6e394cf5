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
from lambent_core.versions import FunctionAlias, FunctionVersion, Owned
from lambent_gateway.api.qualified import Qualified
from lambent_gateway.clock import Clock
from lambent_gateway.drivers.following import Following

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 1.0
"""Before each look: what is made by several writes is judged once, and nothing is written more often, whoever else writes."""
WRITES_MAX = 4
"""At once: after an upgrade there may be something to say of everything."""


class Readiness:
    def __init__(self, documents: DocumentStore, clock: Clock, *, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._documents = documents
        self._clock = clock
        self._pause_seconds = pause_seconds
        self._writing = asyncio.Semaphore(WRITES_MAX)
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
                self._take_up(new)
        match new or old:
            case FunctionVersion() as version if _function_uid(old) != _function_uid(new):
                for alias in self._aliases_beside(version):
                    self._take_up(alias)
            case Function() as function if old is None or new is None:
                owned: list[Owned] = [*self._qualified.versions(function), *self._qualified.aliases(function)]
                for each in owned:
                    self._take_up(each)

    def _take_up(self, judged: Judged) -> None:
        self._following.take_up((type(judged), judged.metadata.name))

    def _aliases_beside(self, version: FunctionVersion) -> Sequence[FunctionAlias]:
        function = self._function_of(version)
        return self._qualified.aliases(function) if function is not None else ()

    def _function_of(self, owned: FunctionVersion | FunctionAlias) -> Function | None:
        function = self._documents.get(Function, owned.function_resource)
        return function if function is not None and function.metadata.uid == owned.function_uid else None

    async def _judge(self, key: tuple[type[Judged], str]) -> None:
        told: Finding | None = None
        await asyncio.sleep(self._pause_seconds)
        while (document := self._documents.get(*key)) is not None:
            finding = self._finding(document)
            timestamp = timestamps.condition_time(self._clock.time())
            judged = readiness.with_finding(document, finding, timestamp=timestamp)
            if (
                judged is document or finding == told
            ):  # where the CRDs are of an earlier release, the API server drops it
                return
            try:
                async with self._writing:
                    await self._documents.put(judged, document.metadata.resource_version)
                told = finding
            except DocumentConflict:
                pass
            except ServiceUnavailable as error:
                log.warning("a condition could not be told yet", kind=document.kind, name=key[1], error=error.message)
            await asyncio.sleep(self._pause_seconds)

    def _finding(self, document: Judged) -> Finding:
        if isinstance(document, LayerVersion):
            return readiness.of_layer_version(document)
        function = self._function_of(document)
        if isinstance(document, FunctionVersion):
            return readiness.of_version(document, has_function=function is not None)
        return readiness.of_alias(document, None if function is None else partial(self._qualified.has, function))


def _function_uid(document: Document | None) -> str | None:
    return document.function_uid if isinstance(document, FunctionVersion) else None
