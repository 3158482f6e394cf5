"""
Ports for servers that a test starts.

Below those from which the system gives outgoing connections theirs, so that none of these takes one before its server listens.
"""

from __future__ import annotations

import random
import socket

PORTS = range(20_000, 30_000)


def free_port(address: str = "127.0.0.1") -> int:
    """One that nobody listens on at this moment; "" is every address."""
    for port in random.sample(PORTS, k=100):
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return port
    raise AssertionError(f"of 100 ports none is free on {address or 'all addresses'}")
