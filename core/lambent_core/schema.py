"""
What the model says about its members, as JSON Schema: names, types and defaults from its fields, descriptions from its docstrings,
bounds from `bounds`. The manifest's schema is here; the custom resource definitions are made of the same parts.

    H1  the schema takes what the model and the limits take: no bound stands in two places
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from lambent_core import function, layers, resources, runtime_pools
from lambent_core.bounds import BOUNDS, Bound
from lambent_core.function import Function
from lambent_core.function_rules import SUPPORTED_RUNTIMES
from lambent_core.layers import LayerVersion

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SIZES = {
    "integer": ("minimum", "maximum"),
    "number": ("minimum", "maximum"),
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}
_UNITS = {
    ("minimum", "maximum"): "",
    ("minLength", "maxLength"): " characters",
    ("minItems", "maxItems"): " entries",
    ("minProperties", "maxProperties"): " entries",
}
_PLATFORM_MEMBERS = {("Function", "status"), ("LayerVersion", "status")} | {
    (structure, member)
    for structure in ("Metadata", "LayerVersionMetadata")
    for member in ("uid", "creationTimestamp", "resourceVersion", "generation")
}
_SOURCES = (function, layers, runtime_pools, resources)
_UNBOUND = Bound()


def manifest_schema(model: type[Function] | type[LayerVersion] = Function) -> Schema:
    """JSON Schema, draft 2020-12."""
    root, definitions = described(model)
    return {"$schema": DIALECT, "title": model.__name__, **root, "$defs": definitions}


def described(model: type[msgspec.Struct]) -> tuple[Schema, dict[str, Schema]]:
    """A reference to the model's schema, and the schemas of it and of all structures below, by name."""
    schemas, definitions = msgspec.json.schema_components([model], ref_template="#/$defs/{name}")
    for name, definition in definitions.items():
        for member, schema in definition.get("properties", {}).items():
            _put_bound(schema, BOUNDS.get((name, member), _UNBOUND))
            if (name, member) == ("FunctionSpec", "runtime"):
                schema["enum"] = [*SUPPORTED_RUNTIMES, None]
            if member in _descriptions().get(name, {}):
                schema["description"] = _descriptions()[name][member]
            if (name, member) in _PLATFORM_MEMBERS:
                schema["readOnly"] = True
    return schemas[0], definitions


def _put_bound(schema: Schema, bound: Bound) -> None:
    value: Schema = next((one for one in schema.get("anyOf", []) if one.get("type") != "null"), schema)
    kind = value.get("type", "")
    for key, size in zip(_SIZES.get(kind, ()), (bound.least, bound.most), strict=False):
        if size is not None:
            schema[key] = size
    if bound.pattern:
        pattern = f"({bound.pattern})" if "|" in bound.pattern else bound.pattern
        schema["pattern"] = f"^{pattern}$"
    if bound.items:
        _put_bound(value["items" if kind == "array" else "additionalProperties"], bound.items)
    if bound.keys:
        value["propertyNames"] = {"type": "string"}
        _put_bound(value["propertyNames"], bound.keys)


def referred(schema: Schema) -> str | None:
    """The name of the structure that a member is, or may be."""
    for candidate in (schema, *schema.get("anyOf", [])):
        if "$ref" in candidate:
            return str(candidate["$ref"]).rpartition("/")[2]
    return None


def limits_in_words(schema: Schema) -> Iterator[str]:
    """Sentences on what a member takes."""
    for (least, most), unit in _UNITS.items():
        bounds = [f"{schema[key]:,}" for key in (least, most) if key in schema]
        plural = unit if bounds[-1:] != ["1"] else unit.replace("entries", "entry")
        if len(bounds) == 2 and bounds[0] != "0":
            yield f"{bounds[0]} to {bounds[1]}{plural}."
        elif most in schema:
            yield f"{'0 to' if least in schema else 'At most'} {bounds[-1]}{plural}."
        elif least in schema:
            yield f"At least {bounds[0]}{plural}."


@cache
def _descriptions() -> dict[str, dict[str, str]]:
    """Texts that stand below fields in the model's source, by class and encoded member."""
    found: dict[str, dict[str, str]] = {}
    for source in _SOURCES:
        for statement in ast.parse(inspect.getsource(source)).body:
            if isinstance(statement, ast.ClassDef):
                inherited = [found.get(base.id, {}) for base in statement.bases if isinstance(base, ast.Name)]
                own = dict(_described_fields(statement))
                found[statement.name] = {name: text for one in (*inherited, own) for name, text in one.items()}
    return found


def _described_fields(of: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, text in zip(of.body, of.body[1:], strict=False):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(words))),
            ):
                yield _camel(name), inspect.cleandoc(words)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)
