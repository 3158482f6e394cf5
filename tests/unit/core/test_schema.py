"""The manifest's JSON schema against the model and the limits (H1)."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from lambent_core import limits, manifest
from lambent_core.function import Function, FunctionSpec
from lambent_core.schema import manifest_schema

SCHEMA = manifest_schema()
MANIFEST: dict[str, Any] = {
    "apiVersion": "lambent.dev/v1",
    "kind": "Function",
    "metadata": {"name": "fn"},
    "spec": {"runtime": "python3.11", "handler": "app.handler", "code": {"sha256": "ab" * 32}},
}


def member(path: str) -> dict[str, Any]:
    """The schema of `spec.ephemeralStorage.size` and the like."""
    definition = SCHEMA["$defs"]["Function"]
    found: dict[str, Any] = {}
    for name in path.split("."):
        found = definition["properties"][name]
        reference = found.get("$ref") or next((one["$ref"] for one in found.get("anyOf", []) if "$ref" in one), None)
        if reference:
            definition = SCHEMA["$defs"][reference.rpartition("/")[2]]
    return found


def test_every_field_of_the_model_is_a_property() -> None:
    fields = [field.encode_name for field in msgspec.structs.fields(FunctionSpec)]
    assert list(SCHEMA["$defs"]["FunctionSpec"]["properties"]) == fields
    assert SCHEMA["$ref"] == "#/$defs/Function"
    assert SCHEMA["$defs"]["Function"]["additionalProperties"] is False


@pytest.mark.parametrize(
    ("path", "bounds"),
    [
        (
            "spec.timeout",
            {
                "default": 3,
                "minimum": 1,
                "maximum": limits.TIMEOUT_SECONDS_MAX,
                "description": "Seconds that an invocation may take.",
            },
        ),
        ("spec.memorySize", {"default": 128, "minimum": limits.MEMORY_MB_MIN, "maximum": limits.MEMORY_MB_MAX}),
        (
            "spec.ephemeralStorage.size",
            {"default": 512, "minimum": limits.EPHEMERAL_STORAGE_MB_MIN, "maximum": limits.EPHEMERAL_STORAGE_MB_MAX},
        ),
        ("spec.layers", {"maxItems": limits.LAYERS_MAX}),
        ("spec.tags", {"maxProperties": limits.TAGS_MAX}),
        ("spec.eventInvokeConfig.maximumRetryAttempts", {"minimum": 0, "maximum": limits.RETRIES_MAX}),
        (
            "spec.eventInvokeConfig.maximumEventAgeInSeconds",
            {"minimum": limits.EVENT_AGE_SECONDS_MIN, "maximum": limits.EVENT_AGE_SECONDS_MAX},
        ),
        ("spec.code.size", {"description": "Bytes of the ZIP."}),
        ("status", {"readOnly": True}),
        ("metadata.uid", {"readOnly": True}),
    ],
)
def test_bounds_and_descriptions(path: str, bounds: dict[str, Any]) -> None:
    found = member(path)
    assert {name: found.get(name) for name in bounds} == bounds


def _edges() -> list[tuple[str, int, bool]]:
    edges = []
    for path in (
        "spec.timeout",
        "spec.memorySize",
        "spec.ephemeralStorage.size",
        "spec.eventInvokeConfig.maximumRetryAttempts",
        "spec.eventInvokeConfig.maximumEventAgeInSeconds",
    ):
        schema = member(path)
        least, most = schema["minimum"], schema["maximum"]
        edges += [(path, least, True), (path, most, True), (path, least - 1, False), (path, most + 1, False)]
    return edges


@pytest.mark.parametrize(("path", "value", "taken"), _edges())
def test_the_manifest_takes_what_the_schema_takes(path: str, value: int, taken: bool) -> None:
    first, *names, last = path.split(".")
    document = msgspec.json.decode(msgspec.json.encode(MANIFEST))
    place = document[first]
    for name in names:
        place = place.setdefault(name, {})
    place[last] = value
    if taken:
        manifest.parse(document, source="test")
    else:
        with pytest.raises(manifest.ManifestError, match=re.escape(path)):
            manifest.parse(document, source="test")


def test_patterns_take_good_names() -> None:
    assert re.search(member("metadata.name")["pattern"], "my-fn")
    assert not re.search(member("metadata.name")["pattern"], "My_Fn")
    assert re.search(member("spec.functionName")["pattern"], "My_Fn")
    assert re.search(member("spec.code.sha256")["pattern"], "ab" * 32)


def test_the_example_is_a_function() -> None:
    assert isinstance(manifest.parse(MANIFEST, source="test"), Function)
