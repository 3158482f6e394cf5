"""That what is written to a resource makes the other document of it, whichever way it is written."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lambent_gateway.stores.kubernetes_writes import ATOMIC_MEMBERS, additions, difference, overlaid

Object = dict[str, Any]
NAMES = st.sampled_from(["code", "environment", "timeout", "variables"])
VALUES = st.integers(0, 3) | st.lists(st.integers(0, 2), max_size=2)
OBJECTS = st.recursive(VALUES, lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=8)
PARTS = st.dictionaries(NAMES, OBJECTS, max_size=4)


def merged(thing: Object, patch: Object) -> Object:
    """RFC 7396."""
    result = {name: value for name, value in thing.items() if name not in patch}
    for name, value in patch.items():
        old = thing.get(name)
        if isinstance(value, dict):
            result[name] = merged(old if isinstance(old, dict) else {}, value)
        elif value is not None:
            result[name] = value
    return result


@given(PARTS, PARTS)
def test_a_merge_patch_makes_one_of_the_other(before: Object, after: Object) -> None:
    patch = difference(before, after)
    assert merged(before, patch) == after
    assert (patch == {}) == (before == after)


@given(PARTS, PARTS)
def test_what_is_applied_does_too_or_something_goes(before: Object, after: Object) -> None:
    """P1, P2: and it names nothing that stays as it is."""
    added = additions(before, after)
    if added is None:
        assert missing(before, after)
    else:
        assert overlaid(before, added) == after
        assert not same(before, added)


def missing(before: Object, after: Object) -> bool:
    """A member goes, at any depth but in what is replaced as a whole."""
    if before.keys() - after.keys():
        return True
    both = [(before[name], after[name]) for name in before.keys() & after.keys() if name not in ATOMIC_MEMBERS]
    return any(isinstance(one, dict) and isinstance(other, dict) and missing(one, other) for one, other in both)


def same(before: Object, added: Object) -> bool:
    """A member of what is added is there already."""
    both = [(name, before[name], added[name]) for name in before.keys() & added.keys()]
    return any(
        one == other
        or (isinstance(one, dict) and isinstance(other, dict) and name not in ATOMIC_MEMBERS and same(one, other))
        for name, one, other in both
    )
