"""
The Lambda API over HTTP, as one ASGI callable: finds the operation, reads its input, answers with its output or error.

Everything that takes time in proportion to the request (JSON, base64) runs off the event loop once the request is large.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.types import Receive, Scope, Send

from lambent_core import limits, rest_json, validation
from lambent_core.caller import caller_of
from lambent_core.errors import (
    LambdaError,
    NotImplementedYet,
    RequestEntityTooLarge,
    ServiceException,
    UnknownOperation,
)
from lambent_core.operations import Match
from lambent_gateway.api.calls import Call, Parts
from lambent_gateway.api.handlers import HANDLERS, INVOCATIONS

_LARGE_BYTES = 65_536
_DRAINED_BYTES_MAX = 4 * limits.REQUEST_BODY_BYTES_MAX
"""A body that is too large is read to here, so that its sender gets to read the answer."""
_log = logging.getLogger(__name__)


class LambdaApi:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = str(uuid.uuid4())
        try:
            status, headers, body = await self._answer(scope, receive)
        except LambdaError as error:
            status, headers, body = error_response(error)
        except Exception:
            _log.exception("request %s failed", request_id)
            status, headers, body = error_response(ServiceException("Lambent failed; its log says why."))
        headers["x-amzn-RequestId"] = request_id
        await respond(send, status, headers, body)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, dict[str, str], bytes]:
        parts = self._parts
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        path = scope.get("raw_path") or scope["path"].encode()
        match = parts.table.match(scope["method"], path.decode("latin-1"), dict(query))
        if match is None:
            await read_body(receive, "unknown")  # else the rest of it would be taken for the next request
            raise UnknownOperation(f"No operation of the Lambda API is {scope['method']} {scope['path']}")
        name = match.operation.name
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        body = await read_body(receive, name)
        members = await self._read(match, query, headers, body)
        caller = caller_of(headers.get("authorization", ""), account=parts.account, region=parts.region)
        call = Call(parts, caller, members, base_url(scope, headers))
        if name not in HANDLERS:
            if name in INVOCATIONS:
                call.existing(call.target)
            raise NotImplementedYet(f"{name} is not implemented yet in Lambent.")
        output = await HANDLERS[name](call)
        status, more, answer = rest_json.serialise(parts.model, match.operation, output)
        return status, {"content-type": "application/json", **more}, answer

    async def _read(
        self, match: Match, query: list[tuple[str, str]], headers: Mapping[str, str], body: bytes
    ) -> dict[str, Any]:
        def read() -> dict[str, Any]:
            model = self._parts.model
            members = rest_json.parse(model, match, query=query, headers=headers, body=body)
            if match.operation.input:
                validation.check(model, match.operation.input.shape, members)
            return members

        return read() if len(body) < _LARGE_BYTES else await asyncio.to_thread(read)


async def read_body(receive: Receive, operation: str) -> bytes:
    """The whole body. Raises RequestEntityTooLarge in AWS's words."""
    pieces: list[bytes] = []
    size = 0
    more = True
    while more and size <= _DRAINED_BYTES_MAX:
        message = await receive()
        piece = message.get("body", b"")
        size += len(piece)
        if size > limits.REQUEST_BODY_BYTES_MAX:
            pieces.clear()
        else:
            pieces.append(piece)
        more = message.get("more_body", False)
    if size > limits.REQUEST_BODY_BYTES_MAX:
        raise RequestEntityTooLarge(
            f"Request must be smaller than {limits.REQUEST_BODY_BYTES_MAX} bytes for the {operation} operation"
        )
    return b"".join(pieces)


def base_url(scope: Scope, headers: Mapping[str, str]) -> str:
    """The endpoint as the caller addressed it."""
    host = headers.get("host")
    if not host:
        address, port = scope.get("server") or ("127.0.0.1", None)
        host = f"{address}:{port}" if port else address
    return f"{scope.get('scheme', 'http')}://{host}"


def error_response(error: LambdaError) -> tuple[int, dict[str, str], bytes]:
    headers = {"content-type": "application/json", "x-amzn-ErrorType": error.code, **error.headers}
    return error.status, headers, orjson.dumps(error.body())


async def respond(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    if status != 204:
        raw.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
