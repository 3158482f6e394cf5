"""From where code lies to a package: a ZIP as it is; a folder packed, with what its requirements.txt names."""

from __future__ import annotations

from pathlib import Path

from lambent_cli.package import requirements
from lambent_cli.package.archive import Package, pack, read_zip
from lambent_cli.steps import Steps


def build(place: Path, *, runtime: str, architecture: str, steps: Steps, fresh: bool = False) -> Package:
    """`place` is a folder or a ZIP. `fresh` installs requirements again instead of taking them from the cache."""
    if place.is_file():
        return read_zip(place)
    further = None
    if requirements.has_requirements(place):
        steps.begin(f"Installing {requirements.REQUIREMENTS}")
        further = requirements.install(place, runtime=runtime, architecture=architecture, fresh=fresh)
    steps.begin(f"Packing {place}")
    return pack(place, further=further)
