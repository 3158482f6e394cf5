import msgspec
from hypothesis import given
from hypothesis import strategies as st

from lambent_core.census import AgentEntry, Alive, Census, Changes, Line, Rollout, Snapshot
from lambent_core.function import EnvironmentCounts

FREE = AgentEntry("a", "python3.11", "free")
CLAIMED = AgentEntry("a", "python3.11", "claimed", "hello", "u-1", "u-1/1", 128)
DONE = {"hello": Rollout("u-1/1", updated=1, old=0)}


def test_lines_are_as_the_operator_reads_them() -> None:
    census = Census("gateway-0")
    census.put(CLAIMED)
    census.count({"hello": EnvironmentCounts(ready=1)}, DONE)
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
        "rollouts": {"hello": {"revision": "u-1/1", "updated": 1, "old": 0}},
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
    census.count({"hello": EnvironmentCounts(ready=1, busy=1)}, DONE)
    assert census.changes(reader) == Changes([], [], {"hello": EnvironmentCounts(ready=1, busy=1)}, DONE)
    census.count({}, {})
    assert census.changes(reader) == Changes([], [], {"hello": EnvironmentCounts()})
    census.count({"hello": EnvironmentCounts()}, {"hello": Rollout("u-1/1", 0, 0)})
    assert census.changes(reader) is None


def test_a_function_that_has_new_code_is_told_though_as_many_environments_are_ready() -> None:
    census = Census("gateway-0")
    one = {"hello": EnvironmentCounts(ready=1)}
    census.count(one, DONE)
    reader, snapshot = census.read()
    assert snapshot == Snapshot("gateway-0", [], one, DONE)
    begun = {"hello": Rollout("u-1/2", updated=0, old=1)}
    census.count(one, begun)
    assert census.changes(reader) == Changes([], [], one, begun)
    census.count(one, begun)
    assert census.changes(reader) is None


def test_what_a_gateway_of_an_earlier_release_tells_is_understood_and_lacks_rollouts() -> None:
    told = b'{"type": "CHANGES", "agents": [], "gone": [], "functions": {"hello": {"ready": 1}}}'
    assert msgspec.json.decode(told, type=Line) == Changes([], [], {"hello": EnvironmentCounts(ready=1)}, {})


def test_a_reader_is_woken_when_there_is_something_to_tell_and_only_then() -> None:
    census = Census("gateway-0")
    woken: list[str] = []
    reader, _ = census.read(lambda: woken.append("news"))
    for change in (lambda: census.put(FREE), lambda: census.remove("a")):
        change()
        change()
    for _ in range(2):
        census.count({"hello": EnvironmentCounts(ready=1)}, DONE)
    assert woken == ["news"] * 3
    census.close(reader)
    census.put(FREE)
    census.count({}, {})
    assert woken == ["news"] * 3


MOVES = st.lists(
    st.one_of(
        st.builds(AgentEntry, st.sampled_from("abc"), st.just("p"), st.sampled_from(["wanted", "free"])),
        st.sampled_from("abc"),
        st.just(None),
        st.dictionaries(
            st.sampled_from(["x", "y"]),
            st.tuples(
                st.builds(EnvironmentCounts, st.integers(0, 2)),
                st.builds(Rollout, st.sampled_from(["u/1", "u/2"]), st.integers(0, 1), st.just(0)),
            ),
        ),
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
                census.count(*({name: both[place] for name, both in one.items()} for place in (0, 1)))

    for one in before:
        move(one)
    reader, snapshot = census.read()
    agents = {entry.id: entry for entry in snapshot.agents}
    functions = {name: (counts, snapshot.rollouts.get(name)) for name, counts in snapshot.functions.items()}

    def take(line: Line | None) -> None:
        if isinstance(line, Changes):
            agents.update((entry.id, entry) for entry in line.agents)
            for id in line.gone:
                agents.pop(id, None)
            functions.update((name, (counts, line.rollouts.get(name))) for name, counts in line.functions.items())

    for one in after:
        take(census.changes(reader)) if one is None else move(one)
    take(census.changes(reader))
    assert agents == census.agents
    assert {name: told for name, told in functions.items() if told[0] != EnvironmentCounts()} == {
        name: (counts, census.rollouts[name]) for name, counts in census.functions.items()
    }
