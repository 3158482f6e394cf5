"""G1-G3 and G7 over all histories of changes, by whomever."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from lambent_core import deployment, generations
from lambent_core.function import Code, Function, FunctionSpec, Metadata
from lambent_core.generations import Problem

PACKAGES = [Code(sha256=letter * 64, size=1, unzipped_size=unzipped) for letter in "ab" for unzipped in (None, 2)]
"""Of the API, which measures them, and of others, who don't."""
OUTCOMES = st.sampled_from([*PACKAGES, Problem("InvalidZipFileException", "not a ZIP")])
MADE_OF = st.fixed_dictionaries({"timeout": st.integers(1, 3), "description": st.sampled_from(["", "words"])})
BESIDE = st.fixed_dictionaries({}, optional={"tags": st.just({"a": "b"}), "idle_seconds": st.integers(1, 2)})
OF_THE_API: dict[str, dict[str, Any]] = {
    "nothing": {},
    "beside": {"tags": {"c": "d"}},
    "configuration": {"timeout": 2},
    "code": {"code": Code(sha256="c" * 64, size=1, unzipped_size=2)},
}
"""What the gateway itself writes then."""
CHANGES = st.lists(st.tuples(MADE_OF, BESIDE, OUTCOMES, st.sampled_from([*OF_THE_API])), min_size=1, max_size=8)


@given(CHANGES)
def test_any_history(changes: list[tuple[dict[str, Any], dict[str, Any], Code | Problem, str]]) -> None:
    function = Function(metadata=Metadata(name="fn", uid="u"), spec=FunctionSpec(handler="app.handler"))
    made_of: tuple[dict[str, Any], str | None] | None = None
    for number, (members, beside, outcome, own) in enumerate(changes, 1):
        before = function
        function = at_generation(
            2 * number - 1,
            msgspec.structs.replace(before, spec=FunctionSpec(handler="app.handler", **members, **beside)),
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
        if own == "nothing":
            continue
        function = written_by_the_gateway(settled, 2 * number, **OF_THE_API[own])
        now = function.status
        if own == "beside":  # the code: nothing to bring about
            assert not generations.is_foreign(function)
            assert now == msgspec.structs.replace(status, observed_generation=2 * number)
        elif isinstance(outcome, Problem) and status.code in (None, OF_THE_API[own].get("code", status.code)):
            assert generations.is_foreign(function), "G7"
            assert (now.code, now.code_revision) == (status.code, status.code_revision), "G3"
        else:
            assert not generations.is_foreign(function)
            assert now.code == OF_THE_API[own].get("code", status.code)
            assert made_of is not None and now.code is not None
            made_of = (members | {"timeout": function.spec.timeout}, now.code.sha256)


def at_generation(generation: int, function: Function) -> Function:
    return msgspec.structs.replace(function, metadata=msgspec.structs.replace(function.metadata, generation=generation))


def written_by_the_gateway(before: Function, generation: int, **members: Any) -> Function:
    """What comes of it is stored, with the resource's own code, and settled where it is the gateway's alone."""
    seen = generations.seen(before)
    spec = msgspec.structs.replace(seen.spec, **members)
    if members.keys() & {"timeout", "code"}:
        written = deployment.changed(seen, spec, arn="arn", revision_id="own", now=0.0)
    else:
        written = deployment.amended(seen, spec, now=0.0)
    noted = generations.noted(written, before.status, generation=generation, url=None)
    stored = at_generation(
        generation, msgspec.structs.replace(noted, spec=msgspec.structs.replace(spec, code=before.spec.code))
    )
    own = deployment.is_unsettled(stored) and not generations.is_foreign(stored)
    return deployment.settled(stored, None, revision_id="settled") if own else stored
