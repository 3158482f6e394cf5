"""
How asynchronous invocations of a function are retried. Behaviour: AWS API reference "PutFunctionEventInvokeConfig" and its sisters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from lambent_core.errors import InvalidParameterValue, NotImplementedYet, ResourceNotFound
from lambent_core.function import EventInvokeConfig, Function
from lambent_core.invocation import LATEST
from lambent_core.versions import FunctionAlias, FunctionVersion, Owned
from lambent_gateway.api.calls import Call
from lambent_gateway.api.pages import page

Holder = Function | Owned
"""What can have a configuration of its own."""


async def put_function_event_invoke_config(call: Call) -> Mapping[str, Any]:
    return await _set(call, keep=False)


async def update_function_event_invoke_config(call: Call) -> Mapping[str, Any]:
    _configured(call)
    return await _set(call, keep=True)


async def get_function_event_invoke_config(call: Call) -> Mapping[str, Any]:
    return _shown(_configured(call), call)


async def delete_function_event_invoke_config(call: Call) -> Mapping[str, Any]:
    _configured(call)
    await _change(call, lambda _: None)
    return {}


async def list_function_event_invoke_configs(call: Call) -> Mapping[str, Any]:
    function = call.parts.functions.get(call.target.name)
    if function is None:
        raise _no_function()
    qualified = call.parts.qualified
    holders: list[Holder] = [function, *qualified.versions(function), *qualified.aliases(function)]
    configured = sorted((one for one in holders if _config(one)[1] is not None), key=_qualifier)
    listed, marker = page(configured, call.members, name=_qualifier)
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

    def decide(config: EventInvokeConfig) -> EventInvokeConfig:
        return msgspec.structs.replace(config if keep else EventInvokeConfig(), **given)

    return _shown(await _change(call, decide), call)


async def _change(call: Call, decide: Callable[[EventInvokeConfig], EventInvokeConfig | None]) -> Holder:
    """The function, version or alias after what `decide` makes of its configuration."""
    parts, target, now = call.parts, call.target, call.parts.clock.time()

    def of_function(function: Function) -> Function:
        config = decide(function.spec.event_invoke_config)
        spec = msgspec.structs.replace(function.spec, event_invoke_config=config or EventInvokeConfig())
        status = msgspec.structs.replace(function.status, event_invoke_config_modified=now if config else None)
        return msgspec.structs.replace(function, spec=spec, status=status)

    def of_owned(owned: Owned) -> Owned:
        config = decide(owned.event_invoke_config or EventInvokeConfig())
        return msgspec.structs.replace(
            owned, event_invoke_config=config, event_invoke_config_modified=now if config else None
        )

    if target.latest:
        return await parts.functions.change(target.name, of_function, _no_function)
    return await parts.qualified.change(lambda: _owned(call), of_owned, _no_function)


def _configured(call: Call) -> Holder:
    target = call.target
    holder = call.parts.functions.get(target.name) if target.latest else _owned(call)
    if holder is None or _config(holder)[1] is None:
        arn = call.caller.function_arn(target.name, target.qualifier or LATEST)
        raise ResourceNotFound(f"The function {arn} doesn't have an EventInvokeConfig")
    return holder


def _owned(call: Call) -> Owned | None:
    function, qualifier = call.parts.functions.get(call.target.name), call.target.qualifier or ""
    if function is None:
        return None
    return call.parts.qualified.alias(function, qualifier) or call.parts.qualified.version(function, qualifier)


def _config(holder: Holder) -> tuple[EventInvokeConfig, float | None]:
    """What holds, and when it was set; None where it never was."""
    if isinstance(holder, Function):
        return holder.spec.event_invoke_config, holder.status.event_invoke_config_modified
    return holder.event_invoke_config or EventInvokeConfig(), holder.event_invoke_config_modified


def _qualifier(holder: Holder) -> str:
    match holder:
        case FunctionVersion():
            return holder.version
        case FunctionAlias():
            return holder.name
    return LATEST


def _no_function() -> ResourceNotFound:
    return ResourceNotFound("The function doesn't exist.")


def _shown(holder: Holder, call: Call) -> Mapping[str, Any]:
    config, modified = _config(holder)
    return {
        "LastModified": modified,
        "FunctionArn": call.caller.function_arn(call.target.name, _qualifier(holder)),
        "MaximumRetryAttempts": config.maximum_retry_attempts,
        "MaximumEventAgeInSeconds": config.maximum_event_age_in_seconds,
        "DestinationConfig": {"OnSuccess": {}, "OnFailure": {}},
    }
