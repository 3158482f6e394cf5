"""
The answer to InvokeWithResponseStream: an event stream of payload chunks, then InvokeComplete.

Behaviour: AWS documentation, API reference page "InvokeWithResponseStream".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from lambent_core.errors import LambdaError
from lambent_core.event_stream import invoke_complete, payload_chunk
from lambent_core.invocation import Invocation, Outcome
from lambent_gateway.api.asgi import Send

CHUNK_BYTES_MAX = 64 * 1024
"""Of one message: clients hold a message whole before they pass it on."""


class Stream(Protocol):
    async def __call__(
        self, invocation: Invocation, start: Callable[[str, str], None], chunk: Callable[[bytes], Awaitable[None]]
    ) -> Outcome: ...


class EventStreamResponse:
    """One response. Its head goes out with the first bytes, so that what fails before is an ordinary error."""

    def __init__(self, send: Send, invocation: Invocation) -> None:
        self._send = send
        self._invocation = invocation
        self._version = ""
        self._started = False

    async def run(self, stream: Stream) -> None:
        """Raises the `LambdaError` that came before the first byte."""
        try:
            outcome = await stream(self._invocation, self._start, self._chunk)
        except LambdaError as error:
            if not self._started:
                raise
            await self._body(invoke_complete(error.code, error.message), more=False)
            return
        self._version = outcome.executed_version
        failed = outcome.function_error is not None
        await self._chunk(b"" if failed else outcome.payload)
        tail = outcome.log_tail if self._invocation.log_tail else None
        code, details = ("Unhandled", outcome.payload.decode()) if failed else ("", "")
        await self._body(invoke_complete(code, details, tail), more=False)

    def _start(self, content_type: str, version: str) -> None:
        self._version = version

    async def _chunk(self, data: bytes) -> None:
        if not self._started:
            self._started = True
            await self._head()
        for at in range(0, len(data), CHUNK_BYTES_MAX):
            await self._body(payload_chunk(data[at : at + CHUNK_BYTES_MAX]), more=True)

    async def _head(self) -> None:
        headers = [
            (b"content-type", b"application/vnd.amazon.eventstream"),
            (b"x-amzn-requestid", self._invocation.request_id.encode()),
            (b"x-amz-executed-version", self._version.encode()),
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _body(self, data: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
