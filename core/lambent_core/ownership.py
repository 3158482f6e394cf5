"""
Which gateway owns a function: rendezvous hashing over the gateways that are ready.

Each gateway computes it by itself, and all that see the same members agree. When a member comes or goes, only its own functions move.

    O1  with the same members everybody names the same owner, in whatever order they are listed
    O2  a member that goes moves no function between those that stay
    O3  while nobody is ready, functions stay where they were: a node that is taken for lost still runs its gateways
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Ownership:
    """Owns who is a member; `addresses` by name. Answers are remembered until members change."""

    me: str
    addresses: Mapping[str, str] = field(default_factory=dict)
    _owners: dict[str, str] = field(default_factory=dict)

    def change(self, addresses: Mapping[str, str]) -> bool:
        """Takes the members that are ready now. Whether others count than before."""
        if not addresses or addresses == self.addresses:
            return False
        self.addresses = dict(addresses)
        self._owners.clear()
        return True

    def owner(self, function: str) -> str:
        """A member's name; this gateway's own where nobody has been ready yet."""
        found = self._owners.get(function)
        if found is None:
            found = self._owners[function] = max(
                self.addresses, key=lambda member: (_score(member, function), member), default=self.me
            )
        return found

    def is_mine(self, function: str) -> bool:
        return self.owner(function) == self.me


def _score(member: str, function: str) -> bytes:
    return hashlib.blake2b(f"{member}\0{function}".encode(), digest_size=8).digest()
