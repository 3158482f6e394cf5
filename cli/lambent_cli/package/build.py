"""From where code lies to a package: a ZIP as it is; a folder packed, with what its requirements.txt names."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from lambent_cli.package import requirements
from lambent_cli.package.archive import Package, pack, read_zip
from lambent_cli.steps import Steps


def build(place: Path, *, runtime: str, architecture: str, steps: Steps, fresh: bool = False) -> Package:
    """`place` is a folder or a ZIP. `fresh` installs requirements again instead of taking them from the cache."""
    return _built(place, runtime, architecture, steps, fresh=fresh)


def build_layer(place: Path, *, runtimes: Sequence[str], architectures: Sequence[str], steps: Steps) -> Package:
    """A layer: `place` holds what is to be below /opt. What its requirements.txt names is installed into `python/`."""
    own = f"python{sys.version_info.major}.{sys.version_info.minor}"
    runtime = next((runtime for runtime in runtimes if runtime.startswith("python")), own)
    architecture = architectures[0] if architectures else "x86_64"
    return _built(place, runtime, architecture, steps, below="python/")


def _built(
    place: Path, runtime: str, architecture: str, steps: Steps, *, fresh: bool = False, below: str = ""
) -> Package:
    if place.is_file():
        return read_zip(place)
    further = None
    if requirements.has_requirements(place):
        steps.begin(f"Installing {requirements.REQUIREMENTS}")
        further = requirements.install(place, runtime=runtime, architecture=architecture, fresh=fresh)
    steps.begin(f"Packing {place}")
    return pack(place, further=further, below=below)
