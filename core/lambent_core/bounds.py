"""
What each member of a manifest may be, beyond its type: one table, for the manifest's door, its JSON schema and the custom resources.

Numbers, lengths and patterns are those of the service model (AWS API reference); the limits of an ordinary function are in `limits`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sized
from dataclasses import dataclass
from functools import cached_property

from lambent_core import image_references, limits
from lambent_core.layer_names import REFERENCE_PATTERN

TEXT_SHOWN_MAX = 60


@dataclass(frozen=True)
class Bound:
    least: float | None = None
    most: float | None = None
    """Of a number its value, of text its characters, of a list or a mapping its entries."""
    unit: str = ""
    """Of a number, as it stands behind it."""
    pattern: str = ""
    """The whole of a text must match it."""
    wanted: str = ""
    """What `pattern` means."""
    keys: Bound | None = None
    """Of a mapping."""
    items: Bound | None = None
    """Of a list's elements or a mapping's values."""

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)


_DNS_LABEL = Bound(
    pattern="[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?",
    wanted="a DNS label (at most 63 of a-z, 0-9 and -, no - at either end). "
    "Lambda's own name may differ from it: write that as spec.functionName",
)
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_OBJECT_NAME = Bound(
    1,
    253,
    pattern=rf"{_LABEL}(\.{_LABEL})*",
    wanted="the name of an object: a DNS subdomain (of a-z, 0-9, - and ., with a letter or digit around each dot and at either end)",
)
_IMAGE = Bound(
    pattern=image_references.PATTERN, wanted="the name of an image, REGISTRY/REPOSITORY:TAG or …@sha256:DIGEST"
)
_VERSION = "[1-9][0-9]*"
_FUNCTION_NAME = Bound(pattern="[a-zA-Z0-9-_]{1,64}", wanted="1 to 64 of a-z, A-Z, 0-9, - and _")
_DESCRIPTION = Bound(most=limits.DESCRIPTION_CHARACTERS_MAX)
_HEADERS = Bound(most=100, items=Bound(most=1_024))
_COMMAND = Bound(most=1_500)
_ARCHITECTURE = Bound(pattern="x86_64|arm64", wanted="x86_64 or arm64")
_ARN = Bound(pattern="(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)?", wanted="an ARN")
_DIGEST = Bound(pattern="[0-9a-f]{64}", wanted="64 hexadecimal digits in lower case")

BOUNDS: dict[tuple[str, str], Bound] = {
    ("Metadata", "name"): _DNS_LABEL,
    ("FunctionSpec", "functionName"): _FUNCTION_NAME,
    ("FunctionSpec", "handler"): Bound(
        most=limits.HANDLER_CHARACTERS_MAX, pattern=r"\S*", wanted="text without white space"
    ),
    ("FunctionSpec", "description"): _DESCRIPTION,
    ("FunctionSpec", "role"): Bound(
        pattern="arn:(aws[a-zA-Z-]*)?:iam::[0-9]{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+",
        wanted="the ARN of a role, as arn:aws:iam::000000000000:role/NAME",
    ),
    ("FunctionSpec", "kmsKeyArn"): _ARN,
    ("DeadLetterConfig", "targetArn"): _ARN,
    ("FunctionSpec", "timeout"): Bound(1, limits.TIMEOUT_SECONDS_MAX, " seconds"),
    ("FunctionSpec", "memorySize"): Bound(limits.MEMORY_MB_MIN, limits.MEMORY_MB_MAX, " MB"),
    ("FunctionSpec", "architectures"): Bound(most=1, items=_ARCHITECTURE),
    ("FunctionSpec", "layers"): Bound(
        most=limits.LAYERS_MAX,
        items=Bound(1, 2_048, pattern=REFERENCE_PATTERN, wanted="the ARN of a layer version, or NAME:VERSION"),
    ),
    ("FunctionSpec", "tags"): Bound(most=limits.TAGS_MAX, keys=Bound(1, 128), items=Bound(most=256)),
    ("FunctionSpec", "fileSystemConfigs"): Bound(most=1),
    ("FunctionSpec", "reservedConcurrentExecutions"): Bound(0),
    ("FunctionSpec", "replicas"): Bound(0, limits.REPLICAS_MAX),
    ("FunctionSpec", "idleSeconds"): Bound(limits.IDLE_SECONDS_MIN, limits.IDLE_SECONDS_MAX, " seconds"),
    ("FunctionSpec", "environmentsPerPod"): Bound(1, limits.ENVIRONMENTS_PER_POD_MAX),
    ("Code", "imageUri"): _IMAGE,
    ("FoundImage", "digest"): Bound(
        pattern=image_references.DIGEST, wanted="sha256: and 64 hexadecimal digits in lower case"
    ),
    ("FoundImage", "entryPoint"): _COMMAND,
    ("FoundImage", "command"): _COMMAND,
    ("Code", "sha256"): _DIGEST,
    ("Environment", "variables"): Bound(
        keys=Bound(
            pattern="[a-zA-Z][a-zA-Z0-9_]+", wanted="a letter, then letters, digits and _, at least two characters"
        )
    ),
    ("EphemeralStorage", "size"): Bound(limits.EPHEMERAL_STORAGE_MB_MIN, limits.EPHEMERAL_STORAGE_MB_MAX, " MB"),
    ("LoggingConfig", "logGroup"): Bound(1, 512, pattern=r"[.\-_/#A-Za-z0-9]+", wanted="of a-z, A-Z, 0-9 and ._-/#"),
    ("VpcConfig", "subnetIds"): Bound(most=16),
    ("VpcConfig", "securityGroupIds"): Bound(most=5),
    ("ImageConfig", "entryPoint"): _COMMAND,
    ("ImageConfig", "command"): _COMMAND,
    ("ImageConfig", "workingDirectory"): Bound(most=1_000),
    ("PodSettings", "serviceAccountName"): _OBJECT_NAME,
    ("PodSettings", "runtimeClassName"): _OBJECT_NAME,
    ("PodSettings", "imagePullSecrets"): Bound(most=16, items=_OBJECT_NAME),
    ("ObjectReference", "name"): _OBJECT_NAME,
    ("Cors", "allowHeaders"): _HEADERS,
    ("Cors", "exposeHeaders"): _HEADERS,
    ("Cors", "allowMethods"): Bound(most=6, items=Bound(most=6)),
    ("Cors", "allowOrigins"): Bound(most=100, items=Bound(1, 253)),
    ("Cors", "maxAge"): Bound(0, 86_400, " seconds"),
    ("EventInvokeConfig", "maximumRetryAttempts"): Bound(0, limits.RETRIES_MAX),
    ("EventInvokeConfig", "maximumEventAgeInSeconds"): Bound(
        limits.EVENT_AGE_SECONDS_MIN, limits.EVENT_AGE_SECONDS_MAX, " seconds"
    ),
    ("FunctionVersionSpec", "functionName"): _FUNCTION_NAME,
    ("FunctionVersionSpec", "version"): Bound(1),
    ("FunctionVersionSpec", "description"): _DESCRIPTION,
    ("FunctionAliasSpec", "functionName"): _FUNCTION_NAME,
    ("FunctionAliasSpec", "name"): Bound(
        1, 128, pattern="[a-zA-Z0-9-_]*[a-zA-Z-_][a-zA-Z0-9-_]*", wanted="of a-z, A-Z, 0-9, - and _, and not a number"
    ),
    ("FunctionAliasSpec", "functionVersion"): Bound(
        1, 1_024, pattern=rf"\$LATEST|{_VERSION}", wanted="the number of a version, or $LATEST"
    ),
    ("FunctionAliasSpec", "description"): _DESCRIPTION,
    ("RoutingConfig", "additionalVersionWeights"): Bound(
        most=1, keys=Bound(1, 1_024, pattern=_VERSION, wanted="the number of a version"), items=Bound(0, 1)
    ),
    ("LayerVersionMetadata", "name"): Bound(
        pattern=rf"{_DNS_LABEL.pattern}\.[1-9][0-9]{{0,9}}",
        wanted="NAME.VERSION: a DNS label made of the layer's name, a dot, and the number of the version",
    ),
    ("LayerVersionSpec", "layerName"): Bound(
        1, limits.LAYER_NAME_CHARACTERS_MAX, pattern="[a-zA-Z0-9-_]+", wanted="of a-z, A-Z, 0-9, - and _"
    ),
    ("LayerVersionSpec", "version"): Bound(1),
    ("LayerVersionSpec", "description"): _DESCRIPTION,
    ("LayerVersionSpec", "compatibleRuntimes"): Bound(most=limits.COMPATIBLE_RUNTIMES_MAX, items=Bound(1, 128)),
    ("LayerVersionSpec", "compatibleArchitectures"): Bound(most=2, items=_ARCHITECTURE),
    ("LayerVersionSpec", "licenseInfo"): Bound(most=limits.LICENSE_CHARACTERS_MAX),
    ("LayerCode", "sha256"): _DIGEST,
    ("RuntimePoolSpec", "runtimes"): Bound(1, 100, items=Bound(1, 128)),
    ("RuntimePoolSpec", "image"): _IMAGE,
    ("RuntimePoolSpec", "imagePullSecrets"): Bound(items=_OBJECT_NAME),
    ("RuntimePoolSpec", "command"): Bound(1),
    ("RuntimePoolSpec", "size"): Bound(0, limits.REPLICAS_MAX),
    ("RuntimePoolSpec", "sizeMax"): Bound(0, limits.REPLICAS_MAX),
    ("RuntimePoolSpec", "runtimeClassName"): _OBJECT_NAME,
}
"""By structure of the model and member."""


def broken(bound: Bound, value: object) -> Iterator[tuple[object, str]]:
    """What is wrong with a value of the right type: pairs of the key or index below it, None for itself, and a text."""
    if (message := _told(bound, value)) is not None:
        yield None, message
    elements = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, element in elements:
        told = (bound.keys and _told(bound.keys, key)) or (bound.items and _told(bound.items, element))
        if told:
            yield key, told


def _told(bound: Bound, value: object) -> str | None:
    match value:
        case str():
            if bound.pattern and not bound.compiled.fullmatch(value):
                return f"{shown(value)} is not {bound.wanted}"
            return _size(bound, value, "characters")
        case list() | dict():
            return _size(bound, value, "entries")
        case int() | float():
            return _number(bound, value)
    return None


def _number(bound: Bound, value: float) -> str | None:
    least, most = bound.least, bound.most
    if least is not None and most is not None and not least <= value <= most:
        return f"{value:,} is outside {least:,} to {most:,}{bound.unit}"
    if least is not None and value < least:
        return f"{value:,} is less than {least:,}{bound.unit}"
    return None


def _size(bound: Bound, value: Sized, what: str) -> str | None:
    if bound.most is not None and len(value) > bound.most:
        return f"{len(value):,} {what} are more than {bound.most:,}"
    if bound.least is not None and len(value) < bound.least:
        return f"{len(value):,} {what} are less than {bound.least:,}"
    return None


def shown(value: object) -> str:
    """As it could stand in the manifest, cut to a line."""
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= TEXT_SHOWN_MAX else f"{text[:TEXT_SHOWN_MAX]}…"
