"""
Runs the recorded API scenarios against an endpoint, and says of each check how it agreed and what it stands on.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

RECORDED = Path(__file__).with_name("recorded")
JOBS = 4
OF_THE_ACCOUNT = {"GetAccountSettings", "PutFunctionConcurrency", "PutProvisionedConcurrencyConfig"}
"""Operations that answer by what is left of the account's concurrency, or take of it."""


@dataclass(frozen=True)
class Check:
    area: str
    scenario: str
    step: int
    label: str
    verdict: Literal["full", "core", "fail"]
    later: str | None
    """The first step, up to this one, that Lambent does not have yet: an operation, or another service. None: it has all."""

    @property
    def name(self) -> str:
        return f"{self.scenario} · {self.label}"


def scenarios() -> list[dict[str, Any]]:
    document: dict[str, Any] = json.loads((RECORDED / "lambda_api_scenarios.json").read_text())
    recorded: list[dict[str, Any]] = document["scenarios"]
    return recorded


def _is_of_the_account(scenario: dict[str, Any]) -> bool:
    return any(step.get("op") in OF_THE_ACCOUNT for step in scenario["steps"])


def replay(endpoint: str, implemented: Sequence[str]) -> list[Check]:
    """Every labelled check of every scenario, in the order of the recording."""
    program = _program()
    arguments = argparse.Namespace(
        endpoint=endpoint,
        aux_endpoint=None,
        account="000000000000",
        region="us-east-1",
        role="arn:aws:iam::000000000000:role/any",
        access_key="testing",
        secret_key="testing",
    )
    recorded = scenarios()
    lanes = [[scenario] for scenario in recorded if not _is_of_the_account(scenario)]
    lanes.append([scenario for scenario in recorded if _is_of_the_account(scenario)])  # one after the other
    with ThreadPoolExecutor(JOBS) as jobs:
        done = jobs.map(lambda lane: [(each["id"], program.run(each, arguments)) for each in lane], reversed(lanes))
        found_by_id = dict(pair for lane in done for pair in lane)
    results = [found_by_id[scenario["id"]] for scenario in recorded]
    return [
        Check(
            scenario["area"],
            scenario["id"],
            found["n"],
            found["label"],
            found["verdict"],
            _later(scenario, found["n"], implemented),
        )
        for scenario, result in zip(recorded, results, strict=True)
        for found in result["checks"]
        if found["label"]
    ]


def _later(scenario: dict[str, Any], number: int, implemented: Sequence[str]) -> str | None:
    for step in scenario["steps"]:
        if "op" in step:
            if step["service"] != "lambda":
                return str(step["service"]).upper()
            if step["op"] not in implemented:
                return str(step["op"])
        if step["n"] == number:
            return None
    raise AssertionError(f"{scenario['id']} has no step {number}")


def _program() -> Any:
    spec = importlib.util.spec_from_file_location("recorded_replay", RECORDED / "replay.py")
    assert spec is not None
    assert spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return program
