"""
Lambent's own routes: functions as manifests, and packages by digest. Errors have the shape of Lambda's.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from lambent_core.documents import PackageNotFound
from lambent_core.errors import LambdaError, ResourceNotFound
from lambent_gateway.api import deploy
from lambent_gateway.api.calls import Parts
from lambent_gateway.api.lambda_api import error_response, read_body

Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of the ZIP, in hex")]


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/lambent/v1")

    @router.get("/packages/{sha256}", response_class=Response, tags=["packages"])
    async def get_package(sha256: Digest) -> Response:
        """The package's ZIP."""
        try:
            return Response(await parts.packages.read(sha256), media_type="application/zip")
        except PackageNotFound:
            return _error(ResourceNotFound(f"Package not found: {sha256}"))
        except LambdaError as error:
            return _error(error)

    @router.put("/packages/{sha256}", status_code=201, response_class=Response, tags=["packages"])
    async def put_package(sha256: Digest, request: Request) -> Response:
        """Keeps a ZIP under its digest, for a manifest to name."""
        try:
            await deploy.store_package(parts, await read_body(request.receive, "PutPackage"))
        except LambdaError as error:
            return _error(error)
        return Response(status_code=201)

    return router


def _error(error: LambdaError) -> Response:
    status, headers, body = error_response(error)
    return Response(body, status, headers)
