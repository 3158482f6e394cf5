"""Writes the generated pages of docs/ anew."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
GENERATORS = [HERE / "conformance" / "compatibility.py", HERE / "manifest_reference.py"]


def main() -> int:
    return max(subprocess.run([sys.executable, generator], check=False).returncode for generator in GENERATORS)


if __name__ == "__main__":
    sys.exit(main())
