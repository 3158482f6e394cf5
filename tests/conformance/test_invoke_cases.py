"""AWS's recorded invocations against ours: every case that needs nothing later agrees."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conformance.api_replay import RECORDED

LATER = {
    "async-retries-then-failure-destination": "destinations",
    "returns-undefined-node": "Node.js",
    "node-error-shape": "Node.js",
    "node-esm-handler": "Node.js",
    "ruby-error-shape": "Ruby",
}
"""Cases that stand on what Lambent does not have yet."""
CASES: list[dict[str, Any]] = json.loads((RECORDED / "lambda_invoke_cases.json").read_text())["cases"]


@pytest.fixture(scope="module")
def replayer() -> ModuleType:
    sys.path.insert(0, str(RECORDED))  # it imports its sister by name
    try:
        spec = importlib.util.spec_from_file_location("replay_invoke", RECORDED / "replay_invoke.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(RECORDED))
    return module


@pytest.mark.parametrize("case", [case for case in CASES if case["id"] not in LATER], ids=lambda case: case["id"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_case_agrees(endpoint: str, replayer: ModuleType, case: dict[str, Any]) -> None:
    arguments = argparse.Namespace(
        endpoint=endpoint,
        aux_endpoint=None,
        url_connect=urlsplit(endpoint).netloc,
        account="000000000000",
        region="us-east-1",
        role="arn:aws:iam::000000000000:role/any",
        access_key="testing",
        secret_key="testing",
    )
    results = replayer.Case(case, arguments).run()
    assert results
    assert [result for result in results if not result["ok"]] == []


def test_the_list_of_what_comes_later_names_cases() -> None:
    assert set(LATER) <= {case["id"] for case in CASES}
