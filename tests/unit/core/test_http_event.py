from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lambent_core.http_event import HttpRequest, UrlContext, encode_event, event_of, join_headers, trace_id_of

REQUEST = HttpRequest(
    method="POST",
    raw_path="/pa2%Fth/1",
    raw_query="q=query&multiQuery=foo&multiQuery=%2Fbar",
    headers=(
        ("host", "abc.lambda-url.us-east-1.on.aws"),
        ("content-type", "application/json"),
        ("extra-headers", "With WeiRd CapS"),
        ("user-agent", "replay"),
    ),
    body=b'{"foo":"bar"}',
    source_ip="192.0.2.7",
)
CONTEXT = UrlContext(
    account_id="anonymous",
    url_id="abc",
    domain_name="abc.lambda-url.us-east-1.on.aws",
    request_id="id-1",
    now=1_785_917_679.8859,
)


def test_the_whole_event() -> None:
    assert event_of(REQUEST, CONTEXT) == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/pa2%Fth/1",
        "rawQueryString": "q=query&multiQuery=foo&multiQuery=%2Fbar",
        "headers": {
            "host": "abc.lambda-url.us-east-1.on.aws",
            "content-type": "application/json",
            "extra-headers": "With WeiRd CapS",
            "user-agent": "replay",
            "x-forwarded-for": "192.0.2.7",
            "x-forwarded-proto": "http",
            "x-forwarded-port": "80",
        },
        "queryStringParameters": {"q": "query", "multiQuery": "foo,/bar"},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abc",
            "domainName": "abc.lambda-url.us-east-1.on.aws",
            "domainPrefix": "abc",
            "http": {
                "method": "POST",
                "path": "/pa2%Fth/1",
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.7",
                "userAgent": "replay",
            },
            "requestId": "id-1",
            "routeKey": "$default",
            "stage": "$default",
            "time": "05/Aug/2026:08:14:39 +0000",
            "timeEpoch": 1_785_917_679_885,
        },
        "body": '{"foo":"bar"}',
        "isBase64Encoded": False,
    }


def test_a_bare_get_has_no_body_no_cookies_and_no_parameters() -> None:
    event = event_of(HttpRequest("GET", "/", "", (), b"", "::1"), CONTEXT)
    assert not {"body", "cookies", "queryStringParameters"} & event.keys()
    assert event["isBase64Encoded"] is False
    context = event["requestContext"]
    assert isinstance(context, dict)
    assert context["http"]["userAgent"] == ""


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("a", {"a": ""}),
        ("a=&a=1", {"a": ",1"}),
        ("a=x+y&b=%C3%A9", {"a": "x y", "b": "é"}),
        ("%F0=%ff", {"\ufffd": "\ufffd"}),
    ],
)
def test_parameters_are_decoded_and_joined(query: str, parameters: dict[str, str]) -> None:
    event = event_of(replace(REQUEST, raw_query=query), CONTEXT)
    assert event["queryStringParameters"] == parameters
    assert event["rawQueryString"] == query


def test_cookies_leave_the_headers() -> None:
    headers = (("cookie", "a=1; b=2"), ("accept", "x"), ("cookie", "c=3;"))
    event = event_of(replace(REQUEST, headers=headers), CONTEXT)
    assert event["cookies"] == ["a=1", "b=2", "c=3"]
    assert isinstance(event["headers"], dict)
    assert "cookie" not in event["headers"]


def test_headers_are_joined_and_those_of_the_connection_left_out() -> None:
    headers = [("accept", "a"), ("connection", "close"), ("accept", "b"), ("transfer-encoding", "chunked")]
    assert join_headers(headers) == {"accept": "a,b"}


def test_what_a_proxy_said_is_kept() -> None:
    headers = (("x-forwarded-for", "198.51.100.1"), ("x-forwarded-proto", "https"), ("x-forwarded-port", "443"))
    assert event_of(replace(REQUEST, headers=headers), CONTEXT)["headers"] == {
        "x-forwarded-for": "198.51.100.1, 192.0.2.7",
        "x-forwarded-proto": "https",
        "x-forwarded-port": "443",
    }


@pytest.mark.parametrize(
    ("content_type", "body", "told", "is_base64"),
    [
        ("text/plain", "é".encode(), "é", False),
        ("TEXT/HTML; charset=utf-8", b"<p>", "<p>", False),
        ("application/vnd.api+json", b"{}", "{}", False),
        ("application/xml", b"<a/>", "<a/>", False),
        ("application/javascript", b"1", "1", False),
        ("application/x-www-form-urlencoded", b"a=1", "YT0x", True),
        ("image/png", b"\x89PNG", "iVBORw==", True),
        ("", b"{}", "e30=", True),
        ("text/plain", b"\xff", "/w==", True),
    ],
)
def test_the_content_type_decides_what_is_text(content_type: str, body: bytes, told: str, is_base64: bool) -> None:
    headers = (("content-type", content_type),) if content_type else ()
    event = event_of(replace(REQUEST, headers=headers, body=body), CONTEXT)
    assert (event["body"], event["isBase64Encoded"]) == (told, is_base64)


def test_it_is_encoded_as_compact_json() -> None:
    encoded = encode_event(replace(REQUEST, body="é".encode()), CONTEXT)
    assert json.loads(encoded) == event_of(replace(REQUEST, body="é".encode()), CONTEXT)
    assert '"body":"é"'.encode() in encoded


def test_a_trace_is_the_callers_or_made_of_the_request_id() -> None:
    request_id = "01234567-89ab-4def-a123-456789abcdef"
    assert trace_id_of("Root=1-2", request_id) == "Root=1-2"
    made = "Root=1-01234567-89ab4defa123456789abcdef;Parent=a123456789abcdef;Sampled=0"
    assert trace_id_of("", request_id) == made


@pytest.mark.parametrize("month", range(12))
def test_the_month_does_not_depend_on_the_machines_language(month: int) -> None:
    context = event_of(REQUEST, replace(CONTEXT, now=1_767_225_600 + (30.5 * month + 15) * 86_400))["requestContext"]
    assert isinstance(context, dict)
    assert context["time"][3:11] == "JanFebMarAprMayJunJulAugSepOctNovDec"[3 * month : 3 * month + 3] + "/2026"


@pytest.mark.parametrize(
    "name", ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"]
)
def test_each_header_of_a_connection_stays_with_it(name: str) -> None:
    assert join_headers([(name, "x")]) == {}
