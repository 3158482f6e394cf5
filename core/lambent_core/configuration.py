"""
A function's document as Lambda's API shows it: FunctionConfiguration, and the request's members as a FunctionSpec.

Behaviour of defaults and of absent members: as recorded on AWS (CreateFunction, UpdateFunctionConfiguration).

    C1  what a request set is what the configuration shows
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from lambent_core import images
from lambent_core.caller import Caller
from lambent_core.errors import NotImplementedYet
from lambent_core.function import Code, Environment, Function, FunctionSpec, ImageConfig, LoggingConfig
from lambent_core.invocation import LATEST
from lambent_core.layer_names import parse_layer_version

_PLAIN = {
    "Runtime": "runtime",
    "Role": "role",
    "Handler": "handler",
    "Description": "description",
    "Timeout": "timeout",
    "MemorySize": "memory_size",
    "Architectures": "architectures",
    "Layers": "layers",
    "Tags": "tags",
    "PackageType": "package_type",
}
_STRUCTURES = {
    "EphemeralStorage": "ephemeral_storage",
    "TracingConfig": "tracing_config",
    "SnapStart": "snap_start",
    "LoggingConfig": "logging_config",
    "DeadLetterConfig": "dead_letter_config",
    "VpcConfig": "vpc_config",
    "ImageConfig": "image_config",
    "FileSystemConfigs": "file_system_configs",
}
_NOT_YET = (
    "AcceleratorConfig", "CapacityProviderConfig", "CodeSigningConfigArn", "DurableConfig", "PublishTo",
    "RuntimeConfig", "TenancyConfig",
)  # fmt: skip


def with_members(spec: FunctionSpec, members: Mapping[str, Any]) -> FunctionSpec:
    """`spec` with what a CreateFunction or UpdateFunctionConfiguration request sets; what it leaves out stays."""
    for name in _NOT_YET:
        if members.get(name):
            raise NotImplementedYet(f"The member {name} is not implemented yet in Lambent.")
    changes: dict[str, Any] = {field: members[name] for name, field in _PLAIN.items() if name in members}
    fields = {field.name: field.type for field in msgspec.structs.fields(FunctionSpec)}
    for name, field in _STRUCTURES.items():
        if name in members:
            changes[field] = msgspec.convert(_lower_keys(members[name]), fields[field])
    if "Environment" in members:
        changes["environment"] = Environment(variables=members["Environment"].get("Variables", {}))
    if "KMSKeyArn" in members:
        changes["kms_key_arn"] = members["KMSKeyArn"] or None
    if changes.get("image_config") == ImageConfig():
        changes["image_config"] = None  # an empty one takes it away
    if "DeadLetterConfig" in members and not members["DeadLetterConfig"].get("TargetArn"):
        changes["dead_letter_config"] = None  # an empty target takes the queue away
    return msgspec.structs.replace(spec, **changes)


def configuration(
    function: Function, caller: Caller, qualifier: str | None = None, *, version: str = LATEST
) -> dict[str, Any]:
    """FunctionConfiguration of a version, whose ARN has the qualifier that was asked for. Members without a value are left out."""
    spec, status = function.spec, function.status
    shown: dict[str, Any] = {
        "FunctionName": function.name,
        "FunctionArn": caller.function_arn(function.name, qualifier),
        "Runtime": spec.runtime,
        "Role": spec.role,
        "Handler": spec.handler,
        "CodeSize": spec.code.size or 0,
        "CodeSha256": code_sha256(spec.code),
        "Description": spec.description,
        "Timeout": spec.timeout,
        "MemorySize": spec.memory_size,
        "LastModified": status.last_modified,
        "Version": version,
        "TracingConfig": {"Mode": spec.tracing_config.mode},
        "RevisionId": status.revision_id,
        "State": status.state,
        "StateReason": status.state_reason,
        "StateReasonCode": status.state_reason_code,
        "LastUpdateStatus": status.last_update_status,
        "LastUpdateStatusReason": status.last_update_status_reason,
        "LastUpdateStatusReasonCode": status.last_update_status_reason_code,
        "PackageType": spec.package_type,
        "Architectures": spec.architectures,
        "EphemeralStorage": {"Size": spec.ephemeral_storage.size},
        "SnapStart": {"ApplyOn": spec.snap_start.apply_on, "OptimizationStatus": "Off"},
        "LoggingConfig": _logging_config(spec.logging_config, function.name),
        "KMSKeyArn": spec.kms_key_arn,
    }
    if spec.runtime is not None:
        shown["RuntimeVersionConfig"] = {"RuntimeVersionArn": runtime_version_arn(spec.runtime, caller.region)}
    if spec.image_config is not None:
        shown["ImageConfigResponse"] = {"ImageConfig": _image_config(spec.image_config)}
    if spec.layers:
        shown["Layers"] = _layers(function, caller)
    if spec.environment is not None:
        shown["Environment"] = {"Variables": spec.environment.variables}
    if spec.dead_letter_config is not None:
        shown["DeadLetterConfig"] = {"TargetArn": spec.dead_letter_config.target_arn}
    if spec.vpc_config is not None:
        shown["VpcConfig"] = {"SubnetIds": [], "SecurityGroupIds": [], "VpcId": "", "Ipv6AllowedForDualStack": False}
    return {name: value for name, value in shown.items() if value is not None}


def code_sha256(code: Code) -> str | None:
    """
    CodeSha256 as the API writes it: base64 of a package's digest, hexadecimal digits of an image's.

    None where an image is used by its tag alone.
    """
    if code.image_uri is not None:
        digest = images.digest(code)
        return digest.removeprefix("sha256:") if digest else None
    return package_sha256(code.sha256 or "")


def package_sha256(hex_digest: str) -> str:
    """CodeSha256 of a package as the API writes it: base64 of the digest."""
    return base64.b64encode(bytes.fromhex(hex_digest)).decode()


def code_location(code: Code, package_url: Callable[[str], str]) -> dict[str, str]:
    """
    FunctionCodeLocation. Any registry is called ECR: that is AWS's word for where images are, and what its tools look for.

    `package_url` tells where a package can be had.
    """
    if code.image_uri is None:
        return {"RepositoryType": "S3", "Location": package_url(code.sha256 or "")}
    location = {"RepositoryType": "ECR", "ImageUri": code.image_uri}
    return location | ({"ResolvedImageUri": images.to_pull(code)} if images.digest(code) else {})


def _layers(function: Function, caller: Caller) -> list[dict[str, Any]]:
    sizes = {layer.layer: layer.size for layer in function.status.layers}
    references = filter(None, map(parse_layer_version, function.spec.layers))
    return [{"Arn": one.arn(caller), "CodeSize": sizes.get(one.short, 0)} for one in references]


def runtime_version_arn(runtime: str, region: str) -> str:
    return f"arn:aws:lambda:{region}::runtime:{hashlib.sha256(runtime.encode()).hexdigest()}"


def _image_config(config: ImageConfig) -> dict[str, Any]:
    shown = {
        "EntryPoint": config.entry_point,
        "Command": config.command,
        "WorkingDirectory": config.working_directory,
    }
    return {name: value for name, value in shown.items() if value}


def _logging_config(logging: LoggingConfig, function_name: str) -> dict[str, str]:
    shown = {"LogFormat": logging.log_format, "LogGroup": logging.log_group or f"/aws/lambda/{function_name}"}
    if logging.log_format == "JSON":
        shown["ApplicationLogLevel"] = logging.application_log_level or "INFO"
        shown["SystemLogLevel"] = logging.system_log_level or "INFO"
    return shown


def _lower_keys(value: Any) -> Any:
    """Members of the API by the manifest's names: `LogFormat` is `logFormat`."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _lower_keys(item) for key, item in value.items()}
    return [_lower_keys(item) for item in value] if isinstance(value, list) else value
