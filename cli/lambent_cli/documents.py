"""Manifests on disk and on stdin: which YAML documents there are, what they are called, and the code they point at."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lambent_cli.failures import Failure
from lambent_core import manifest
from lambent_core.function import Function
from lambent_core.layers import LayerVersion

Resource = Function | LayerVersion
MANIFEST = "function.yaml"
"""The settings of a function's folder."""


@dataclass(frozen=True, slots=True)
class Document:
    source: str
    """What to call it in a message: the file, and which document of it."""
    folder: Path
    """What `spec.code.path` is relative to."""
    content: Any


def read(places: list[str]) -> list[Document]:
    """All documents of the files, folders (their .yaml, .yml and .json files, not those below) and `-` (stdin)."""
    found = [document for place in places for document in _read_place(place)]
    if not found:
        raise Failure(f"{', '.join(places)}: there is no YAML document.")
    return found


def resources(documents: list[Document]) -> list[tuple[Document, Resource]]:
    """What documents describe, layer versions before the functions that may use them. Every problem is told at once."""
    read: list[tuple[Document, Resource]] = []
    problems: list[str] = []
    for document in documents:
        try:
            read.append((document, manifest.parse_any(document.content, source=document.source)))
        except manifest.ManifestError as error:
            problems.append(str(error))
    if problems:
        raise Failure("\n".join(["the manifest can't be applied.", *problems]), fix="Reference: docs/manifest.md.")
    return sorted(read, key=lambda found: isinstance(found[1], Function))


def settings(folder: Path) -> Function | None:
    """The folder's function.yaml, if there is one. Its code is the folder itself."""
    file = folder / MANIFEST
    if not file.is_file():
        return None
    documents = list(_split(file.read_text(), str(file), folder))
    if len(documents) != 1:
        raise Failure(f"{file} holds {len(documents)} documents: one function is wanted.")
    try:
        return manifest.parse(documents[0].content, source=str(file), code_required=False)
    except manifest.ManifestError as error:
        raise Failure(f"the manifest can't be used.\n{error}", fix="Reference: docs/manifest.md.") from error


def code_place(folder: Path, path: str, source: str) -> Path:
    """The folder or ZIP that spec.code.path names; `folder` is the manifest's own."""
    place = folder / Path(path).expanduser()
    if not place.exists():
        raise Failure(
            f"{source}: spec.code.path: {place} does not exist.",
            fix="The path is relative to the manifest's own folder.",
        )
    return place


_NOT_TEXT_ELSEWHERE = re.compile(r"[yYnN]|[-+]?[.]?[0-9].*")


class _Dumper(yaml.SafeDumper):
    """Quotes text that other YAML readers, kubectl's among them, take for numbers and truth values."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    quoted = _NOT_TEXT_ELSEWHERE.fullmatch(text) is not None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'" if quoted else None)


_Dumper.add_representer(str, _text)


def write(content: Any) -> str:
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


def _read_place(place: str) -> Iterator[Document]:
    if place == "-":
        yield from _split(sys.stdin.read(), "stdin", Path.cwd())
        return
    path = Path(place)
    if path.is_dir():
        for file in sorted(path.iterdir()):
            if file.suffix in (".yaml", ".yml", ".json"):
                yield from _documents_of_kind(file)
    elif path.is_file():
        yield from _split(path.read_text(), place, path.parent)
    else:
        raise Failure(f"{place}: there is no such file or folder.")


def _documents_of_kind(file: Path) -> Iterator[Document]:
    """A folder may hold other files in YAML or JSON (a test event): only what says what it is counts."""
    for document in _split(file.read_text(), str(file), file.parent):
        if isinstance(document.content, dict) and "apiVersion" in document.content:
            yield document


def _split(text: str, source: str, folder: Path) -> Iterator[Document]:
    try:
        contents = [content for content in yaml.safe_load_all(text) if content is not None]
    except yaml.YAMLError as error:
        raise Failure(f"{source} is not YAML: {error}") from error
    for number, content in enumerate(contents, start=1):
        name = source if len(contents) == 1 else f"{source}, document {number}"
        yield Document(name, folder, content)
