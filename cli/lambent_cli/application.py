"""
Brings the platform to what one manifest says: the code first, under its digest, then the document.

Code that is a folder or ZIP is packed here and uploaded unless the platform has it already; inline code and a digest go as
they are. Applying the same manifest again changes nothing.
"""

from __future__ import annotations

import io
from urllib.parse import quote

import msgspec

from lambent_cli import documents
from lambent_cli.connection import Platform
from lambent_cli.documents import Document, Resource
from lambent_cli.package.archive import Package
from lambent_cli.package.build import build, build_layer
from lambent_cli.steps import Steps
from lambent_core import manifest
from lambent_core.function import Code, Function
from lambent_core.layers import LayerCode, LayerVersion

RESULT_HEADER = "x-lambent-result"


def apply(platform: Platform, document: Document, resource: Resource, steps: Steps) -> str:
    """created, configured or unchanged."""
    if isinstance(resource, Function):
        return _apply_function(platform, document, resource, steps)
    return _apply_layer_version(platform, document, resource, steps)


def name_of(resource: Resource) -> str:
    """What people call it."""
    return resource.name if isinstance(resource, Function) else resource.reference.short


def kind_of(resource: Resource) -> str:
    """The key of its name in JSON answers."""
    return "function" if isinstance(resource, Function) else "layerVersion"


def address_of(resource: Resource) -> str:
    """Where the platform has it."""
    if isinstance(resource, Function):
        return f"/functions/{quote(resource.name, safe='')}"
    return f"/layers/{quote(resource.spec.layer_name, safe='')}/versions/{resource.spec.version}"


def _apply_function(platform: Platform, document: Document, function: Function, steps: Steps) -> str:
    spec = function.spec
    if spec.code.path is not None:
        package = build(
            documents.code_place(document.folder, spec.code.path, document.source),
            runtime=spec.runtime or "",
            architecture=spec.architectures[0] if spec.architectures else "x86_64",
            steps=steps,
        )
        _upload(platform, package, function, steps)
        spec = msgspec.structs.replace(spec, code=Code(sha256=package.sha256))
    return _put(platform, function, manifest.export(msgspec.structs.replace(function, spec=spec)), steps)


def _apply_layer_version(platform: Platform, document: Document, version: LayerVersion, steps: Steps) -> str:
    spec = version.spec
    if spec.code.path is not None:
        package = build_layer(
            documents.code_place(document.folder, spec.code.path, document.source),
            runtimes=spec.compatible_runtimes or [],
            architectures=spec.compatible_architectures or [],
            steps=steps,
        )
        _upload(platform, package, version, steps)
        spec = msgspec.structs.replace(spec, code=LayerCode(sha256=package.sha256))
    return _put(platform, version, manifest.export_layer_version(msgspec.structs.replace(version, spec=spec)), steps)


def _put(platform: Platform, resource: Resource, document: object, steps: Steps) -> str:
    steps.begin(f"Applying {name_of(resource)}")
    return platform.put(address_of(resource), document).headers.get(RESULT_HEADER, "configured")


def _upload(platform: Platform, package: Package, resource: Resource, steps: Steps) -> None:
    if _present(platform, resource) == package.sha256:
        return
    steps.begin(f"Uploading the code of {name_of(resource)}")
    steps.uploading(len(package.content))
    platform.upload(f"/packages/{package.sha256}", io.BytesIO(package.content), len(package.content), steps.sent)


def _present(platform: Platform, resource: Resource) -> str | None:
    """Digest of the package that it has now; None where there is no such thing."""
    document = platform.find(address_of(resource))
    if document is None:
        return None
    digest = document.get("spec", {}).get("code", {}).get("sha256")
    return str(digest) if digest else None
