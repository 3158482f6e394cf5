from hypothesis import given
from hypothesis import strategies as st

from lambent_core.ownership import Ownership

MEMBERS = st.sets(st.sampled_from([f"gateway-{number}" for number in range(6)]), min_size=1)
FUNCTIONS = [f"function-{number}" for number in range(200)]


def among(members: set[str] | list[str], me: str = "me") -> Ownership:
    ownership = Ownership(me)
    ownership.change(dict.fromkeys(members, "address"))
    return ownership


@given(MEMBERS, st.randoms())
def test_everybody_names_the_same_owner(members: set[str], chance: object) -> None:
    one, other = among(sorted(members)), among(sorted(members, reverse=True), "other")
    assert [one.owner(name) for name in FUNCTIONS] == [other.owner(name) for name in FUNCTIONS], "O1"


@given(MEMBERS.filter(lambda members: len(members) > 1))
def test_a_member_that_goes_moves_only_its_own(members: set[str]) -> None:
    gone = min(members)
    before, after = among(members), among(members - {gone})
    for name in FUNCTIONS:
        assert before.owner(name) in (gone, after.owner(name)), "O2"


def test_gateways_of_two_releases_agree() -> None:
    """O1, while an upgrade replaces one gateway after the other: what names an owner stays as it was."""
    ownership = among(["gateway-0", "gateway-1", "gateway-2"])
    assert [ownership.owner(f"function-{number}")[-1] for number in range(6)] == ["1", "0", "0", "1", "2", "2"]


def test_functions_spread_over_all_members() -> None:
    owners = among(["a", "b"])
    shares = [sum(owners.owner(name) == member for name in FUNCTIONS) for member in "ab"]
    assert min(shares) > 70


def test_alone_a_gateway_owns_everything() -> None:
    ownership = Ownership("me")
    assert ownership.is_mine("f")
    assert ownership.change({"other": "1.2.3.4"})
    assert not ownership.is_mine("f")
    assert not ownership.change({"other": "1.2.3.4"})


def test_while_nobody_is_ready_functions_stay_where_they_were() -> None:
    ownership = among(["a", "b"])
    before = [ownership.owner(name) for name in FUNCTIONS]
    assert not ownership.change({})
    assert [ownership.owner(name) for name in FUNCTIONS] == before, "O3"
