"""
What a function's settings must satisfy beyond the service model: the same rules for every door, in AWS's own words.

Each rule names the member of the manifest that it is about, so that the manifest's door can say where.
AWS documentation: "Lambda runtimes", "Using Lambda environment variables", "Configuring advanced logging".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

from lambent_core import image_references, limits
from lambent_core.errors import InvalidParameterValue, NotImplementedYet
from lambent_core.function import FunctionSpec, ImageConfig

SUPPORTED_RUNTIMES = (
    "nodejs16.x", "nodejs18.x", "nodejs20.x", "nodejs22.x", "nodejs24.x", "nodejs26.x",
    "java8.al2", "java8.al2023", "java11", "java11.al2023", "java17", "java17.al2023", "java21", "java25",
    "python3.8", "python3.9", "python3.10", "python3.11", "python3.12", "python3.13", "python3.14", "python3.15",
    "dotnet6", "dotnet8", "dotnet10", "ruby3.2", "ruby3.3", "ruby3.4", "ruby4.0", "provided.al2", "provided.al2023",
)  # fmt: skip
"""What CreateFunction takes. Whether this installation has the runtime is another question, asked when it is invoked."""
_FORMER_RUNTIME = re.compile(
    r"nodejs(4\.3(-edge)?|6\.10|8\.10|1[024]\.x)?|java8|python(2\.7|3\.[67])|dotnetcore[123]\.[01]|go1\.x|ruby2\.[57]|provided"
)
RESERVED_VARIABLES = frozenset({
    "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR", "AWS_XRAY_DAEMON_ADDRESS",
})  # fmt: skip
_ENVIRONMENT_FAILED = (
    "Lambda was unable to configure your environment variables because the environment variables you have provided"
)
ENVIRONMENT_TOO_LONG = f"{_ENVIRONMENT_FAILED} exceeded the 4KB limit."
ENVIRONMENT_MEASURED = " String measured: "
"""What AWS says before all variables with their values."""
ENVIRONMENT_RESERVED = (
    f"{_ENVIRONMENT_FAILED} contains reserved keys that are currently not supported for modification. "
    "Reserved keys used in this request: "
)
RUNTIME_AND_HANDLER = "Runtime and Handler are mandatory parameters for functions created with deployment packages."
NOT_WITH_AN_IMAGE = "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image."
NOT_WITH_A_ZIP = "Please don't provide {member} when the intended function PackageType is Zip."
IMAGE_URI_MISSING = "Please provide ImageUri when creating a function with packageType Image."
LOG_LEVEL_WITHOUT_JSON = (
    'LogLevel is not supported when LogFormat is set to "Text". '
    'Remove LogLevel from your request or change the LogFormat to "JSON" and try again.'
)
NO_SECURITY_GROUP = (
    "Error occurred while DescribeSecurityGroups. EC2 Error Code: InvalidGroup.NotFound. "
    "EC2 Error Message: The security group '{group}' does not exist"
)
SNAPSTART_RUNTIMES = re.compile(r"java(11|17|21|25).*|python3\.1[2-9]|dotnet(8|10)")


def check_spec(spec: FunctionSpec) -> None:
    """Raises the first problem as Lambda's API would."""
    for _, message in problems(spec):
        raise InvalidParameterValue(message)
    for path in unsupported(spec):
        raise NotImplementedYet(f"{path} is not implemented yet in Lambent.")


def problems(spec: FunctionSpec) -> Iterator[tuple[str, str]]:
    """Pairs of a manifest's member and AWS's text."""
    yield from _image(spec) if spec.package_type == "Image" else _zip(spec)
    yield from _environment(spec)
    logging = spec.logging_config
    if logging.log_format == "Text" and (logging.application_log_level or logging.system_log_level):
        yield "spec.loggingConfig", LOG_LEVEL_WITHOUT_JSON
    if len(spec.tags) > limits.TAGS_MAX:
        yield "spec.tags", "Number of tags exceeds resource tag limit."
    for group in spec.vpc_config.security_group_ids if spec.vpc_config else ():
        yield "spec.vpcConfig.securityGroupIds", NO_SECURITY_GROUP.format(group=group)


def is_known_runtime(name: str) -> bool:
    """Whether Lambda has or had a runtime of this name."""
    return name in SUPPORTED_RUNTIMES or _FORMER_RUNTIME.fullmatch(name) is not None


def unsupported(spec: FunctionSpec) -> Iterator[str]:
    """Members that Lambda has and Lambent has not yet. Taking and ignoring them would break what they promise."""
    if spec.file_system_configs:
        yield "spec.fileSystemConfigs"
    if spec.vpc_config and spec.vpc_config.subnet_ids:
        yield "spec.vpcConfig.subnetIds"


def _image(spec: FunctionSpec) -> Iterator[tuple[str, str]]:
    for member, given in (("runtime", spec.runtime), ("handler", spec.handler), ("layers", spec.layers)):
        if given:
            yield f"spec.{member}", NOT_WITH_AN_IMAGE
    uri = spec.code.image_uri
    if not uri:
        yield "spec.code.imageUri", IMAGE_URI_MISSING
        return
    try:
        image_references.parse(uri)
    except image_references.InvalidReference:
        yield "spec.code.imageUri", f"Source image {uri} is not valid. Provide a valid source image."


def _zip(spec: FunctionSpec) -> Iterator[tuple[str, str]]:
    if spec.code.image_uri is not None:
        yield "spec.code.imageUri", NOT_WITH_A_ZIP.format(member="ImageUri")
    if spec.image_config not in (None, ImageConfig()):
        yield "spec.imageConfig", NOT_WITH_A_ZIP.format(member="ImageConfig")
    yield from _runtime(spec)
    yield from _layers(spec)


def _layers(spec: FunctionSpec) -> Iterator[tuple[str, str]]:
    """Whether they exist is not asked here."""
    if len(spec.layers) > limits.LAYERS_MAX:
        yield "spec.layers", f"Cannot reference more than {limits.LAYERS_MAX} layers."
    seen: dict[str, str] = {}
    for version in spec.layers:
        layer = version.rpartition(":")[0].rpartition(":")[2]
        if layer in seen:
            yield (
                "spec.layers",
                "Two different versions of the same layer are not allowed to be referenced in the same function. "
                f"{seen[layer]} and {version} are versions of the same layer.",
            )
        seen.setdefault(layer, version)


def _runtime(spec: FunctionSpec) -> Iterator[tuple[str, str]]:
    runtime = spec.runtime
    if not runtime or not spec.handler:
        yield "spec.handler" if runtime else "spec.runtime", RUNTIME_AND_HANDLER
    elif _FORMER_RUNTIME.fullmatch(runtime):
        yield (
            "spec.runtime",
            f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions. "
            "We recommend you use a supported runtime while creating or updating functions.",
        )
    elif runtime not in SUPPORTED_RUNTIMES:
        yield (
            "spec.runtime",
            f"Value {runtime} at 'runtime' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(SUPPORTED_RUNTIMES)}] or be a valid ARN",
        )
    elif spec.snap_start.apply_on != "None" and not SNAPSTART_RUNTIMES.fullmatch(runtime):
        yield "spec.snapStart", f"{runtime} is not supported for SnapStart enabled functions."


def _environment(spec: FunctionSpec) -> Iterator[tuple[str, str]]:
    variables = spec.environment.variables if spec.environment else {}
    measured = orjson.dumps(variables)
    if len(measured) > limits.ENVIRONMENT_BYTES_MAX:
        yield "spec.environment.variables", f"{ENVIRONMENT_TOO_LONG}{ENVIRONMENT_MEASURED}{measured.decode()}"
    reserved = [name for name in variables if name in RESERVED_VARIABLES]
    if reserved:
        yield "spec.environment.variables", ENVIRONMENT_RESERVED + ", ".join(reserved)
