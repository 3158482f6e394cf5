"""
Layers: the document of a layer version, and what publishing, deleting and using one decide.

AWS documentation: "Managing Lambda dependencies with layers"; API reference "PublishLayerVersion" and its sisters.

    Y1  a layer version never changes once it is published, and publishing gives its number to no other
    Y2  a function keeps the packages of its layers, whatever becomes of the layer versions
    Y3  a function's code and layers unzip to at most UNZIPPED_BYTES_MAX bytes together
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from lambent_core import configuration, limits, timestamps
from lambent_core.caller import Caller
from lambent_core.errors import AccessDenied, InvalidParameterValue
from lambent_core.function import Code, Condition, FunctionLayer, Metadata
from lambent_core.function_rules import is_known_runtime
from lambent_core.layer_names import LayerReference, document_name, parse_layer_version
from lambent_core.package import Package, path_problems


class _Model(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    pass


class LayerVersionMetadata(Metadata, frozen=True):
    """What a layer version is called."""

    name: str
    """`NAME.VERSION`: the layer's name (or one made of it, where that is no DNS label), a dot, and `spec.version`."""


class LayerCode(_Model, frozen=True):
    """The layer's files: exactly one of `inline`, `path` and `sha256`."""

    inline: dict[str, str] | None = None
    """Texts by path below /opt, e.g. `python/shared.py`."""
    path: str | None = None
    """A folder or ZIP, relative to the manifest. Only the `lambent` command reads paths."""
    sha256: str | None = None
    """A package that the platform has: SHA-256 of the ZIP, hexadecimal."""


class LayerVersionSpec(_Model, frozen=True, kw_only=True):
    """What is published. It never changes."""

    layer_name: str
    """Lambda's name of the layer."""
    version: int
    """Which version of the layer this is."""
    description: str = ""
    """Words for people, about this version."""
    code: LayerCode = LayerCode()
    """The layer's files: exactly one of `inline`, `path` and `sha256`."""
    compatible_runtimes: list[str] | None = None
    """Lambda's names of the runtimes that it is meant for. Shown and searched by; functions of others may use it too."""
    compatible_architectures: list[str] | None = None
    """`x86_64`, `arm64` or both. Shown and searched by; functions of others may use it too."""
    license_info: str | None = None
    """An SPDX identifier, the address of a licence, or its text."""


class LayerPackage(_Model, frozen=True, kw_only=True):
    """The package that a layer's code came to."""

    sha256: str
    """Of the ZIP, hexadecimal."""
    size: int
    """Bytes of the ZIP."""
    unzipped_size: int
    """Bytes of all files in it."""


class LayerVersionStatus(_Model, frozen=True):
    """Written by the platform alone."""

    state: Literal["Pending", "Active", "Failed", "Deleted"] = "Pending"
    """`Active`: functions can use it. `Deleted`: kept so that its number, the layer's highest, is given to no other version."""
    state_reason: str | None = None
    """Why it is in this state, in words."""
    code: LayerPackage | None = None
    """The package that `spec.code` came to."""
    conditions: list[Condition] = []
    """`Ready`: functions can use it."""


class LayerVersion(_Model, frozen=True, kw_only=True):
    """Files that functions find below /opt, under a name and a number."""

    api_version: Literal["lambent.dev/v1"] = "lambent.dev/v1"
    """Which schema this is."""
    kind: Literal["LayerVersion"] = "LayerVersion"
    """What this is."""
    metadata: LayerVersionMetadata
    """What it is called."""
    spec: LayerVersionSpec
    """What is published. It never changes."""
    status: LayerVersionStatus = LayerVersionStatus()
    """What became of it."""

    @property
    def reference(self) -> LayerReference:
        return LayerReference(self.spec.layer_name, self.spec.version)


class LayerNotFound(InvalidParameterValue):
    """The same to callers of the API; a manifest may wait for it."""


Find = Callable[[LayerReference], LayerVersion | None]
"""The document of a layer version, whatever its state."""


def next_number(published: Iterable[LayerVersion]) -> int:
    """The number of a layer's next version (Y1). `published` are all its documents, those of deleted versions too."""
    return max((version.spec.version for version in published), default=0) + 1


def version_of(
    name: str, number: int, members: Mapping[str, Any], package: Package, *, uid: str, now: float
) -> LayerVersion:
    """What a PublishLayerVersion request publishes."""
    spec = LayerVersionSpec(
        layer_name=name,
        version=number,
        description=members.get("Description", ""),
        code=LayerCode(sha256=package.sha256),
        compatible_runtimes=members.get("CompatibleRuntimes"),
        compatible_architectures=members.get("CompatibleArchitectures"),
        license_info=members.get("LicenseInfo"),
    )
    return stored(LayerVersionMetadata(name=document_name(name, number)), spec, package, uid=uid, now=now)


def stored(
    metadata: LayerVersionMetadata, spec: LayerVersionSpec, package: Package, *, uid: str, now: float
) -> LayerVersion:
    """The document of a layer version that is new and complete: its code is the package's digest."""
    metadata = msgspec.structs.replace(
        metadata, uid=uid, creation_timestamp=timestamps.url_time(now), resource_version=""
    )
    spec = msgspec.structs.replace(spec, code=LayerCode(sha256=package.sha256))
    return settled(LayerVersion(metadata=metadata, spec=spec), package)


def settled(version: LayerVersion, outcome: Package | str) -> LayerVersion:
    """The layer version after its code was packed and checked; a text is why it can't be used."""
    if isinstance(outcome, str):
        status = LayerVersionStatus(state="Failed", state_reason=outcome)
    else:
        package = LayerPackage(sha256=outcome.sha256, size=outcome.size, unzipped_size=outcome.unzipped_size)
        status = LayerVersionStatus(state="Active", code=package)
    return msgspec.structs.replace(version, status=status)


def deleted(version: LayerVersion) -> LayerVersion:
    """What stays of the highest version of a layer, so that its number is not given out again (Y1)."""
    status = LayerVersionStatus(state="Deleted", state_reason="It was deleted. Its number is not used again.")
    return msgspec.structs.replace(version, status=status)


def unchanged(version: LayerVersion, spec: LayerVersionSpec, package: Package) -> bool:
    """Whether a manifest, whose code came to `package`, says what is published already."""
    wanted = msgspec.structs.replace(spec, code=version.spec.code)
    return version.status.code is not None and (wanted, package.sha256) == (version.spec, version.status.code.sha256)


def is_compatible(version: LayerVersion, *, runtime: str | None, architecture: str | None) -> bool:
    """Whether the layer version says that it is meant for both, as far as they are asked for."""
    return (runtime is None or runtime in (version.spec.compatible_runtimes or ())) and (
        architecture is None or architecture in (version.spec.compatible_architectures or ())
    )


def problems(version: LayerVersion) -> Iterator[tuple[str, str]]:
    """What can't be in a layer version beyond types and bounds: pairs of a manifest's member and a text."""
    spec = version.spec
    wanted = document_name(spec.layer_name, spec.version)
    if version.metadata.name != wanted:
        yield "metadata.name", f"{wanted} is wanted for version {spec.version} of the layer {spec.layer_name}"
    for index, runtime in enumerate(spec.compatible_runtimes or ()):
        if not is_known_runtime(runtime):
            yield f"spec.compatibleRuntimes[{index}]", f"{runtime} is no runtime of Lambda's"
    for problem in path_problems(spec.code.inline or {}):
        yield "spec.code.inline", problem


def resolved(
    wanted: Sequence[str], find: Find, *, kept: Iterable[FunctionLayer] = (), caller: Caller
) -> list[FunctionLayer]:
    """
    The packages of the layer versions that a function names. `kept` are those that it has already (Y2).

    Raises LayerNotFound for one that is not there, AccessDenied for another account's, or InvalidParameterValue for another region's.
    """
    before = {layer.layer: layer for layer in kept}
    found = []
    for text in wanted:
        reference = parse_layer_version(text)
        missing = LayerNotFound(f"Layer version {text} does not exist.")
        if reference is None:
            raise missing
        if reference.short in before:
            found.append(before[reference.short])
            continue
        _check_place(reference, text, caller)
        version = find(reference)
        if version is not None and version.status.state == "Active" and version.status.code is not None:
            package = version.status.code
            found.append(
                FunctionLayer(
                    layer=reference.short,
                    sha256=package.sha256,
                    size=package.size,
                    unzipped_size=package.unzipped_size,
                )
            )
        else:
            raise missing
    return found


def check_size(code: Code, layers: Sequence[FunctionLayer]) -> None:
    """Raises InvalidParameterValue for more than may be unzipped together (Y3)."""
    total = (code.unzipped_size or 0) + sum(layer.unzipped_size for layer in layers)
    if layers and total > limits.UNZIPPED_BYTES_MAX:
        raise InvalidParameterValue(
            f"Function code combined with layers exceeds the maximum allowed size of {limits.UNZIPPED_BYTES_MAX} bytes. "
            f"The actual size is {total} bytes."
        )


def _check_place(reference: LayerReference, arn: str, caller: Caller) -> None:
    if reference.account not in (None, caller.account):
        raise AccessDenied(
            f"User: arn:aws:iam::{caller.account}:root is not authorized to perform: lambda:GetLayerVersion on resource: "
            f"{arn} because no resource-based policy allows the lambda:GetLayerVersion action"
        )
    if reference.region not in (None, caller.region):
        raise InvalidParameterValue(
            f"Layers are not in the same region as the function. Layers are expected to be in region {caller.region}."
        )


def shown(version: LayerVersion, caller: Caller, *, location: str) -> dict[str, Any]:
    """GetLayerVersionResponse. `location` is where the package can be had."""
    package = version.status.code
    assert package is not None, "only layer versions that are there are shown"
    return {
        "Content": {
            "Location": location,
            "CodeSha256": configuration.package_sha256(package.sha256),
            "CodeSize": package.size,
        },
        "LayerArn": caller.layer_arn(version.spec.layer_name),
        **listed(version, caller),
    }


def listed(version: LayerVersion, caller: Caller) -> dict[str, Any]:
    """LayerVersionsListItem. What was not said when it was published is left out."""
    spec = version.spec
    shown = {
        "LayerVersionArn": version.reference.arn(caller),
        "Version": spec.version,
        "Description": spec.description,
        "CreatedDate": timestamps.last_modified(timestamps.seconds(version.metadata.creation_timestamp)),
        "CompatibleRuntimes": spec.compatible_runtimes,
        "CompatibleArchitectures": spec.compatible_architectures,
        "LicenseInfo": spec.license_info,
    }
    return {name: value for name, value in shown.items() if value is not None}
