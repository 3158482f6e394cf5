"""The chart as Helm renders it: objects to assert on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tools.cluster.binaries import CLIENTS, build
from tools.cluster.places import KUBERNETES_VERSION, Places

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "lambent"
NAMESPACE = "lambent-system"
FUNCTIONS_NAMESPACE = "default"

Object = dict[str, Any]

EVERYTHING: Object = {
    "gateway": {
        "replicas": 2,
        "service": {"type": "NodePort", "nodePort": 30910},
        "packages": {"s3": {"bucket": "lambent-packages", "existingSecret": "lambent-bucket"}},
        "registryCredentials": {"existingSecret": "registries"},
        "plainHttpRegistries": ["registry.internal:5000", "10.0.0.7:5000"],
    },
    "state": {"postgres": {"existingSecret": "lambent-database"}},
    "operator": {"replicas": 2},
    "functions": {"namespace": "functions", "imagePullSecrets": ["registries", "other"]},
    "ingress": {"enabled": True, "hosts": ["lambent.example.com"], "tls": {"secretName": "certificate"}},
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]},
    "monitoring": {name: {"enabled": True} for name in ("serviceMonitor", "prometheusRule", "dashboard")},
    "networkPolicy": {"metricsFrom": [{"namespaceSelector": {}}]},
}
"""Values that make the chart render every object it knows, but for the HorizontalPodAutoscaler."""
AUTOSCALED: Object = {
    "gateway": {"autoscaling": {"enabled": True}},
    "state": {"postgres": {"existingSecret": "events"}},
}


class Refused(Exception):
    """Helm's words."""


@dataclass(frozen=True)
class Rendered:
    text: str
    objects: list[Object]

    def one(self, kind: str, name: str) -> Object:
        (found,) = (thing for thing in self.of(kind) if thing["metadata"]["name"] == name)
        return found

    def of(self, kind: str) -> list[Object]:
        return [thing for thing in self.objects if thing["kind"] == kind]

    def pods(self) -> Iterator[tuple[str, Object]]:
        """Metadata and spec of each pod that the chart's objects make, by its maker's name."""
        for thing in self.objects:
            if thing["kind"] == "Pod":
                yield thing["metadata"]["name"], thing
            elif "template" in thing.get("spec", {}):
                yield thing["metadata"]["name"], thing["spec"]["template"]


def places() -> Places:
    return Places(ROOT, Path(os.environ.get("LAMBENT_CACHE") or ROOT / ".cache").absolute())


@cache
def program(name: str) -> Path:
    """Helm or kubeconform, of the version that the cluster's tooling builds."""
    build(places(), [programs for programs in CLIENTS if name in programs.names])
    return places().binaries / name


def helm(*arguments: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        [program("helm"), *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode:
        raise Refused(done.stderr)
    return done.stdout


def render(values: Object | None = None, *, namespace: str = NAMESPACE, release: str = "lambent") -> Rendered:
    text = helm(
        "template",
        release,
        str(CHART),
        "--namespace",
        namespace,
        "--kube-version",
        KUBERNETES_VERSION,
        "--values",
        "-",
        stdin=yaml.safe_dump(values or {}),
    )
    return Rendered(text, [thing for thing in yaml.safe_load_all(text) if thing])
