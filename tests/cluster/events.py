"""Asynchronous events, one after the other, of which each that was accepted must run."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from lambent_gateway.api.operating import FORWARDED
from tests.cluster.installation import Installation, function, wait_for

CODE = "def handler(event, context):\n    print('ran', event)\n    return event\n"
EVENTS_MAX = 5_000
PAUSE_SECONDS = 0.1
RETRIES_SECONDS_MAX = 180.0
"""An attempt whose environment was killed is tried again after seconds, one that ended in an error after a minute."""


@contextmanager
def no_event_lost(lambent: Installation, name: str = "later") -> Iterator[None]:
    """They flow while the block runs. Then every accepted one runs at least once: the function's log tells of it."""
    accepted: set[int] = set()
    stop = threading.Event()
    with lambent.applied(function(name, CODE)):
        thread = threading.Thread(target=_send, args=(lambent.endpoint, name, accepted, stop), daemon=True)
        thread.start()
        try:
            wait_for("events to flow", lambda: len(accepted) >= 5)
            yield
        finally:
            stop.set()
            thread.join()
        wait_for("all of them to run", lambda: accepted <= ran(lambent, name), seconds=RETRIES_SECONDS_MAX)
    print(f"events of {name}: {len(accepted)} accepted, none lost")


def ran(lambent: Installation, name: str) -> set[int]:
    """What the function printed. Each gateway has the part of its log that was written while the function was its own."""
    return {number for pod in lambent.platform_pods("gateway") for number in _ran(pod["status"]["podIP"], name)}


def _ran(gateway: str, name: str) -> Iterator[int]:
    url = f"http://{gateway}:9000/lambent/v1/functions/{name}/logs"
    with urllib.request.urlopen(urllib.request.Request(url, headers={FORWARDED: "1"}), timeout=30) as log:
        for line in log.read().decode().splitlines():
            if "ran " in line:
                yield int(line.rpartition("ran ")[2].split('"')[0].split("\\n")[0])


def _send(endpoint: str, name: str, accepted: set[int], stop: threading.Event) -> None:
    url = f"{endpoint}/2015-03-31/functions/{name}/invocations"
    for number in range(EVENTS_MAX):
        if stop.wait(PAUSE_SECONDS):
            return
        headers = {"X-Amz-Invocation-Type": "Event"}
        request = urllib.request.Request(url, data=str(number).encode(), headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                if answer.status == 202:
                    accepted.add(number)
        except (urllib.error.URLError, OSError):
            continue  # nobody was told that it was accepted
