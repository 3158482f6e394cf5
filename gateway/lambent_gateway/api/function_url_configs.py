"""
Function URL configurations. Behaviour: AWS API reference "CreateFunctionUrlConfig" and its sisters, and recordings of AWS.

The URLs themselves are served by `function_urls`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lambent_core import deployment
from lambent_core.errors import ResourceConflict, ResourceNotFound
from lambent_core.function import Cors, Function, FunctionUrl
from lambent_core.names import Target
from lambent_gateway.api.calls import Call
from lambent_gateway.api.functions import page

_CORS = {
    "AllowCredentials": "allow_credentials",
    "AllowHeaders": "allow_headers",
    "AllowMethods": "allow_methods",
    "AllowOrigins": "allow_origins",
    "ExposeHeaders": "expose_headers",
    "MaxAge": "max_age",
}


async def create_function_url_config(call: Call) -> Mapping[str, Any]:
    target = _function_of(call, "Function does not exist")
    arn = call.caller.function_arn(target.name)

    def decide(function: Function) -> Function:
        if function.spec.url is not None:
            raise ResourceConflict(
                f"Failed to create function url config for [functionArn = {arn}]. "
                "Error message:  FunctionUrlConfig exists for this Lambda function"
            )
        return _with_url(function, _with_members(FunctionUrl(), call.members), call)

    return _as_given(_shown(await call.change(target, decide), call), call)


async def get_function_url_config(call: Call) -> Mapping[str, Any]:
    return _shown(_configured(call), call)


async def update_function_url_config(call: Call) -> Mapping[str, Any]:
    target = _function_of(call, "Function does not exist")

    def decide(function: Function) -> Function:
        if function.spec.url is None:
            raise _not_there()
        return _with_url(function, _with_members(function.spec.url, call.members), call)

    return _as_given(_shown(await call.change(target, decide), call), call)


async def delete_function_url_config(call: Call) -> Mapping[str, Any]:
    _configured(call)
    await call.change(call.target, lambda function: _with_url(function, None, call))
    return {}


async def list_function_url_configs(call: Call) -> Mapping[str, Any]:
    target = _function_of(call, "Function does not exist")
    function = call.existing(Target(target.name))
    listed, marker = page([function] if function.spec.url else [], call.members, name=lambda one: one.name)
    return {"FunctionUrlConfigs": [_shown(one, call) for one in listed], "NextMarker": marker}


def _with_url(function: Function, url: FunctionUrl | None, call: Call) -> Function:
    spec = msgspec.structs.replace(function.spec, url=url)
    return deployment.amended(function, spec, now=call.parts.clock.time())


def _function_of(call: Call, missing: str) -> Target:
    target = call.target
    if call.parts.functions.get(target.name) is None or target.qualifier is not None:
        raise ResourceNotFound(missing)
    return target


def _configured(call: Call) -> Function:
    target = call.target
    function = call.parts.functions.get(target.name)
    if function is None or target.qualifier is not None or function.spec.url is None:
        raise _not_there()
    return function


def _not_there() -> ResourceNotFound:
    return ResourceNotFound("The resource you requested does not exist.")


def _with_members(url: FunctionUrl, members: Mapping[str, Any]) -> FunctionUrl:
    changes: dict[str, Any] = {}
    if "AuthType" in members:
        changes["auth_type"] = members["AuthType"]
    if "InvokeMode" in members:
        changes["invoke_mode"] = members["InvokeMode"]
    if "Cors" in members:
        changes["cors"] = Cors(**{_CORS[name]: value for name, value in members["Cors"].items()})
    return msgspec.structs.replace(url, **changes)


def _as_given(shown: Mapping[str, Any], call: Call) -> Mapping[str, Any]:
    """AWS answers a change without InvokeMode when the request had none."""
    return {name: value for name, value in shown.items() if name != "InvokeMode" or name in call.members}


def _shown(function: Function, call: Call) -> Mapping[str, Any]:
    url, status = function.spec.url, function.status
    assert url is not None
    shown: dict[str, Any] = {
        "FunctionUrl": f"{call.base_url}/url/{function.name}/",
        "FunctionArn": call.caller.function_arn(function.name),
        "AuthType": url.auth_type,
        "CreationTime": status.url_created,
        "LastModifiedTime": status.url_last_modified,
        "InvokeMode": url.invoke_mode,
    }
    if url.cors is not None:
        shown["Cors"] = {name: getattr(url.cors, field) for name, field in _CORS.items()}
    return shown
