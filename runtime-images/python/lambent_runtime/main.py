"""
The life of the runtime: wait for INIT, import the handler, answer INVOKEs until the agent is gone.
"""

import importlib
import json
import os
import sys
import time
from typing import NoReturn

from lambent_runtime import errors, logs
from lambent_runtime.context import LambdaContext, take_environment
from lambent_runtime.frames import INIT, INVOKE, RESPONSE, SHUTDOWN, Link, parse_invoke
from lambent_runtime.handler import Handler, find_handler
from lambent_runtime.marshal import Marshaller

RESPONSE_BYTES_MAX = 6_291_556
"""Lambda's limit of a response, bytes: 6 MiB + 100."""
TOO_LARGE = "Function.ResponseSizeTooLarge"
TOO_LARGE_OBJECT = (
    b'{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).",'
    b'"errorType":"Function.ResponseSizeTooLarge"}'
)
TRACE_VARIABLE = "_X_AMZN_TRACE_ID"


def main(descriptor: int) -> NoReturn:
    """Never comes back: the process ends with the agent, or as the user's code ends it."""
    link = Link(descriptor)
    try:
        handler, marshaller = _initialize(link)
        _serve(link, handler, marshaller)
    except (EOFError, ConnectionError):
        os._exit(0)
    sys.exit(0)


def _initialize(link: Link) -> "tuple[Handler, Marshaller]":
    kind, body = link.receive()
    if kind != INIT:
        raise EOFError
    init = json.loads(body)
    _become(init)
    sys.stdout, sys.stderr = logs.unbuffered(sys.stdout), logs.unbuffered(sys.stderr)
    logs.set_up(os.environ.get("AWS_LAMBDA_LOG_FORMAT", ""), os.environ.get("AWS_LAMBDA_LOG_LEVEL", ""))
    marshaller = Marshaller(os.environ.get("AWS_EXECUTION_ENV", ""))
    try:
        handler = find_handler(init["handler"])
    except Exception as error:
        _fail_init(link, marshaller, error)
    link.send(INIT, b'{"status":"success"}')
    return handler, marshaller


def _become(init: "dict[str, object]") -> None:
    """Takes over the function's environment, folder and module path."""
    variables = init["environment"]
    if isinstance(variables, dict):  # None: the process was started with them
        os.environ.clear()
        os.environ.update(variables)
        time.tzset()
    task, opt = str(init["taskRoot"]), str(init["optRoot"])
    os.chdir(task)
    python = f"{opt}/python"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    first = [task, f"{python}/lib/python{version}/site-packages", python]
    runtime = os.environ.get("LAMBDA_RUNTIME_DIR")
    if runtime:
        first.append(runtime)
    sys.path[:] = first + [entry for entry in sys.path if entry not in first]
    importlib.invalidate_caches()
    take_environment()


def _fail_init(link: Link, marshaller: Marshaller, error: Exception) -> NoReturn:
    import logging

    result = errors.from_exception(error, "")
    error.__traceback__ = None
    logging.warning(errors.INIT_WARNING)
    logs.log_error(result, errors.log_text(result))
    link.send_error(str(result["errorType"]), marshaller.text(result).encode())
    sys.exit(1)


def _serve(link: Link, handler: Handler, marshaller: Marshaller) -> None:
    receive, send = link.receive, link.send
    traced = os.environ.get(TRACE_VARIABLE, "")
    while True:
        kind, body = receive()
        if kind != INVOKE:
            if kind == SHUTDOWN:
                return
            continue
        deadline_ms, head, payload = parse_invoke(body)
        request_id, arn, trace_id, client_context, identity, tenant_id = head
        logs.Current.request_id = request_id
        logs.Current.tenant_id = tenant_id or None
        if trace_id != traced:
            _set_trace(trace_id)
            traced = trace_id
        try:
            context = LambdaContext(request_id, deadline_ms, arn, client_context, identity, tenant_id)
            result = marshaller.dump(handler(marshaller.load(payload), context))
        except Exception as error:
            _answer_error(link, marshaller, error, request_id)
            continue
        if len(result) > RESPONSE_BYTES_MAX:
            link.send_error(TOO_LARGE, TOO_LARGE_OBJECT)
        else:
            send(RESPONSE, result)
        del result, context, body, payload  # what a function returned must not live through the pause that follows


def _answer_error(link: Link, marshaller: Marshaller, error: Exception, request_id: str) -> None:
    result = errors.from_exception(error, request_id)
    logs.log_error(result, errors.log_text(result))
    link.send_error(str(result["errorType"]), marshaller.text(result).encode("utf-8", "backslashreplace"))


def _set_trace(trace_id: str) -> None:
    if trace_id:
        os.environ[TRACE_VARIABLE] = trace_id
    else:
        os.environ.pop(TRACE_VARIABLE, None)
