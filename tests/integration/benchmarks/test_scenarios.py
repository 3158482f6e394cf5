"""Every scenario of `make bench` runs to its end and yields numbers; how good they are is no test's business."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from benchmarks import __main__ as benchmarks

ROOT = Path(__file__).parents[3]
NEVER_ABOVE_ZERO = {"events lost by kill -9"}
SCENARIOS = (
    "gateway_cpu", "agent_cpu", "whole_path", "cold_start", "burst", "async_accept", "overload", "operator_scale",
)  # fmt: skip
REPORTED_ALONE = {"operator_scale"}
"""Scenarios whose figures have no goal."""


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_quick_run_yields_numbers(scenario: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--results", str(tmp_path), scenario]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    record = orjson.loads((tmp_path / f"{scenario}.json").read_bytes())
    figures = {figure["name"]: figure for figure in record["figures"]}
    assert any(figure["goal"] is not None for figure in figures.values()) or scenario in REPORTED_ALONE
    assert all(math.isfinite(figure["value"]) and figure["value"] >= 0 for figure in figures.values())
    assert all(figures[name]["value"] == 0 for name in NEVER_ABOVE_ZERO & figures.keys())
    assert all(f"  {name} " in done.stdout for name in figures)


def test_every_scenario_is_run() -> None:
    modules = {path.stem for path in (ROOT / "benchmarks" / "scenarios").glob("*.py")} - {"__init__"}
    assert {name for name in modules if not name.startswith("cluster_")} == set(SCENARIOS)
    assert modules == {*benchmarks.SCENARIOS, *benchmarks.CLUSTER_SCENARIOS}


def test_cluster_scenarios_without_a_cluster_say_what_is_missing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--results", str(tmp_path), "cluster_idle"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KUBECONFIG": "", "LAMBENT_ENDPOINT": ""}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "can't be measured: no cluster: `make cluster` makes one" in done.stdout
