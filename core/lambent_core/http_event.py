"""
An HTTP request as the event that a function behind a URL gets.

Behaviour: AWS documentation, "Invoking Lambda function URLs" (request payload format 2.0, of API Gateway's HTTP APIs).
Path and query string are told as they were sent, and decoded only in `queryStringParameters`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TEXT_TYPES = ("text/", "json", "xml", "javascript")
"""What is told as text where the content type contains it; any other body, e.g. a form, is base64."""
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers of one connection, which neither the function nor the caller of a URL gets to see from the other."""
TRACE_HEADER = "x-amzn-trace-id"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """`raw_path` and `raw_query` as sent, without the question mark; `headers` in order, names in lower case."""

    method: str
    raw_path: str
    raw_query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    source_ip: str
    protocol: str = "HTTP/1.1"
    scheme: str = "http"
    port: int = 80


@dataclass(frozen=True, slots=True)
class UrlContext:
    """What the event tells about the URL and this call of it."""

    account_id: str
    """`anonymous` where the URL asks for no authentication."""
    url_id: str
    domain_name: str
    request_id: str
    now: float
    """Epoch seconds."""


def encode_event(request: HttpRequest, context: UrlContext) -> bytes:
    """The event as JSON text."""
    return json.dumps(event_of(request, context), separators=(",", ":"), ensure_ascii=False).encode()


def event_of(request: HttpRequest, context: UrlContext) -> dict[str, object]:
    headers = join_headers(request.headers)
    cookie = headers.pop("cookie", "")
    headers |= _forwarded(request, headers)
    event: dict[str, object] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.raw_path,
        "rawQueryString": request.raw_query,
    }
    if cookie:
        event["cookies"] = [part for part in (piece.strip() for piece in cookie.split(";")) if part]
    event["headers"] = headers
    if parameters := _parameters(request.raw_query):
        event["queryStringParameters"] = parameters
    event["requestContext"] = _request_context(request, context, headers.get("user-agent", ""))
    is_text = _is_text(request.body, headers.get("content-type", ""))
    if request.body:
        event["body"] = request.body.decode() if is_text else base64.b64encode(request.body).decode()
    event["isBase64Encoded"] = not is_text
    return event


def trace_id_of(given: str, request_id: str) -> str:
    """The caller's trace, or one made of the request id: both are random, and so one draw serves."""
    digits = request_id.replace("-", "")
    return given or f"Root=1-{digits[:8]}-{digits[8:]};Parent={digits[16:]};Sampled=0"


def join_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """One value a name: several are joined by commas (cookies by semicolons, as HTTP wants them)."""
    joined: dict[str, str] = {}
    for name, value in headers:
        if name in HOP_BY_HOP:
            continue
        separator = "; " if name == "cookie" else ","
        joined[name] = f"{joined[name]}{separator}{value}" if name in joined else value
    return joined


def _forwarded(request: HttpRequest, headers: Mapping[str, str]) -> dict[str, str]:
    earlier = headers.get("x-forwarded-for")
    return {
        "x-forwarded-for": f"{earlier}, {request.source_ip}" if earlier else request.source_ip,
        "x-forwarded-proto": headers.get("x-forwarded-proto", request.scheme),
        "x-forwarded-port": headers.get("x-forwarded-port", str(request.port)),
    }


def _parameters(raw_query: str) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in parse_qsl(raw_query, keep_blank_values=True):
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _request_context(request: HttpRequest, context: UrlContext, user_agent: str) -> dict[str, object]:
    return {
        "accountId": context.account_id,
        "apiId": context.url_id,
        "domainName": context.domain_name,
        "domainPrefix": context.url_id,
        "http": {
            "method": request.method,
            "path": request.raw_path,
            "protocol": request.protocol,
            "sourceIp": request.source_ip,
            "userAgent": user_agent,
        },
        "requestId": context.request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": _time(context.now),
        "timeEpoch": int(context.now * 1_000),
    }


def _time(now: float) -> str:
    # The month by hand, because strftime's depends on the machine's language.
    at = datetime.fromtimestamp(now, UTC)
    return f"{at.day:02d}/{_MONTHS[at.month - 1]}/{at:%Y:%H:%M:%S} +0000"


def _is_text(body: bytes, content_type: str) -> bool:
    if not body:
        return True
    content_type = content_type.lower()
    if not any(part in content_type for part in _TEXT_TYPES):
        return False
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
