"""
Versions and aliases belong to one function, by its uid, and go with it.

    G1  nothing goes because its function can't be read here, or isn't seen yet: on Kubernetes the garbage collection alone deletes what its
        function has left behind; on one machine the gateway does, whose store is its own and is read whole or not opened
    G2  what belongs to no function is given to the one whose name it bears, as soon as that is there; until then it is left alone
    G3  what belongs to a function that is gone is never given to another of the same name
"""

from __future__ import annotations

import asyncio

import msgspec
import structlog

from lambent_core.documents import Document, DocumentConflict, DocumentStore
from lambent_core.errors import ServiceUnavailable
from lambent_core.function import Function
from lambent_core.versions import FunctionAlias, FunctionVersion, Owned
from lambent_gateway.drivers.following import Following

log = structlog.get_logger(__name__)

_KINDS: tuple[type[FunctionAlias], type[FunctionVersion]] = FunctionAlias, FunctionVersion
"""Aliases first, so that none names a version that is gone."""
_STORE_PAUSE_SECONDS = 1.0
"""From a write that the store could not take to the next try."""


async def remove_left_behind(documents: DocumentStore) -> None:
    """What a crash in the middle of a function's deletion has left. Before anybody else writes, and where no garbage collection does it."""
    functions = {function.metadata.uid for function in documents.list(Function)}
    for kind in _KINDS:
        for left in documents.list(kind):
            if left.function_uid and left.function_uid not in functions:
                log.warning("deleted, as its function was", kind=left.kind, name=left.metadata.name)
                await documents.delete(left, left.metadata.resource_version)


class Adoptions:
    """Also of what was applied while no gateway ran. Several gateways may do it at once: one writes, the others find it done."""

    def __init__(self, documents: DocumentStore) -> None:
        self._documents = documents
        self._following = Following(documents, self._changed, self._adopt)

    def start(self) -> None:
        """On the running loop."""
        self._following.start(*_KINDS)

    async def stop(self) -> None:
        await self._following.stop()

    def _changed(self, old: Document | None, new: Document | None) -> None:
        match new:
            case Function() if old is None or old.metadata.uid != new.metadata.uid:
                for kind in _KINDS:
                    for owned in self._documents.list(kind):
                        self._take_up(owned)
            case FunctionVersion() | FunctionAlias():
                self._take_up(new)

    def _take_up(self, owned: Owned) -> None:
        if self._function_of(owned):
            self._following.take_up((type(owned), owned.metadata.name))

    def _function_of(self, owned: Owned) -> Function | None:
        """The function to give it to, if it is there and `owned` has none."""
        function = self._documents.get(Function, owned.function_resource)
        named = function is not None and function.name == owned.function_name
        return function if named and not owned.function_uid else None

    async def _adopt(self, key: tuple[type[Owned], str]) -> None:
        while (owned := self._documents.get(*key)) and (function := self._function_of(owned)):
            await self._give(owned, function)

    async def _give(self, owned: Owned, function: Function) -> None:
        told = {"kind": owned.kind, "name": owned.metadata.name, "function": function.name}
        try:
            given = msgspec.structs.replace(owned, function_uid=function.metadata.uid)
            await self._documents.put(given, owned.metadata.resource_version)
            log.info("given to its function", **told)
        except DocumentConflict:
            return
        except ServiceUnavailable as error:
            log.warning("could not be given to its function yet", **told, error=error.message)
            await asyncio.sleep(_STORE_PAUSE_SECONDS)
