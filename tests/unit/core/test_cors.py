from __future__ import annotations

import pytest

from lambent_core.cors import preflight, with_cors
from lambent_core.function import Cors
from lambent_core.http_response import HttpResponse

SITE = "https://example.com"
ASKED = {"origin": SITE, "access-control-request-method": "PUT", "access-control-request-headers": "x-a, x-b"}
FULL = Cors(
    allow_origins=["https://example.com", "http://localhost:3000"],
    allow_methods=["GET", "PUT"],
    allow_headers=["X-A"],
    expose_headers=["X-C", "X-D"],
    max_age=300,
)


def test_a_preflight_from_an_allowed_origin() -> None:
    assert preflight(FULL, "OPTIONS", ASKED) == HttpResponse(
        200,
        (
            ("Vary", "Origin"),
            ("Access-Control-Allow-Origin", SITE),
            ("Access-Control-Allow-Methods", "GET,PUT"),
            ("Access-Control-Allow-Headers", "X-A"),
            ("Access-Control-Max-Age", "300"),
        ),
    )


def test_a_preflight_from_another_origin_allows_nothing() -> None:
    answer = preflight(FULL, "OPTIONS", ASKED | {"origin": "https://evil.example"})
    assert answer == HttpResponse(200, (("Vary", "Origin"),))


def test_a_preflight_that_everybody_may() -> None:
    cors = Cors(allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], max_age=0)
    assert preflight(cors, "OPTIONS", ASKED) == HttpResponse(
        200,
        (
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Allow-Methods", "*"),
            ("Access-Control-Allow-Headers", "*"),
            ("Access-Control-Max-Age", "0"),
        ),
    )


def test_credentials_name_what_was_asked_for() -> None:
    cors = Cors(allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], allow_credentials=True)
    assert preflight(cors, "OPTIONS", ASKED) == HttpResponse(
        200,
        (
            ("Vary", "Origin"),
            ("Access-Control-Allow-Origin", SITE),
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Allow-Methods", "PUT"),
            ("Access-Control-Allow-Headers", "x-a, x-b"),
        ),
    )


def test_nothing_asked_for_is_nothing_named() -> None:
    cors = Cors(allow_origins=["*"], allow_headers=["*"], allow_credentials=True)
    asked = {"origin": SITE, "access-control-request-method": "PUT"}
    answer = preflight(cors, "OPTIONS", asked)
    assert answer is not None
    assert [name for name, _ in answer.headers] == [
        "Vary",
        "Access-Control-Allow-Origin",
        "Access-Control-Allow-Credentials",
    ]


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", ASKED),
        ("OPTIONS", {"origin": SITE}),
        ("OPTIONS", {"access-control-request-method": "PUT"}),
    ],
    ids=["not OPTIONS", "no method asked for", "no origin"],
)
def test_what_is_no_preflight_is_the_functions(method: str, headers: dict[str, str]) -> None:
    assert preflight(FULL, method, headers) is None


@pytest.mark.parametrize(
    ("pattern", "origin", "allowed"),
    [
        ("https://*", "https://a.example", True),
        ("https://*", "http://a.example", False),
        ("https://a*", "https://b.example", False),
        ("HTTPS://Example.com", "https://example.COM", True),
        ("https://example.com", "https://example.com.evil", False),
        ("https://example.com", "https://example.co", False),
    ],
)
def test_patterns(pattern: str, origin: str, allowed: bool) -> None:
    response = with_cors(Cors(allow_origins=[pattern]), origin, HttpResponse(200, ()))
    assert (("Access-Control-Allow-Origin", origin) in response.headers) is allowed


def test_the_urls_settings_replace_the_functions() -> None:
    response = HttpResponse(201, (("X", "y"), ("access-control-allow-origin", "https://other")), b"body")
    assert with_cors(FULL, SITE, response) == HttpResponse(
        201,
        (
            ("X", "y"),
            ("Vary", "Origin"),
            ("Access-Control-Allow-Origin", SITE),
            ("Access-Control-Expose-Headers", "X-C,X-D"),
        ),
        b"body",
    )


def test_another_origin_is_exposed_nothing() -> None:
    answer = with_cors(FULL, "https://evil.example", HttpResponse(200, ()))
    assert answer == HttpResponse(200, (("Vary", "Origin"),))


def test_a_request_without_an_origin_gets_no_cors_headers() -> None:
    assert with_cors(FULL, None, HttpResponse(200, (("X", "y"),))) == HttpResponse(200, (("X", "y"),))
