"""
Whether what stands beside a function can be used: the condition `Ready` of FunctionVersions, FunctionAliases and LayerVersions.

The gateway finds it, which knows them; a Function's and a RuntimePool's conditions are of pods, and the operator's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

import msgspec

from lambent_core.conditions import Finding, condition_of, next_conditions
from lambent_core.function import Condition
from lambent_core.layers import LayerVersion
from lambent_core.versions import FunctionAlias, FunctionVersion, Owned

Judged = FunctionVersion | FunctionAlias | LayerVersion

READY = "Ready"


def of_version(version: FunctionVersion, *, has_function: bool) -> Finding:
    return _ready(f"Version {version.version} can be invoked.") if has_function else _no_function(version)


def of_alias(alias: FunctionAlias, exists: Callable[[str], bool] | None) -> Finding:
    """`exists`: whether its function has such a version; None where it has no function."""
    if exists is None:
        return _no_function(alias)
    weights = alias.additional_version_weights
    named = [("spec.functionVersion", alias.version)]
    named += [("spec.routingConfig.additionalVersionWeights", version) for version in weights]
    for member, version in named:
        if not exists(version):
            return _not_ready(
                "VersionNotFound",
                f"{member}: {alias.function_name} has no version {version}. Publish it, or name one that is there.",
            )
    others = "".join(f", {weight:.4g} of them version {version}" for version, weight in weights.items())
    return _ready(f"Invocations run version {alias.version}{others}.")


def of_layer_version(version: LayerVersion) -> Finding:
    status = version.status
    match status.state:
        case "Active":
            return _ready("Functions can use it.")
        case "Pending":
            return _not_ready("Creating", "Its package is being made.")
        case "Failed":
            return _not_ready("CodeInvalid", status.state_reason or "")
        case "Deleted":
            return _not_ready("Deleted", status.state_reason or "")
        case _:
            assert_never(status.state)


def with_finding(document: Judged, finding: Finding, *, timestamp: str) -> Judged:
    """
    The document with the condition; the same one if that says so already, be it in the words of another release. `timestamp` is now,
    RFC 3339.
    """
    before: list[Condition] = document.conditions if isinstance(document, FunctionAlias) else document.status.conditions
    generation = document.metadata.generation
    last = condition_of(before, finding.type)
    words = finding.message if last is None or finding.status == "False" else last.message
    if [
        *next_conditions(before, [replace(finding, message=words)], generation=generation, timestamp=timestamp)
    ] == before:
        return document
    after = [*next_conditions(before, [finding], generation=generation, timestamp=timestamp)]
    if isinstance(document, FunctionAlias):
        return msgspec.structs.replace(document, conditions=after)
    return msgspec.structs.replace(document, status=msgspec.structs.replace(document.status, conditions=after))


def _ready(message: str) -> Finding:
    return Finding(READY, "True", "Active", message)


def _not_ready(reason: str, message: str) -> Finding:
    return Finding(READY, "False", reason, message)


def _no_function(owned: Owned) -> Finding:
    wanted = f"Function {owned.function_resource}, which is Lambda's {owned.function_name},"
    return _not_ready("FunctionNotFound", f"{wanted} is not there. Apply it: this is then given to it.")
