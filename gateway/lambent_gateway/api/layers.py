"""Layers: PublishLayerVersion to DeleteLayerVersion. Behaviour: AWS API reference pages of those names, and recordings of AWS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from lambent_core import layers
from lambent_core.documents import DocumentConflict
from lambent_core.errors import InvalidParameterValue, ResourceConflict, ResourceNotFound
from lambent_core.layer_names import LayerReference, document_name, parse_layer, parse_layer_version
from lambent_core.layers import LayerVersion
from lambent_core.package import Package
from lambent_gateway.api import deploy
from lambent_gateway.api.calls import Call
from lambent_gateway.api.pages import page

_NUMBER_DIGITS = 12


async def publish_layer_version(call: Call) -> Mapping[str, Any]:
    members, parts = call.members, call.parts
    name = parse_layer(members["LayerName"], call.caller)
    if name is None:
        raise _not_there()
    package = await _uploaded(call, members["Content"])
    tried = 0
    while (number := layers.next_number(parts.layers.documents_of(name))) != tried:
        tried = number
        version = layers.version_of(name, number, members, package, uid=parts.ids(), now=parts.clock.time())
        with suppress(DocumentConflict):
            return _shown(await parts.layers.add(version), call)
    raise ResourceConflict(
        f"LayerVersion {document_name(name, tried)} exists and can't be read as version {tried} of the layer {name}: "
        "try again in a moment, or delete it."
    )


async def get_layer_version(call: Call) -> Mapping[str, Any]:
    return _shown(_existing(call, _addressed(call)), call)


async def get_layer_version_by_arn(call: Call) -> Mapping[str, Any]:
    found = parse_layer_version(call.members["Arn"])
    here = found is not None and (found.region, found.account) == (call.caller.region, call.caller.account)
    return _shown(_existing(call, found if here else None), call)


async def list_layers(call: Call) -> Mapping[str, Any]:
    latest: dict[str, LayerVersion] = {}
    for version in _compatible(call):
        latest.setdefault(version.spec.layer_name, version)
    found, marker = page(list(latest.values()), call.members, name=lambda version: version.spec.layer_name)
    shown = [
        {
            "LayerName": version.spec.layer_name,
            "LayerArn": call.caller.layer_arn(version.spec.layer_name),
            "LatestMatchingVersion": layers.listed(version, call.caller),
        }
        for version in found
    ]
    return {"Layers": shown, "NextMarker": marker}


async def list_layer_versions(call: Call) -> Mapping[str, Any]:
    """The latest first."""
    name = parse_layer(call.members["LayerName"], call.caller)
    versions = [version for version in _compatible(call) if version.spec.layer_name == name]
    found, marker = page(
        versions, call.members, name=lambda version: f"{10**_NUMBER_DIGITS - version.spec.version:0{_NUMBER_DIGITS}}"
    )
    return {"LayerVersions": [layers.listed(version, call.caller) for version in found], "NextMarker": marker}


async def delete_layer_version(call: Call) -> Mapping[str, Any]:
    """Functions that use it go on with its package."""
    reference = _addressed(call)
    if reference is not None:
        await call.parts.layers.delete(reference)
    return {}


def _addressed(call: Call) -> LayerReference | None:
    number: int = call.members["VersionNumber"]
    if number < 1:
        raise InvalidParameterValue("Layer Version Cannot be less than 1")
    name = parse_layer(call.members["LayerName"], call.caller)
    return None if name is None else LayerReference(name, number)


def _existing(call: Call, reference: LayerReference | None) -> LayerVersion:
    version = None if reference is None else call.parts.layers.find(reference)
    if version is None or version.status.state != "Active":
        raise _not_there()
    return version


def _not_there() -> ResourceNotFound:
    return ResourceNotFound("The resource you requested does not exist.")


def _compatible(call: Call) -> Iterator[LayerVersion]:
    runtime, architecture = call.members.get("CompatibleRuntime"), call.members.get("CompatibleArchitecture")
    for version in call.parts.layers.all():
        if layers.is_compatible(version, runtime=runtime, architecture=architecture):
            yield version


def _shown(version: LayerVersion, call: Call) -> dict[str, Any]:
    package = version.status.code
    assert package is not None, "it is Active"
    return layers.shown(version, call.caller, location=call.package_url(package.sha256))


async def _uploaded(call: Call, content: Mapping[str, Any]) -> Package:
    if content.get("S3Bucket") or content.get("S3Key"):
        raise InvalidParameterValue("Lambent does not read packages from S3 yet: pass the package's bytes as ZipFile.")
    if "ZipFile" not in content:
        raise InvalidParameterValue("Please provide a source for layer content.")
    return await deploy.store_package(call.parts, content["ZipFile"])
