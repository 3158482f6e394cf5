"""docs/manifest.md is what the schema says now, and its examples are manifests."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lambent_core.manifest import parse

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "manifest.md"


def test_the_page_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "manifest_reference.py", "--print"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert PAGE.read_text() == done.stdout, "run: make docs"


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)[:1])
def test_the_example_is_a_manifest(text: str) -> None:
    assert parse(yaml.safe_load(text), source="docs/manifest.md").name == "hello"
