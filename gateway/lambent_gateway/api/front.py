"""
The one ASGI application: invocations and function URLs go to their own callables, everything else to FastAPI.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lambent_core.errors import LambdaError
from lambent_gateway.api.asgi import Application, ClientGone, Receive, Scope, Send
from lambent_gateway.api.invoke import InvokeApi, error_response, send_response

Server = Callable[[Scope, Receive, Send], Awaitable[bool]]
"""Serves a request and says True, or leaves it alone and says False."""


def front(invoke: InvokeApi, function_urls: Server, rest: Application) -> Application:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await rest(scope, receive, send)
            return
        try:
            if await invoke.serve(scope, receive, send) or await function_urls(scope, receive, send):
                return
        except ClientGone:
            return
        except LambdaError as error:
            await send_response(send, error_response(error, invoke.new_request_id()))
            return
        await rest(scope, receive, send)

    return application
