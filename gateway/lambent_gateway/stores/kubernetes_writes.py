"""
What is written to a resource so that it becomes another document.

    P1  what the gateway has set is applied: its own fields, and no field that somebody else set and that stays as it is
    P2  where something has to go that others may have applied, which apply can't bring about, or has a name that it can't say, one patch
        does all at once
"""

from __future__ import annotations

from typing import Any

import msgspec

from lambent_core import generations
from lambent_core.documents import Document
from lambent_core.function import Function
from lambent_core.images import without_findings
from lambent_core.resources import ATOMIC, to_resource
from lambent_kube.client import APPLIED_KEY_CHARACTERS_MAX, Object, Objects

ATOMIC_MEMBERS = frozenset(member for _, member in ATOMIC)


def with_own_code(document: Document, before: Document | None) -> Document:
    """
    Code as it stands in the resource, where it has not changed: inline code stays inline. Other code as a user would write it.

    What it came to is in `status`.
    """
    if not isinstance(document, Function):
        return document
    code = without_findings(document.spec.code)
    if isinstance(before, Function) and document.spec.code == generations.seen(before).spec.code:
        code = before.spec.code
    return msgspec.structs.replace(document, spec=msgspec.structs.replace(document.spec, code=code))


def user_part(document: Document) -> Object:
    """What users write of it, without owners."""
    resource = to_resource(document)
    metadata = {key: resource["metadata"][key] for key in ("labels", "annotations") if resource["metadata"].get(key)}
    return {"metadata": metadata, "spec": resource["spec"]}


def owners_of(document: Document) -> Objects:
    """The reference to its function, where it has one."""
    owners: Objects = to_resource(document)["metadata"].get("ownerReferences", [])
    return owners


def difference(before: Object, after: Object) -> Object:
    """A JSON merge patch (RFC 7396) that makes `after` of `before`."""
    patch: Object = dict.fromkeys(before.keys() - after.keys())
    for key, value in after.items():
        old: Any = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            inner = difference(old, value)
            if inner:
                patch[key] = inner
        elif value != old:
            patch[key] = value
    return patch


def additions(before: Object, after: Object) -> Object | None:
    """What makes `after` of `before` when it is applied; None where something goes, or can't be applied."""
    added = _added(before, after)
    return None if added is None or _longest_key(added) > APPLIED_KEY_CHARACTERS_MAX else added


def overlaid(below: Object, above: Object) -> Object:
    """Both; where they differ, `above`."""
    both = below | above
    for key in below.keys() & above.keys() - ATOMIC_MEMBERS:
        if isinstance(below[key], dict) and isinstance(above[key], dict):
            both[key] = overlaid(below[key], above[key])
    return both


def _added(before: Object, after: Object) -> Object | None:
    if before.keys() - after.keys():
        return None
    added: Object = {}
    for key, value in after.items():
        old: Any = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict) and key not in ATOMIC_MEMBERS:
            inner = _added(old, value)
            if inner is None:
                return None
            if inner:
                added[key] = inner
        elif value != old:
            added[key] = value
    return added


def _longest_key(value: Any) -> int:
    if isinstance(value, dict):
        return max((max(len(key), _longest_key(inner)) for key, inner in value.items()), default=0)
    return max(map(_longest_key, value), default=0) if isinstance(value, list) else 0
