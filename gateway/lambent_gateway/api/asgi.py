"""ASGI's types, and reading a request's body within a limit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from lambent_core.errors import RequestTooLarge

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class ClientGone(Exception):
    """The client hung up before its request was whole."""


async def read_body(receive: Receive, bytes_max: int) -> bytes:
    """The whole body. Raises `RequestTooLarge` as soon as it is above `bytes_max`, `ClientGone` if it never ends."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > bytes_max:
            raise RequestTooLarge(f"Request must be smaller than {bytes_max} bytes for the InvokeFunction operation")
        if not message.get("more_body", False):
            return b"".join(chunks)
