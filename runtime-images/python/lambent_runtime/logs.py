"""
What a function logs: the root logger's handler in both formats, and stdout without a buffer.

AWS documentation, "Using Lambda function logs with Python" and "Log and monitor Python Lambda functions" (advanced logging controls).
"""

import io
import json
import logging
import os
import sys
import time
import traceback
from types import TracebackType
from typing import Any, TextIO

TEXT_FORMAT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S"

_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "aws_request_id",
    "tenant_id",
    "_frame_type",
}
"""Attributes of a record that are not the user's `extra`."""

_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode


class Current:
    """The invocation under way, for what is logged during it."""

    request_id = ""
    tenant_id: "str | None" = None


def unbuffered(stream: TextIO) -> TextIO:
    """The same stream with every write passed on at once: what a killed process wrote is there."""
    raw = io.FileIO(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


def set_up(log_format: str, level: str) -> None:
    """Gives the root logger its one handler. An unknown level is as none."""
    logging.Formatter.converter = time.gmtime
    handler = _StdoutHandler()
    handler.addFilter(_add_invocation)
    handler.setFormatter(
        JsonFormatter() if log_format.upper() == "JSON" else logging.Formatter(TEXT_FORMAT, TIME_FORMAT)
    )
    root = logging.getLogger()
    level = {"TRACE": "DEBUG"}.get(level, level).upper()
    if isinstance(logging.getLevelName(level), int):
        root.setLevel(level)
    root.addHandler(handler)


def is_json() -> bool:
    return os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"


def log_error(error: "dict[str, object]", text: str) -> None:
    """Logs an error object: as it is where the log is JSON, else as text."""
    if is_json():
        moment = time.strftime(TIME_FORMAT + "Z", time.gmtime())
        text = _encode({"timestamp": moment, "level": "ERROR", **error}) + "\n"
    sys.stdout.write(text)


class _StdoutHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        sys.stdout.write(self.format(record))


def _add_invocation(record: logging.LogRecord) -> bool:
    record.aws_request_id = Current.request_id
    record.tenant_id = Current.tenant_id
    return True


class JsonFormatter(logging.Formatter):
    """One object a record, with the user's `extra` beside the platform's fields."""

    def __init__(self) -> None:
        super().__init__(datefmt=TIME_FORMAT + "Z")

    def format(self, record: logging.LogRecord) -> str:
        record.levelno = min(50, max(0, record.levelno)) // 10 * 10
        record.levelname = logging.getLevelName(record.levelno)
        structured = isinstance(record.msg, dict) and not record.args
        fields: dict[str, Any] = {
            "timestamp": self.formatTime(record, self.datefmt),
            "level": record.levelname,
            "message": record.msg if structured else record.getMessage(),
            "logger": record.name,
            **_exception(record),
            "requestId": getattr(record, "aws_request_id", None),
            "tenantId": getattr(record, "tenant_id", None),
        }
        for name, value in vars(record).items():
            if name not in _RECORD_FIELDS and name not in fields:
                fields[name] = value
        return _encode({name: value for name, value in fields.items() if value is not None}) + "\n"


def _exception(record: logging.LogRecord) -> "dict[str, object]":
    if not record.exc_info:
        return {}
    kind, value, tb = record.exc_info
    trace: TracebackType | None = tb
    return {
        "stackTrace": traceback.format_tb(trace),
        "errorType": kind.__name__ if kind else None,
        "errorMessage": str(value),
        "location": f"{record.pathname}:{record.funcName}:{record.lineno}",
    }
