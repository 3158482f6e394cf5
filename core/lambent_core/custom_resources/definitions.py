"""The kinds: what they are called, which columns `kubectl get` shows, what is below them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lambent_core.custom_resources.rules import NAMES, RULES
from lambent_core.custom_resources.structural import structure
from lambent_core.function import API_VERSION
from lambent_core.resources import RESOURCES
from lambent_core.schema import Schema, described, referred

GROUP, VERSION = API_VERSION.split("/")


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    path: str
    type: str = "string"
    wide: bool = False
    """With `kubectl get -o wide` only."""

    def shown(self) -> dict[str, Any]:
        column: dict[str, Any] = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return column | ({"priority": 1} if self.wide else {})


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    plural: str
    short_name: str
    columns: tuple[_Column, ...]
    scale: dict[str, str] = field(default_factory=dict)
    selectable: tuple[str, ...] = ()
    """Members that `kubectl get --field-selector` knows."""


_AGE = _Column("Age", ".metadata.creationTimestamp", "date")
_REASON = _Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', wide=True)
_READY = _Column("Ready", '.status.conditions[?(@.type=="Ready")].status')
_FUNCTION = _Column("Function", ".spec.functionName")
_KINDS = (
    _Kind(
        "Function",
        "functions",
        "fn",
        (
            _Column("Runtime", ".spec.runtime"),
            _Column("Memory", ".spec.memorySize", "integer"),
            _Column("State", ".status.state"),
            _Column("Ready", ".status.environments.ready", "integer"),
            _Column("Updated", ".status.environments.updated", "integer", wide=True),
            _Column("Busy", ".status.environments.busy", "integer"),
            _Column("Concurrency", ".status.reservedConcurrentExecutions", "integer"),
            _Column("URL", ".status.url"),
            _Column("Handler", ".spec.handler", wide=True),
            _Column("Timeout", ".spec.timeout", "integer", wide=True),
            _REASON,
            _Column("Revision", ".status.revisionId", wide=True),
            _AGE,
        ),
        scale={
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    ),
    _Kind(
        "FunctionVersion",
        "functionversions",
        "fnv",
        (
            _FUNCTION,
            _Column("Version", ".spec.version", "integer"),
            _Column("Runtime", ".spec.function.runtime"),
            _Column("Memory", ".spec.function.memorySize", "integer"),
            _Column("State", ".status.state"),
            _Column("Description", ".spec.description", wide=True),
            _Column("Handler", ".spec.function.handler", wide=True),
            _Column("Revision", ".status.revisionId", wide=True),
            _AGE,
        ),
        selectable=(".spec.functionName",),
    ),
    _Kind(
        "FunctionAlias",
        "functionaliases",
        "fna",
        (
            _FUNCTION,
            _Column("Alias", ".spec.name"),
            _Column("Version", ".spec.functionVersion"),
            _Column("Weights", ".spec.routingConfig.additionalVersionWeights"),
            _READY,
            _REASON,
            _Column("Description", ".spec.description", wide=True),
            _Column("Revision", ".status.revisionId", wide=True),
            _AGE,
        ),
        selectable=(".spec.functionName",),
    ),
    _Kind(
        "LayerVersion",
        "layerversions",
        "lv",
        (
            _Column("Layer", ".spec.layerName"),
            _Column("Version", ".spec.version", "integer"),
            _Column("State", ".status.state"),
            _Column("Size", ".status.code.size", "integer"),
            _Column("Runtimes", ".spec.compatibleRuntimes"),
            _Column("Architectures", ".spec.compatibleArchitectures", wide=True),
            _Column("Description", ".spec.description", wide=True),
            _Column("Reason", ".status.stateReason", wide=True),
            _AGE,
        ),
        selectable=(".spec.layerName",),
    ),
    _Kind(
        "RuntimePool",
        "runtimepools",
        "rp",
        (
            _Column("Runtimes", ".spec.runtimes"),
            _Column("Size", ".spec.size", "integer"),
            _Column("Ready", ".status.ready", "integer"),
            _Column("Starting", ".status.starting", "integer"),
            _Column("Image", ".spec.image", wide=True),
            _REASON,
            _AGE,
        ),
    ),
)


def custom_resource_definitions() -> dict[str, dict[str, Any]]:
    """By the plural of each kind: what `kubectl apply` takes."""
    return {kind.plural: _definition(kind) for kind in _KINDS}


def _definition(kind: _Kind) -> dict[str, Any]:
    subresources: dict[str, Any] = {"status": {}} | ({"scale": kind.scale} if kind.scale else {})
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": subresources,
        "additionalPrinterColumns": [column.shown() for column in kind.columns],
        "schema": {"openAPIV3Schema": _schema(kind.name)},
    }
    if kind.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.selectable]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}", "labels": {"app.kubernetes.io/part-of": "lambent"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short_name],
                "categories": ["lambent"],
            },
            "versions": [version],
        },
    }


def _schema(kind: str) -> Schema:
    root, definitions = described(RESOURCES[kind])
    resource = definitions[referred(root) or ""]
    parts = {name: referred(resource["properties"][name]) or "" for name in ("spec", "status")}
    schema: Schema = {
        "type": "object",
        "description": " ".join(resource["description"].split()),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"{API_VERSION}."},
            "kind": {"type": "string", "description": f"{kind}."},
            "metadata": {"type": "object", "properties": {"name": {"type": "string", **NAMES[kind]}}},
            "spec": structure(parts["spec"], definitions, wanted=True),
            "status": structure(parts["status"], definitions, wanted=False),
        },
    }
    if (kind, "") in RULES:
        schema["x-kubernetes-validations"] = RULES[kind, ""]
    return schema
