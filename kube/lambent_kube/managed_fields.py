"""
Who manages which fields, as `metadata.managedFields` says (Kubernetes documentation, "Server-Side Apply").

Whoever applies names all that it has applied before, or loses it: `applied` is that.
"""

from __future__ import annotations

from typing import Any

import orjson

from lambent_kube.client import Object


def keep_own(thing: Object, manager: str) -> None:
    """Leaves of `managedFields` what `applied` reads, in place: all of it takes more memory than all the rest of most objects."""
    entries = thing["metadata"].pop("managedFields", [])
    if own := [entry for entry in entries if _is_own(entry, manager)]:
        thing["metadata"]["managedFields"] = own


def applied(thing: Object, manager: str) -> Object:
    """The fields that `manager` has applied of the object itself, as they are now: to apply them once more changes nothing."""
    entries = thing["metadata"].get("managedFields", [])
    fields: Object = next((entry["fieldsV1"] for entry in entries if _is_own(entry, manager)), {})
    return _picked(fields, thing) if fields else {}


def _is_own(entry: Object, manager: str) -> bool:
    return bool(entry["manager"] == manager and entry["operation"] == "Apply" and not entry.get("subresource"))


def _picked(fields: Object, value: Any) -> Any:
    if not fields:
        return value
    named = [(kind, name, inner) for (kind, _, name), inner in ((key.partition(":"), fields[key]) for key in fields)]
    if isinstance(value, dict):
        return {name: _picked(inner, value[name]) for kind, name, inner in named if kind == "f" and name in value}
    return [_picked(inner, one) for kind, key, inner in named for one in value if _is_at(one, kind, key)]


def _is_at(element: Any, kind: str, key: str) -> bool:
    """Whether an element of a list is the one with these keys (`k`), or with this value (`v`)."""
    match kind:
        case "k":
            return bool(orjson.loads(key).items() <= element.items())
        case "v":
            return bool(orjson.loads(key) == element)
    return False
