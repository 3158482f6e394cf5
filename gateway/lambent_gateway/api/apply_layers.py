"""
The manifest's door for layer versions: publishes what a manifest says, under the number that it says. Applied again, it changes nothing.
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from lambent_core import layers, manifest
from lambent_core.documents import DocumentConflict
from lambent_core.errors import InvalidParameterValue, ResourceConflict
from lambent_core.layers import LayerVersion
from lambent_core.package import Package, pack
from lambent_gateway.api import deploy
from lambent_gateway.api.apply import check_namespace, take_zip
from lambent_gateway.api.calls import Parts

Result = Literal["created", "unchanged"]


async def apply_layer_version(parts: Parts, layer: str, number: int, document: Any) -> tuple[LayerVersion, Result]:
    """
    Raises InvalidParameterValue that names each member that is wrong.

    Raises ResourceConflict while it isn't known yet what a version of that number came to, or if another layer's is in its place.
    """
    zipped = take_zip(document)
    try:
        wanted = manifest.parse_layer_version(document, source="manifest", code_required=zipped is None)
    except manifest.ManifestError as error:
        raise InvalidParameterValue("; ".join(map(str, error.problems))) from None
    if (layer, number) != (wanted.spec.layer_name, wanted.spec.version):
        raise InvalidParameterValue(
            f"metadata.name: the manifest is of {wanted.reference.short}, the address of {layer}:{number}"
        )
    check_namespace(parts, wanted.metadata)
    package = await _package(parts, wanted, zipped)
    new = layers.stored(wanted.metadata, wanted.spec, package, uid=parts.ids(), now=parts.clock.time())
    try:
        return await parts.layers.add(new), "created"
    except DocumentConflict:
        return _published(parts, wanted, package), "unchanged"


def _published(parts: Parts, wanted: LayerVersion, package: Package) -> LayerVersion:
    before = parts.layers.find(wanted.reference)
    if before is not None and layers.unchanged(before, wanted.spec, package):
        return before
    following = layers.next_number(parts.layers.documents_of(wanted.spec.layer_name))
    what = f"version {wanted.spec.version} of the layer {wanted.spec.layer_name}"
    if before is not None and before.status.state == "Pending":
        raise ResourceConflict(f"spec.version: {what} is being published: try again in a moment")
    if before is not None and before.status.state in ("Failed", "Deleted"):
        raise InvalidParameterValue(
            f"spec.version: {what} is there and is {before.status.state} ({before.status.state_reason}): "
            f"publish this as version {following}"
        )
    raise InvalidParameterValue(
        f"spec: {what} is published with another content, and a version never changes: publish this as version {following}"
    )


async def _package(parts: Parts, wanted: LayerVersion, zipped: bytes | None) -> Package:
    code = wanted.spec.code
    if code.path is not None:
        raise InvalidParameterValue(
            "spec.code.path: only the lambent command reads folders; send the package and name it as spec.code.sha256"
        )
    if code.sha256 is not None:
        return await deploy.find_package(parts, code.sha256)
    if zipped is None:
        zipped = await asyncio.to_thread(pack, code.inline or {})
    try:
        return await deploy.store_package(parts, zipped)
    except InvalidParameterValue as error:
        raise InvalidParameterValue(f"spec.code: {error.message}") from None
