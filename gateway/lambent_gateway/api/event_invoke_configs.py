"""
How asynchronous invocations of a function are retried. Behaviour: AWS API reference "PutFunctionEventInvokeConfig" and its sisters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lambent_core.errors import InvalidParameterValue, NotImplementedYet, ResourceNotFound
from lambent_core.function import EventInvokeConfig, Function
from lambent_core.invocation import LATEST
from lambent_core.names import Target
from lambent_gateway.api.calls import Call
from lambent_gateway.api.functions import page


async def put_function_event_invoke_config(call: Call) -> Mapping[str, Any]:
    return await _set(call, keep=False)


async def update_function_event_invoke_config(call: Call) -> Mapping[str, Any]:
    _configured(call)
    return await _set(call, keep=True)


async def get_function_event_invoke_config(call: Call) -> Mapping[str, Any]:
    return _shown(_configured(call), call)


async def delete_function_event_invoke_config(call: Call) -> Mapping[str, Any]:
    _configured(call)
    await call.change(call.target, lambda function: _with(function, EventInvokeConfig(), None))
    return {}


async def list_function_event_invoke_configs(call: Call) -> Mapping[str, Any]:
    function = call.parts.functions.get(call.target.name)
    if function is None:
        raise _no_function()
    configured = [] if function.status.event_invoke_config_modified is None else [function]
    listed, marker = page(configured, call.members, name=lambda one: one.name)
    return {"FunctionEventInvokeConfigs": [_shown(one, call) for one in listed], "NextMarker": marker}


async def _set(call: Call, *, keep: bool) -> Mapping[str, Any]:
    members = call.members
    if any(
        (members.get("DestinationConfig") or {}).get(way, {}).get("Destination") for way in ("OnSuccess", "OnFailure")
    ):
        raise NotImplementedYet("DestinationConfig: destinations are not implemented yet in Lambent.")
    settings = {
        "maximum_retry_attempts": members.get("MaximumRetryAttempts"),
        "maximum_event_age_in_seconds": members.get("MaximumEventAgeInSeconds"),
    }
    given = {name: value for name, value in settings.items() if value is not None}
    if not given and "DestinationConfig" not in members:
        raise InvalidParameterValue("You must specify at least one of error handling or destination setting.")
    if call.parts.functions.get(call.target.name) is None or not call.target.latest:
        raise _no_function()

    def decide(function: Function) -> Function:
        base = function.spec.event_invoke_config if keep else EventInvokeConfig()
        return _with(function, msgspec.structs.replace(base, **given), call.parts.clock.time())

    return _shown(await call.change(Target(call.target.name), decide), call)


def _configured(call: Call) -> Function:
    target = call.target
    function = call.parts.functions.get(target.name)
    if function is None or not target.latest or function.status.event_invoke_config_modified is None:
        arn = call.caller.function_arn(target.name, target.qualifier or LATEST)
        raise ResourceNotFound(f"The function {arn} doesn't have an EventInvokeConfig")
    return function


def _no_function() -> ResourceNotFound:
    return ResourceNotFound("The function doesn't exist.")


def _with(function: Function, config: EventInvokeConfig, modified: float | None) -> Function:
    return msgspec.structs.replace(
        function,
        spec=msgspec.structs.replace(function.spec, event_invoke_config=config),
        status=msgspec.structs.replace(function.status, event_invoke_config_modified=modified),
    )


def _shown(function: Function, call: Call) -> Mapping[str, Any]:
    config = function.spec.event_invoke_config
    return {
        "LastModified": function.status.event_invoke_config_modified,
        "FunctionArn": call.caller.latest_arn(function.name),
        "MaximumRetryAttempts": config.maximum_retry_attempts,
        "MaximumEventAgeInSeconds": config.maximum_event_age_in_seconds,
        "DestinationConfig": {"OnSuccess": {}, "OnFailure": {}},
    }
