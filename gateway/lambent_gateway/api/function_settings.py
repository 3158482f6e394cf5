"""
Small settings of a function that have operations of their own: recursion, runtime updates, code signing (of which there is none).

Behaviour: AWS API reference "PutFunctionRecursionConfig", "PutRuntimeManagementConfig", "GetFunctionCodeSigningConfig".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lambent_core.errors import InvalidParameterValue, NotImplementedYet
from lambent_core.function import Function
from lambent_core.names import Target
from lambent_gateway.api.calls import Call


async def put_function_recursion_config(call: Call) -> Mapping[str, Any]:
    await call.change(call.target, lambda function: _with_spec(function, recursive_loop=call.members["RecursiveLoop"]))
    return {"RecursiveLoop": call.members["RecursiveLoop"]}


async def get_function_recursion_config(call: Call) -> Mapping[str, Any]:
    return {"RecursiveLoop": call.existing(call.target).spec.recursive_loop}


async def put_runtime_management_config(call: Call) -> Mapping[str, Any]:
    update_on = call.members["UpdateRuntimeOn"]
    if update_on == "Manual":
        if not call.members.get("RuntimeVersionArn"):
            raise InvalidParameterValue("You must specify a runtime version ARN when UpdateRuntimeOn is Manual.")
        raise NotImplementedYet("UpdateRuntimeOn Manual: runtimes can't be held at a version yet in Lambent.")
    function = call.existing(call.target)
    changed = await call.change(Target(function.name), lambda latest: _with_spec(latest, update_runtime_on=update_on))
    return _runtime_management(changed, call)


async def get_runtime_management_config(call: Call) -> Mapping[str, Any]:
    return _runtime_management(call.existing(call.target), call)


async def get_function_code_signing_config(call: Call) -> Mapping[str, Any]:
    call.existing(call.target)
    return {}


async def delete_function_code_signing_config(call: Call) -> Mapping[str, Any]:
    call.existing(call.target)
    return {}


def _runtime_management(function: Function, call: Call) -> Mapping[str, Any]:
    return {
        "FunctionArn": call.caller.latest_arn(function.name),
        "UpdateRuntimeOn": function.spec.update_runtime_on,
    }


def _with_spec(function: Function, **changes: Any) -> Function:
    return msgspec.structs.replace(function, spec=msgspec.structs.replace(function.spec, **changes))
