"""
What the API server checks beyond types and bounds, in CEL and in Lambda's words: the rules of `function_rules` as far as CEL can say them.

What it can't say is found when the function is settled: the exact size of the environment variables as JSON, and whether the values
of `spec.code.inline` are text (CEL sees no member that may be of two types).
"""

from __future__ import annotations

from lambent_core import limits
from lambent_core.bounds import BOUNDS, Bound
from lambent_core.function_rules import (
    ENVIRONMENT_RESERVED,
    ENVIRONMENT_TOO_LONG,
    IMAGE_URI_MISSING,
    LOG_LEVEL_WITHOUT_JSON,
    NO_SECURITY_GROUP,
    NOT_WITH_A_ZIP,
    NOT_WITH_AN_IMAGE,
    RESERVED_VARIABLES,
    RUNTIME_AND_HANDLER,
    SNAPSTART_RUNTIMES,
)
from lambent_core.manifest import FOUND_BY_THE_PLATFORM
from lambent_core.schema import Schema

Place = tuple[str, str]
"""A structure of the model and a member of it; "" for the structure itself."""


def _rule(rule: str, message: str, *, field: str = "", computed: str = "") -> Schema:
    """`computed` is a CEL expression for a message that names what was found; `message` stands in where it can't be computed."""
    found: Schema = {"rule": rule, "message": message}
    return found | ({"fieldPath": field} if field else {}) | ({"messageExpression": computed} if computed else {})


def _text(text: str) -> str:
    """A literal of CEL."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _named(rule: str, wanted: str) -> Schema:
    """What `metadata.name` must be."""
    return _rule(
        rule,
        f"metadata.name is not {wanted}",
        computed=f"'metadata.name: ' + self.metadata.name + {_text(f' is not {wanted}')}",
    )


def unchanged(member: str) -> str:
    """In CEL: that a member is what it was before."""
    return f"has(self.{member}) == has(oldSelf.{member}) && (!has(self.{member}) || self.{member} == oldSelf.{member})"


def _never(member: str, instead: str) -> Schema:
    return _rule(unchanged(member), f"spec.{member} never changes: {instead}", field=f".{member}")


def _not_yet(member: str) -> str:
    return f"{member} is not implemented yet in Lambent."


def _keys(bound: Bound) -> Schema:
    """Keys have no schema of their own in a custom resource."""
    assert bound.keys is not None
    least, most = bound.keys.least, bound.keys.most
    if not bound.keys.pattern:
        rule = f"self.all(key, size(key) >= {least} && size(key) <= {most})"
        return _rule(rule, f"each key has {least} to {most} characters")
    return _rule(f"self.all(key, key.matches({_text(_whole(bound.keys))}))", f"each key is {bound.keys.wanted}")


def _whole(bound: Bound) -> str:
    return f"^({bound.pattern})$"


_IMAGE = "self.packageType == 'Image'"
_NOT_WITH_A_ZIP_URI, _NOT_WITH_A_ZIP_CONFIG = (
    NOT_WITH_A_ZIP.format(member=name) for name in ("ImageUri", "ImageConfig")
)
_DNS_LABEL = BOUNDS["Metadata", "name"]
_LABEL = _text(f"^{_DNS_LABEL.pattern}$")
_LATEST = _text("$LATEST")
_ENVIRONMENT_VARIABLES_MAX = limits.ENVIRONMENT_BYTES_MAX // len('"AA":"",')
_VERSIONS_NAME = _text(rf"^{_DNS_LABEL.pattern}\.[1-9][0-9]{{0,9}}$")
_QUALIFIED_NAME = _text(rf"^{_DNS_LABEL.pattern}\.{_DNS_LABEL.pattern}$")

_PUBLISHED = (
    "layerName", "version", "description", "compatibleRuntimes", "compatibleArchitectures", "licenseInfo",
)  # fmt: skip
ANOTHER_LAYER_VERSION = "publish another version of the layer"
_ONLY_THE_COMMAND = _rule(
    "false", "only the lambent command reads folders: use `lambent apply -f`, or give the code as inline"
)

RULES: dict[Place, list[Schema]] = {
    ("Function", ""): [
        _named(f"self.metadata.name.matches({_LABEL})", _DNS_LABEL.wanted),
        _rule(
            "(has(self.spec.functionName) ? self.spec.functionName : self.metadata.name) == "
            "(has(oldSelf.spec.functionName) ? oldSelf.spec.functionName : oldSelf.metadata.name)",
            "spec.functionName never changes: a function with another name is another function",
            field=".spec.functionName",
        ),
    ],
    ("FunctionSpec", ""): [
        _rule(f"{_IMAGE} || has(self.runtime)", RUNTIME_AND_HANDLER, field=".runtime"),
        _rule(f"{_IMAGE} || (has(self.handler) && self.handler != '')", RUNTIME_AND_HANDLER, field=".handler"),
        _rule(f"{_IMAGE} || !has(self.code.imageUri)", _NOT_WITH_A_ZIP_URI, field=".code"),
        _rule(f"{_IMAGE} || !has(self.imageConfig)", _NOT_WITH_A_ZIP_CONFIG, field=".imageConfig"),
        _rule(f"!({_IMAGE}) || has(self.code.imageUri)", IMAGE_URI_MISSING, field=".code"),
        _rule(f"!({_IMAGE}) || !has(self.runtime)", NOT_WITH_AN_IMAGE, field=".runtime"),
        _rule(f"!({_IMAGE}) || !has(self.handler) || self.handler == ''", NOT_WITH_AN_IMAGE, field=".handler"),
        _rule(f"!({_IMAGE}) || !has(self.layers) || self.layers.size() == 0", NOT_WITH_AN_IMAGE, field=".layers"),
        _rule(
            "self.packageType == oldSelf.packageType",
            "spec.packageType never changes: a function with another package type is another function",
            field=".packageType",
        ),
        _rule(
            "!has(self.runtime) || self.snapStart.applyOn == 'None' || "
            f"self.runtime.matches({_text(f'^({SNAPSTART_RUNTIMES.pattern})$')})",
            "the runtime is not supported for SnapStart enabled functions.",
            field=".snapStart",
            computed="self.runtime + ' is not supported for SnapStart enabled functions.'",
        ),
    ],
    ("FunctionSpec", "fileSystemConfigs"): [_rule("self.size() == 0", _not_yet("spec.fileSystemConfigs"))],
    ("FunctionSpec", "tags"): [_keys(BOUNDS["FunctionSpec", "tags"])],
    ("Code", "image"): [_rule("false", FOUND_BY_THE_PLATFORM)],
    ("Code", "path"): [_ONLY_THE_COMMAND],
    ("Environment", "variables"): [
        _keys(BOUNDS["Environment", "variables"]),
        *(_rule(f"!({_text(name)} in self)", ENVIRONMENT_RESERVED + name) for name in sorted(RESERVED_VARIABLES)),
        _rule(
            "self.map(name, size(bytes(name)) + size(bytes(self[name])) + 6).sum() "
            f"<= {limits.ENVIRONMENT_BYTES_MAX - 1}",
            ENVIRONMENT_TOO_LONG,
        ),
    ],
    ("LoggingConfig", ""): [
        _rule(
            "self.logFormat == 'JSON' || !has(self.applicationLogLevel)",
            LOG_LEVEL_WITHOUT_JSON,
            field=".applicationLogLevel",
        ),
        _rule("self.logFormat == 'JSON' || !has(self.systemLogLevel)", LOG_LEVEL_WITHOUT_JSON, field=".systemLogLevel"),
    ],
    ("VpcConfig", "subnetIds"): [_rule("self.size() == 0", _not_yet("spec.vpcConfig.subnetIds"))],
    ("VpcConfig", "securityGroupIds"): [
        _rule(
            "self.size() == 0",
            NO_SECURITY_GROUP.format(group="…"),
            computed=" + self[0] + ".join(_text(part) for part in NO_SECURITY_GROUP.split("{group}")),
        )
    ],
    ("EnvFrom", ""): [
        _rule("has(self.secretRef) != has(self.configMapRef)", "exactly one of secretRef and configMapRef is wanted")
    ],
    ("FunctionVersion", ""): [
        _named(
            f"self.metadata.name.matches({_VERSIONS_NAME}) && "
            "int(self.metadata.name.find('[0-9]+$')) == self.spec.version",
            "FUNCTION.VERSION: the name of the Function resource, a dot, and spec.version",
        )
    ],
    ("FunctionVersionSpec", ""): [
        _never(member, "publish another version") for member in ("functionName", "version", "description", "layers")
    ],
    ("FunctionVersionSpec", "function"): [
        _rule(
            "has(self.code.sha256) || has(self.code.imageUri)",
            "the code of a version is a package in the platform's store, code.sha256, or an image, code.imageUri",
        ),
    ],
    ("FunctionAlias", ""): [
        _named(
            f"self.metadata.name.matches({_QUALIFIED_NAME}) && "
            f"(!self.spec.name.matches({_LABEL}) || self.metadata.name.endsWith('.' + self.spec.name))",
            "FUNCTION.ALIAS: the name of the Function resource, a dot, and spec.name "
            "(or a name made of it, where that is no DNS label)",
        )
    ],
    ("FunctionAliasSpec", ""): [
        _never("functionName", "make another alias"),
        _never("name", "make another alias"),
        _rule(
            "!has(self.routingConfig) || !has(self.routingConfig.additionalVersionWeights) || "
            "!(self.functionVersion in self.routingConfig.additionalVersionWeights)",
            "the function version is already included in routing configuration.",
            field=".routingConfig",
            computed="'Invalid function version ' + self.functionVersion + '. Function version ' + self.functionVersion + "
            "' is already included in routing configuration.'",
        ),
        _rule(
            f"self.functionVersion != {_LATEST} || !has(self.routingConfig) || "
            "!has(self.routingConfig.additionalVersionWeights) || self.routingConfig.additionalVersionWeights.size() == 0",
            "$LATEST is not supported for an alias pointing to more than 1 version",
            field=".functionVersion",
        ),
    ],
    ("LayerVersion", ""): [
        _named(
            f"self.metadata.name.matches({_VERSIONS_NAME}) && "
            "int(self.metadata.name.find('[0-9]+$')) == self.spec.version && "
            f"(!self.spec.layerName.matches({_LABEL}) || self.metadata.name.startsWith(self.spec.layerName + '.'))",
            "NAME.VERSION: spec.layerName (or a name made of it, where that is no DNS label), a dot, and spec.version",
        )
    ],
    ("LayerVersionSpec", ""): [_never(member, ANOTHER_LAYER_VERSION) for member in _PUBLISHED],
    ("LayerCode", ""): [
        _rule(unchanged(member), f"spec.code never changes: {ANOTHER_LAYER_VERSION}", field=f".{member}")
        for member in ("inline", "sha256")
    ],
    ("LayerCode", "path"): [_ONLY_THE_COMMAND],
    ("RoutingConfig", "additionalVersionWeights"): [_keys(BOUNDS["RoutingConfig", "additionalVersionWeights"])],
}
"""`x-kubernetes-validations` by place. They hold for what the user writes, not for `status`."""

FROZEN: Place = ("FunctionVersionSpec", "function")
"""This and all below it never changes. Said for each structure: one comparison of the whole costs more than the API server allows."""
FROZEN_MESSAGE = "spec.function of a version never changes: publish another version"

NAMES: dict[str, Schema] = {
    "Function": {"maxLength": 63},
    "FunctionVersion": {"maxLength": 127},
    "FunctionAlias": {"maxLength": 127},
    "LayerVersion": {"maxLength": 127},
    "RuntimePool": {"maxLength": 63},
}
"""Of `metadata.name`. Two labels and a dot for what belongs to a function; a pool's name is the label `lambent.dev/pool` of its pods."""

REQUIRED: dict[str, list[str]] = {"FunctionSpec": ["code"], "LayerVersionSpec": ["code"]}
"""What the model can do without, as in a folder that is itself the code, and a cluster can't."""

_QUANTITIES: Schema = {
    "type": "object",
    "additionalProperties": {
        "x-kubernetes-int-or-string": True,
        "pattern": r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?[0-9]+))?$",
    },
}
_TOLERATION: dict[str, Schema] = {
    "key": {"type": "string", "description": "Of the taint; without it all are tolerated."},
    "operator": {
        "type": "string",
        "description": "`Exists` takes any value; `Equal`, the default, only `value`.",
        "enum": ["Equal", "Exists"],
    },
    "value": {"type": "string", "description": "Of the taint."},
    "effect": {
        "type": "string",
        "description": "Of the taint; without it all are tolerated.",
        "enum": ["NoExecute", "NoSchedule", "PreferNoSchedule"],
    },
    "tolerationSeconds": {
        "type": "integer",
        "format": "int64",
        "description": "How long a `NoExecute` taint is tolerated; without it for ever.",
    },
}
SHAPES: dict[Place, Schema] = {
    ("Code", "inline"): {"x-kubernetes-preserve-unknown-fields": True},
    ("Resources", "requests"): _QUANTITIES,
    ("Resources", "limits"): _QUANTITIES,
    ("RuntimePoolSpec", "tolerations"): {
        "type": "array",
        "items": {"type": "object", "description": "As in a pod's spec.", "properties": _TOLERATION},
    },
}
"""Members whose shape the model leaves to Kubernetes, or can't be told structurally."""

ALTERNATIVES: dict[str, tuple[str, ...]] = {
    "Code": ("inline", "path", "sha256", "imageUri"),
    "LayerCode": ("inline", "path", "sha256"),
}
"""Exactly one of these members is given."""

RESOURCE_BYTES_MAX = 1_572_864
"""What the API server's own database takes of one resource."""
AT_MOST: dict[Place, Schema] = {
    ("Environment", "variables"): {
        "maxProperties": _ENVIRONMENT_VARIABLES_MAX,
        "additionalProperties": {"type": "string", "maxLength": limits.ENVIRONMENT_BYTES_MAX},
    },
    ("PodSettings", "envFrom"): {"maxItems": 64},
    ("LayerCode", "inline"): {
        "maxProperties": 1_024,
        "additionalProperties": {"type": "string", "maxLength": RESOURCE_BYTES_MAX},
    },
    ("FunctionVersionSpec", "layers"): {"maxItems": limits.LAYERS_MAX},
}
"""Without an end to lists and mappings the API server can't tell what a rule costs. None is narrower than Lambda's own limits."""
