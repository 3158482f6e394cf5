"""
Function URL configurations. Behaviour: AWS API reference "CreateFunctionUrlConfig" and its sisters, and recordings of AWS.

The URLs themselves are served by `function_urls`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from lambent_core import deployment, versions
from lambent_core.errors import ResourceConflict, ResourceNotFound
from lambent_core.function import Cors, Function, FunctionUrl
from lambent_core.versions import FunctionAlias
from lambent_gateway.api.calls import Call
from lambent_gateway.api.pages import page

Holder = Function | FunctionAlias
"""What can have a URL."""
_CORS = {
    "AllowCredentials": "allow_credentials",
    "AllowHeaders": "allow_headers",
    "AllowMethods": "allow_methods",
    "AllowOrigins": "allow_origins",
    "ExposeHeaders": "expose_headers",
    "MaxAge": "max_age",
}


async def create_function_url_config(call: Call) -> Mapping[str, Any]:
    arn = call.caller.function_arn(call.target.name, call.target.qualifier)

    def decide(url: FunctionUrl | None) -> FunctionUrl:
        if url is not None:
            raise ResourceConflict(
                f"Failed to create function url config for [functionArn = {arn}]. "
                "Error message:  FunctionUrlConfig exists for this Lambda function"
            )
        return _with_members(FunctionUrl(), call.members)

    return _as_given(_shown(await _change(call, decide), call), call)


async def get_function_url_config(call: Call) -> Mapping[str, Any]:
    return _shown(_configured(call), call)


async def update_function_url_config(call: Call) -> Mapping[str, Any]:
    def decide(url: FunctionUrl | None) -> FunctionUrl:
        if url is None:
            raise _not_there()
        return _with_members(url, call.members)

    return _as_given(_shown(await _change(call, decide), call), call)


async def delete_function_url_config(call: Call) -> Mapping[str, Any]:
    _configured(call)
    await _change(call, lambda url: None)
    return {}


async def list_function_url_configs(call: Call) -> Mapping[str, Any]:
    name = call.target.name
    function = call.parts.functions.get(name)
    if function is None or call.target.qualifier is not None:
        raise _no_function()
    holders: list[Holder] = [function, *call.parts.qualified.aliases(function)]
    configured = [holder for holder in holders if url_of(holder) is not None]
    listed, marker = page(configured, call.members, name=_address)
    return {"FunctionUrlConfigs": [_shown(one, call) for one in listed], "NextMarker": marker}


def url_of(holder: Holder) -> FunctionUrl | None:
    return holder.spec.url if isinstance(holder, Function) else holder.url


async def _change(call: Call, decide: Callable[[FunctionUrl | None], FunctionUrl | None]) -> Holder:
    """The function or alias after what `decide` makes of its URL."""
    parts, now = call.parts, call.parts.clock.time()

    def of_function(function: Function) -> Function:
        spec = msgspec.structs.replace(function.spec, url=decide(function.spec.url))
        return deployment.amended(function, spec, now=now)

    if call.target.qualifier is None:
        return await parts.functions.change(call.target.name, of_function, _no_function)
    return await parts.qualified.change(
        lambda: _alias(call), lambda alias: versions.with_url(alias, decide(alias.url), now=now), _no_function
    )


def _configured(call: Call) -> Holder:
    holder = call.parts.functions.get(call.target.name) if call.target.qualifier is None else _alias(call)
    if holder is None or url_of(holder) is None:
        raise _not_there()
    return holder


def _alias(call: Call) -> FunctionAlias | None:
    function = call.parts.functions.get(call.target.name)
    return None if function is None else call.parts.qualified.alias(function, call.target.qualifier or "")


def _address(holder: Holder) -> str:
    """Its place below `/url/`; lists are sorted by it."""
    return f"{holder.function_name}:{holder.name}" if isinstance(holder, FunctionAlias) else holder.name


def _no_function() -> ResourceNotFound:
    return ResourceNotFound("Function does not exist")


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


def _shown(holder: Holder, call: Call) -> Mapping[str, Any]:
    url = url_of(holder)
    assert url is not None
    address, status = _address(holder), holder if isinstance(holder, FunctionAlias) else holder.status
    shown: dict[str, Any] = {
        "FunctionUrl": f"{call.base_url}/url/{address}/",
        "FunctionArn": call.caller.function_arn(address),
        "AuthType": url.auth_type,
        "CreationTime": status.url_created,
        "LastModifiedTime": status.url_last_modified,
        "InvokeMode": url.invoke_mode,
    }
    if url.cors is not None:
        shown["Cors"] = {name: getattr(url.cors, field) for name, field in _CORS.items()}
    return shown
