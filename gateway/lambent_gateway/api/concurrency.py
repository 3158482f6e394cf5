"""
Reserved concurrency and the account's limits. Behaviour: AWS API reference "PutFunctionConcurrency", "GetAccountSettings".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lambent_core import limits, reservations
from lambent_core.errors import InvalidParameterValue
from lambent_core.function import Function
from lambent_core.names import Target
from lambent_gateway.api import deploy
from lambent_gateway.api.calls import Call

_FUNCTIONS_ONLY = (
    "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. "
    "Please specify either a function name or an unqualified function ARN."
)


async def put_function_concurrency(call: Call) -> Mapping[str, Any]:
    wanted: int = call.members["ReservedConcurrentExecutions"]
    target = _unqualified(call)
    # AWS names $LATEST here, and here alone.
    call.existing(Target(target.name, "$LATEST"))
    async with call.parts.reserving:
        deploy.check_reservation(call.parts, target.name, wanted)
        await _reserve(call, target, wanted)
    return {"ReservedConcurrentExecutions": wanted}


async def get_function_concurrency(call: Call) -> Mapping[str, Any]:
    return {"ReservedConcurrentExecutions": reservations.in_force(call.existing(call.target))}


async def delete_function_concurrency(call: Call) -> Mapping[str, Any]:
    await _reserve(call, _unqualified(call), None)
    return {}


async def get_account_settings(call: Call) -> Mapping[str, Any]:
    functions = call.parts.functions.all()
    published = [version for function in functions for version in call.parts.qualified.versions(function)]
    codes = [spec.code for spec in (*(each.spec for each in functions), *(each.spec for each in published))]
    layers = [version.status.code for version in call.parts.layers.all() if version.status.code]
    sizes = {code.sha256: code.size or 0 for code in codes} | {layer.sha256: layer.size for layer in layers}
    account = call.parts.account_concurrency
    return {
        "AccountLimit": {
            "TotalCodeSize": limits.CODE_STORAGE_BYTES_MAX,
            "CodeSizeUnzipped": limits.UNZIPPED_BYTES_MAX,
            "CodeSizeZipped": limits.ZIP_BYTES_MAX,
            "ConcurrentExecutions": account,
            "UnreservedConcurrentExecutions": reservations.unreserved(account, reservations.reserved(functions)),
        },
        "AccountUsage": {"TotalCodeSize": sum(sizes.values()), "FunctionCount": len(functions)},
    }


def _unqualified(call: Call) -> Target:
    target = call.target
    if target.qualifier is not None:
        raise InvalidParameterValue(_FUNCTIONS_ONLY)
    return target


async def _reserve(call: Call, target: Target, wanted: int | None) -> None:
    def decide(function: Function) -> Function:
        # In force whatever becomes of a manifest that was refused, and may have asked for the same.
        return msgspec.structs.replace(
            function,
            spec=msgspec.structs.replace(function.spec, reserved_concurrent_executions=wanted),
            status=msgspec.structs.replace(function.status, reserved_concurrent_executions=wanted),
        )

    await call.change(target, decide)
