"""
What a field manager has applied, as `metadata.managedFields` says (Kubernetes documentation, "Server-Side Apply").

Whoever applies names all that it has applied before, or loses it.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import orjson

from lambent_kube.client import Object


def applied(thing: Object, manager: str, atomic: Container[str]) -> Object:
    """
    The fields of the object itself that `manager` has applied, as they are now: to apply them once more changes nothing.

    `atomic`: names of members that are objects and belong to one manager as a whole. Of another one that was applied empty nothing
    in it is the manager's: what is there by now is others'.
    """
    for entry in thing["metadata"].get("managedFields", []):
        if entry["manager"] == manager and entry["operation"] == "Apply" and not entry.get("subresource"):
            return _members(entry["fieldsV1"], thing, atomic)
    return {}


def _members(fields: Object, value: Object, atomic: Container[str]) -> Object:
    found: Object = {}
    for key, inner in fields.items():
        kind, _, name = key.partition(":")
        if kind == "f" and name in value:
            whole = not inner and (name in atomic or not isinstance(value[name], dict))
            found[name] = value[name] if whole else _picked(inner, value[name], atomic)
    return found


def _picked(fields: Object, value: Any, atomic: Container[str]) -> Any:
    if isinstance(value, dict):
        return _members(fields, value, atomic)
    elements = ((one, inner) for key, inner in fields.items() for one in value if _is_at(one, key))
    return [_picked(inner, one, atomic) if inner else one for one, inner in elements]


def _is_at(element: Any, key: str) -> bool:
    """Whether an element of a list is the one with these keys (`k:`), or with this value (`v:`)."""
    kind, _, told = key.partition(":")
    if kind == "k":
        return bool(orjson.loads(told).items() <= element.items())
    return kind == "v" and bool(orjson.loads(told) == element)
