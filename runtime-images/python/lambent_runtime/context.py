"""
The context object that handlers get ("Using the Lambda context object to retrieve Python function information").
"""

import json
import os
import sys
import time
from typing import Any

from lambent_runtime.errors import Fault

TRACE_CONTEXT_FIELDS = ("traceparent", "tracestate", "baggage")


class _Fields:
    """Named attributes from a dictionary; what is missing is None, what is unknown is left out."""

    __slots__: "tuple[str, ...]" = ()

    def __init__(self, values: "dict[str, Any]") -> None:
        for name in self.__slots__:
            setattr(self, name, values.get(name))

    def __repr__(self) -> str:
        return f"{type(self).__name__}([{','.join(f'{name}={getattr(self, name)}' for name in self.__slots__)}])"


class CognitoIdentity(_Fields):
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")


class Client(_Fields):
    __slots__ = ("app_package_name", "app_title", "app_version_code", "app_version_name", "installation_id")


class ClientContext(_Fields):
    __slots__ = ("client", "custom", "env")


class LambdaContext:
    """What the platform tells about an invocation. The values of the environment are read once, at init."""

    log_group_name: "str | None" = None
    log_stream_name: "str | None" = None
    function_name: "str | None" = None
    memory_limit_in_mb: "str | None" = None
    function_version: "str | None" = None

    def __init__(
        self,
        request_id: str,
        deadline_ms: int,
        function_arn: str,
        client_context: str = "",
        identity: str = "",
        tenant_id: str = "",
    ) -> None:
        self.aws_request_id = request_id
        self.invoked_function_arn = function_arn
        self.tenant_id = tenant_id or None
        self._epoch_deadline_time_in_ms = deadline_ms
        self._trace_context: dict[str, str] = {}
        self.client_context = self._client_context(client_context) if client_context else None
        self.identity = _identity(identity) if identity else CognitoIdentity({})

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self._epoch_deadline_time_in_ms - int(time.time() * 1000))

    def w3c(self) -> "dict[str, str]":
        """The W3C trace context of the invocation."""
        return dict(self._trace_context)

    def log(self, message: object) -> None:
        sys.stdout.write(str(message))

    def _client_context(self, text: str) -> "ClientContext | None":
        values = _parse(text, "Client Context")
        if values is None:
            return None
        if "w3c" in values:
            trace = values.pop("w3c")
            if isinstance(trace, dict):
                self._trace_context = {n: trace[n] for n in TRACE_CONTEXT_FIELDS if isinstance(trace.get(n), str)}
        if values.get("client") is not None:
            values["client"] = Client(values["client"])
        return ClientContext(values)

    def __repr__(self) -> str:
        names = (
            "aws_request_id",
            "log_group_name",
            "log_stream_name",
            "function_name",
            "memory_limit_in_mb",
            "function_version",
            "invoked_function_arn",
            "client_context",
            "identity",
            "tenant_id",
        )
        return f"LambdaContext([{','.join(f'{name}={getattr(self, name)}' for name in names)}])"


def take_environment() -> None:
    """Takes over what the environment's variables say; once, when they are set."""
    LambdaContext.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
    LambdaContext.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
    LambdaContext.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
    LambdaContext.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
    LambdaContext.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")


def _identity(text: str) -> CognitoIdentity:
    values = _parse(text, "Cognito Identity") or {}
    return CognitoIdentity(
        {
            "cognito_identity_id": values.get("cognitoIdentityId"),
            "cognito_identity_pool_id": values.get("cognitoIdentityPoolId"),
        }
    )


def _parse(text: str, name: str) -> "dict[str, Any] | None":
    try:
        return json.loads(text)  # type: ignore[no-any-return]
    except ValueError as error:
        raise Fault("Runtime.LambdaContextUnmarshalError", f"Unable to parse {name} JSON: {error}") from error
