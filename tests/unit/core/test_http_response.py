from __future__ import annotations

import json

import pytest

from lambent_core.http_response import (
    HEAD_BYTES_MAX,
    BadResponse,
    HttpResponse,
    StreamedHead,
    infer_response,
    streamed_response,
)

JSON = (("Content-Type", "application/json"),)


def answer(**members: object) -> bytes:
    return json.dumps(members).encode()


@pytest.mark.parametrize(
    ("payload", "body"),
    [
        (b'["hello", 3, true]', b'["hello",3,true]'),
        (b'"hello"', b"hello"),
        (b"3", b"3"),
        (b"3.1", b"3.1"),
        (b"true", b"true"),
        (b"null", b"null"),
        (b'{"a": "\\u00e9"}', '{"a":"é"}'.encode()),
        (b'"\\ud800"', b"?"),
        (b"no json", b"no json"),
        (b"\xff", b"\xff"),
        (b'"\x00a"', b'"\x00a"'),
    ],
)
def test_what_is_no_response_is_the_body_of_one(payload: bytes, body: bytes) -> None:
    assert infer_response(payload) == HttpResponse(200, JSON, body)


@pytest.mark.parametrize(
    ("members", "response"),
    [
        ({"statusCode": 200, "body": "body123"}, HttpResponse(200, JSON, b"body123")),
        (
            {"statusCode": 418, "headers": {"X-Foo": "bar", "content-type": "text/plain"}, "body": "tea"},
            HttpResponse(418, (("X-Foo", "bar"), ("content-type", "text/plain")), b"tea"),
        ),
        ({"statusCode": "201"}, HttpResponse(201, JSON)),
        ({"statusCode": 200, "body": None, "headers": None, "cookies": None}, HttpResponse(200, JSON)),
        ({"statusCode": 200, "body": {"a": [1, 2]}}, HttpResponse(200, JSON, b'{"a":[1,2]}')),
        ({"statusCode": 200, "body": "AP8=", "isBase64Encoded": True}, HttpResponse(200, JSON, b"\x00\xff")),
        ({"statusCode": 200, "body": "AP8="}, HttpResponse(200, JSON, b"AP8=")),
        ({"statusCode": 200, "body": 3, "isBase64Encoded": True}, HttpResponse(200, JSON, b"3")),
        (
            {"statusCode": 200, "cookies": ["a=1", "b=2; Secure"], "headers": {"x": 1.5, "y": True}},
            HttpResponse(
                200, (*JSON, ("x", "1.5"), ("y", "true"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Secure"))
            ),
        ),
        *(({"statusCode": status, "body": "dropped"}, HttpResponse(status, JSON)) for status in (204, 205, 304)),
        (
            {"statusCode": 200, "headers": {"Content-Length": "9", "Transfer-Encoding": "chunked"}, "body": "a"},
            HttpResponse(200, JSON, b"a"),
        ),
        ({"statusCode": 599}, HttpResponse(599, JSON)),
    ],
)
def test_an_object_with_a_status_code_is_a_response(members: dict[str, object], response: HttpResponse) -> None:
    assert infer_response(answer(**members)) == response


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"statusCode": "abc"}, "statusCode"),
        ({"statusCode": True}, "statusCode"),
        ({"statusCode": None}, "statusCode"),
        ({"statusCode": 199}, "between 200 and 599, not 199"),
        ({"statusCode": 600}, "statusCode"),
        ({"statusCode": 200.5}, "statusCode"),
        ({"statusCode": 200, "headers": ["a"]}, "headers must be an object"),
        ({"statusCode": 200, "headers": {"a": ["b"]}}, "header a must be"),
        ({"statusCode": 200, "headers": {"a": {}}}, "header a must be"),
        ({"statusCode": 200, "headers": {"a": None}}, "header a must be"),
        ({"statusCode": 200, "headers": {"a": "b\r\nc: d"}}, "on one line"),
        ({"statusCode": 200, "headers": {"a": "b\0"}}, "on one line"),
        ({"statusCode": 200, "headers": {"a b": "c"}}, "'a b' is no header name"),
        ({"statusCode": 200, "headers": {"": "c"}}, "no header name"),
        ({"statusCode": 200, "cookies": "a=1"}, "cookies must be a list"),
        ({"statusCode": 200, "cookies": [1]}, "cookies must be a list"),
        ({"statusCode": 200, "cookies": ["a=1\nb"]}, "Set-Cookie"),
        ({"statusCode": 200, "body": "§", "isBase64Encoded": True}, "base64"),
        ({"statusCode": 200, "body": "abc", "isBase64Encoded": True}, "base64"),
        ({"statusCode": 200, "body": "AP*8=", "isBase64Encoded": True}, "base64"),
    ],
)
def test_bad_shapes_say_why(members: dict[str, object], reason: str) -> None:
    with pytest.raises(BadResponse, match=reason):
        infer_response(answer(**members))


def test_an_answer_nested_too_deeply() -> None:
    with pytest.raises(BadResponse, match="nested"):
        infer_response(b"[" * 200_000)


HEAD = b'{"statusCode": 201, "headers": {"content-type": "text/html"}, "cookies": ["a=1"]}'


def test_a_streamed_head_in_one_piece() -> None:
    assert StreamedHead().feed(HEAD + bytes(8) + b"<p>") == HttpResponse(
        201, (("content-type", "text/html"), ("Set-Cookie", "a=1")), b"<p>"
    )


def test_a_streamed_head_byte_by_byte() -> None:
    head = StreamedHead()
    for byte in HEAD + bytes(7):
        assert head.feed(bytes([byte])) is None
    assert head.feed(bytes(1)) == StreamedHead().feed(HEAD + bytes(8))


def test_a_streamed_head_needs_no_status() -> None:
    assert StreamedHead().feed(b"{}" + bytes(8)) == HttpResponse(200, JSON)


def test_a_body_of_zeros_after_the_head() -> None:
    response = StreamedHead().feed(HEAD + bytes(20))
    assert response is not None
    assert response.body == bytes(12)


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"no json", "not JSON"),
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 20_000, "not JSON"),
        (b"[]", "not an object"),
        (b'{"statusCode": 1}', "statusCode"),
    ],
)
def test_bad_heads_say_why(head: bytes, reason: str) -> None:
    with pytest.raises(BadResponse, match=reason):
        StreamedHead().feed(head + bytes(8))


def test_a_long_body_does_not_make_the_head_before_it_long() -> None:
    assert StreamedHead().feed(b"{}" + bytes(8) + b"x" * 2 * HEAD_BYTES_MAX) is not None
    with pytest.raises(BadResponse, match="not JSON"):
        StreamedHead().feed(bytes(8) + b"x" * 2 * HEAD_BYTES_MAX)


def test_a_head_has_a_limit() -> None:
    assert HEAD_BYTES_MAX == 65536
    largest = b'{"headers":{"a":"' + b"x" * (HEAD_BYTES_MAX - 20) + b'"}}'
    assert len(largest) == HEAD_BYTES_MAX
    assert StreamedHead().feed(largest + bytes(8)) is not None
    too_large = b" " + largest + bytes(8)
    for cut in (10, HEAD_BYTES_MAX, len(too_large)):
        head = StreamedHead()
        with pytest.raises(BadResponse, match=f"above {HEAD_BYTES_MAX} bytes"):  # noqa: PT012
            head.feed(too_large[:cut])
            head.feed(too_large[cut:])


def test_a_stream_without_a_head_is_not_kept_for_ever() -> None:
    head = StreamedHead()
    assert head.feed(b"x" * HEAD_BYTES_MAX + bytes(7)) is None
    with pytest.raises(BadResponse, match="above"):
        head.feed(b"x")


@pytest.mark.parametrize(
    ("given", "told"),
    [("text/html", "text/html"), ("", "application/octet-stream"), ("a\r\nb: c", "application/octet-stream")],
)
def test_a_stream_without_a_head_of_its_own(given: str, told: str) -> None:
    assert streamed_response(given) == HttpResponse(200, (("Content-Type", told),))
