"""Starts a gateway that serves the API on a free port, and ends it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextmanager
def running_gateway(folder: Path) -> Iterator[str]:
    """Gives the endpoint, once it accepts connections. `folder` keeps the gateway's data."""
    command = [sys.executable, str(Path(__file__).with_name("serve_api.py")), str(folder)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("core", "gateway"))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            endpoint = process.stdout.readline().strip()
            assert endpoint, f"the gateway ended with {process.wait()}"
            yield endpoint
        finally:
            process.terminate()
            process.wait(20)
