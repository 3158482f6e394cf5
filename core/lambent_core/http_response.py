"""
What a function's answer means as an HTTP response.

Behaviour: AWS documentation, "Invoking Lambda function URLs" (response payload format) and "Response streaming for
Lambda functions"; texts and codes as recorded on AWS. An object with `statusCode` is a response; any other JSON value
is the body of a 200. What can't be a response is a 502, as is a function error.

    H1  any answer of a function, however odd, is a response or a `BadResponse`
    H2  a streamed head is found however the bytes are cut, and never holds more than `HEAD_BYTES_MAX`
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

from lambent_core.http_event import HOP_BY_HOP

STREAM_HEAD_TYPE = "application/vnd.awslambda.http-integration-response"
"""Content type of a stream that begins with a head: JSON, eight NUL bytes, then the body."""
HEAD_BYTES_MAX = 64 * 1024
"""AWS names no limit; 64 KiB is several times what HTTP servers take as headers."""
_SEPARATOR = bytes(8)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_IN_VALUE = re.compile(r"[\0\r\n]")
BODILESS = frozenset({204, 205, 304})
"""Statuses of responses that have no body."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """`headers` in order, names as the function wrote them."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""


INTERNAL_SERVER_ERROR = HttpResponse(502, (("Content-Type", "text/plain"),), b"Internal Server Error")


class BadResponse(Exception):
    """The function's answer is no HTTP response; says why, for the function's log."""


def infer_response(payload: bytes) -> HttpResponse:
    """The response that `payload`, the handler's JSON, stands for. Raises `BadResponse`."""
    try:
        answer = json.loads(payload.decode())
    except ValueError:
        return HttpResponse(200, (("Content-Type", "application/json"),), payload)
    except RecursionError:
        raise BadResponse("the answer is nested too deeply") from None
    if not isinstance(answer, dict) or "statusCode" not in answer:
        body = answer if isinstance(answer, str) else _compact(answer)
        return HttpResponse(200, (("Content-Type", "application/json"),), _encode(body))
    response = _head(answer)
    return response if response.status in BODILESS else HttpResponse(response.status, response.headers, _body(answer))


def streamed_response(content_type: str) -> HttpResponse:
    """The head of a streamed response that brings none of its own."""
    usable = content_type and not _BAD_IN_VALUE.search(content_type)
    return HttpResponse(200, (("Content-Type", content_type if usable else "application/octet-stream"),))


class StreamedHead:
    """Collects the beginning of a streamed response until its head is whole."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept = bytearray()

    def feed(self, data: bytes) -> HttpResponse | None:
        """None: more is needed. Else the head, with as much of the body as came with it. Raises `BadResponse`."""
        searched = max(0, len(self._kept) - len(_SEPARATOR) + 1)
        self._kept += data
        end = self._kept.find(_SEPARATOR, searched)
        if end > HEAD_BYTES_MAX or (end < 0 and len(self._kept) >= HEAD_BYTES_MAX + len(_SEPARATOR)):
            raise BadResponse(f"the head of the streamed response is above {HEAD_BYTES_MAX} bytes")
        if end < 0:
            return None
        try:
            answer = json.loads(self._kept[:end].decode())
        except (ValueError, RecursionError) as error:
            raise BadResponse(f"the head of the streamed response is not JSON: {error}") from None
        if not isinstance(answer, dict):
            raise BadResponse("the head of the streamed response is not an object")
        head = _head({"statusCode": 200, **answer})
        return HttpResponse(head.status, head.headers, bytes(self._kept[end + len(_SEPARATOR) :]))


def _head(answer: dict[str, Any]) -> HttpResponse:
    headers = [*_given_headers(answer.get("headers") or {}), *_cookies(answer.get("cookies") or [])]
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.insert(0, ("Content-Type", "application/json"))
    return HttpResponse(_status(answer["statusCode"]), tuple(headers))


def _status(status: object) -> int:
    if isinstance(status, str) and re.fullmatch(r"[0-9]{3}", status):
        status = int(status)
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        raise BadResponse(f"statusCode must be an integer between 200 and 599, not {status!r}")
    return status


def _given_headers(headers: object) -> list[tuple[str, str]]:
    if not isinstance(headers, dict):
        raise BadResponse("headers must be an object")
    # The length is the server's to tell, and the connection is not the function's.
    return [
        (name, _header_value(name, value))
        for name, value in headers.items()
        if name.lower() not in HOP_BY_HOP and name.lower() != "content-length"
    ]


def _header_value(name: str, value: object) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise BadResponse(f"{name!r} is no header name")
    text = value if isinstance(value, str) else _compact(value)
    if value is None or isinstance(value, dict | list) or _BAD_IN_VALUE.search(text):
        raise BadResponse(f"header {name} must be a string, a number or a boolean, on one line")
    return text


def _cookies(cookies: object) -> list[tuple[str, str]]:
    if not isinstance(cookies, list) or not all(isinstance(cookie, str) for cookie in cookies):
        raise BadResponse("cookies must be a list of strings")
    return [("Set-Cookie", _header_value("Set-Cookie", cookie)) for cookie in cookies]


def _body(answer: dict[str, Any]) -> bytes:
    body = answer.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        return _encode(_compact(body))
    if not answer.get("isBase64Encoded"):
        return _encode(body)
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise BadResponse("body is no base64, though isBase64Encoded says so") from None


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _encode(text: str) -> bytes:
    # JSON may hold half a surrogate pair, which UTF-8 can't.
    return text.encode(errors="replace")
