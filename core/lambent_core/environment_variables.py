"""
The variables an execution environment starts with.

Names and values: AWS documentation, "Using Lambda environment variables" (section "Defined runtime environment variables").
"""

from __future__ import annotations

from dataclasses import dataclass

from lambent_core.function import Function


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the variables say about the platform rather than the function."""

    region: str
    endpoint: str
    """URL of the Lambda API, for functions that call functions."""
    access_key: str = "LAMBENTLOCAL00000000"
    """The agent leaves these credentials out where the function has others, and a region where its pod names another."""
    secret_key: str = "local"  # noqa: S105 - accepted by everything while callers need not sign
    session_token: str = "local"  # noqa: S105


def environment_variables(
    function: Function, *, version: str, log_group: str, log_stream: str, image: dict[str, str], platform: Surroundings
) -> dict[str, str]:
    """All of them but those that only the agent knows. The user's come last but can't replace reserved ones: the API refuses those."""
    spec = function.spec
    logging = spec.logging_config
    variables = {
        **image,
        "AWS_REGION": platform.region,
        "AWS_DEFAULT_REGION": platform.region,
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_size),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "AWS_LAMBDA_LOG_FORMAT": logging.log_format,
        "AWS_ACCESS_KEY_ID": platform.access_key,
        "AWS_SECRET_ACCESS_KEY": platform.secret_key,
        "AWS_SESSION_TOKEN": platform.session_token,
        "AWS_ENDPOINT_URL_LAMBDA": platform.endpoint,
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
    }
    if spec.runtime is not None:  # a container image says itself what it is
        variables["AWS_EXECUTION_ENV"] = f"AWS_Lambda_{spec.runtime}"
    if logging.application_log_level:
        variables["AWS_LAMBDA_LOG_LEVEL"] = logging.application_log_level
    return variables | (spec.environment.variables if spec.environment else {})
