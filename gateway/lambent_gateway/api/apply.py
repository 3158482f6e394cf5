"""
The manifest's door: brings one function to what its manifest says, made or altered by the same code as the Lambda API's.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import Any, Literal

import msgspec

from lambent_core import deployment, manifest
from lambent_core.caller import Caller
from lambent_core.errors import AccessDenied, InvalidParameterValue, ResourceNotFound
from lambent_core.function import Code, Function, FunctionSpec, Metadata
from lambent_core.images import is_image, still_known
from lambent_core.package import inline_files, pack
from lambent_core.rest_json import from_base64
from lambent_gateway.api import deploy
from lambent_gateway.api.calls import Parts
from lambent_gateway.api.images import looked_up

Result = Literal["created", "configured", "unchanged"]


async def apply_manifest(parts: Parts, name: str, document: Any, *, caller: Caller) -> tuple[Function, Result]:
    """Raises InvalidParameterValue that names each member that is wrong."""
    packed = take_zip(document)
    try:
        wanted = manifest.parse(document, source="manifest", code_required=packed is None)
    except manifest.ManifestError as error:
        raise InvalidParameterValue("; ".join(map(str, error.problems))) from None
    if name not in (wanted.name, wanted.metadata.name):
        raise InvalidParameterValue(f"metadata.name: the manifest is of {wanted.name}, the address of {name}")
    check_namespace(parts, wanted.metadata)
    before = parts.functions.get(wanted.name)
    if before is not None and before.spec.package_type != wanted.spec.package_type:
        raise InvalidParameterValue(
            f"spec.packageType: the function is {before.spec.package_type}, which never changes: "
            "a function with another package type is another function"
        )
    spec = await _with_code(parts, wanted, before, packed)
    async with nullcontext() if spec.reserved_concurrent_executions is None else parts.reserving:
        _check_reservation(parts, wanted)
        if before is None:
            created = await deploy.create_function(parts, wanted.name, spec, caller=caller, metadata=wanted.metadata)
            return created, "created"
        after = await _update(parts, wanted, spec, caller)
        return after, "unchanged" if after == before else "configured"


async def _update(parts: Parts, wanted: Function, spec: FunctionSpec, caller: Caller) -> Function:
    arn = caller.function_arn(wanted.name)

    def decide(function: Function) -> Function:
        now = parts.clock.time()
        applied = deployment.applied(function, spec, arn=arn, revision_id=parts.ids(), now=now)
        if applied.status.code_revision != function.status.code_revision:
            applied = deploy.with_layers(parts, applied, caller=caller)
        metadata = msgspec.structs.replace(
            applied.metadata,
            labels=applied.metadata.labels | wanted.metadata.labels,
            annotations=applied.metadata.annotations | wanted.metadata.annotations,
        )
        return msgspec.structs.replace(applied, metadata=metadata)

    after = await parts.functions.change(
        wanted.name, decide, lambda: ResourceNotFound(f"Function not found: {wanted.name}")
    )
    await parts.settled(after)
    return after


def _check_reservation(parts: Parts, wanted: Function) -> None:
    if wanted.spec.reserved_concurrent_executions is not None:
        try:
            deploy.check_reservation(parts, wanted.name, wanted.spec.reserved_concurrent_executions)
        except InvalidParameterValue as error:
            raise InvalidParameterValue(f"spec.reservedConcurrentExecutions: {error.message}") from None


async def _with_code(parts: Parts, wanted: Function, before: Function | None, packed: bytes | None) -> FunctionSpec:
    spec = wanted.spec
    if not is_image(spec):
        return msgspec.structs.replace(spec, code=await _code(parts, wanted, before, packed))
    try:
        return await looked_up(parts, still_known(spec, before.spec.code if before else None))
    except (AccessDenied, InvalidParameterValue) as error:
        raise type(error)(f"spec.code.imageUri: {error.message}") from None


async def _code(parts: Parts, wanted: Function, before: Function | None, packed: bytes | None) -> Code:
    code, spec = wanted.spec.code, wanted.spec
    if code.path is not None:
        raise InvalidParameterValue(
            "spec.code.path: only the lambent command reads folders; send the package and name it as spec.code.sha256"
        )
    if code.sha256 is not None:
        if before is not None and code.sha256 == before.spec.code.sha256:
            return before.spec.code
        return deploy.code_of(await deploy.find_package(parts, code.sha256))
    if packed is None:
        assert code.inline is not None
        files = (
            code.inline
            if isinstance(code.inline, dict)
            else inline_files(code.inline, handler=spec.handler or "", runtime=spec.runtime or "")
        )
        packed = await asyncio.to_thread(pack, files)
    try:
        return deploy.code_of(await deploy.store_package(parts, packed))
    except InvalidParameterValue as error:
        raise InvalidParameterValue(f"spec.code: {error.message}") from None


def check_namespace(parts: Parts, metadata: Metadata) -> None:
    """Raises InvalidParameterValue for a namespace that is not the functions'. `default` is also what no namespace is read as."""
    if metadata.namespace not in ("default", parts.namespace):
        raise InvalidParameterValue(
            f"metadata.namespace: functions and layer versions are in {parts.namespace} here, "
            f"not in {metadata.namespace}: leave it out"
        )


def take_zip(document: Any) -> bytes | None:
    """The member `spec.code.zip`, which only travels: bytes of the package in base64."""
    match document:
        case {"spec": {"code": {"zip": str(text)} as code}}:
            del code["zip"]
            return from_base64(text)
    return None
