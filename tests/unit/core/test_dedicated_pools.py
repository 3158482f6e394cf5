"""Names of pools of one function (N1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent_core.dedicated_pools import DedicatedPool, parse
from lambent_core.image_references import PATTERN

PARTS = st.from_regex(r"[a-z0-9]+", fullmatch=True)


@given(st.builds(DedicatedPool, PARTS, PARTS, st.none() | st.from_regex(PATTERN, fullmatch=True)))
def test_a_name_is_read_back(pool: DedicatedPool) -> None:
    assert parse(str(pool)) == pool


def test_how_they_look() -> None:
    assert str(DedicatedPool("hello", "4")) == "function/hello/4"
    assert str(DedicatedPool("hello", "4", "r.example.com/fn:1")) == "function/hello/4/r.example.com/fn:1"


@pytest.mark.parametrize("name", ["python3.11", "function", "function/hello", "function//4", "functions/hello/4", ""])
def test_others_are_none(name: str) -> None:
    assert parse(name) is None
