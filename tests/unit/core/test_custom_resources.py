"""The custom resource definitions against the model (X1, X2). What they mean to an API server: tests/cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from lambent_core.custom_resources import custom_resource_definitions
from lambent_core.function_rules import RESERVED_VARIABLES
from lambent_core.resources import RESOURCES, from_resource
from lambent_core.schema import Schema
from tests.custom_resources import FOLDER, files

DEFINITIONS = custom_resource_definitions()
FUNCTION = {"code": {"sha256": "ab" * 32}}
MINIMAL: dict[str, Schema] = {
    "functions": FUNCTION,
    "functionversions": {"functionName": "hello", "version": 1, "function": FUNCTION, "eventInvokeConfig": {}},
    "functionaliases": {"functionName": "hello", "name": "live", "functionVersion": "1", "url": {}},
    "layerversions": {"layerName": "hello", "version": 1, "code": {"sha256": "ab" * 32}},
    "runtimepools": {"runtimes": ["python3.11"], "image": "i", "command": ["c"]},
}


def schema_of(plural: str) -> Schema:
    found: Schema = DEFINITIONS[plural]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """A schema and all below it, but for what Kubernetes itself says of metadata."""
    yield path, schema
    for member, below in schema.get("properties", {}).items():
        if f"{path}.{member}" != ".metadata":
            yield from nodes(below, f"{path}.{member}")
    for element in ("items", "additionalProperties"):
        if element in schema:
            yield from nodes(schema[element], f"{path}[]")


NODES = [(plural, path, schema) for plural in DEFINITIONS for path, schema in nodes(schema_of(plural))]
RULES = [
    (f"{plural}{path}", schema, rule)
    for plural, path, schema in NODES
    for rule in schema.get("x-kubernetes-validations", [])
]


def at(plural: str, path: str) -> Schema:
    return next(schema for kind, place, schema in NODES if (kind, place) == (plural, path))


def with_defaults(schema: Schema, value: Any) -> Any:
    """What the API server makes of a value."""
    if not isinstance(value, dict):
        return value
    members = schema.get("properties", {})
    given = {name: below["default"] for name, below in members.items() if "default" in below} | value
    return {name: with_defaults(members.get(name, {}), inner) for name, inner in given.items()}


def test_the_chart_has_what_the_model_says() -> None:
    assert {path: path.read_text() for path in FOLDER.iterdir()} == files(), "run: make docs"


def test_every_member_says_what_it_means() -> None:
    told = [
        (plural, path) for plural, path, schema in NODES if not path.endswith("[]") and not schema.get("description")
    ]
    assert told == []


def test_every_member_has_a_type() -> None:
    untyped = [path for _, path, schema in NODES if "type" not in schema and "x-kubernetes-int-or-string" not in schema]
    assert set(untyped) == {".spec.code.inline", ".spec.function.code.inline", ".status.code.inline"}


@pytest.mark.parametrize("plural", DEFINITIONS)
def test_defaults_are_the_models(plural: str) -> None:
    """X2: what the API server writes into a resource changes nothing of what it means."""
    kind = DEFINITIONS[plural]["spec"]["names"]["kind"]
    resource = {"kind": kind, "metadata": {"name": "hello.1"}, "spec": MINIMAL[plural]}
    filled = with_defaults(schema_of(plural), resource)
    assert from_resource(filled) == from_resource(resource)


@pytest.mark.parametrize("plural", DEFINITIONS)
def test_members_are_the_models(plural: str) -> None:
    """X1, and nothing is pruned that the model can read."""

    def members(model: Any) -> dict[str, Any]:
        return {field.encode_name: field.type for field in msgspec.structs.fields(model)}

    resource = members(RESOURCES[DEFINITIONS[plural]["spec"]["names"]["kind"]])
    for part in ("spec", "status"):
        assert list(schema_of(plural)["properties"][part]["properties"]) == list(members(resource[part]))


def test_what_might_be_left_empty_belongs_to_one_manager_as_a_whole() -> None:
    """Of `spec`, unless defaults fill it."""
    objects = [one for one in NODES if one[1].startswith(".spec.") and one[2].get("type") == "object"]
    whole = [(plural, path) for plural, path, schema in objects if schema.get("x-kubernetes-map-type") == "atomic"]
    for plural, path, schema in objects:
        within = any(plural == kind and path.startswith(f"{other}.") for kind, other in whole)
        filled = any("default" in below for _, below in nodes(schema))
        assert filled or within or (plural, path) in whole or "[" in path, f"{plural}{path}"


def test_what_the_platform_writes_has_no_rules() -> None:
    ruled = [path for place, _, _ in RULES if ".status" in (path := place)]
    defaulted = [path for _, path, schema in NODES if path.startswith(".status") and "default" in schema]
    assert (ruled, defaulted) == ([], [])


@pytest.mark.parametrize(("place", "schema", "rule"), RULES, ids=lambda value: value if isinstance(value, str) else "")
def test_rules_say_what_is_wrong_and_where(place: str, schema: Schema, rule: Schema) -> None:
    assert 10 < len(rule["message"]) <= 2_048 and "\n" not in rule["message"]
    at = schema
    for member in rule.get("fieldPath", "").split(".")[1:]:
        at = at["properties"][member]
    used = re.findall(r"(?:self|oldSelf)\.(\w+)\b(?!\()", rule["rule"])
    assert set(used) <= {*schema.get("properties", {}), "metadata"}


@pytest.mark.parametrize("plural", ["functions", "functionversions", "functionaliases", "layerversions"])
def test_a_wrong_name_is_told(plural: str) -> None:
    told = [rule.get("messageExpression", "") for place, _, rule in RULES if place == plural]
    assert "'metadata.name: ' + self.metadata.name + ' is not " in told[0]


@pytest.mark.parametrize(
    ("plural", "path"),
    [
        ("functions", ".spec.pod.serviceAccountName"),
        ("functions", ".spec.pod.runtimeClassName"),
        ("functions", ".spec.pod.envFrom[].secretRef.name"),
        ("functions", ".spec.pod.envFrom[].configMapRef.name"),
        ("functions", ".spec.pod.imagePullSecrets[]"),
        ("runtimepools", ".spec.imagePullSecrets[]"),
        ("runtimepools", ".spec.runtimeClassName"),
    ],
)
def test_names_of_other_objects_are_dns_subdomains(plural: str, path: str) -> None:
    schema = at(plural, path)
    assert (schema["minLength"], schema["maxLength"]) == (1, 253)
    taken = {"a", "a-b", "a.b-c.0", "a" * 253}
    refused = {"Not Valid", "A", "-a", "a-", ".a", "a.", "a..b", "a.-b", "a_b", ""}
    assert {name for name in taken | refused if re.search(schema["pattern"], name)} == taken


def test_the_image_of_a_pool_has_an_images_name() -> None:
    assert at("runtimepools", ".spec.image")["pattern"] == at("functions", ".spec.code.imageUri")["pattern"]


def test_an_alias_names_a_version_that_there_may_be() -> None:
    pattern = at("functionaliases", ".spec.functionVersion")["pattern"]
    assert pattern == r"^(\$LATEST|[1-9][0-9]*)$"
    weights = at("functionaliases", ".spec.routingConfig.additionalVersionWeights")["x-kubernetes-validations"]
    assert "^([1-9][0-9]*)$" in weights[0]["rule"]


def test_each_reserved_variable_is_refused_by_name() -> None:
    told = [rule["message"] for place, _, rule in RULES if place == "functions.spec.environment.variables"]
    found = {name for message in told if (name := message.rpartition(": ")[2]) in RESERVED_VARIABLES}
    assert found == RESERVED_VARIABLES


@pytest.mark.parametrize("plural", DEFINITIONS)
def test_paths_of_columns_and_scale_are_members(plural: str) -> None:
    version = DEFINITIONS[plural]["spec"]["versions"][0]
    paths = [column["jsonPath"] for column in version["additionalPrinterColumns"]]
    paths += version["subresources"].get("scale", {}).values()
    paths += [field["jsonPath"] for field in version.get("selectableFields", [])]
    known = {path for path, _ in nodes(schema_of(plural))} | {".metadata.creationTimestamp"}
    assert {re.sub(r"\[\?.*?\]", "[]", path) for path in paths} <= known
