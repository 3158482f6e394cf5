"""M1 and M2 over many documents: nothing is lost on the way out and in, and nothing makes the parser fall over."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from lambent_core import limits
from lambent_core.function import Code, Environment, Function, FunctionSpec, FunctionUrl, Metadata
from lambent_core.manifest import ManifestError, Problem, export, parse

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=40)
VARIABLES = st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9]{1,10}", fullmatch=True), TEXT, max_size=5)

SPECS = st.builds(
    FunctionSpec,
    function_name=st.none() | st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True),
    code=st.builds(Code, inline=TEXT) | st.builds(Code, path=TEXT) | st.just(Code(sha256="0f" * 32, size=9)),
    runtime=st.just("python3.11"),
    handler=st.just("app.handler"),
    description=TEXT,
    timeout=st.integers(1, limits.TIMEOUT_SECONDS_MAX),
    memory_size=st.integers(limits.MEMORY_MB_MIN, limits.MEMORY_MB_MAX),
    environment=st.none()
    | st.builds(Environment, variables=VARIABLES.map(lambda v: {f"U_{k}": x for k, x in v.items()})),
    tags=st.dictionaries(TEXT, TEXT, max_size=5),
    reserved_concurrent_executions=st.none() | st.integers(0, 900),
    url=st.none() | st.builds(FunctionUrl),
)

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))
MEMBERS = st.sampled_from([field.encode_name for field in msgspec.structs.fields(FunctionSpec)])


def attempt(content: object) -> Function | list[Problem]:
    """The function, or at least one problem."""
    try:
        return parse(content, source="f")
    except ManifestError as error:
        problems = error.problems
    assert problems
    return problems


@given(NAMES, SPECS)
def test_what_is_exported_is_read_back(name: str, spec: FunctionSpec) -> None:
    function = Function(metadata=Metadata(name=name), spec=spec)
    read = parse(export(function), source="f")
    code = Code(sha256=spec.code.sha256) if spec.code.sha256 else spec.code
    assert read == Function(metadata=Metadata(name=name), spec=msgspec.structs.replace(spec, code=code))


@given(st.dictionaries(MEMBERS | TEXT, VALUES, max_size=6))
def test_any_spec_is_read_or_refused_with_problems(spec: dict[str, Any]) -> None:
    content = {"apiVersion": "lambent.dev/v1", "kind": "Function", "metadata": {"name": "a"}, "spec": spec}
    outcome = attempt(content)
    assert isinstance(outcome, list) or parse(export(outcome), source="f") == outcome


@given(VALUES)
def test_any_document_is_refused_with_problems(content: Any) -> None:
    assert isinstance(attempt(content), list)
