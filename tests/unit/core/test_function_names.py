from __future__ import annotations

import msgspec

from lambent_core.function import Function, FunctionSpec, FunctionStatus, Metadata
from lambent_core.function_names import FunctionNames


def function(resource: str, made: str, name: str = "X") -> Function:
    metadata = Metadata(name=resource, uid=f"u-{resource}", creation_timestamp=made)
    return Function(metadata=metadata, spec=FunctionSpec(function_name=name))


def test_the_oldest_of_those_that_claim_a_name_has_it() -> None:
    """U1."""
    names, old, young = FunctionNames(), function("z", "2026-01-01"), function("a", "2026-01-02")
    names.changed(None, young)
    assert names.get("X") is young
    names.changed(None, old)
    other = function("b", "2026-01-03", "A")
    names.changed(None, other)
    assert names.get("X") is old and names.all() == [other, old]

    changed = function("a", "2026-01-02")
    names.changed(young, changed)
    assert names.get("X") is old
    names.changed(old, None)
    assert names.get("X") is changed
    names.changed(changed, None)
    assert names.get("X") is None and names.all() == [other]


def test_within_a_second_the_one_that_runs_keeps_its_name() -> None:
    """Uids tell nothing of age."""
    names, running, other = FunctionNames(), function("z", "2026-01-01"), function("a", "2026-01-01")
    running = msgspec.structs.replace(running, status=FunctionStatus(state="Active", code_revision=1))
    names.changed(None, other)
    names.changed(None, running)
    assert names.get("X") is running
