"""Tags. Behaviour: AWS API reference "TagResource", "UntagResource", "ListTags", and recordings of AWS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lambent_core import limits, names
from lambent_core.errors import InvalidParameterValue, ResourceNotFound
from lambent_core.function import Function
from lambent_core.names import Target
from lambent_gateway.api.calls import Call

_KINDS = {
    "code-signing-config": "Code signing config",
    "event-source-mapping": "Event source mapping",
    "capacity-provider": "Capacity provider",
    "network-connector": "Network connector",
}
"""What else can be tagged, by its part of the ARN. There is none of it yet, so that none is found."""


async def tag_resource(call: Call) -> Mapping[str, Any]:
    def decide(function: Function) -> Function:
        tags = function.spec.tags | call.members["Tags"]
        if len(tags) > limits.TAGS_MAX:
            raise InvalidParameterValue("Number of tags exceeds resource tag limit.")
        return _with_tags(function, tags)

    await call.change(_tagged(call), decide)
    return {}


async def untag_resource(call: Call) -> Mapping[str, Any]:
    gone = set(call.members["TagKeys"])

    def decide(function: Function) -> Function:
        return _with_tags(function, {key: value for key, value in function.spec.tags.items() if key not in gone})

    await call.change(_tagged(call), decide)
    return {}


async def list_tags(call: Call) -> Mapping[str, Any]:
    return {"Tags": call.existing(_tagged(call)).spec.tags}


def _tagged(call: Call) -> Target:
    arn: str = call.members["Resource"]
    kind = arn.split(":")[5]
    if kind in _KINDS:
        raise ResourceNotFound(f"{_KINDS[kind]} not found: {arn}")
    target = names.parse_target(arn, call.caller)
    if target.qualifier is not None:
        raise InvalidParameterValue(
            "Tags on function aliases and versions are not supported. Please specify a function ARN."
        )
    return target


def _with_tags(function: Function, tags: dict[str, str]) -> Function:
    return msgspec.structs.replace(function, spec=msgspec.structs.replace(function.spec, tags=tags))
