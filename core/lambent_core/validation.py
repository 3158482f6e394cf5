"""
Constraints of the service model, checked over a whole request; the texts are AWS's own, as recorded.

All violations are told at once: `2 validation errors detected: Value '…' at 'functionName' failed to satisfy constraint: …; Value …`.
What the model leaves open (a runtime that is no longer supported, 4 KB of environment) is `function_rules`' to say.

    V1  a value that breaks no constraint is not named; one that does is named with its path and the constraint
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from lambent_core import limits
from lambent_core.errors import ValidationFailed
from lambent_core.function_rules import SUPPORTED_RUNTIMES, is_known_runtime
from lambent_core.shapes import Reference, ServiceModel, Shape

_BOUNDS: dict[str, tuple[int, int]] = {
    # The model allows what only managed instances and durable functions have; these are an ordinary function's limits.
    "MemorySize": (limits.MEMORY_MB_MIN, limits.MEMORY_MB_MAX),
    "Timeout": (1, limits.TIMEOUT_SECONDS_MAX),
    "EphemeralStorageSize": (limits.EPHEMERAL_STORAGE_MB_MIN, limits.EPHEMERAL_STORAGE_MB_MAX),
}
_OPEN_ENUMS = frozenset({"Runtime"})
"""What CreateFunction makes of a runtime is `function_rules`' to say; what layers are compatible with is told here."""
_SEPARATORS = r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


def check(model: ServiceModel, input_shape: str, members: Mapping[str, Any]) -> None:
    """Raises ValidationFailed when `members`, an operation's parsed input, breaks a constraint."""
    found = list(_structure(model, model.shapes[input_shape], members, ""))
    if found:
        raise ValidationFailed(told(found))


def told(violations: list[str]) -> str:
    """One message for all of them."""
    plural = "" if len(violations) == 1 else "s"
    return f"{len(violations)} validation error{plural} detected: " + "; ".join(violations)


def failed(value: object, path: str, constraint: str) -> str:
    """The sentence for one violation."""
    return f"Value {_shown(value)} at '{path}' failed to satisfy constraint: {constraint}"


def enum_text(values: tuple[str, ...]) -> str:
    return f"Member must satisfy enum value set: [{', '.join(_as_hashed(values))}]"


def _structure(model: ServiceModel, shape: Shape, members: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, reference in shape.members.items():
        value = members.get(name)
        below = f"{path}.{_lower(name)}" if path else _lower(name)
        if value is not None:
            yield from _value(model, reference, value, below)
        elif name in shape.required:
            yield failed(None, below, "Member must not be null")


def _value(model: ServiceModel, reference: Reference, value: Any, path: str) -> Iterator[str]:
    shape = model.shape(reference)
    if path == "compatibleRuntime" and not is_known_runtime(value):
        yield failed(value, path, enum_text(shape.enum))
    if path == "compatibleRuntimes" and not all(map(is_known_runtime, value)):
        yield failed(value, path, enum_text(SUPPORTED_RUNTIMES))
    yield from _told(shape, value, path, _broken(reference.shape, shape, value))
    if shape.type == "structure":
        yield from _structure(model, shape, value, path)
    elif shape.type == "list" and shape.member:
        yield from _elements(model, shape.member, value, path)
    elif shape.type == "map" and shape.key and shape.value:
        yield from _told(shape, value, path, _of_each(model, shape.key, value, "Map keys"))
        yield from _told(shape, value, path, _of_each(model, shape.value, value.values(), "Map value"))


def _elements(model: ServiceModel, member: Reference, values: list[Any], path: str) -> Iterator[str]:
    if model.shape(member).type in ("structure", "list", "map"):
        for index, value in enumerate(values, 1):
            yield from _value(model, member, value, f"{path}.{index}.member")
    else:
        yield from (failed(values, path, constraint) for constraint in _of_each(model, member, values, "Member"))


def _of_each(model: ServiceModel, reference: Reference, values: Any, subject: str) -> list[str]:
    """The constraint on elements, keys or values, told once for all of them, as AWS does; empty when all satisfy it."""
    shape = model.shape(reference)
    if not any(_broken(reference.shape, shape, value) for value in values):
        return []
    return [f"{subject} must satisfy constraint: [{', '.join(_constraints(reference.shape, shape))}]"]


def _told(shape: Shape, value: Any, path: str, constraints: list[str]) -> Iterator[str]:
    for constraint in constraints:
        if shape.sensitive:
            yield f"Value at '{path}' failed to satisfy constraint: {constraint}"
        else:
            yield failed(value, path, constraint)


def _broken(name: str, shape: Shape, value: Any) -> list[str]:
    least, most = _BOUNDS.get(name, (shape.min, shape.max))
    broken = []
    if shape.type in ("string", "list", "map", "blob"):
        if most is not None and len(value) > most:
            broken.append(f"Member must have length less than or equal to {most}")
        if least is not None and len(value) < least:
            broken.append(f"Member must have length greater than or equal to {least}")
    elif shape.type in ("integer", "long", "double", "float"):
        if most is not None and value > most:
            broken.append(f"Member must have value less than or equal to {most}")
        if least is not None and value < least:
            broken.append(f"Member must have value greater than or equal to {least}")
    if shape.pattern is not None and not _compiled(shape.pattern).fullmatch(value):
        broken.append(f"Member must satisfy regular expression pattern: {shape.pattern}")
    if shape.enum and name not in _OPEN_ENUMS and value not in shape.enum:
        broken.append(enum_text(shape.enum))
    return broken


def _constraints(name: str, shape: Shape) -> list[str]:
    """All constraints of a shape, in the order in which AWS lists them for elements of lists and maps."""
    least, most = _BOUNDS.get(name, (shape.min, shape.max))
    quantity = "length" if shape.type == "string" else "value"
    listed = []
    if most is not None:
        listed.append(f"Member must have {quantity} less than or equal to {most}")
    if least is not None:
        listed.append(f"Member must have {quantity} greater than or equal to {least}")
    if shape.pattern is not None:
        listed.append(f"Member must satisfy regular expression pattern: {shape.pattern}")
    if shape.enum:
        listed.append(enum_text(shape.enum))
    if shape.enum or shape.type != "string":
        listed.append("Member must not be null")
    return listed


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of the model, which is written for Java: `\\d` is ASCII there, and `\\p{…}` is not known here."""
    if "\\p{" not in pattern:
        return re.compile(pattern, re.ASCII | re.DOTALL)
    spelled = pattern.replace(r"\p{L}", r"\w").replace(r"\p{N}", "").replace(r"\p{Z}", _SEPARATORS)
    return re.compile(spelled)


def _as_hashed(values: tuple[str, ...]) -> list[str]:
    """AWS writes an enumeration in the iteration order of Java's HashSet: by bucket, in a table at most 3/4 full."""
    buckets = 16
    while len(values) > buckets * 3 // 4:
        buckets *= 2
    return sorted(values, key=lambda value: _bucket(value, buckets))


def _bucket(value: str, buckets: int) -> int:
    code = 0
    for character in value:
        code = (31 * code + ord(character)) & 0xFFFFFFFF
    return (code ^ code >> 16) & (buckets - 1)


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _shown(value: object) -> str:
    match value:
        case None:
            return "null"
        case list():
            return f"'[{', '.join(map(str, value))}]'"
        case dict():
            return "'{" + ", ".join(f"{key}={item}" for key, item in value.items()) + "}'"
    return f"'{value}'"
