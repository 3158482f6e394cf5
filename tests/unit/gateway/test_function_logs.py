from pathlib import Path

from lambent_gateway.stores.logs import FunctionLogs, LogEvent


async def test_lines_become_events_in_order_and_survive_a_restart(tmp_path: Path) -> None:
    first = FunctionLogs(tmp_path)
    first.write("f", 10, "stream", "id", "START\nsaid: ü\n".encode())
    first.write("f", 20, "stream", None, b"later\n")
    first.flush()
    events = [
        LogEvent(10, "stream", "id", "START"),
        LogEvent(10, "stream", "id", "said: ü"),
        LogEvent(20, "stream", None, "later"),
    ]
    assert list(first.read("f")) == events
    assert list(FunctionLogs(tmp_path).read("f", since_ms=11)) == events[2:]
    assert list(first.read("other")) == []


async def test_reading_includes_what_was_just_written(tmp_path: Path) -> None:
    kept = FunctionLogs(tmp_path)
    kept.write("f", 1, "s", None, b"now\n")
    assert [event.message for event in kept.read("f")] == ["now"]


async def test_bytes_that_are_no_text_are_shown_as_far_as_they_are(tmp_path: Path) -> None:
    kept = FunctionLogs(tmp_path)
    kept.write("f", 1, "s", None, b"a\xffb\n")
    assert [event.message for event in kept.read("f")] == ["a\ufffdb"]


async def test_a_follower_gets_what_comes_and_loses_the_oldest_when_it_is_slow(tmp_path: Path) -> None:
    kept = FunctionLogs(tmp_path, follower_events_max=2)
    with kept.follow("f") as queue:
        kept.write("f", 1, "s", None, b"one\ntwo\nthree\n")
        kept.flush()
        assert [queue.get_nowait().message for _ in range(queue.qsize())] == ["two", "three"]
    kept.write("f", 1, "s", None, b"four\n")
    kept.flush()
    assert queue.empty()


async def test_two_generations_are_kept(tmp_path: Path) -> None:
    kept = FunctionLogs(tmp_path, file_bytes_max=100)
    for number in range(5):
        kept.write("f", number, "s", None, b"x" * 80)
        kept.flush()
    assert [event.timestamp for event in kept.read("f")] == [4]
    kept.write("f", 5, "s", None, b"y")
    assert [event.timestamp for event in kept.read("f")] == [4, 5]
    kept.forget("f")
    assert list(kept.read("f")) == []


async def test_a_line_that_a_crash_cut_is_left_out(tmp_path: Path) -> None:
    kept = FunctionLogs(tmp_path)
    kept.write("f", 1, "s", None, b"whole\n")
    kept.flush()
    with (tmp_path / "f.jsonl").open("ab") as file:
        file.write(b'{"timestamp":2,"stre')
    assert [event.message for event in kept.read("f")] == ["whole"]


async def test_a_disk_that_takes_nothing_costs_lines_alone(tmp_path: Path) -> None:
    kept = FunctionLogs(tmp_path / "logs")
    (tmp_path / "logs" / "f.jsonl").mkdir()
    kept.write("f", 1, "s", None, b"lost\n")
    kept.flush()
    (tmp_path / "logs" / "f.jsonl").rmdir()
    kept.write("f", 2, "s", None, b"kept\n")
    assert [event.message for event in kept.read("f")] == ["kept"]
