"""What functions write: all of it, in order, with the invocation it belongs to."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

from agent_gateway import Start

from lambent_core.link import LOG_OUTSIDE, FrameType

ID = "00000000-0000-0000-0000-00000000000"
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"


async def test_print_and_stderr_in_order(start: Start, client: str) -> None:
    source = """
import sys, os
print("at init")
def handler(event, context):
    print("one")
    sys.stderr.write("two\\n")
    os.write(1, b"three\\n")
    print("no newline", end="")
    context.log("four\\n")
"""
    gateway = await start(source, client=client)
    assert gateway.outside_log == b"at init\n"
    for _ in range(3):
        assert (await gateway.invoke()).log == b"one\ntwo\nthree\nno newlinefour\n"


async def test_text_logging(start: Start, client: str) -> None:
    source = """
import logging
logging.getLogger().setLevel("INFO")
def handler(event, context):
    logging.debug("not this")
    logging.info("ünicode %s", event)
    logging.getLogger("mine").warning("two\\nlines")
"""
    gateway = await start(source, client=client)
    text = (await gateway.invoke(7)).log.decode()
    assert re.fullmatch(
        rf"\[INFO\]\t{MOMENT}\.\d{{3}}Z\t{ID}1\tünicode 7\n\[WARNING\]\t{MOMENT}\.\d{{3}}Z\t{ID}1\ttwo\nlines\n", text
    )


async def test_the_log_level_of_the_configuration(start: Start, client: str) -> None:
    source = "import logging\ndef handler(event, context):\n    logging.debug('d')\n    logging.info('i')\n    logging.error('e')\n"
    gateway = await start(source, client=client, variables={"AWS_LAMBDA_LOG_LEVEL": "ERROR"})
    assert re.findall(r"\[(\w+)\]", (await gateway.invoke()).log.decode()) == ["ERROR"]
    gateway = await start(source, client=client, variables={"AWS_LAMBDA_LOG_LEVEL": "TRACE"})
    assert re.findall(r"\[(\w+)\]", (await gateway.invoke()).log.decode()) == ["DEBUG", "INFO", "ERROR"]


async def test_json_logging(start: Start, client: str) -> None:
    source = """
import logging
def handler(event, context):
    logging.getLogger("mine").info("hello %s", "ü", extra={"order": 5, "odd": {1}})
    logging.warning({"structured": True})
    try:
        1 / 0
    except ZeroDivisionError:
        logging.exception("bad")
    raise ValueError("worse")
"""
    variables = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"}
    gateway = await start(source, client=client, variables=variables)
    lines = [json.loads(line) for line in (await gateway.invoke()).log.decode().splitlines()]
    for line in lines:
        assert re.fullmatch(MOMENT + "Z", line.pop("timestamp"))
    plain, structured, caught, raised = lines
    assert plain == {
        "level": "INFO",
        "message": "hello ü",
        "logger": "mine",
        "requestId": ID + "1",
        "order": 5,
        "odd": "{1}",
    }
    assert structured == {"level": "WARNING", "message": {"structured": True}, "logger": "root", "requestId": ID + "1"}
    assert (caught["message"], caught["errorType"], caught["errorMessage"]) == (
        "bad",
        "ZeroDivisionError",
        "division by zero",
    )
    assert re.search(r"/app.py:handler:\d+$", caught["location"])
    assert "line 7, in handler" in caught["stackTrace"][0]
    assert (raised["level"], raised["errorType"], raised["errorMessage"], raised["requestId"]) == (
        "ERROR",
        "ValueError",
        "worse",
        ID + "1",
    )


async def test_a_flood_is_whole(start: Start, client: str, mounts: bool) -> None:
    source = """
import sys
def handler(event, context):
    for i in range(20000):
        sys.stdout.write("%s %06d %s\\n" % (context.aws_request_id[-1], i, "x" * 200))
    return "done"
"""
    gateway = await start(source, client=client)
    for number in "12":
        answer = await gateway.invoke()
        assert answer.value == "done"
        assert answer.log.decode() == "".join(f"{number} {i:06} {'x' * 200}\n" for i in range(20000))
    assert gateway.agent is not None
    assert resident_bytes(gateway.hello["pid"]) < 16_000_000


async def test_a_flood_waits_for_a_gateway_that_does_not_read(start: Start) -> None:
    source = """
import sys
def handler(event, context):
    for i in range(100000):
        sys.stdout.write("%06d %s\\n" % (i, "x" * 200))
"""
    gateway = await start(source, timeout_ms=60_000)
    assert gateway.peer is not None
    transport = gateway.peer.writer.transport
    transport.pause_reading()  # type: ignore[attr-defined]
    gateway.send_invoke(timeout_ms=60_000)
    seen, same = -1, 0
    while same < 5:  # until the agent holds no more than it will
        await asyncio.sleep(0.05)
        now = resident_bytes(gateway.hello["pid"])
        same, seen = (same + 1 if now == seen else 0), now
    assert seen < 16_000_000
    transport.resume_reading()  # type: ignore[attr-defined]
    answer = await gateway.collect()
    assert answer.log.decode() == "".join(f"{i:06} {'x' * 200}\n" for i in range(100_000))


async def test_what_is_written_between_invocations(start: Start) -> None:
    source = """
import threading
go, written = threading.Event(), threading.Event()
def background():
    while True:
        go.wait()
        go.clear()
        print("between", flush=True)
threading.Thread(target=background, daemon=True).start()
def handler(event, context):
    threading.Timer(0.2, go.set).start()
    print("during")
"""
    gateway = await start(source)
    assert (await gateway.invoke()).log == b"during\n"
    assert gateway.peer is not None
    written = b""
    while not written.endswith(b"\n"):
        frame = await gateway.peer.next(FrameType.LOG)
        assert frame.flags == LOG_OUTSIDE
        written += frame.body
    assert written == b"between\n"
    assert (await gateway.invoke()).log == b"during\n"


def resident_bytes(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) * 1024
