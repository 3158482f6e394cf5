"""
Provisioned concurrency, which is of published versions and aliases alone. It is not there yet: what can be set is refused.

Behaviour: AWS API reference "PutProvisionedConcurrencyConfig" and its sisters, and recordings of AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambent_core import limits, reservations
from lambent_core.errors import (
    InvalidParameterValue,
    NotImplementedYet,
    ProvisionedConcurrencyConfigNotFound,
    ResourceNotFound,
    UntypedInvalidParameterValue,
)
from lambent_core.invocation import LATEST
from lambent_core.names import Target
from lambent_gateway.api.calls import Call

_PUBLISHED_ONLY = "The function resource provided must be an alias or a published version."


async def put_provisioned_concurrency_config(call: Call) -> Mapping[str, Any]:
    _check_target(call, "Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
    parts, wanted = call.parts, call.members["ProvisionedConcurrentExecutions"]
    unreserved = reservations.unreserved(parts.account_concurrency, reservations.reserved(parts.functions.all()))
    if wanted > unreserved:
        raise UntypedInvalidParameterValue(
            "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency "
            f"[{unreserved}]."
        )
    if unreserved - wanted < limits.UNRESERVED_CONCURRENCY_MIN:
        raise UntypedInvalidParameterValue(
            "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its "
            f"minimum value of [{limits.UNRESERVED_CONCURRENCY_MIN}]."
        )
    raise NotImplementedYet("Provisioned concurrency is not implemented yet in Lambent.")


async def get_provisioned_concurrency_config(call: Call) -> Mapping[str, Any]:
    _check_target(call, _PUBLISHED_ONLY)
    raise ProvisionedConcurrencyConfigNotFound("No Provisioned Concurrency Config found for this function")


async def delete_provisioned_concurrency_config(call: Call) -> Mapping[str, Any]:
    _check_target(call, _PUBLISHED_ONLY)
    return {}


async def list_provisioned_concurrency_configs(call: Call) -> Mapping[str, Any]:
    call.existing(Target(call.target.name))
    return {"ProvisionedConcurrencyConfigs": []}


def _check_target(call: Call, for_latest: str) -> None:
    target = call.target
    qualifier = target.qualifier or LATEST
    if qualifier == LATEST:
        raise InvalidParameterValue(for_latest)
    try:
        _, version = call.version(target)
    except ResourceNotFound:
        if qualifier.isdecimal():
            raise
        raise ResourceNotFound(f"Cannot find alias arn: {call.caller.function_arn(target.name, qualifier)}") from None
    if version == LATEST:
        raise InvalidParameterValue(for_latest)
