"""
Which function has a name of Lambda's: on Kubernetes any two resources may claim it (`spec.functionName`).

    U1  of those that have run the one that was made first has it, else of all of them, whoever changes what; the others can't be invoked
"""

from __future__ import annotations

from lambent_core.documents import Document
from lambent_core.function import Function


class FunctionNames:
    """Tell it of every change of a document."""

    def __init__(self) -> None:
        self._claims: dict[str, list[Function]] = {}
        """By name, the oldest first."""

    def changed(self, old: Document | None, new: Document | None) -> None:
        if isinstance(old, Function):
            self._put(old.name, self._without(old))
        if isinstance(new, Function):
            self._put(new.name, sorted([*self._without(new), new], key=_age))

    def get(self, name: str) -> Function | None:
        claims = self._claims.get(name)
        return claims[0] if claims else None

    def all(self) -> list[Function]:
        """Those that have their names, by name."""
        return [self._claims[name][0] for name in sorted(self._claims)]

    def _without(self, function: Function) -> list[Function]:
        return [one for one in self._claims.get(function.name, ()) if one.metadata.name != function.metadata.name]

    def _put(self, name: str, claims: list[Function]) -> None:
        if claims:
            self._claims[name] = claims
        else:
            self._claims.pop(name, None)


def _age(function: Function) -> tuple[bool, str, str]:
    """Kubernetes tells seconds: within one, who has the name already keeps it."""
    never_ran = function.status.code_revision == 0
    return never_ran, function.metadata.creation_timestamp, function.metadata.uid
