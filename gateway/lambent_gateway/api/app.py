"""
The FastAPI application: Lambent's own routes, described by OpenAPI at /docs, and below them the whole Lambda API.
"""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request, Response

from lambent_core.errors import LambdaError
from lambent_gateway.api import lambent_routes
from lambent_gateway.api.calls import Parts
from lambent_gateway.api.lambda_api import LambdaApi, error_response


def build_app(parts: Parts, *routers: APIRouter) -> FastAPI:
    app = FastAPI(
        title="Lambent",
        summary="Lambent's own routes. The AWS Lambda API is served beside them, at its own paths.",
        redoc_url=None,
    )
    app.include_router(lambent_routes.routes(parts))
    for router in routers:
        app.include_router(router)
    app.mount("/", LambdaApi(parts))
    app.add_exception_handler(LambdaError, _answer_error)
    return app


async def _answer_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, LambdaError)
    status, headers, body = error_response(error)
    return Response(body, status, headers)
