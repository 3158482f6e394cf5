"""Blueprints: whole small functions, copied with the new function's name and runtime put in."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from lambent_cli.failures import Failure

FOLDER = Path(__file__).parent / "blueprints"
NAMES = {
    "plain": "an event in, a value out",
    "http-api": "an HTTP API behind a function URL",
    "queue-worker": "works off messages of a queue",
    "scheduled-task": "runs on a schedule",
    "file-processor": "looks at files put into a bucket",
}
"""Blueprints in the order in which they are shown."""

_FUNCTION_NAME = re.compile(r"[a-zA-Z0-9-_]{1,64}")
_TEMPLATES = ("function.yaml", "README.md")


def own_runtime() -> str:
    """Lambda's name for the Python that runs this: the one that is there for certain."""
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def write(blueprint: str, folder: Path, *, name: str, runtime: str) -> list[Path]:
    """Writes the blueprint's files into a folder that is new or empty; returns them."""
    if not _FUNCTION_NAME.fullmatch(name):
        raise Failure(f"{name!r} can't be a function's name: 1 to 64 of a-z, A-Z, 0-9, - and _ are allowed.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Failure(f"{folder} exists and is not empty.", fix="Choose another name, or remove it first.")
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _copy(source, folder, name, runtime) for source in sorted((FOLDER / blueprint).iterdir()) if source.is_file()
    ]


def resource_name(name: str) -> str:
    """A DNS label for a function's name: itself where it is one."""
    label = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")
    return label[:63].strip("-") or "function"


def _copy(source: Path, folder: Path, name: str, runtime: str) -> Path:
    text = source.read_text()
    if source.name in _TEMPLATES:
        resource = resource_name(name)
        if resource == name:
            text = text.replace('  functionName: "{{name}}"\n', "")
        for token, value in (("name", name), ("resource", resource), ("runtime", runtime)):
            text = text.replace(f'"{{{{{token}}}}}"', _quoted(value)).replace(f"{{{{{token}}}}}", value)
    target = folder / source.name
    target.write_text(text)
    return target


def _quoted(value: str) -> str:
    """As a YAML scalar: in quotes only where YAML would read something else than text, such as `123` or `on`."""
    plain = re.fullmatch(r"[a-zA-Z][\w.-]*", value) and value.lower() not in _YAML_WORDS
    return value if plain else f'"{value}"'


_YAML_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
