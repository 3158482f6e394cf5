"""AWS's recorded answers against ours: agreement by area, and the page that lists each difference."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.conformance.api_replay import Check, replay
from tests.conformance.compatibility import IMPLEMENTED, PAGE, render

AREAS = (
    "concurrency",
    "function-crud",
    "function-url",
    "layers",
    "limits",
    "name-validation",
    "not-found",
    "revision-id",
    "tags",
)
FULL_MIN = 0.80
CORE_MIN = 0.95

pytestmark = pytest.mark.timeout(300)  # packages and requests over each limit are sent, hundreds of megabytes


@pytest.fixture(scope="module")
def checks(endpoint: str) -> list[Check]:
    return replay(endpoint, IMPLEMENTED)


@pytest.mark.parametrize("area", AREAS)
def test_area_agrees(checks: list[Check], area: str) -> None:
    """Of the checks that stand on nothing later: 80 % in full, 95 % in core."""
    verdicts = Counter(check.verdict for check in checks if check.area == area and check.later is None)
    total = verdicts.total()
    assert total > 0
    assert verdicts["full"] >= FULL_MIN * total, verdicts
    assert total - verdicts["fail"] >= CORE_MIN * total, verdicts


def test_compatibility_page_is_what_differs(checks: list[Check]) -> None:
    assert PAGE.read_text() == render(checks), "docs/compatibility.md is stale: run make docs"
