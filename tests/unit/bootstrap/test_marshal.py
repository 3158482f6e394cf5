"""The bootstrap's JSON against the official encoder's, value by value."""

from __future__ import annotations

import collections
import decimal
import enum
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lambent_runtime.errors import Fault
from lambent_runtime.marshal import Marshaller

OLD, NEW = "AWS_Lambda_python3.11", "AWS_Lambda_python3.13"
Point = collections.namedtuple("Point", "x y")


class Color(enum.IntEnum):
    RED = 3


class Dictlike:
    def _asdict(self) -> dict[str, int]:
        return {"a": 1}


@pytest.fixture(params=[OLD, NEW])
def environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_EXECUTION_ENV", request.param)
    return str(request.param)


def official(value: object) -> str:
    marshaller = pytest.importorskip("awslambdaric.lambda_runtime_marshaller")
    return str(marshaller.to_json(value))


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, True, 'ü\u2028\x00"\\/😀']},
        decimal.Decimal("1.10"),
        [decimal.Decimal("1E+3"), decimal.Decimal("-NaN"), decimal.Decimal("12345678901234567890.5")],
        Point(1, [Point(2, (3,))]),
        {"p": (Point(1, 2), b"x")},
        [b"bytes", {b"key": "ü"}],
        {7: 2, 1.5: 3, None: 4, True: 5, "s": decimal.Decimal(1)},
        [math.inf, -math.inf, 1e300, -0.0, decimal.Decimal(0)],
        [Color.RED, decimal.Decimal(1)],
        [Dictlike(), []],
        [{}, [], (), decimal.Decimal(2)],
        2**100,
    ],
    ids=lambda value: type(value).__name__,
)
def test_as_the_official_encoder(value: object, environment: str) -> None:
    assert Marshaller(environment).text(value) == official(value)


def test_not_a_number(environment: str) -> None:
    assert Marshaller(environment).text([math.nan, decimal.Decimal("NaN")]) == official(
        [math.nan, decimal.Decimal("NaN")]
    )


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, {(1, 2): 3}, [b"\xff"], [decimal.Decimal(1), object()], {"b": b"", (): 1}],
    ids=lambda value: type(value).__name__,
)
def test_refused_in_the_same_words(value: object, environment: str) -> None:
    with pytest.raises(Exception) as theirs:
        official(value)
    with pytest.raises(Fault) as ours:
        Marshaller(environment).dump(value)
    assert ours.value.error_type == "Runtime.MarshalError"
    assert ours.value.message == f"Unable to marshal response: {theirs.value}"


@pytest.mark.parametrize("extra", [None, decimal.Decimal(1)], ids=["standard path", "own path"])
def test_a_circle(extra: object) -> None:
    value: list[Any] = [extra]
    value.append(value)
    with pytest.raises(Fault, match="Unable to marshal response: Circular reference detected"):
        Marshaller(NEW).dump(value)


def test_bytes_are_not_marshalled() -> None:
    assert Marshaller(NEW).dump(b"\xff") == b"\xff"


def test_an_event_that_is_no_json() -> None:
    with pytest.raises(Fault) as fault:
        Marshaller(NEW).load(b"{")
    assert fault.value.error_type == "Runtime.UnmarshalError"
    assert fault.value.message.startswith(
        "Unable to unmarshal input: Expecting property name enclosed in double quotes"
    )


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.builds(Point, inner, inner),
)


@given(JSON)
def test_any_value_is_written_as_officially(value: Any) -> None:
    text = Marshaller(OLD).text(value)
    assert json.loads(text, parse_float=decimal.Decimal) == json.loads(official(value), parse_float=decimal.Decimal)
