"""
JSON schemas for kubeconform: of Kubernetes' own kinds from the OpenAPI documents in its Go module, of ours from the chart's CRDs,
of other projects' from the CRDs in their Go modules.

A member that a kind does not have is refused, as the API server does with strict field validation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from tests.chart.rendering import CHART, Object
from tools.cluster.binaries import HERE, SETTINGS, go_toolchain
from tools.cluster.commands import run

LOCATION = "{{ .ResourceKind }}{{ .KindSuffix }}.json"
"""File name of a kind's schema, as kubeconform asks for it."""
FOREIGN = {
    "sigs.k8s.io/gateway-api": ("config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",),
    "github.com/prometheus-operator/prometheus-operator": tuple(
        f"example/prometheus-operator-crd/monitoring.coreos.com_{names}.yaml"
        for names in ("podmonitors", "prometheusrules", "servicemonitors")
    ),
}
"""Definitions of other projects that the chart has objects of: files by Go module."""


def write_schemas(folder: Path, kinds: set[str]) -> None:
    """Of the kinds that are named; each file has all that its kind refers to."""
    for path in sorted(_openapi().glob("*__v*_openapi.json")):
        shapes = json.loads(path.read_text())["components"].get("schemas", {})
        for name, shape in shapes.items():
            for kind in shape.get("x-kubernetes-group-version-kind", []):
                if kind["kind"] in kinds:
                    _write(folder, kind, {"$ref": f"#/components/schemas/{name}", "components": {"schemas": shapes}})
    own = (yaml.safe_load(path.read_text()) for path in sorted((CHART / "crds").glob("*.yaml")))
    for definition in (made["spec"] for made in chain(own, foreign_definitions())):
        for version in definition["versions"]:
            kind = {"group": definition["group"], "version": version["name"], "kind": definition["names"]["kind"]}
            schema = version["schema"]["openAPIV3Schema"]
            schema["properties"]["metadata"]["additionalProperties"] = True  # the API server knows its other members
            _write(folder, kind, schema)


def foreign_definitions() -> Iterator[Object]:
    """Of other projects, as their own files have them."""
    for module, files in FOREIGN.items():
        folder = _downloaded(module, Path(__file__).parent / "definitions")
        for file in files:
            yield yaml.safe_load((folder / file).read_text())


def _openapi() -> Path:
    """Of the Kubernetes that the cluster's tooling builds."""
    return _downloaded("k8s.io/kubernetes", HERE / "kubernetes") / "api" / "openapi-spec" / "v3"


def _downloaded(module: str, folder: Path) -> Path:
    """Where Go has unpacked the module, in the version that the go.mod of `folder` names."""
    told = run(go_toolchain(), "mod", "download", "-json", module, folder=folder, environment=SETTINGS)
    return Path(json.loads(told)["Dir"])


def _write(folder: Path, kind: Object, schema: Object) -> None:
    suffix = "-".join(part for part in (kind["group"].partition(".")[0], kind["version"]) if part)
    (folder / f"{kind['kind'].lower()}-{suffix}.json").write_text(json.dumps(_closed(schema)))


def _closed(shape: Any) -> Any:
    if isinstance(shape, list):
        return [_closed(one) for one in shape]
    if not isinstance(shape, dict):
        return shape
    closed = dict(_members(shape))
    if (
        closed.get("type") == "object"
        and "properties" in closed
        and not closed.get("x-kubernetes-preserve-unknown-fields")
    ):
        closed.setdefault("additionalProperties", False)
    return closed


def _members(shape: Object) -> Iterator[tuple[str, Any]]:
    for name, value in shape.items():
        if name == "properties":
            yield name, {member: _closed(inner) for member, inner in value.items()}
        elif name == "type" and shape.get("nullable"):
            yield name, [value, "null"]
        else:
            yield name, _closed(value)
