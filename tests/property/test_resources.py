"""R1 to R3: documents go to Kubernetes and come back as they were, whatever else the API server and other versions write."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from lambent_core.function import Function
from lambent_core.layers import LayerVersion
from lambent_core.resources import RESOURCES, Object, UnreadableResource, from_resource, to_resource
from lambent_core.runtime_pools import RuntimePool
from lambent_core.versions import FunctionAlias, FunctionVersion

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=8)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)


def values(shape: inspect.Type) -> st.SearchStrategy[Any]:
    """Everything that a type of the model allows."""
    match shape:
        case inspect.StructType(cls=model):
            return structures(model)
        case inspect.DictType(value_type=member):
            return st.dictionaries(TEXT, values(member), max_size=2)
        case inspect.ListType(item_type=member):
            return st.lists(values(member), max_size=2)
        case inspect.UnionType(types=types):
            return st.one_of(*map(values, types))
        case inspect.LiteralType(values=choices):
            return st.sampled_from(choices)
        case inspect.StrType():
            return TEXT
        case inspect.IntType():
            return st.integers(-(2**63), 2**63 - 1)
        case inspect.FloatType():
            return st.floats(allow_nan=False, allow_infinity=False)
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.AnyType():
            return JSON
    raise AssertionError(f"no strategy for {shape}")


def structures(model: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    shape = inspect.type_info(model)
    assert isinstance(shape, inspect.StructType)
    return st.builds(model, **{field.name: values(field.type) for field in shape.fields})


def as_published(version: FunctionVersion) -> FunctionVersion:
    """What is in the status of a version is never about events: that is beside it."""
    status = msgspec.structs.replace(version.status, event_invoke_config_modified=None)
    return msgspec.structs.replace(version, status=status)


DOCUMENTS: st.SearchStrategy[Any] = st.one_of(
    structures(Function),
    structures(FunctionAlias),
    structures(FunctionVersion).map(as_published),
    structures(LayerVersion),
    structures(RuntimePool),
)


def stored(document: Any) -> Object:
    """As it comes out of the API server: through JSON."""
    resource: Object = msgspec.json.decode(msgspec.json.encode(to_resource(document)))
    return resource


@given(DOCUMENTS)
def test_a_document_comes_back_as_it_was(document: Any) -> None:
    assert from_resource(stored(document)) == document


@given(DOCUMENTS)
def test_a_resource_has_kubernetes_shape_alone(document: Any) -> None:
    resource = stored(document)
    assert resource.keys() <= {"apiVersion", "kind", "metadata", "spec", "status"}
    assert resource["metadata"]["namespace"] == document.metadata.namespace
    assert resource["kind"] in RESOURCES


@given(DOCUMENTS, st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), JSON))
def test_unknown_members_are_left_out(document: Any, unknown: dict[str, Any]) -> None:
    resource = stored(document)
    for part, value in unknown.items():
        resource[part] = {**resource.get(part, {}), "ofANewerVersion": value}
    assert from_resource(resource) == document


@given(DOCUMENTS, st.dictionaries(st.sampled_from(["state", "conditions", "environments", "ready", "code"]), JSON))
def test_no_status_makes_a_resource_unreadable(document: Any, status: dict[str, Any]) -> None:
    resource = stored(document)
    resource["status"] = {**resource.get("status", {}), **status}
    read = from_resource(resource)
    assert read.metadata == document.metadata
    if not isinstance(read, RuntimePool):
        assert getattr(read, "spec", None) == getattr(document, "spec", None)


@given(structures(Function), st.sampled_from(["timeout", "memorySize", "code", "layers", "url"]))
def test_a_spec_that_is_not_the_models_is_refused(function: Function, member: str) -> None:
    resource = stored(function)
    resource["spec"][member] = True
    with pytest.raises(UnreadableResource, match=member):
        from_resource(resource)
