from __future__ import annotations

import dataclasses
import json
from typing import Literal

import pytest
from msgspec.structs import replace

from lambent_core.function import LoggingConfig
from lambent_core.limits import LOG_TAIL_BYTES_MAX
from lambent_core.link import Report, ReportStatus
from lambent_core.log_lines import LoggedFunction, LogTail, SystemLog, log_stream_name, system_log

FUNCTION = LoggedFunction(
    name="hello",
    arn="arn:aws:lambda:us-east-1:000000000000:function:hello",
    version="$LATEST",
    memory_mb=128,
    runtime_version="python:3.11.v1",
    runtime_version_arn="arn:aws:lambda:us-east-1::runtime:abc",
)
NOW = 1_774_951_445.1239
ID = "8f5e1a2b-0000-4000-8000-000000000001"
TIME = "2026-03-31T10:04:05.123Z"
OK = Report(3_010_000, 0, 36 * 1_048_576, ReportStatus.SUCCESS, "")
LONG = replace(OK, duration_ns=899_000_000_000, init_ns=900_000_000)
RAISED = replace(OK, status=ReportStatus.ERROR, error_type="ValueError")
TIMED_OUT = replace(OK, duration_ns=3_000_000_000, status=ReportStatus.TIMEOUT, error_type="Sandbox.Timedout")
EXITED = replace(OK, status=ReportStatus.FAILURE, error_type="Runtime.ExitError")
TEXT = system_log(FUNCTION, LoggingConfig())

Level = Literal["DEBUG", "INFO", "WARN"]


def json_log(level: Level | None = None) -> SystemLog:
    return system_log(FUNCTION, LoggingConfig(log_format="JSON", system_log_level=level))


@pytest.mark.parametrize(
    "report",
    [OK, LONG, RAISED, TIMED_OUT, EXITED],
    ids=["success", "long, after an init that was repeated", "error", "timeout", "failure"],
)
@pytest.mark.parametrize(
    "log", [TEXT, json_log(), json_log("DEBUG"), json_log("WARN")], ids=["text", "json", "debug", "warn"]
)
@pytest.mark.parametrize("init_ns", [0, 95_120_000], ids=["warm", "cold"])
def test_all_of_a_log_is_its_lines_in_order(log: SystemLog, report: Report, init_ns: int) -> None:
    lines = log.start(NOW - 3, ID) + log.end(NOW, ID, report) + log.report(NOW, ID, report, init_ns)
    assert log.whole(NOW - 3, NOW, ID, report, init_ns) == lines
    if not init_ns:
        assert log.whole(NOW - 3, NOW, ID, report) == lines


def record(line: bytes, type: str) -> dict[str, object]:
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    whole = json.loads(line)
    assert list(whole) == ["time", "type", "record"]
    assert (whole["time"], whole["type"]) == (TIME, type)
    inner = whole["record"]
    assert isinstance(inner, dict)
    return inner


def test_text_of_a_warm_invocation() -> None:
    assert TEXT.start(NOW, ID) == f"START RequestId: {ID} Version: $LATEST\n".encode()
    assert TEXT.end(NOW, ID, OK) == f"END RequestId: {ID}\n".encode()
    assert (
        TEXT.report(NOW, ID, OK)
        == (
            f"REPORT RequestId: {ID}\tDuration: 3.01 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\t"
            "Max Memory Used: 36 MB\t\n"
        ).encode()
    )


def test_text_of_a_cold_start() -> None:
    assert TEXT.init_start(NOW) == (
        b"INIT_START Runtime Version: python:3.11.v1\tRuntime Version ARN: arn:aws:lambda:us-east-1::runtime:abc\n"
    )
    assert TEXT.init_report(NOW, "success", 110_100_000, "init") == b"", "REPORT tells it"
    assert (
        TEXT.report(NOW, ID, OK, first_init_ns=110_100_000)
        == (
            f"REPORT RequestId: {ID}\tDuration: 3.01 ms\tBilled Duration: 114 ms\tMemory Size: 128 MB\t"
            "Max Memory Used: 36 MB\tInit Duration: 110.10 ms\t\n"
        ).encode()
    )


@pytest.mark.parametrize(
    ("report", "ending"),
    [
        (RAISED, "Max Memory Used: 36 MB\t\n"),
        (TIMED_OUT, "Max Memory Used: 36 MB\tStatus: timeout\t\n"),
        (EXITED, "Max Memory Used: 36 MB\tStatus: error\tError Type: Runtime.ExitError\t\n"),
        (replace(EXITED, error_type=""), "Max Memory Used: 36 MB\tStatus: error\t\n"),
    ],
    ids=["raised", "timed out", "exited", "failed for no known reason"],
)
def test_text_of_failures(report: Report, ending: str) -> None:
    assert TEXT.report(NOW, ID, report).decode().endswith(ending)


def test_a_repeated_initialisation_is_part_of_the_duration() -> None:
    line = TEXT.report(NOW, ID, replace(OK, init_ns=96_990_000)).decode()
    assert "\tDuration: 100.00 ms\tBilled Duration: 100 ms\t" in line
    assert "Init Duration" not in line
    metrics = record(json_log().report(NOW, ID, replace(OK, init_ns=96_990_000)), "platform.report")["metrics"]
    assert metrics == {"durationMs": 100.0, "billedDurationMs": 100, "memorySizeMB": 128, "maxMemoryUsedMB": 36}


def test_long_durations_are_told_to_the_hundredth() -> None:
    line = TEXT.report(NOW, ID, LONG, first_init_ns=9_000_000_000).decode()
    assert "\tDuration: 899900.00 ms\tBilled Duration: 908900 ms\t" in line
    assert "\tInit Duration: 9000.00 ms\t" in line


def test_memory_is_rounded_up_to_a_megabyte() -> None:
    assert b"Max Memory Used: 37 MB" in TEXT.report(NOW, ID, replace(OK, memory_max_bytes=36 * 1_048_576 + 1))


def test_text_of_a_bad_initialisation() -> None:
    assert TEXT.init_report(NOW, "timeout", 10_000_000_000, "init") == (
        b"INIT_REPORT Init Duration: 10000.00 ms\tPhase: init\tStatus: timeout\t\n"
    )
    assert TEXT.init_report(NOW, "error", 5_000_000, "init", "Runtime.ExitError") == (
        b"INIT_REPORT Init Duration: 5.00 ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError\t\n"
    )
    assert TEXT.init_report(NOW, "success", 5_000_000, "invoke") == (
        b"INIT_REPORT Init Duration: 5.00 ms\tPhase: invoke\t\n"
    )


def test_text_of_a_timeout() -> None:
    assert TEXT.timed_out(NOW, ID, 3) == f"{TIME} {ID} Task timed out after 3.00 seconds\n\n".encode()
    assert json_log("DEBUG").timed_out(NOW, ID, 3) == b""


def test_json_of_a_cold_start() -> None:
    log = json_log("DEBUG")
    assert record(log.init_start(NOW), "platform.initStart") == {
        "initializationType": "on-demand",
        "phase": "init",
        "runtimeVersion": "python:3.11.v1",
        "runtimeVersionArn": "arn:aws:lambda:us-east-1::runtime:abc",
        "functionName": "hello",
        "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:hello",
        "functionVersion": "$LATEST",
        "instanceMaxMemory": 134_217_728,
    }
    assert record(log.init_report(NOW, "success", 110_100_999, "init"), "platform.initReport") == {
        "initializationType": "on-demand",
        "phase": "init",
        "status": "success",
        "metrics": {"durationMs": 110.1},
    }
    assert record(log.start(NOW, ID), "platform.start") == {"requestId": ID, "version": "$LATEST"}
    assert record(log.end(NOW, ID, OK), "platform.runtimeDone") == {
        "requestId": ID,
        "status": "success",
        "metrics": {"durationMs": 3.01},
    }
    assert record(log.report(NOW, ID, OK, first_init_ns=110_100_000), "platform.report") == {
        "requestId": ID,
        "metrics": {
            "durationMs": 3.01,
            "billedDurationMs": 114,
            "memorySizeMB": 128,
            "maxMemoryUsedMB": 36,
            "initDurationMs": 110.1,
        },
        "status": "success",
    }


@pytest.mark.parametrize(
    ("report", "status", "error_type"),
    [
        (RAISED, "error", "ValueError"),
        (TIMED_OUT, "timeout", "Sandbox.Timedout"),
        (EXITED, "failure", "Runtime.ExitError"),
    ],
)
def test_json_of_failures(report: Report, status: str, error_type: str) -> None:
    log = json_log("WARN")
    for line, type in (
        (log.end(NOW, ID, report), "platform.runtimeDone"),
        (log.report(NOW, ID, report), "platform.report"),
    ):
        told = record(line, type)
        assert (told["status"], told["errorType"]) == (status, error_type)
    failed = record(log.init_report(NOW, "error", 1_000_000, "init", error_type), "platform.initReport")
    assert (failed["status"], failed["errorType"]) == ("error", error_type)


def test_an_error_type_is_quoted_in_json() -> None:
    odd = 'Bad"Name\n'
    assert record(json_log().report(NOW, ID, replace(RAISED, error_type=odd)), "platform.report")["errorType"] == odd


@pytest.mark.parametrize(
    ("level", "written"),
    [
        (None, ["initStart", "start", "report"]),
        ("INFO", ["initStart", "start", "report"]),
        ("DEBUG", ["initStart", "initReport", "start", "runtimeDone", "report"]),
        ("WARN", []),
    ],
)
def test_levels_filter_what_is_no_warning(level: Level | None, written: list[str]) -> None:
    log = json_log(level)
    lines = [
        log.init_start(NOW),
        log.init_report(NOW, "success", 1, "init"),
        log.start(NOW, ID),
        log.end(NOW, ID, OK),
        log.report(NOW, ID, OK),
    ]
    assert [json.loads(line)["type"].removeprefix("platform.") for line in lines if line] == written


def test_an_initialisation_ahead_of_demand_is_reported_at_info() -> None:
    log = system_log(
        dataclasses.replace(FUNCTION, initialization_type="provisioned-concurrency"), LoggingConfig(log_format="JSON")
    )
    assert log.init_report(NOW, "success", 1, "init") != b""


def test_text_knows_no_levels() -> None:
    assert system_log(FUNCTION, LoggingConfig(system_log_level="WARN")).start(NOW, ID) != b""


def test_log_stream_name() -> None:
    assert log_stream_name(NOW, "$LATEST", bytes(range(16))) == "2026/03/31/[$LATEST]000102030405060708090a0b0c0d0e0f"
    assert log_stream_name(1_775_001_599.9, "7", bytes(16)) == "2026/03/31/[7]" + "0" * 32


def test_a_tail_never_holds_more_than_twice_its_limit() -> None:
    tail = LogTail()
    for count in (10, 4_096, 100_000, 1, *range(1, 3_000, 7)):
        tail.add(b"x" * count)
        assert len(tail._kept) <= 2 * LOG_TAIL_BYTES_MAX


def test_an_empty_tail() -> None:
    assert bytes(LogTail()) == b""
