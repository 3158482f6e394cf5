"""
What the platform asks of the places where it keeps documents and packages. Implementations are in `lambent_gateway.stores`.

Documents are functions, their versions and aliases, and layer versions; any kind with `metadata` has room beside them, told apart by
its class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import BinaryIO, Protocol, TypeVar

from lambent_core.errors import ServiceUnavailable
from lambent_core.function import Function, Metadata
from lambent_core.layers import LayerVersion
from lambent_core.versions import FunctionAlias, FunctionVersion


class Document(Protocol):
    @property
    def metadata(self) -> Metadata: ...


D = TypeVar("D", bound=Document)
Watcher = Callable[[Document | None, Document | None], None]
"""Told (old, new): old is None for a new document, new is None for a deleted one."""

KINDS: dict[str, type[Document]] = {
    "Function": Function,
    "FunctionAlias": FunctionAlias,
    "FunctionVersion": FunctionVersion,
    "LayerVersion": LayerVersion,
}
"""Every kind that a store may hold, by the name under which it is kept."""


class DocumentConflict(Exception):
    """The document is not what the writer read: read it again, decide again, write again."""


class PackageNotFound(Exception):
    """No package has this digest."""


class StoreFull(ServiceUnavailable):
    """The disk has no room. Nothing was changed."""


class StoreUnusable(ServiceUnavailable):
    """A folder or file of the store can't be read or written. Nothing was changed."""


class DocumentStore(Protocol):
    """
    All documents, in memory for reading and on disk before a write returns.

        T1  a write succeeds only against the resource version that the writer names; "" means that there is none yet
        T2  a resource version is never given out twice
        T3  watchers are told each change once, in order, on the event loop, after it is on disk
        T4  what was written is there after a crash
    """

    def get(self, kind: type[D], name: str, namespace: str = "default") -> D | None: ...

    def list(self, kind: type[D]) -> list[D]:
        """By namespace and name."""

    def unreadable(self) -> Sequence[str]:
        """What is kept and in no list, as `Kind name`: another version of Lambent has written what this one can't read."""

    async def put(self, document: D, expected_resource_version: str) -> D:
        """The document as stored, with its new resource version. Raises DocumentConflict, StoreFull, StoreUnusable."""

    async def delete(self, document: Document, expected_resource_version: str) -> None: ...

    def subscribe(self, watcher: Watcher) -> Callable[[], None]:
        """Calls `watcher` from now on; what it returns ends that."""


class PackageStore(Protocol):
    """
    Packages by the SHA-256 of their bytes, in hex.

        B1  a package that can be read is whole, after a crash too
        B2  a package that was put is told as put then, whether or not it was there already; a shared store may say a minute less
        B3  what was put after it was told is not removed
    """

    async def put(self, sha256: str, data: bytes) -> None:
        """Raises StoreFull, StoreUnusable. A package that is there already stays."""

    async def read(self, sha256: str) -> bytes:
        """Raises PackageNotFound, StoreUnusable."""

    async def size(self, sha256: str) -> int | None:
        """Bytes; None if there is no such package. Raises StoreUnusable."""

    async def stored(self) -> dict[str, float]:
        """Every package, with the Unix time at which it was last put. Raises StoreUnusable."""

    async def remove(self, sha256: str, told: float) -> None:
        """Unless it was put after the time that was told (B3). Nothing happens if it is gone already. Raises StoreUnusable."""


class PackagesAtHand(PackageStore, Protocol):
    """A store with a disk of its own: what agents ask for is sent from there, and never whole in memory."""

    async def file(self, sha256: str) -> BinaryIO:
        """Open for reading, whole whatever is removed meanwhile; the caller closes it. Raises PackageNotFound, StoreUnusable."""
