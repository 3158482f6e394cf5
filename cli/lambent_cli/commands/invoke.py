"""`lambent invoke`: run a function; its response goes to stdout as it is."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lambent_cli.connection import lambda_client
from lambent_cli.failures import FOUND, Failure
from lambent_cli.options import Options
from lambent_cli.output import say, write_json


def run(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The function.")],
    payload: Annotated[str, typer.Argument(help="The event: JSON, @FILE, or - for stdin. Default: {}.")] = "{}",
    asynchronous: Annotated[bool, typer.Option("--async", help="Queue the event; do not wait for a response.")] = False,
    log: Annotated[bool, typer.Option("--log", "-l", help="Print the last 4 KB of the log to stderr.")] = False,
    qualifier: Annotated[str | None, typer.Option(help="Version or alias. Default: $LATEST.")] = None,
) -> None:
    """
    Run a function and print its response.

    The response goes to stdout untouched, everything else to stderr. The exit code is 1 when the function failed: its
    error object is the response then. With --output json both stand in one JSON object.
    """
    options: Options = ctx.obj
    call: dict[str, Any] = {"FunctionName": name, "Payload": _payload(payload)}
    call["InvocationType"] = "Event" if asynchronous else "RequestResponse"
    if log and not asynchronous:
        call["LogType"] = "Tail"
    if qualifier:
        call["Qualifier"] = qualifier
    answer = lambda_client(options).invoke(**call)
    if asynchronous:
        say(f"Accepted: request {answer['ResponseMetadata']['HTTPHeaders'].get('x-amzn-requestid', '')}")
        return
    response = answer["Payload"].read()
    if log:
        sys.stderr.write(base64.b64decode(answer.get("LogResult", "")).decode(errors="replace"))
        sys.stderr.flush()
    _write(options, answer, response)
    if "FunctionError" in answer:
        say(f"{name} failed ({answer['FunctionError']}). Its log: lambent logs {name}")
        raise typer.Exit(FOUND)


def _write(options: Options, answer: dict[str, Any], response: bytes) -> None:
    if options.output == "json":
        document = {
            "statusCode": answer["StatusCode"],
            "executedVersion": answer.get("ExecutedVersion"),
            "functionError": answer.get("FunctionError"),
            "requestId": answer["ResponseMetadata"]["HTTPHeaders"].get("x-amzn-requestid"),
            "payload": _parsed(response),
        }
        write_json(document)
        return
    sys.stdout.buffer.write(response)
    if sys.stdout.isatty():
        sys.stdout.buffer.write(b"\n")
    sys.stdout.flush()


def _payload(text: str) -> bytes:
    if text == "-":
        content = sys.stdin.buffer.read()
    elif text.startswith("@"):
        file = Path(text[1:])
        if not file.is_file():
            raise Failure(f"{file}: there is no such file.", fix="After @ stands the path of a file with the event.")
        content = file.read_bytes()
    else:
        content = text.encode()
    try:
        json.loads(content or b"{}")
    except ValueError as error:
        shown = text if len(text) <= 60 else f"{text[:60]}…"
        raise Failure(
            f"the payload {shown} is not JSON: {error}.",
            fix="""In a shell put it in single quotes: '{"name": "Ann"}'. A file: @event.json.""",
        ) from error
    return content


def _parsed(response: bytes) -> Any:
    try:
        return json.loads(response)
    except ValueError:
        return response.decode(errors="replace")
