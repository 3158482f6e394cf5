"""
uvicorn's HTTP protocol with a short way for Invoke: no ASGI scope, no task, the response written where the invocation ends.

Everything else takes uvicorn's own way to the ASGI application. What is special here is speed alone: the same `InvokeApi` serves
Invoke as ASGI where a client pipelines requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from lambent_core import limits
from lambent_core.errors import RequestTooLarge
from lambent_gateway.api.invoke import InvokeApi, error_response, is_invoke


class _NeverWaits:
    """What uvicorn's cycle calls to wake its task; an invocation has none."""

    def set(self) -> None:
        pass


_NO_TASK = _NeverWaits()


class InvokeCycle:
    """The Invoke request under way on a connection; looks to uvicorn like its own request-response cycle."""

    __slots__ = ("disconnected", "keep_alive", "message_event", "response_complete")

    def __init__(self) -> None:
        self.disconnected = False
        self.response_complete = False
        self.keep_alive = True
        self.message_event = _NO_TASK


class InvokeProtocol(HttpToolsProtocol):
    """Made by uvicorn per connection; `api` comes from the composition root through `partial`."""

    def __init__(self, *args: Any, api: InvokeApi, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._api = api
        self._own = InvokeCycle()
        """Serves one Invoke after another: the next begins when the response to the last is written."""
        self._invoking = False
        """The message that is being read, or was read last, is an Invoke."""
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._common: tuple[list[tuple[bytes, bytes]], bytes] = ([], b"")
        """uvicorn's headers for every response, which it makes anew each second, and the lines that they are."""
        self._active_at = 0.0

    def on_message_begin(self) -> None:
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._invoking = False

    def on_headers_complete(self) -> None:
        if is_invoke(self.url) and self.parser.get_method() == b"POST" and self._idle():
            self._invoking = True
            self._body, self._body_bytes = [], 0
            self.cycle = cycle = self._own  # type: ignore[assignment]
            cycle.response_complete = False
            cycle.keep_alive = self.parser.should_keep_alive()
            if self.expect_100_continue:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        # uvicorn makes its scope when the message begins; here only once it is known to be needed.
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._invoking:
            super().on_body(body)
            return
        self._body_bytes += len(body)
        if self._body_bytes <= limits.REQUEST_BYTES_MAX:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if not self._invoking:
            super().on_message_complete()
            return
        if self._body_bytes > limits.REQUEST_BYTES_MAX:
            error = RequestTooLarge(
                f"Request must be smaller than {limits.REQUEST_BYTES_MAX} bytes for the InvokeFunction operation"
            )
            self._respond(*error_response(error, "-"))
            return
        chunks = self._body
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._body = []
        self._api.invoke(self.url, dict(self.headers), body, self._respond)

    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _respond(self, status: int, head: bytes, body: bytes) -> None:
        cycle, transport = self._own, self.transport
        cycle.response_complete = True
        if cycle.disconnected or transport.is_closing():
            return
        defaults, common = self._common
        if defaults is not self.server_state.default_headers:
            common = self._refresh_common()
        if not cycle.keep_alive:
            head += b"connection: close\r\n"
        length = b"\r\n" if status == 204 else b"content-length: %d\r\n\r\n" % len(body)
        transport.write(b"".join((STATUS_LINE[status], common, head, length, body)))
        self.server_state.total_requests += 1
        if not cycle.keep_alive:
            transport.close()
        elif self.pipeline:
            self.on_response_complete()
        else:
            self._watch_idle()

    def _refresh_common(self) -> bytes:
        defaults = self.server_state.default_headers
        common = b"".join(b"%b: %b\r\n" % header for header in defaults)
        self._common = (defaults, common)
        return common

    def _watch_idle(self) -> None:
        """One timer for many requests: a timer per request costs more than the request's own bookkeeping."""
        self._active_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _unset_keepalive_if_required(self) -> None:
        if not self._invoking:
            super()._unset_keepalive_if_required()

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self._idle():
            quiet = self.loop.time() - self._active_at
            if quiet >= self.timeout_keep_alive:
                super().timeout_keep_alive_handler()
                return
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive - quiet, self.timeout_keep_alive_handler
            )


def protocol_factory(api: InvokeApi) -> Callable[..., asyncio.Protocol]:
    return partial(InvokeProtocol, api=api)
