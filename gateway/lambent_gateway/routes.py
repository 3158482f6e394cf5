"""
What an invocation needs to know of its function, prepared once per revision.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from lambent_core.function import Function, revision_of
from lambent_core.invocation import LATEST
from lambent_core.log_lines import LoggedFunction, SystemLog, system_log
from lambent_gateway.environments.runtimes import RuntimeChoice
from lambent_gateway.telemetry import FunctionMetrics


@dataclass(frozen=True, slots=True)
class Route:
    """One function version as the invoke path sees it. Replaced, never changed."""

    function: Function
    key: str
    """Of its placement: see `route_key`."""
    name: str
    """The function's."""
    version: str
    """`$LATEST` or a number."""
    revision: str
    """New with each change that needs new execution environments."""
    arn: str
    """In the platform's own region; a caller's ARN may name another."""
    timeout_ms: int
    memory_mb: int
    log_group: str
    runtime: RuntimeChoice
    system_log: SystemLog
    metrics: FunctionMetrics


def route_of(
    function: Function,
    runtime: RuntimeChoice,
    metrics: FunctionMetrics,
    *,
    region: str,
    account: str,
    version: str = LATEST,
) -> Route:
    """`function` is the version in the shape of a function."""
    spec, published, uid = function.spec, version != LATEST, function.metadata.uid
    arn = function_arn(function.name, region=region, account=account) + (f":{version}" if published else "")
    logged = LoggedFunction(
        name=function.name,
        arn=arn,
        version=version,
        memory_mb=spec.memory_size,
        runtime_version=runtime.version,
        runtime_version_arn=_runtime_version_arn(runtime.version, region) if runtime.version else None,
    )
    return Route(
        function=function,
        key=route_key(function.name, version),
        name=function.name,
        version=version,
        revision=f"{uid}/version {version}" if published else revision_of(uid, function.status.code_revision),
        arn=arn,
        timeout_ms=spec.timeout * 1000,
        memory_mb=spec.memory_size,
        log_group=spec.logging_config.log_group or f"/aws/lambda/{function.name}",
        runtime=runtime,
        system_log=system_log(logged, spec.logging_config),
        metrics=metrics,
    )


def _runtime_version_arn(version: str, region: str) -> str:
    return f"arn:aws:lambda:{region}::runtime:{hashlib.sha256(version.encode()).hexdigest()}"


def route_key(name: str, version: str) -> str:
    """`name` for `$LATEST`, `name:7` for version 7. No function's name has a colon."""
    return name if version == LATEST else f"{name}:{version}"


def function_arn(name: str, *, region: str, account: str) -> str:
    return f"arn:aws:lambda:{region}:{account}:function:{name}"
