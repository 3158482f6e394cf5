"""docs/manifest.md is what the schema says now, and its examples are manifests."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lambent_core.manifest import parse_any

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


EXAMPLES = [text for text in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL) if "kind:" in text]


@pytest.mark.parametrize(("text", "name"), [*zip(EXAMPLES, ["hello", "shared.1"], strict=True)])
def test_the_examples_are_manifests(text: str, name: str) -> None:
    assert parse_any(yaml.safe_load(text), source="docs/manifest.md").metadata.name == name
