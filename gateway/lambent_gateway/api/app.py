"""
The FastAPI application: Lambent's own routes, described by OpenAPI at /docs, and below them the whole Lambda API.
"""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError

from lambent_core.errors import InvalidParameterValue, LambdaError
from lambent_gateway.api import lambent_routes
from lambent_gateway.api.calls import Parts
from lambent_gateway.api.lambda_api import LambdaApi, error_response


def build_app(parts: Parts, *routers: APIRouter) -> FastAPI:
    """`routers` come before the Lambda API, and before nothing else."""
    app = FastAPI(
        title="Lambent",
        summary="Lambent's own routes. The AWS Lambda API is served beside them, at its own paths.",
        redoc_url=None,
    )
    app.include_router(lambent_routes.routes(parts))
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(LambdaError, _answer)
    app.add_exception_handler(RequestValidationError, _refuse)
    app.mount("/", LambdaApi(parts))
    return app


async def _answer(_: Request, error: Exception) -> Response:
    assert isinstance(error, LambdaError)
    status, headers, body = error_response(error)
    return Response(body, status, headers)


async def _refuse(_: Request, error: Exception) -> Response:
    """A path or query parameter of our own routes that is not what OpenAPI says."""
    assert isinstance(error, RequestValidationError)
    told = "; ".join(f"{problem['loc'][-1]}: {problem['msg']}" for problem in error.errors())
    return await _answer(_, InvalidParameterValue(told))
