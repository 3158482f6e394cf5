"""
The gateway under test: `lambent up` on a free port, with the settings given as JSON. Prints its address when it serves.

`agent` in the settings names a program to start in place of the real agent.
"""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

from lambent_gateway import local
from lambent_gateway.settings import ScalingSettings, ServerSettings, Settings


def main() -> None:
    given = orjson.loads(sys.argv[1])
    if given["agent"]:
        binary = Path(given["agent"])
        vars(local)["agent_binary"] = lambda: binary  # the product has one agent, so no setting names it
    settings = Settings(
        data_dir=Path(given["data_dir"]),
        server=ServerSettings(port=0, drain_seconds=5.0),
        scaling=ScalingSettings(**given["scaling"]),
        log_level="error",
    )
    local.up(settings, ready=lambda started: print(started.endpoint.removeprefix("http://"), flush=True))


if __name__ == "__main__":
    main()
