from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from lambent_core.billing import billed_ms
from lambent_core.function import LoggingConfig
from lambent_core.link import Report, ReportStatus
from lambent_core.log_lines import LoggedFunction, LogTail, system_log

FUNCTION = LoggedFunction("f", "arn", "7", 512, "python:3.11.v1", "arn")
reports = st.builds(
    Report,
    st.integers(0, 900 * 10**9),
    st.just(0),
    st.integers(0, 10 * 2**30),
    st.sampled_from(ReportStatus),
    st.sampled_from(["", "Runtime.ExitError"]),
)


@given(st.lists(st.integers(0, 5_000), max_size=30))
def test_a_tail_is_the_end_of_everything_added(sizes: list[int]) -> None:
    tail, everything = LogTail(), b""
    for number, size in enumerate(sizes):
        piece = bytes([number]) * size
        tail.add(piece)
        everything += piece
        assert bytes(tail) == everything[-4_096:], "G2"


@given(st.lists(st.binary(max_size=20_000), max_size=20))
def test_a_tail_holds_little(pieces: list[bytes]) -> None:
    tail = LogTail()
    for piece in pieces:
        tail.add(piece)
        assert len(tail._kept) <= 2 * 4_096


@given(reports, st.integers(0, 10**10), st.floats(0, 4 * 10**9))
def test_both_formats_report_the_same_billed_duration(report: Report, init_ns: int, now: float) -> None:
    text = system_log(FUNCTION, LoggingConfig()).report(now, "id", report, init_ns).decode()
    parsed = json.loads(system_log(FUNCTION, LoggingConfig(log_format="JSON")).report(now, "id", report, init_ns))
    billed = billed_ms(report.duration_ns, init_ns)
    assert parsed["record"]["metrics"]["billedDurationMs"] == billed
    told = re.search(r"\tDuration: (\d+\.\d\d) ms\tBilled Duration: (\d+) ms\t", text)
    assert told is not None
    assert int(told[2]) == billed
    assert abs(float(told[1]) * 1e6 - report.duration_ns) <= 5_001
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", parsed["time"])
