"""Writes the generated pages of docs/ anew."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
GENERATORS = ["tests.conformance.compatibility", "tests.manifest_reference", "tests.custom_resources"]


def main() -> int:
    return max(subprocess.run([sys.executable, "-m", name], cwd=ROOT, check=False).returncode for name in GENERATORS)


if __name__ == "__main__":
    sys.exit(main())
