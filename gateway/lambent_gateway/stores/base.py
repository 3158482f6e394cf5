"""
What every document store has in common: documents in memory, versions compared, watchers told. How a change becomes lasting is
for the implementation to say.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from lambent_core.documents import KINDS, D, Document, DocumentConflict, Watcher

T = TypeVar("T")
_KIND_NAMES = {kind: name for name, kind in KINDS.items()}


@dataclass(frozen=True, slots=True)
class Key:
    kind: str
    namespace: str
    name: str


def key_of(document: Document) -> Key:
    return Key(_KIND_NAMES[type(document)], document.metadata.namespace, document.metadata.name)


class KeptDocuments(ABC):
    """One write at a time; reads never wait."""

    def __init__(self, documents: Iterable[Document] = ()) -> None:
        self._documents: dict[Key, Document] = {key_of(document): document for document in documents}
        versions = (int(document.metadata.resource_version) for document in self._documents.values())
        self._version = max(versions, default=0)
        self._watchers: list[Watcher] = []
        self._turn = asyncio.Lock()
        self._writes: set[asyncio.Task[Any]] = set()

    @abstractmethod
    async def _save(self, key: Key, document: Document | None, version: int) -> None:
        """Makes the change lasting; None deletes. `version` must never be given out again, even if the document goes."""

    def get(self, kind: type[D], name: str, namespace: str = "default") -> D | None:
        found = self._documents.get(Key(_KIND_NAMES[kind], namespace, name))
        return found if isinstance(found, kind) else None

    def list(self, kind: type[D]) -> list[D]:
        found = [document for document in self._documents.values() if isinstance(document, kind)]
        return sorted(found, key=lambda document: (document.metadata.namespace, document.metadata.name))

    def unreadable(self) -> Sequence[str]:
        return ()  # one that can't be read is not opened

    async def put(self, document: D, expected_resource_version: str) -> D:
        return await self._to_the_end(self._put(document, expected_resource_version))

    async def delete(self, document: Document, expected_resource_version: str) -> None:
        await self._to_the_end(self._delete(document, expected_resource_version))

    def subscribe(self, watcher: Watcher) -> Callable[[], None]:
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    async def _put(self, document: D, expected: str) -> D:
        async with self._turn:
            key = key_of(document)
            old = self._expect(key, expected)
            version = self._version + 1
            metadata = msgspec.structs.replace(document.metadata, resource_version=str(version))
            stored: D = msgspec.structs.replace(document, metadata=metadata)  # type: ignore[type-var]
            await self._save(key, stored, version)
            self._version = version
            self._documents[key] = stored
            self._tell(old, stored)
            return stored

    async def _delete(self, document: Document, expected: str) -> None:
        async with self._turn:
            key = key_of(document)
            old = self._expect(key, expected)
            if old is None:
                raise DocumentConflict(f"{key.kind} {key.name} does not exist")
            await self._save(key, None, self._version)
            del self._documents[key]
            self._tell(old, None)

    def _expect(self, key: Key, expected: str) -> Document | None:
        old = self._documents.get(key)
        found = old.metadata.resource_version if old else ""
        if found != expected:
            raise DocumentConflict(
                f"{key.kind} {key.name} has resource version {found or 'none'}, not {expected or 'none'}"
            )
        return old

    def _tell(self, old: Document | None, new: Document | None) -> None:
        for watcher in list(self._watchers):
            watcher(old, new)

    async def _to_the_end(self, write: Coroutine[Any, Any, T]) -> T:
        """A caller that goes away must not leave memory and disk apart: the write goes on without it."""
        task = asyncio.ensure_future(write)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return await asyncio.shield(task)
