"""
Brings the platform to what one manifest says: the code first, under its digest, then the document.

Code that is a folder or ZIP is packed here and uploaded unless the function already runs it; inline code and a digest go as
they are. Applying the same manifest again changes nothing.
"""

from __future__ import annotations

import io
from urllib.parse import quote

import msgspec

from lambent_cli import documents
from lambent_cli.connection import Platform
from lambent_cli.documents import Document
from lambent_cli.package.archive import Package
from lambent_cli.package.build import build
from lambent_cli.steps import Steps
from lambent_core import manifest
from lambent_core.function import Code, Function

RESULT_HEADER = "x-lambent-result"


def apply(platform: Platform, document: Document, function: Function, steps: Steps) -> str:
    """created, configured or unchanged."""
    if function.spec.code.path is not None:
        package = _build(document, function, steps)
        _upload(platform, package, function.name, steps)
        code = Code(sha256=package.sha256)
        function = msgspec.structs.replace(function, spec=msgspec.structs.replace(function.spec, code=code))
    steps.begin(f"Applying {function.name}")
    answer = platform.put(f"/functions/{quote(function.name, safe='')}", manifest.export(function))
    return answer.headers.get(RESULT_HEADER, "configured")


def _build(document: Document, function: Function, steps: Steps) -> Package:
    spec = function.spec
    return build(
        documents.code_place(document.folder, spec.code.path or ".", document.source),
        runtime=spec.runtime or "",
        architecture=spec.architectures[0] if spec.architectures else "x86_64",
        steps=steps,
    )


def _upload(platform: Platform, package: Package, name: str, steps: Steps) -> None:
    if _running(platform, name) == package.sha256:
        return
    steps.begin(f"Uploading the code of {name}")
    steps.uploading(len(package.content))
    platform.upload(f"/packages/{package.sha256}", io.BytesIO(package.content), len(package.content), steps.sent)


def _running(platform: Platform, name: str) -> str | None:
    """Digest of the package that the function has now; None where there is no such function."""
    document = platform.find(f"/functions/{quote(name, safe='')}")
    if document is None:
        return None
    digest = document.get("spec", {}).get("code", {}).get("sha256")
    return str(digest) if digest else None
