"""
What can go wrong in a command: what happened, what to do, and the exit code.

Errors of the AWS client become failures here and nowhere else; Lambda's own words stay as they are.
"""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import urlsplit

ExitCode = Literal[1, 2, 3, 4]

FOUND: ExitCode = 1
"""The function failed, or a check found a problem."""
USAGE: ExitCode = 2
"""The command line or a file it names is wrong."""
REFUSED: ExitCode = 3
"""The platform said no."""
UNREACHABLE: ExitCode = 4
"""The platform did not answer."""

_FIXES = {
    "ResourceNotFoundException": "`lambent ls` shows which functions there are.",
    "TooManyRequestsException": "Wait a moment and try again; `lambent describe NAME` shows reserved concurrency.",
}


class Failure(Exception):
    """Ends the command. `message` says what happened, `fix` what to do about it."""

    def __init__(self, message: str, *, fix: str = "", exit_code: ExitCode = USAGE) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.exit_code = exit_code

    def text(self) -> str:
        return f"Error: {self.message}\n" + (f"{self.fix}\n" if self.fix else "")


def unreachable(endpoint: str, reason: str) -> Failure:
    return Failure(
        f"no answer from {endpoint} ({reason}).",
        fix="Is `lambent up` running? Another address: --endpoint URL or $LAMBENT_ENDPOINT. `lambent doctor` tells more.",
        exit_code=UNREACHABLE,
    )


def refused(code: str, message: str) -> Failure:
    """An error answer of the platform: AWS's name for it and its text."""
    return Failure(f"{code}: {message}", fix=_FIXES.get(code, ""), exit_code=REFUSED)


def as_failure(error: Exception) -> Failure | None:
    """The failure that an exception means; None for a defect of ours, which deserves its traceback."""
    if isinstance(error, Failure):
        return error
    if not type(error).__module__.startswith("botocore."):
        return None
    from botocore import exceptions

    match error:
        case exceptions.ClientError():
            answer = error.response.get("Error", {})
            return refused(answer.get("Code", "Unknown"), answer.get("Message", str(error)))
        case exceptions.EndpointConnectionError() | exceptions.ConnectTimeoutError():
            return unreachable(_address(error), "connection refused")
        case exceptions.HTTPClientError():
            return unreachable(_address(error), str(error))
        case exceptions.ParamValidationError() | exceptions.BotoCoreError():
            return Failure(str(error))
    return None


def _address(error: Any) -> str:
    """The endpoint without the path that was asked for."""
    parts = urlsplit(error.kwargs.get("endpoint_url") or "")
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else "the endpoint"
