import msgspec
from hypothesis import given
from hypothesis import strategies as st

from lambent_core.census import AgentEntry, Alive, Census, Changes, Line, Snapshot
from lambent_core.function import EnvironmentCounts

FREE = AgentEntry("a", "python3.11", "free")
CLAIMED = AgentEntry("a", "python3.11", "claimed", "hello", "u-1", "u-1/1", 128)


def test_lines_are_as_the_operator_reads_them() -> None:
    census = Census("gateway-0")
    census.put(CLAIMED)
    census.count({"hello": EnvironmentCounts(ready=1)})
    _, snapshot = census.read()
    assert msgspec.json.decode(msgspec.json.encode(snapshot)) == {
        "type": "SNAPSHOT",
        "gateway": "gateway-0",
        "agents": [
            {
                "id": "a",
                "pool": "python3.11",
                "state": "claimed",
                "function": "hello",
                "functionUid": "u-1",
                "revision": "u-1/1",
                "memoryMb": 128,
                "initError": None,
            }
        ],
        "functions": {"hello": {"ready": 1}},
    }
    assert msgspec.json.encode(Alive()) == b'{"type":"ALIVE"}'


def test_a_reader_is_told_each_change_once() -> None:
    census = Census("gateway-0")
    reader, snapshot = census.read()
    assert snapshot == Snapshot("gateway-0", [], {})
    assert census.changes(reader) is None
    census.put(FREE)
    census.put(CLAIMED)
    assert census.changes(reader) == Changes([CLAIMED], [], {})
    census.put(CLAIMED)
    assert census.changes(reader) is None
    census.remove("a")
    assert census.changes(reader) == Changes([], ["a"], {})
    census.close(reader)
    assert census.readers == []


def test_the_last_environment_of_a_function_is_told_as_none() -> None:
    census = Census("gateway-0")
    reader, _ = census.read()
    census.count({"hello": EnvironmentCounts(ready=1, busy=1)})
    assert census.changes(reader) == Changes([], [], {"hello": EnvironmentCounts(1, 1, 0)})
    census.count({})
    assert census.changes(reader) == Changes([], [], {"hello": EnvironmentCounts()})
    census.count({"hello": EnvironmentCounts()})
    assert census.changes(reader) is None


def test_a_reader_is_woken_when_there_is_something_to_tell_and_only_then() -> None:
    census = Census("gateway-0")
    woken: list[str] = []
    reader, _ = census.read(lambda: woken.append("news"))
    for change in (lambda: census.put(FREE), lambda: census.remove("a")):
        change()
        change()
    for _ in range(2):
        census.count({"hello": EnvironmentCounts(ready=1)})
    assert woken == ["news"] * 3
    census.close(reader)
    census.put(FREE)
    census.count({})
    assert woken == ["news"] * 3


MOVES = st.lists(
    st.one_of(
        st.builds(AgentEntry, st.sampled_from("abc"), st.just("p"), st.sampled_from(["wanted", "free"])),
        st.sampled_from("abc"),
        st.just(None),
        st.dictionaries(st.sampled_from(["x", "y"]), st.builds(EnvironmentCounts, st.integers(0, 2))),
    )
)


@given(MOVES, MOVES)
def test_who_reads_on_knows_what_the_census_knows(before: list[object], after: list[object]) -> None:
    """N1, N2: `None` is a moment at which the reader reads."""
    census = Census("g")

    def move(one: object) -> None:
        match one:
            case AgentEntry():
                census.put(one)
            case str():
                census.remove(one)
            case dict():
                census.count(one)

    for one in before:
        move(one)
    reader, snapshot = census.read()
    agents, functions = {entry.id: entry for entry in snapshot.agents}, dict(snapshot.functions)

    def take(line: Line | None) -> None:
        if isinstance(line, Changes):
            agents.update((entry.id, entry) for entry in line.agents)
            for id in line.gone:
                agents.pop(id, None)
            functions.update(line.functions)

    for one in after:
        take(census.changes(reader)) if one is None else move(one)
    take(census.changes(reader))
    assert agents == census.agents
    assert {name: counts for name, counts in functions.items() if counts != EnvironmentCounts()} == census.functions
