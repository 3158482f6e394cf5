"""
Invocations that another gateway ran when it was lost. Their environments outlive it: they come here, and bring the answer.

    O1  each orphan ends once: with its answer, or with the error that nobody knows it
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from lambent_core.errors import LambdaError, ServiceException
from lambent_core.invocation import Invocation, Outcome
from lambent_core.link import Report

ARRIVAL_SECONDS_MAX = 10.0
"""Agents dial another gateway at once; who has not come by then was lost too, or went elsewhere."""


@dataclass(slots=True)
class Orphan:
    """An invocation under way that was not begun here, as far as its answer goes."""

    invocation: Invocation
    done: Callable[[Outcome | LambdaError], None]
    payload: bytes | None = None
    """None until it is answered."""
    error_type: str = ""
    function_error: bool = False

    def reported(self, report: Report, version: str) -> None:
        """Its environment has said how it ended. What of the answer went to the lost gateway is lost with it."""
        if self.payload is None:
            self.lost()
            return
        self.done(
            Outcome(
                payload=self.payload,
                function_error="Unhandled" if self.function_error else None,
                error_type=self.error_type or report.error_type,
                executed_version=version,
                report=report,
            )
        )

    def lost(self) -> None:
        self.done(
            ServiceException(
                f"The gateway that ran {self.invocation.function_name} was lost while the function ran. Whether it ended is not known."
            )
        )


class Orphans:
    """Owns those whose environment has not come yet, by request id."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[Orphan, asyncio.TimerHandle]] = {}

    def put(self, orphan: Orphan) -> None:
        request_id = orphan.invocation.request_id
        timer = asyncio.get_running_loop().call_later(ARRIVAL_SECONDS_MAX, self._give_up, request_id)
        self._waiting[request_id] = orphan, timer

    def take(self, request_id: str | None) -> Orphan | None:
        """Whose environment has come."""
        orphan, timer = self._waiting.pop(request_id or "", (None, None))
        if timer is not None:
            timer.cancel()
        return orphan

    def _give_up(self, request_id: str) -> None:
        self._waiting.pop(request_id)[0].lost()
