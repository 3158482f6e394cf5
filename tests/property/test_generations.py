"""G1-G3 over all histories of changes, by whomever."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from lambent_core import generations
from lambent_core.function import Code, Function, FunctionSpec, Metadata
from lambent_core.generations import Problem

PACKAGES = [Code(sha256=letter * 64, size=1, unzipped_size=unzipped) for letter in "ab" for unzipped in (None, 2)]
"""Of the API, which measures them, and of others, who don't."""
OUTCOMES = st.sampled_from([*PACKAGES, Problem("InvalidZipFileException", "not a ZIP")])
MADE_OF = st.fixed_dictionaries({"timeout": st.integers(1, 3), "description": st.sampled_from(["", "words"])})
BESIDE = st.fixed_dictionaries({}, optional={"tags": st.just({"a": "b"}), "idle_seconds": st.integers(1, 2)})
CHANGES = st.lists(st.tuples(MADE_OF, BESIDE, OUTCOMES, st.booleans()), min_size=1, max_size=8)


@given(CHANGES)
def test_any_history(changes: list[tuple[dict[str, Any], dict[str, Any], Code | Problem, bool]]) -> None:
    function = Function(metadata=Metadata(name="fn", uid="u"), spec=FunctionSpec(handler="app.handler"))
    made_of: tuple[dict[str, Any], str | None] | None = None
    for number, (members, beside, outcome, by_gateway) in enumerate(changes, 1):
        before = function
        function = msgspec.structs.replace(
            before,
            metadata=msgspec.structs.replace(before.metadata, generation=number),
            spec=FunctionSpec(handler="app.handler", **members, **beside),
        )
        assert generations.is_foreign(function)
        settled = generations.brought_about(function, outcome, url=None, revision_id=f"r{number}", now=0.0)
        status = settled.status

        assert not generations.is_foreign(settled), "G1"
        assert settled.spec == function.spec, "the user's part stays the user's"
        assert generations.seen(settled).spec.code == (status.code or Code())
        if isinstance(outcome, Problem):
            assert status.last_update_status == "Failed", "G1"
            assert status.state == ("Failed" if made_of is None else "Active")
            assert (status.code, status.code_revision) == (before.status.code, before.status.code_revision), "G3"
        else:
            assert (status.state, status.last_update_status) == ("Active", "Successful"), "G1"
            anew = status.code_revision != before.status.code_revision
            assert anew == ((members, outcome.sha256) != made_of), "G2"
            assert status.code_revision == before.status.code_revision + anew
            made_of = (members, outcome.sha256)
        function = settled
        if by_gateway:  # something beside the code: its own doing, and nothing to bring about
            function = generations.noted(settled, generation=number, url="http://u")
            assert not generations.is_foreign(function)
            assert function.status.code == settled.status.code
