"""
Which function, or alias of one, a function URL leads to, following the document store.

An address is a function's name, `name:alias`, or a URL's id: of a name and an id that are the same text, the name counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from lambent_core.documents import Document, DocumentStore
from lambent_core.function import Function, FunctionUrl
from lambent_core.versions import FunctionAlias
from lambent_gateway.api.calls import Functions
from lambent_gateway.api.qualified import Qualified


@dataclass(frozen=True, slots=True)
class ServedUrl:
    """A URL and what it invokes."""

    url: FunctionUrl
    url_id: str
    function_name: str
    alias: str | None = None


class ServedUrls:
    def __init__(self, documents: DocumentStore, functions: Functions, qualified: Qualified) -> None:
        self._functions = functions
        self._qualified = qualified
        self._addresses: dict[str, tuple[str, str]] = {}
        """Name of the function, and of the alias if it is one's, by the URL's id."""
        documents.subscribe(self._changed)
        for kind in (Function, FunctionAlias):
            for document in documents.list(kind):
                self._changed(None, document)

    def find(self, address: str) -> ServedUrl | None:
        name, _, alias = address.partition(":")
        if alias or self._functions.get(name) is not None:
            return self._of(name, alias)
        served = self._of(*self._addresses.get(address, ("", "")))
        # Of two Functions that claim one name only the one that has it is served.
        return served if served is not None and served.url_id == address else None

    def _of(self, name: str, alias_name: str) -> ServedUrl | None:
        function = self._functions.get(name)
        if function is None:
            return None
        alias = self._qualified.alias(function, alias_name) if alias_name else None
        if alias is not None and alias.url is not None:
            return ServedUrl(alias.url, alias.url_id or "", name, alias_name)
        if not alias_name and function.spec.url is not None:
            return ServedUrl(function.spec.url, function.status.url_id or name, name)
        return None

    def _changed(self, old: Document | None, new: Document | None) -> None:
        for id, _ in _addresses(old):
            self._addresses.pop(id, None)
        self._addresses.update(_addresses(new))


def _addresses(document: Document | None) -> list[tuple[str, tuple[str, str]]]:
    match document:
        case Function(status=status) if status.url_id:
            return [(status.url_id, (document.name, ""))]
        case FunctionAlias(url_id=str(url_id)):
            return [(url_id, (document.function_name, document.name))]
        case _:
            return []
