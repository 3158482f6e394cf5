"""
Where an invocation runs: here if this gateway owns the function, else at the gateway that does.

Concurrency is counted by the owner alone. While gateways come and go, two may take themselves for the owner for a moment; what was
begun ends where it was begun.
"""

from __future__ import annotations

from lambent_core.errors import LambdaError
from lambent_core.invocation import Invocation
from lambent_core.ownership import Ownership
from lambent_gateway.drivers.invoker import Invoker
from lambent_gateway.drivers.runner import Done, Runner
from lambent_gateway.peers.client import Handed
from lambent_gateway.peers.clients import PeerClients
from lambent_gateway.sinks import Sink


class Dispatcher(Runner):
    """What `Invoker` is for callers, over all gateways."""

    def __init__(self, invoker: Invoker, ownership: Ownership, peers: PeerClients) -> None:
        self._invoker = invoker
        self._ownership = ownership
        self._peers = peers

    def begin(self, invocation: Invocation, done: Done, sink: Sink | None = None) -> None:
        owner = self._ownership.owner(invocation.function_name)
        if owner == self._ownership.me:
            self._invoker.begin(invocation, done, sink)
            return
        self.check(invocation)  # what can't be invoked is refused without asking its owner
        self._peers.of(owner).begin(Handed(invocation, done, sink))

    def check(self, invocation: Invocation) -> None:
        self._invoker.check(invocation)


def begin_handed(runner: Runner, handed: Handed) -> None:
    """For an invocation that no environment has seen and that shall be run elsewhere than was thought."""
    try:
        runner.begin(handed.invocation, handed.done, handed.sink)
    except LambdaError as error:
        handed.done(error)
