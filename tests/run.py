"""
Runs the suites one after the other and says how each ended; `--everyday` runs those that need no servers.

A suite that can't run on this machine says why and is counted as skipped; with CI=true that is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.cluster import one_node
from tools.cluster.places import Places

ROOT = Path(__file__).parent.parent
PYTHON_FOLDERS = ["core", "kube", "gateway", "operator", "cli", "tests", "benchmarks", "tools", "hatch_build.py"]
SECONDS_MAX = 1500


@dataclass(frozen=True)
class Suite:
    name: str
    command: list[str]
    everyday: bool = True
    folder: Path = ROOT
    cannot: Callable[[], str | None] = lambda: None
    """Why it can't run here; None if it can."""


def pytest(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", *arguments]


def no_go() -> str | None:
    return None if shutil.which("go") else "no Go toolchain on PATH"


def no_room_for_a_node() -> str | None:
    if os.geteuid() != 0:
        return "a node of its own needs root"
    if one_node.occupied(Places(ROOT, ROOT / ".cache")):
        return "this machine carries a cluster already: make cluster-down"
    return None


def no_cluster() -> str | None:
    if os.geteuid() == 0 or os.environ.get("KUBECONFIG") or (shutil.which("kind") and shutil.which("docker")):
        return None
    return "no cluster: set KUBECONFIG, or install kind and Docker, or be root on a machine that can carry a node"


def no_postgres() -> str | None:
    there = os.geteuid() == 0 or shutil.which("postgres") or list(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return None if there else "no PostgreSQL, and only root can install it: apt-get install postgresql"


AGENT = ROOT / "runtime-images" / "agent"
UNIT = ["tests/unit", "tests/property", "tests/contract"]
SUITES = [
    Suite("lint", ["ruff", "check", *PYTHON_FOLDERS]),
    Suite("format", ["ruff", "format", "--check", *PYTHON_FOLDERS]),
    Suite("types", ["mypy"]),
    Suite("layers", ["lint-imports"]),
    Suite("database server", [sys.executable, "-m", "tests.postgres_server"], cannot=no_postgres),
    Suite("object store", [sys.executable, "-m", "tests.object_store"]),
    Suite("unit", pytest("-n", "2", *UNIT)),
    Suite("agent vet", ["go", "vet", "./..."], folder=AGENT, cannot=no_go),
    Suite("agent unit", ["go", "test", "./..."], folder=AGENT, cannot=no_go),
    Suite("simulation", pytest("-n", "2", "tests/simulation"), everyday=False),
    Suite("chart", pytest("tests/chart"), everyday=False),
    Suite("image registry", [sys.executable, "-m", "tests.image_registry.server"], everyday=False),
    Suite("integration", pytest("-n", "2", "--dist", "loadfile", "tests/integration"), everyday=False),
    Suite("conformance", pytest("tests/conformance"), everyday=False),
    Suite("chaos", pytest("tests/chaos"), everyday=False),
    Suite("cluster tool", pytest("tests/cluster_tool"), everyday=False, cannot=no_room_for_a_node),
    Suite("cluster", [sys.executable, "-m", "tests.cluster"], everyday=False, cannot=no_cluster),
]


def main() -> int:
    everyday = "--everyday" in sys.argv
    in_ci = os.environ.get("CI") == "true"
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for suite in SUITES:
        if everyday and not suite.everyday:
            continue
        counts[run(suite)] += 1
    print(f"\n{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] or (in_ci and counts["skipped"]) else 0


def run(suite: Suite) -> str:
    reason = suite.cannot()
    if reason:
        print(f"--- {suite.name}: skipped, {reason}", flush=True)
        return "skipped"
    print(f"--- {suite.name}", flush=True)
    began = time.monotonic()
    try:
        code = subprocess.run(suite.command, cwd=suite.folder, check=False, timeout=SECONDS_MAX).returncode
    except subprocess.TimeoutExpired:
        code = -1
    outcome = "failed" if code else "passed"
    print(f"--- {suite.name}: {outcome} after {time.monotonic() - began:.1f} s", flush=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
