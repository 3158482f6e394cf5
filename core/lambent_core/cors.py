"""
Which cross-origin headers a function URL answers with.

Behaviour: AWS documentation, "Creating and managing Lambda function URLs" (Cross-origin resource sharing). A preflight
is answered without the function; on other responses the URL's own settings replace what the function said. Whether a
browser may read a response is the browser's to enforce: a request from any origin runs.

    C1  no origin is let in that no entry of AllowOrigins matches
    C2  credentials never go with a bare `*`, which browsers refuse: what was asked for is named instead
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lambent_core.function import Cors
from lambent_core.http_response import HttpResponse

_PREFIX = "access-control-"


def preflight(cors: Cors, method: str, headers: Mapping[str, str]) -> HttpResponse | None:
    """The answer to a preflight request, None for any other. Header names are in lower case."""
    requested = headers.get("access-control-request-method")
    if method != "OPTIONS" or requested is None or "origin" not in headers:
        return None
    answer = _origin_headers(cors, headers["origin"])
    if _allowed_origin(cors, headers["origin"]) is not None:
        answer += _listed("Access-Control-Allow-Methods", cors.allow_methods, requested, cors)
        wanted = headers.get("access-control-request-headers", "")
        answer += _listed("Access-Control-Allow-Headers", cors.allow_headers, wanted, cors)
        if cors.max_age is not None:
            answer.append(("Access-Control-Max-Age", str(cors.max_age)))
    return HttpResponse(200, tuple(answer))


def with_cors(cors: Cors, origin: str | None, response: HttpResponse) -> HttpResponse:
    """The function's `response` to a request from `origin`."""
    kept = [(name, value) for name, value in response.headers if not name.lower().startswith(_PREFIX)]
    if origin is not None:
        kept += _origin_headers(cors, origin)
        if cors.expose_headers and _allowed_origin(cors, origin) is not None:
            kept.append(("Access-Control-Expose-Headers", ",".join(cors.expose_headers)))
    return HttpResponse(response.status, tuple(kept), response.body)


def _origin_headers(cors: Cors, origin: str) -> list[tuple[str, str]]:
    allowed = _allowed_origin(cors, origin)
    headers = [] if allowed == "*" else [("Vary", "Origin")]
    if allowed is not None:
        headers.append(("Access-Control-Allow-Origin", allowed))
        if cors.allow_credentials:
            headers.append(("Access-Control-Allow-Credentials", "true"))
    return headers


def _allowed_origin(cors: Cors, origin: str) -> str | None:
    patterns = cors.allow_origins or []
    if not any(_matches(pattern.lower(), origin.lower()) for pattern in patterns):
        return None
    return "*" if "*" in patterns and not cors.allow_credentials else origin


def _matches(pattern: str, origin: str) -> bool:
    """A star stands at the end alone: `*`, `https://*`."""
    return origin.startswith(pattern[:-1]) if pattern.endswith("*") else origin == pattern


def _listed(name: str, allowed: Sequence[str] | None, requested: str, cors: Cors) -> list[tuple[str, str]]:
    if not allowed:
        return []
    value = requested if "*" in allowed and cors.allow_credentials else ",".join(allowed)
    return [(name, value)] if value else []
