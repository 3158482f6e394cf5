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
from lambent_gateway.api.invoke import InvokeApi, Response, error_response, is_invoke

REQUEST_HEAD_BYTES_MAX = 64 * 1024


class _NeverWaits:
    """What uvicorn's cycle calls to wake its task; an invocation has none."""

    def set(self) -> None:
        pass


_NO_TASK = _NeverWaits()


class InvokeCycle:
    """One Invoke request on a connection; looks to uvicorn like its own request-response cycle."""

    __slots__ = ("body", "disconnected", "keep_alive", "message_event", "more_body", "response_complete", "too_large")

    def __init__(self, keep_alive: bool) -> None:
        self.body = bytearray()
        self.more_body = True
        self.disconnected = False
        self.response_complete = False
        self.keep_alive = keep_alive
        self.message_event = _NO_TASK
        self.too_large = False


class InvokeProtocol(HttpToolsProtocol):
    """Made by uvicorn per connection; `api` comes from the composition root through `partial`."""

    def __init__(self, *args: Any, api: InvokeApi, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._api = api
        self._invoking: InvokeCycle | None = None
        self._active_at = 0.0

    def on_message_begin(self) -> None:
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._invoking = None

    def on_headers_complete(self) -> None:
        if is_invoke(self.url) and self.parser.get_method() == b"POST" and self._idle():
            self._invoking = cycle = InvokeCycle(self.parser.should_keep_alive())
            self.cycle = cycle  # type: ignore[assignment]
            if self.expect_100_continue:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        # uvicorn makes its scope when the message begins; here only once it is known to be needed.
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        self._invoking = None
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        cycle = self._invoking
        if cycle is None:
            super().on_body(body)
        elif len(cycle.body) + len(body) <= limits.REQUEST_BYTES_MAX:
            cycle.body += body
        else:
            cycle.too_large = True

    def on_message_complete(self) -> None:
        cycle = self._invoking
        if cycle is None:
            super().on_message_complete()
            return
        cycle.more_body = False
        if cycle.too_large:
            error = RequestTooLarge(
                f"Request must be smaller than {limits.REQUEST_BYTES_MAX} bytes for the InvokeFunction operation"
            )
            self._respond(cycle, error_response(error, "-"))
            return
        self._api.invoke(self.url, dict(self.headers), bytes(cycle.body), partial(self._respond, cycle))

    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _respond(self, cycle: InvokeCycle, response: Response) -> None:
        cycle.response_complete = True
        if cycle.disconnected or self.transport.is_closing():
            return
        status, headers, body = response
        parts = [STATUS_LINE[status]]
        for name, value in self.server_state.default_headers:
            parts += (name, b": ", value, b"\r\n")
        for name, value in headers:
            parts += (name, b": ", value, b"\r\n")
        if not cycle.keep_alive:
            parts.append(b"connection: close\r\n")
        parts.append(b"\r\n" if status == 204 else b"content-length: %d\r\n\r\n" % len(body))
        parts.append(body)
        self.transport.write(b"".join(parts))
        self.server_state.total_requests += 1
        if not cycle.keep_alive:
            self.transport.close()
        elif self.pipeline:
            self.on_response_complete()
        else:
            self._watch_idle()

    def _watch_idle(self) -> None:
        """One timer for many requests: a timer per request costs more than the request's own bookkeeping."""
        self._active_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _unset_keepalive_if_required(self) -> None:
        if self._invoking is None:
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
