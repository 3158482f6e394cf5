"""Names of pools of one function (N1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent_core.dedicated_pools import DedicatedPool, parse, revision_of
from lambent_core.image_references import PATTERN

PARTS = st.from_regex(r"[a-z0-9]+", fullmatch=True)


@given(st.builds(DedicatedPool, PARTS, PARTS, st.none() | st.from_regex(PATTERN, fullmatch=True)))
def test_a_name_is_read_back(pool: DedicatedPool) -> None:
    assert parse(str(pool)) == pool


def test_how_they_look() -> None:
    assert str(DedicatedPool("hello", "4")) == "function/hello/4"
    assert str(DedicatedPool("hello", "4", "r.example.com/fn:1")) == "function/hello/4/r.example.com/fn:1"


@given(PARTS, st.integers(1, 9_999), st.integers(0, 9_999))
def test_a_name_says_which_version_it_is_of(function: str, number: int, code_revision: int) -> None:
    """So no version has a pool with another, nor with `$LATEST`."""
    of_version = parse(str(DedicatedPool(function, revision_of(str(number), code_revision))))
    of_latest = parse(str(DedicatedPool(function, revision_of("$LATEST", code_revision))))
    assert of_version is not None and of_version.version == str(number)
    assert of_latest is not None and of_latest.version is None and of_latest.revision == str(code_revision)


def test_how_those_of_versions_look() -> None:
    assert (
        str(DedicatedPool("hello", revision_of("7", 0), "r.example.com/fn:1")) == "function/hello/v7/r.example.com/fn:1"
    )
    assert str(DedicatedPool("hello", revision_of("$LATEST", 4))) == "function/hello/4"


@pytest.mark.parametrize("name", ["python3.11", "function", "function/hello", "function//4", "functions/hello/4", ""])
def test_others_are_none(name: str) -> None:
    assert parse(name) is None
