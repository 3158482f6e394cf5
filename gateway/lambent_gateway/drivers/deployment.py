"""
Brings functions from Pending to Active, and updates from InProgress to Successful: the dull half of `lambent_core.deployment`.

It follows the document store, so that it also goes on with what a crash interrupted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lambent_core import deployment
from lambent_core.documents import Document, DocumentConflict, DocumentStore, PackageStore
from lambent_core.function import Function

_PATIENCE_SECONDS = 1.0
"""How long an answer to a change is held back for its settling. It takes milliseconds; a slow disk must not hold callers up."""


class Deployments:
    def __init__(self, documents: DocumentStore, packages: PackageStore, ids: Callable[[], str]) -> None:
        self._documents = documents
        self._packages = packages
        self._ids = ids
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._unsubscribe: Callable[[], None] | None = None

    def start(self) -> None:
        """On the running loop: takes up what is unsettled, then every change."""
        self._unsubscribe = self._documents.subscribe(self._changed)
        for function in self._documents.list(Function):
            self._changed(None, function)

    async def stop(self) -> None:
        if self._unsubscribe:
            self._unsubscribe()
            self._unsubscribe = None
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def settled(self, function: Function) -> None:
        """Returns once the function's last change is settled, or after a second."""
        task = self._tasks.get(function.metadata.name)
        if task is not None:
            await asyncio.wait({task}, timeout=_PATIENCE_SECONDS)

    def _changed(self, _: Document | None, new: Document | None) -> None:
        if isinstance(new, Function) and deployment.is_unsettled(new):
            name = new.metadata.name
            if name not in self._tasks:
                task = self._tasks[name] = asyncio.get_running_loop().create_task(self._settle(name))
                task.add_done_callback(lambda _: self._tasks.pop(name, None))

    async def _settle(self, name: str) -> None:
        while (function := self._documents.get(Function, name)) and deployment.is_unsettled(function):
            problem = deployment.package_problem(function, self._packages.size(function.spec.code.sha256 or ""))
            done = deployment.settled(function, problem, revision_id=self._ids())
            try:
                await self._documents.put(done, function.metadata.resource_version)
            except DocumentConflict:
                continue
