"""
Published versions and aliases by the function that owns them, following the document store.

Functions are told apart by uid, so that one of the same name that is gone has no versions here. What has no function yet is nobody's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from lambent_core.documents import Document, DocumentConflict, DocumentStore
from lambent_core.errors import ResourceConflict
from lambent_core.function import LATEST, Function
from lambent_core.versions import FunctionAlias, FunctionVersion, Owned

Q = TypeVar("Q", bound=Owned)


class Qualified:
    def __init__(self, documents: DocumentStore) -> None:
        self._documents = documents
        self._versions: dict[str, dict[str, FunctionVersion]] = {}
        """By uid of the function, then by number as text."""
        self._aliases: dict[str, dict[str, FunctionAlias]] = {}
        for document in (*documents.list(FunctionVersion), *documents.list(FunctionAlias)):
            self._changed(None, document)
        documents.subscribe(self._changed)

    def version(self, function: Function, version: str) -> FunctionVersion | None:
        return self._versions.get(function.metadata.uid, {}).get(version)

    def alias(self, function: Function, name: str) -> FunctionAlias | None:
        return self._aliases.get(function.metadata.uid, {}).get(name)

    def versions(self, function: Function) -> list[FunctionVersion]:
        """Oldest first."""
        found = self._versions.get(function.metadata.uid, {}).values()
        return sorted(found, key=lambda version: version.number)

    def aliases(self, function: Function) -> list[FunctionAlias]:
        """By name."""
        found = self._aliases.get(function.metadata.uid, {}).values()
        return sorted(found, key=lambda alias: alias.name)

    def has(self, function: Function, version: str) -> bool:
        return version == LATEST or self.version(function, version) is not None

    async def add(self, document: Q) -> Q:
        """Raises DocumentConflict if the function has one of that name, ResourceConflict if somebody has made one past the API just now."""
        metadata = document.metadata
        left = self._documents.get(type(document), metadata.name, metadata.namespace)
        if left is not None and not left.function_uid:
            raise ResourceConflict(
                f"{left.kind} {metadata.name} exists and belongs to no function yet: try again in a moment, or delete it."
            )
        if left is not None and left.function_uid != document.function_uid:
            await self.remove(left)
        return await self._documents.put(document, "")

    async def change(
        self, find: Callable[[], Q | None], decide: Callable[[Q], Q], missing: Callable[[], Exception]
    ) -> Q:
        """Writes what `decide` makes of the latest document."""
        while True:
            document = find()
            if document is None:
                raise missing()
            changed = decide(document)
            try:
                return await self._documents.put(changed, document.metadata.resource_version)
            except DocumentConflict:
                continue

    async def remove(self, document: Owned) -> None:
        """Nothing happens if it is gone already, or another function's has its name by now."""
        latest: Owned | None = document
        while latest is not None and latest.function_uid == document.function_uid:
            try:
                await self._documents.delete(latest, latest.metadata.resource_version)
                return
            except DocumentConflict:
                latest = self._documents.get(type(latest), latest.metadata.name, latest.metadata.namespace)

    async def remove_all(self, uid: str) -> None:
        """Aliases first, so that none names a version that is gone."""
        left: list[Owned] = [*self._aliases.get(uid, {}).values(), *self._versions.get(uid, {}).values()]
        for document in left:
            await self.remove(document)

    def _changed(self, old: Document | None, new: Document | None) -> None:
        match new or old:
            case FunctionVersion() as version:
                _keep(self._versions, version.function_uid, version.version, version if new else None)
            case FunctionAlias() as alias:
                _keep(self._aliases, alias.function_uid, alias.name, alias if new else None)


def _keep(kept: dict[str, dict[str, Q]], uid: str, name: str, document: Q | None) -> None:
    if not uid:
        return
    of_function = kept.setdefault(uid, {})
    if document is None:
        of_function.pop(name, None)
    else:
        of_function[name] = document
    if not of_function:
        del kept[uid]
