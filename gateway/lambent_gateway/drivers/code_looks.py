"""
Looks again for code that could not be had: an image may be pushed or a package uploaded a moment later, and nobody tells of it (G6 of
`lambent_core.generations`).

Every gateway looks, as each may go. The one that found that the code can't be had begins soonest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from lambent_core import generations, images
from lambent_core.documents import Document
from lambent_core.errors import ServiceUnavailable
from lambent_core.function import Code, Function, FunctionSpec
from lambent_core.images import ImageProblem
from lambent_gateway.code_packages import UnusableCode

PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 10.0, 300.0
"""
From one look to the next; as the kubelet does, which begins with 10 s and ends with 5 min. Looking for a package asks no registry, and
goes on as it begins.
"""


class CodeLooks:
    """Tell it of every change."""

    def __init__(
        self, look_up: Callable[[FunctionSpec, Code | None], Awaitable[object]], found: Callable[[str], None]
    ) -> None:
        """
        `look_up` code, beside the code in force; it raises ImageProblem or UnusableCode. `found` is told the name of a function that is to
        be settled anew: its code can be had, or only settling tells.
        """
        self._look_up = look_up
        self._found = found
        self._tasks: dict[str, asyncio.Task[None]] = {}
        """By the functions' uids."""

    async def stop(self) -> None:
        tasks = [*self._tasks.values()]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def changed(self, old: Document | None, new: Document | None, *, soon: bool) -> None:
        """Begins to look, or ends. `soon`: this gateway has just looked for it."""
        earlier = old if isinstance(old, Function) else None
        awaits = new if isinstance(new, Function) and generations.awaits_code(new) else None
        if earlier is not None and (awaits is None or awaits.metadata.uid != earlier.metadata.uid):
            task = self._tasks.pop(earlier.metadata.uid, None)
            if task is not None:
                task.cancel()
        if awaits is not None and awaits.metadata.uid not in self._tasks:
            wanted = generations.asked_for(awaits, earlier)
            look = self._look(awaits.metadata.name, wanted, awaits.status.code, soon=soon)
            self._tasks[awaits.metadata.uid] = asyncio.get_running_loop().create_task(look)

    async def _look(self, name: str, wanted: FunctionSpec | None, before: Code | None, *, soon: bool) -> None:
        """`wanted` None: the change was not seen while it was under way, as after a restart. Nothing is written before it is `found`."""
        pause = PAUSE_SECONDS_MIN if soon else PAUSE_SECONDS_MAX
        while True:
            await asyncio.sleep(pause)
            if wanted is None or await self._can_be_had(wanted, before):
                self._found(name)
                return
            pause = min(2 * pause, PAUSE_SECONDS_MAX) if images.is_image(wanted) else PAUSE_SECONDS_MIN

    async def _can_be_had(self, wanted: FunctionSpec, before: Code | None) -> bool:
        try:
            await self._look_up(wanted, before)
        except (ImageProblem, UnusableCode, ServiceUnavailable):
            return False
        return True
