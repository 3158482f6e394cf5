"""
Every error a caller can get, one class a row: AWS's name, HTTP status, whose fault.

The shape on the wire (`Message` or `message`, header `x-amzn-ErrorType`) is copied from the service model of botocore
and from the AWS documentation page "Invoke" (section Errors). `api/` turns these into HTTP in one place.
"""

from __future__ import annotations

from typing import ClassVar, Literal


class LambdaError(Exception):
    """An answer that is an error. `fields` are further members of the body, e.g. `Reason`; `headers` of the response."""

    code: ClassVar[str] = "ServiceException"
    status: ClassVar[int] = 500
    fault: ClassVar[Literal["User", "Service"]] = "Service"
    message_key: ClassVar[Literal["message", "Message"]] = "Message"

    def __init__(self, message: str, *, fields: dict[str, str] | None = None, headers: dict[str, str] | None = None):
        super().__init__(message)
        self.message = message
        self.fields = fields or {}
        self.headers = headers or {}

    def body(self) -> dict[str, str]:
        """The JSON object of the response body."""
        return {"Type": self.fault, self.message_key: self.message, **self.fields}


class ServiceException(LambdaError):
    """Lambent itself failed."""


class ServiceUnavailable(LambdaError):
    """Lambent can't take this now (disk full, shutting down): try again."""

    code, status = "ServiceException", 503


class NotImplementedYet(LambdaError):
    """The operation exists in Lambda's API but not yet in Lambent."""

    code, status = "NotImplementedException", 501


class InvalidParameterValue(LambdaError):
    code, status, fault, message_key = "InvalidParameterValueException", 400, "User", "message"


class UntypedInvalidParameterValue(InvalidParameterValue):
    """The same, where AWS leaves out whose fault it is."""

    def body(self) -> dict[str, str]:
        return {self.message_key: self.message, **self.fields}


class ValidationFailed(LambdaError):
    """A member breaks a constraint of the service model; AWS lists all of them in one message."""

    code, status, fault, message_key = "ValidationException", 400, "User", "message"


class InvalidRequestContent(LambdaError):
    code, status, fault, message_key = "InvalidRequestContentException", 400, "User", "message"


class SerializationFailed(LambdaError):
    """A member of the request has another type than the service model says."""

    code, status, fault, message_key = "SerializationException", 400, "User", "message"


class UnknownOperation(LambdaError):
    """No operation of Lambda's API has this method and path."""

    code, status, fault = "UnknownOperationException", 404, "User"


class AccessDenied(LambdaError):
    code, status, fault = "AccessDeniedException", 403, "User"


class ResourceNotFound(LambdaError):
    code, status, fault = "ResourceNotFoundException", 404, "User"


class ProvisionedConcurrencyConfigNotFound(LambdaError):
    code, status, fault, message_key = "ProvisionedConcurrencyConfigNotFoundException", 404, "User", "message"


class ResourceConflict(LambdaError):
    code, status, fault, message_key = "ResourceConflictException", 409, "User", "message"


class PreconditionFailed(LambdaError):
    code, status, fault, message_key = "PreconditionFailedException", 412, "User", "message"


class RequestTooLarge(LambdaError):
    code, status, fault, message_key = "RequestTooLargeException", 413, "User", "message"


class RequestEntityTooLarge(LambdaError):
    code, status, fault, message_key = "RequestEntityTooLargeException", 413, "User", "message"


class TooManyRequests(LambdaError):
    code, status, fault, message_key = "TooManyRequestsException", 429, "User", "message"


class InvalidRuntime(LambdaError):
    code, status, fault = "InvalidRuntimeException", 502, "User"
