"""Writes the generated pages of docs/ anew."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

GENERATORS = [Path(__file__).parent / "conformance" / "compatibility.py"]


def main() -> int:
    return max(subprocess.run([sys.executable, generator], check=False).returncode for generator in GENERATORS)


if __name__ == "__main__":
    sys.exit(main())
