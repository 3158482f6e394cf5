"""
Lambent's own routes: functions and layer versions as manifests, and packages by digest. Errors have the shape of Lambda's.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated, Any

import msgspec
import orjson
from fastapi import APIRouter, Path, Request, Response

from lambent_core.caller import Caller
from lambent_core.documents import PackageNotFound
from lambent_core.errors import InvalidParameterValue, InvalidRequestContent, ResourceNotFound
from lambent_core.function import API_VERSION, Function
from lambent_core.layer_names import LayerReference
from lambent_core.layers import LayerVersion
from lambent_core.schema import manifest_schema
from lambent_gateway.api import deploy
from lambent_gateway.api.apply import apply_manifest
from lambent_gateway.api.apply_layers import apply_layer_version
from lambent_gateway.api.calls import Parts
from lambent_gateway.api.lambda_api import read_body

Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of the ZIP, in hex")]
Layer = Annotated[str, Path(description="Lambda's name of the layer")]
Number = Annotated[int, Path(ge=1, description="Which version of the layer")]
Name = Annotated[str, Path(description="Lambda's name of the function")]


def routes(parts: Parts) -> APIRouter:
    router = APIRouter(prefix="/lambent/v1")
    _add_packages(router, parts)
    _add_functions(router, parts)
    _add_layers(router, parts)

    @router.get("/schemas/function", response_class=Response, tags=["functions"])
    async def get_schema() -> Response:
        """JSON schema of the Function manifest."""
        return _json(manifest_schema())

    @router.get("/schemas/layerversion", response_class=Response, tags=["layers"])
    async def get_layer_version_schema() -> Response:
        """JSON schema of the LayerVersion manifest."""
        return _json(manifest_schema(LayerVersion))

    return router


def _add_packages(router: APIRouter, parts: Parts) -> None:
    @router.get("/packages/{sha256}", response_class=Response, tags=["packages"])
    async def get_package(sha256: Digest) -> Response:
        """The package's ZIP."""
        try:
            return Response(await parts.packages.read(sha256), media_type="application/zip")
        except PackageNotFound:
            raise ResourceNotFound(f"Package not found: {sha256}") from None

    @router.put("/packages/{sha256}", status_code=201, response_class=Response, tags=["packages"])
    async def put_package(sha256: Digest, request: Request) -> Response:
        """Keeps a ZIP under its digest, for a manifest to name."""
        data = await read_body(request.receive, "PutPackage")
        found = (await asyncio.to_thread(hashlib.sha256, data)).hexdigest()
        if found != sha256:
            raise InvalidParameterValue(f"The package's SHA-256 is {found}, not {sha256}: it was damaged on its way.")
        await deploy.store_package(parts, data)
        return Response(status_code=201)


def _add_functions(router: APIRouter, parts: Parts) -> None:
    @router.get("/functions", response_class=Response, tags=["functions"])
    async def list_functions() -> Response:
        """All functions as manifests, with their status."""
        items = [_shown(function) for function in parts.functions.all()]
        return _json({"apiVersion": API_VERSION, "kind": "FunctionList", "items": items})

    @router.get("/functions/{name}", response_class=Response, tags=["functions"])
    async def get_function(name: Name) -> Response:
        """The function as a manifest, with its status."""
        return _json(_shown(_existing(parts, name)))

    @router.put("/functions/{name}", response_class=Response, tags=["functions"])
    async def put_function(name: Name, request: Request) -> Response:
        """
        Brings the function to what the manifest says; the header x-lambent-result says created, configured or unchanged.

        The code is spec.code.inline, spec.code.sha256 of a package sent before, or spec.code.zip: its bytes in base64.
        """
        document = await _document(request, "PutFunction")
        caller = Caller(parts.account, parts.region)
        function, result = await apply_manifest(parts, name, document, caller=caller)
        latest = parts.functions.get(function.name) or function
        return _json(_shown(latest), 201 if result == "created" else 200, {"x-lambent-result": result})

    @router.delete("/functions/{name}", status_code=204, response_class=Response, tags=["functions"])
    async def delete_function(name: Name) -> Response:
        """Deletes the function with its versions and aliases."""
        await deploy.delete_function(parts, name, lambda: _not_found(parts, name))
        return Response(status_code=204)


def _add_layers(router: APIRouter, parts: Parts) -> None:
    address = "/layers/{name}/versions/{version}"

    @router.get("/layers", response_class=Response, tags=["layers"])
    async def list_layer_versions() -> Response:
        """All layer versions as manifests, with their status."""
        items = [_shown(version) for version in parts.layers.all()]
        return _json({"apiVersion": API_VERSION, "kind": "LayerVersionList", "items": items})

    @router.get(address, response_class=Response, tags=["layers"])
    async def get_layer_version(name: Layer, version: Number) -> Response:
        """The layer version as a manifest, with its status."""
        return _json(_shown(_existing_layer_version(parts, name, version)))

    @router.put(address, response_class=Response, tags=["layers"])
    async def put_layer_version(name: Layer, version: Number, request: Request) -> Response:
        """
        Publishes what the manifest says; the header x-lambent-result says created or unchanged. A version never changes.

        The code is spec.code.inline, spec.code.sha256 of a package sent before, or spec.code.zip: its bytes in base64.
        """
        document = await _document(request, "PutLayerVersion")
        found, result = await apply_layer_version(parts, name, version, document)
        return _json(_shown(found), 201 if result == "created" else 200, {"x-lambent-result": result})

    @router.delete(address, status_code=204, response_class=Response, tags=["layers"])
    async def delete_layer_version(name: Layer, version: Number) -> Response:
        """Deletes the layer version. Functions that use it go on with its package."""
        await parts.layers.delete(_existing_layer_version(parts, name, version).reference)
        return Response(status_code=204)


async def _document(request: Request, operation: str) -> Any:
    body = await read_body(request.receive, operation)
    try:
        return await asyncio.to_thread(orjson.loads, body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequestContent(f"Could not parse request body into json: {error}") from None


def _existing_layer_version(parts: Parts, name: str, number: int) -> LayerVersion:
    version = parts.layers.find(LayerReference(name, number))
    if version is None or version.status.state == "Deleted":
        arn = Caller(parts.account, parts.region).layer_arn(name, number)
        raise ResourceNotFound(f"Layer version not found: {arn}")
    return version


def _existing(parts: Parts, name: str) -> Function:
    function = parts.functions.get(name)
    if function is None:
        raise _not_found(parts, name)
    return function


def _not_found(parts: Parts, name: str) -> ResourceNotFound:
    return ResourceNotFound(f"Function not found: {Caller(parts.account, parts.region).function_arn(name)}")


def _shown(document: Function | LayerVersion) -> dict[str, Any]:
    return {"apiVersion": document.api_version, "kind": document.kind, **msgspec.to_builtins(document)}


def _json(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(document), status, headers, media_type="application/json")
