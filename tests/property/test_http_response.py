from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lambent_core.http_response import BadResponse, HttpResponse, StreamedHead, infer_response

values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
answers = st.fixed_dictionaries(
    {"statusCode": st.integers(190, 610) | values},
    optional={
        "headers": st.dictionaries(st.sampled_from(["A", "Content-Type", "x y"]), values, max_size=3) | values,
        "cookies": st.lists(st.text(max_size=5), max_size=2) | values,
        "body": values,
        "isBase64Encoded": st.booleans(),
    },
)


@given(answers | values)
def test_any_answer_is_a_response_or_a_bad_one(answer: object) -> None:
    try:
        response = infer_response(json.dumps(answer).encode())
    except BadResponse:
        assert isinstance(answer, dict)
        return
    assert 200 <= response.status <= 599, "H1"
    assert all("\n" not in value and "\r" not in value for _, value in response.headers)


@given(st.binary(max_size=50))
def test_any_bytes_are_a_response_or_a_bad_one(payload: bytes) -> None:
    try:
        infer_response(payload)
    except BadResponse:
        assert b"statusCode" in payload


@given(
    st.dictionaries(st.sampled_from(["a", "b"]), st.text("xyz")), st.binary(max_size=40), st.lists(st.integers(0, 90))
)
def test_a_head_is_found_however_the_bytes_are_cut(headers: dict[str, str], body: bytes, cuts: list[int]) -> None:
    data = json.dumps({"headers": headers}).encode() + bytes(8) + body
    whole = StreamedHead().feed(data)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in pairwise(edges)]
    head, found, rest = StreamedHead(), None, b""
    for piece in pieces:
        if found is None:
            found = head.feed(piece)
        else:
            rest += piece
    assert found is not None
    assert HttpResponse(found.status, found.headers, found.body + rest) == whole, "H2"
