"""Functions' names as callers write them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent_core import names
from lambent_core.caller import Caller
from lambent_core.errors import InvalidParameterValue, ResourceNotFound, ValidationFailed
from lambent_core.names import Target, parse_target, resource_name
from lambent_gateway.api.service_model import load_service_model

CALLER = Caller("123456789012", "us-east-1")
ARN = "arn:aws:lambda:us-east-1:123456789012:function:fn"
LAMBDA_NAMES = st.from_regex(r"[a-zA-Z0-9-_]{1,64}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "qualifier", "target"),
    [
        ("fn", None, Target("fn")),
        ("fn:1", None, Target("fn", "1")),
        ("fn", "live", Target("fn", "live")),
        ("fn:live", "live", Target("fn", "live")),
        ("fn:$LATEST", None, Target("fn", "$LATEST")),
        ("function:fn", None, Target("fn")),
        ("123456789012:function:fn", None, Target("fn")),
        ("123456789012:fn", None, Target("fn")),
        (ARN, None, Target("fn")),
        (f"{ARN}:live", None, Target("fn", "live")),
        ("arn:aws:lambda:us-east-1:123456789012:function", None, Target("function")),
    ],
)
def test_forms_of_a_name(text: str, qualifier: str | None, target: Target) -> None:
    assert parse_target(text, CALLER, qualifier) == target


def test_latest_is_no_qualifier_or_its_own() -> None:
    assert [Target("f", qualifier).latest for qualifier in (None, "$LATEST", "1")] == [True, True, False]


def test_another_regions_function_is_not_reachable() -> None:
    with pytest.raises(ResourceNotFound) as error:
        parse_target(ARN.replace("us-east-1", "eu-central-1"), CALLER)
    assert error.value.message == "Functions from 'eu-central-1' are not reachable in this region ('us-east-1')"


@pytest.mark.parametrize("qualifier", [None, "1"])
def test_another_accounts_function_is_not_found(qualifier: str | None) -> None:
    foreign = "arn:aws:lambda:us-east-1:999999999999:function:fn"
    with pytest.raises(ResourceNotFound) as error:
        parse_target(foreign, CALLER, qualifier)
    assert error.value.message == f"Function not found: {foreign}" + (f":{qualifier}" if qualifier else "")


def test_two_qualifiers_must_agree() -> None:
    with pytest.raises(InvalidParameterValue, match="derived qualifier from the function name does not match"):
        parse_target("fn:1", CALLER, "2")


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(ValidationFailed) as error:
        parse_target("f!" * 200, CALLER, "!" * 129)
    assert error.value.message.startswith("4 validation errors detected: Value 'f!")
    for constraint in ("less than or equal to 256", names.NAMESPACED_PATTERN, "equal to 128", names.QUALIFIER_PATTERN):
        assert constraint in error.value.message


@pytest.mark.parametrize(("name", "qualifier"), [("f", "!"), ("f", "q" * 129), ("f" * 257, None), ("f!", None)])
def test_one_thing_wrong_is_enough(name: str, qualifier: str | None) -> None:
    with pytest.raises(ValidationFailed, match=r"^1 validation error detected: "):
        parse_target(name, CALLER, qualifier)


@pytest.mark.parametrize(("name", "qualifier"), [("f" * 256, "q" * 128), ("f", "$latest")])
def test_the_longest_that_is_allowed(name: str, qualifier: str) -> None:
    assert parse_target(name, CALLER, qualifier) == Target(name, qualifier)


def test_patterns_are_the_service_models() -> None:
    shapes = load_service_model().shapes
    name, qualifier = shapes["NamespacedFunctionName"], shapes["NumericLatestPublishedOrAliasQualifier"]
    assert (name.pattern, name.max) == (names.NAMESPACED_PATTERN, names.NAMESPACED_LENGTH_MAX)
    assert (qualifier.pattern, qualifier.max) == (names.QUALIFIER_PATTERN, names.QUALIFIER_LENGTH_MAX)


@given(st.text(alphabet="arn:wslmbdfuctio-0123456789$LATEST._eg ", max_size=80))
def test_forms_take_what_the_models_pattern_takes(text: str) -> None:
    by_model = re.fullmatch(names.NAMESPACED_PATTERN, text, re.ASCII) is not None
    try:
        parse_target(text, CALLER)
        taken = True
    except ValidationFailed:
        taken = False
    except ResourceNotFound:
        taken = True
    assert taken == by_model


@pytest.mark.parametrize("name", ["fn", "my-fn", "f" * 63, "0"])
def test_a_dns_label_is_its_own_resource(name: str) -> None:
    assert resource_name(name) == name


@given(LAMBDA_NAMES)
def test_every_name_has_a_dns_label(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", resource_name(name))


@pytest.mark.parametrize(
    ("name", "readable"),
    [("My_Fn", "my-fn-"), ("__", "f-"), ("a" * 64, "a" * 54 + "-"), ("a" * 53 + "_b", "a" * 53 + "-")],
)
def test_a_derived_name_can_be_read(name: str, readable: str) -> None:
    derived = resource_name(name)
    assert re.fullmatch(re.escape(readable) + "[0-9a-f]{8}", derived)


@given(LAMBDA_NAMES, LAMBDA_NAMES)
def test_two_names_have_two_resources(one: str, other: str) -> None:
    assert (resource_name(one) == resource_name(other)) == (one == other)
