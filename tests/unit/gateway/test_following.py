"""Following the document store: F1 and F2, one task at a time for each document, and its end."""

from __future__ import annotations

import asyncio

from lambent_core.documents import Document
from lambent_core.function import Function, FunctionSpec, Metadata
from lambent_gateway.drivers.following import Following
from lambent_gateway.stores.memory import MemoryDocuments


def function(name: str) -> Function:
    return Function(metadata=Metadata(name=name), spec=FunctionSpec(runtime="python3.11", handler="app.handler"))


class World:
    """What was worked on, each time until `go` is set."""

    def __init__(self) -> None:
        self.documents = MemoryDocuments()
        self.worked: list[str] = []
        self.go = asyncio.Event()
        self.following = Following(self.documents, self._changed, self._work)

    def _changed(self, _: Document | None, new: Document | None) -> None:
        if new is not None:
            self.following.take_up(new.metadata.name)

    async def _work(self, name: str) -> None:
        self.worked.append(name)
        await self.go.wait()


async def test_what_is_there_is_taken_up_and_every_change() -> None:
    """F1."""
    world = World()
    await world.documents.put(function("a"), "")
    world.go.set()
    world.following.start(Function)
    await world.following.idle("a", 10)
    stored = await world.documents.put(function("b"), "")
    await world.following.idle("b", 10)
    await world.documents.put(stored, stored.metadata.resource_version)
    await world.following.idle("b", 10)
    assert world.worked == ["a", "b", "b"]


async def test_one_task_at_a_time_works_on_a_document() -> None:
    world = World()
    for name in ("a", "b", "a"):
        world.following.take_up(name)
    await world.following.idle("a", 0)
    assert world.worked == ["a", "b"]
    world.go.set()
    await world.following.idle("b", 10)


async def test_a_change_right_after_the_last_look_begins_another() -> None:
    """F2: before anything else runs."""
    looks: list[str] = []

    async def work(name: str) -> None:
        looks.append(name)
        if len(looks) == 1:
            asyncio.get_running_loop().call_soon(following.take_up, name)

    following = Following(MemoryDocuments(), lambda old, new: None, work)
    following.take_up("a")
    await following.idle("a", 10)
    await following.idle("a", 10)
    assert looks == ["a", "a"]


async def test_after_its_end_nothing_is_taken_up() -> None:
    world = World()
    world.following.start(Function)
    await world.documents.put(function("a"), "")
    await world.following.stop()
    await world.documents.put(function("b"), "")
    await world.following.idle("b", 10)
    assert "b" not in world.worked
