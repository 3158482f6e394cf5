"""
The JSON schema of the `Function` manifest, made from the model: names and defaults from its fields, descriptions from its
docstrings, bounds from `limits`.

    H1  the schema takes what the model and the limits take: no bound stands in two places
"""

from __future__ import annotations

import ast
import inspect
from typing import Any

import msgspec

from lambent_core import function, limits
from lambent_core.function import Function
from lambent_core.function_rules import SUPPORTED_RUNTIMES

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_BOUNDS: dict[tuple[str, str], dict[str, Any]] = {
    ("FunctionSpec", "functionName"): {"pattern": "^[a-zA-Z0-9-_]{1,64}$"},
    ("FunctionSpec", "runtime"): {"enum": [*SUPPORTED_RUNTIMES, None]},
    ("FunctionSpec", "handler"): {"maxLength": 128},
    ("FunctionSpec", "description"): {"maxLength": 256},
    ("FunctionSpec", "timeout"): {"minimum": 1, "maximum": limits.TIMEOUT_SECONDS_MAX},
    ("FunctionSpec", "memorySize"): {"minimum": limits.MEMORY_MB_MIN, "maximum": limits.MEMORY_MB_MAX},
    ("FunctionSpec", "layers"): {"maxItems": limits.LAYERS_MAX},
    ("FunctionSpec", "tags"): {"maxProperties": limits.TAGS_MAX},
    ("FunctionSpec", "reservedConcurrentExecutions"): {"minimum": 0},
    ("EphemeralStorage", "size"): {
        "minimum": limits.EPHEMERAL_STORAGE_MB_MIN,
        "maximum": limits.EPHEMERAL_STORAGE_MB_MAX,
    },
    ("EventInvokeConfig", "maximumRetryAttempts"): {"minimum": 0, "maximum": limits.RETRIES_MAX},
    ("EventInvokeConfig", "maximumEventAgeInSeconds"): {
        "minimum": limits.EVENT_AGE_SECONDS_MIN,
        "maximum": limits.EVENT_AGE_SECONDS_MAX,
    },
    ("Code", "sha256"): {"pattern": "^[0-9a-f]{64}$"},
    ("Metadata", "name"): {"pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"},
}
_PLATFORM_MEMBERS = {
    ("Function", "status"),
    ("Metadata", "uid"),
    ("Metadata", "creationTimestamp"),
    ("Metadata", "resourceVersion"),
}


def manifest_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12."""
    schemas, definitions = msgspec.json.schema_components([Function], ref_template="#/$defs/{name}")
    described = _descriptions()
    for name, definition in definitions.items():
        members = definition.get("properties", {})
        for member, schema in members.items():
            schema |= _BOUNDS.get((name, member), {})
            if member in described.get(name, {}):
                schema["description"] = described[name][member]
            if (name, member) in _PLATFORM_MEMBERS:
                schema["readOnly"] = True
    return {"$schema": DIALECT, "title": "Function", **schemas[0], "$defs": definitions}


def _descriptions() -> dict[str, dict[str, str]]:
    """Texts that stand below fields in the model's source, by class and encoded member."""
    found: dict[str, dict[str, str]] = {}
    for statement in ast.parse(inspect.getsource(function)).body:
        if isinstance(statement, ast.ClassDef):
            found[statement.name] = dict(_described_fields(statement))
    return found


def _described_fields(of: ast.ClassDef) -> list[tuple[str, str]]:
    fields = []
    for field, text in zip(of.body, of.body[1:], strict=False):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(words))),
            ):
                fields.append((_camel(name), inspect.cleandoc(words)))
    return fields


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)
