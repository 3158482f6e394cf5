"""L1: frames however they are cut. L3: an answer taken at once against its frames taken one by one."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lambent_core.link import FrameReader, FrameType, Report, ReportStatus, decode_report, encode, encode_report

reports = st.builds(
    Report,
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.sampled_from(ReportStatus),
    st.sampled_from(["", "Runtime.ExitError", "Fehler.größer"]),
)
slots = st.integers(0, 2)
frames = st.one_of(
    st.builds(encode, st.sampled_from([FrameType.RESPONSE, FrameType.LOG]), st.binary(max_size=40), slot=slots),
    st.builds(encode_report, reports, slot=slots),
)


answers = st.tuples(
    st.builds(encode, st.just(FrameType.RESPONSE), st.binary(max_size=40)), st.builds(encode_report, reports)
)


@given(st.lists(frames, max_size=4), st.lists(st.integers(0, 200)))
def test_frames_are_the_same_however_they_are_cut(sent: list[bytes], cuts: list[int]) -> None:
    whole = b"".join(sent)
    reader, found = FrameReader(), []
    edges = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    for start, end in pairwise(edges):
        found += reader.feed(whole[start:end])
    assert [encode(frame.type, frame.body, flags=frame.flags, slot=frame.slot) for frame in found] == sent, "L1"


@given(answers)
def test_an_answer_alone_is_taken_at_once(sent: tuple[bytes, bytes]) -> None:
    response, report = (frame.body for frame in FrameReader().feed(b"".join(sent)))
    assert FrameReader().answer(b"".join(sent)) == (response, decode_report(report)), "L3"


@given(st.lists(frames, max_size=3) | answers.map(list), st.just(0) | st.integers(0, 12))
def test_an_answer_is_what_its_frames_say(sent: list[bytes], cut: int) -> None:
    whole = b"".join(sent)
    data = whole[: len(whole) - cut]
    answer = FrameReader().answer(data)
    each = list(FrameReader().feed(data))
    types = [frame.type for frame in each]
    together = types == [FrameType.RESPONSE, FrameType.REPORT] and each[0].slot == each[1].slot
    if together and sum(8 + len(frame.body) for frame in each) == len(data):
        assert answer == (each[0].body, decode_report(each[1].body)), "L3"
    else:
        assert answer is None, "L3"


@given(st.binary(max_size=40), reports)
def test_an_answer_is_not_taken_out_of_the_middle_of_a_frame(payload: bytes, report: Report) -> None:
    answer = encode(FrameType.RESPONSE, payload) + encode_report(report)
    reader = FrameReader()
    outer = encode(FrameType.LOG, answer)
    assert not list(reader.feed(outer[:8]))
    assert reader.answer(outer[8:]) is None
    assert [frame.body for frame in reader.feed(outer[8:])] == [answer]
