"""
Provisioned concurrency, which is of published versions and aliases alone: while there are none, none is found.

Behaviour: AWS API reference "PutProvisionedConcurrencyConfig" and its sisters, and recordings of AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from lambent_core.errors import InvalidParameterValue, ResourceNotFound
from lambent_core.invocation import LATEST
from lambent_core.names import Target
from lambent_gateway.api.calls import Call


async def put_provisioned_concurrency_config(call: Call) -> Mapping[str, Any]:
    _refuse(call, "Provisioned Concurrency Configs cannot be applied to unpublished function versions.")


async def get_provisioned_concurrency_config(call: Call) -> Mapping[str, Any]:
    _refuse(call, "The function resource provided must be an alias or a published version.")


delete_provisioned_concurrency_config = get_provisioned_concurrency_config


async def list_provisioned_concurrency_configs(call: Call) -> Mapping[str, Any]:
    call.existing(Target(call.target.name))
    return {"ProvisionedConcurrencyConfigs": []}


def _refuse(call: Call, for_latest: str) -> NoReturn:
    target = call.target
    qualifier = target.qualifier or LATEST
    if qualifier == LATEST:
        raise InvalidParameterValue(for_latest)
    if qualifier.isdecimal():
        raise call.not_found(target)
    raise ResourceNotFound(f"Cannot find alias arn: {call.caller.function_arn(target.name, qualifier)}")
