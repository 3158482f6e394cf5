"""Writes the custom resource definitions of charts/lambent/crds/, one file a kind, from the core's model."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "core"))

from lambent_core.custom_resources import custom_resource_definitions  # noqa: E402

FOLDER = ROOT / "charts" / "lambent" / "crds"
HEADER = "# Generated from the core's model: make docs\n"


class _Plain(yaml.SafeDumper):
    """Writes what occurs twice twice, as people would."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def files() -> dict[Path, str]:
    return {
        FOLDER / f"{plural}.yaml": HEADER
        + yaml.dump(definition, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=140)
        for plural, definition in custom_resource_definitions().items()
    }


def main() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in files().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
