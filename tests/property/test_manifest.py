"""M1 and M2 over many documents: nothing is lost on the way out and in, and nothing makes the parser fall over."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from lambent_core import limits
from lambent_core.function import (
    Code,
    Environment,
    FoundImage,
    Function,
    FunctionSpec,
    FunctionUrl,
    ImageConfig,
    Metadata,
)
from lambent_core.images import without_findings
from lambent_core.layer_names import document_name
from lambent_core.layers import LayerCode, LayerVersion, LayerVersionMetadata, LayerVersionSpec, LayerVersionStatus
from lambent_core.manifest import (
    ManifestError,
    Problem,
    export,
    export_layer_version,
    parse,
    parse_any,
    parse_layer_version,
)

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=40)
FILES = st.dictionaries(st.from_regex(r"([a-z]{1,5}/){0,2}[a-z]{1,5}\.py", fullmatch=True), TEXT, max_size=3)
VARIABLES = st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9]{1,10}", fullmatch=True), TEXT, max_size=5)

SPECS = st.builds(
    FunctionSpec,
    function_name=st.none() | st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True),
    code=st.builds(Code, inline=TEXT | FILES) | st.builds(Code, path=TEXT) | st.just(Code(sha256="0f" * 32, size=9)),
    runtime=st.just("python3.11"),
    handler=st.just("app.handler"),
    description=TEXT,
    timeout=st.integers(1, limits.TIMEOUT_SECONDS_MAX),
    memory_size=st.integers(limits.MEMORY_MB_MIN, limits.MEMORY_MB_MAX),
    environment=st.none()
    | st.builds(Environment, variables=VARIABLES.map(lambda v: {f"U_{k}": x for k, x in v.items()})),
    tags=st.dictionaries(TEXT.filter(bool), TEXT, max_size=5),
    reserved_concurrent_executions=st.none() | st.integers(0, 900),
    url=st.none() | st.builds(FunctionUrl),
)

LAYER_MEMBERS = st.fixed_dictionaries(
    {
        "code": st.builds(LayerCode, inline=FILES)
        | st.builds(LayerCode, path=TEXT)
        | st.just(LayerCode(sha256="0f" * 32)),
        "description": TEXT,
        "compatible_runtimes": st.none() | st.lists(st.sampled_from(["python3.11", "nodejs12.x"]), max_size=3),
        "compatible_architectures": st.none() | st.lists(st.sampled_from(["arm64", "x86_64"]), max_size=2),
        "license_info": st.none() | TEXT,
    }
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))
MEMBERS = st.sampled_from([field.encode_name for field in msgspec.structs.fields(FunctionSpec)])


def attempt(content: object) -> Function | LayerVersion | list[Problem]:
    """What it describes, or at least one problem."""
    try:
        return parse_any(content, source="f")
    except ManifestError as error:
        problems = error.problems
    assert problems
    return problems


WORDS = st.lists(TEXT, max_size=3)
IMAGES = st.builds(
    FunctionSpec,
    package_type=st.just("Image"),
    code=st.builds(
        Code,
        image_uri=st.sampled_from(["fn", "localhost:5000/fn:1", "registry.example.com/fn@sha256:" + "0f" * 32]),
        image=st.none()
        | st.builds(FoundImage, digest=st.just("sha256:" + "0f" * 32), entry_point=WORDS, command=WORDS),
    ),
    image_config=st.none()
    | st.builds(ImageConfig, entry_point=WORDS, command=WORDS, working_directory=st.none() | TEXT),
)


@given(NAMES, SPECS | IMAGES)
def test_what_is_exported_is_read_back(name: str, spec: FunctionSpec) -> None:
    function = Function(metadata=Metadata(name=name), spec=spec)
    read = parse(export(function), source="f")
    code = Code(sha256=spec.code.sha256) if spec.code.sha256 else without_findings(spec.code)
    assert read == Function(metadata=Metadata(name=name), spec=msgspec.structs.replace(spec, code=code))


@given(st.from_regex(r"[a-zA-Z0-9_-]{1,140}", fullmatch=True), st.integers(1, 10**10 - 1), LAYER_MEMBERS)
def test_a_layer_version_that_is_exported_is_read_back(layer: str, number: int, members: dict[str, Any]) -> None:
    spec = LayerVersionSpec(layer_name=layer, version=number, **members)
    version = LayerVersion(metadata=LayerVersionMetadata(name=document_name(layer, number)), spec=spec)
    status = LayerVersionStatus(state="Deleted")
    exported = export_layer_version(msgspec.structs.replace(version, status=status))
    assert parse_layer_version(exported, source="f") == version
    assert parse_any(exported, source="f") == version


@given(st.dictionaries(MEMBERS | TEXT, VALUES, max_size=6))
def test_any_spec_is_read_or_refused_with_problems(spec: dict[str, Any]) -> None:
    content = {"apiVersion": "lambent.dev/v1", "kind": "Function", "metadata": {"name": "a"}, "spec": spec}
    outcome = attempt(content)
    assert not isinstance(outcome, Function) or parse(export(outcome), source="f") == outcome


@given(st.dictionaries(st.sampled_from(["layerName", "version", "code"]) | TEXT, VALUES, max_size=6))
def test_any_layers_spec_is_read_or_refused_with_problems(spec: dict[str, Any]) -> None:
    content = {"apiVersion": "lambent.dev/v1", "kind": "LayerVersion", "metadata": {"name": "a.1"}, "spec": spec}
    assert isinstance(attempt(content), LayerVersion | list)


@given(VALUES)
def test_any_document_is_refused_with_problems(content: Any) -> None:
    assert isinstance(attempt(content), list)
