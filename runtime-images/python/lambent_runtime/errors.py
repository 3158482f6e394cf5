"""
Errors as Lambda's Python runtime words them: which of them a failure is, the error object, and the lines in the log.
"""

import traceback
from types import TracebackType

_OWN_FOLDER = __file__.rpartition("/")[0] + "/"
_OWN_SCRIPT = _OWN_FOLDER.removesuffix("lambent_runtime/") + "bootstrap.py"

LINE_END = "\r"
"""Between the lines of one error in the log: a newline would end the log event."""
INDENT = "\u00a0"
"""In place of leading spaces, which log viewers drop."""

INIT_WARNING = (
    "LAMBDA_WARNING: Unhandled exception. The most likely cause is an issue in the function code. "
    "However, in rare cases, a Lambda runtime update can cause unexpected function behavior. "
    "For functions using managed runtimes, runtime updates can be triggered by a function change, or can be applied automatically. "
    "To determine if the runtime has been updated, check the runtime version in the INIT_START log entry. "
    "If this error correlates with a change in the runtime version, you may be able to mitigate this error by temporarily rolling back "
    "to the previous runtime version. "
    "For more information, see https://docs.aws.amazon.com/lambda/latest/dg/runtimes-update.html\r"
)


class Fault(Exception):
    """A failure that the runtime itself finds, with its own type and without a Python traceback."""

    def __init__(self, error_type: str, message: str, trace: "list[str] | None" = None) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.trace = trace or []


def error_object(error_type: str, message: str, trace: "list[str]", request_id: str) -> "dict[str, object]":
    return {"errorMessage": message, "errorType": error_type, "requestId": request_id, "stackTrace": trace}


def from_exception(error: BaseException, request_id: str) -> "dict[str, object]":
    """The error object of anything that was raised: ours have a type of their own."""
    if isinstance(error, Fault):
        return error_object(error.error_type, error.message, error.trace, request_id)
    return error_object(type(error).__name__, str(error), stack_trace(error.__traceback__), request_id)


def stack_trace(tb: "TracebackType | None") -> "list[str]":
    """The formatted frames, without the runtime's own at the top and without the carets of newer Pythons."""
    frames = [(f.filename, f.lineno or 0, f.name, f.line) for f in traceback.extract_tb(tb)]
    for index, frame in enumerate(frames):
        if not (frame[0].startswith(_OWN_FOLDER) or frame[0] == _OWN_SCRIPT):
            frames = frames[index:]
            break
    return traceback.format_list(frames)


def log_text(error: "dict[str, object]") -> str:
    """What the log shows of an error in the format Text: one event."""
    text = "[ERROR]"
    if error["errorType"]:
        text += f" {error['errorType']}"
    if error["errorMessage"]:
        text += (":" if error["errorType"] else "") + f" {error['errorMessage']}"
    lines = [text, "Traceback (most recent call last):"]
    trace = error["stackTrace"]
    assert isinstance(trace, list)
    for element in trace:
        lines += [_indented(line) for line in element.splitlines()] if element else [""]
    return LINE_END.join(lines) + "\n"


def _indented(line: str) -> str:
    rest = line.lstrip(" ")
    return INDENT * (len(line) - len(rest)) + rest
