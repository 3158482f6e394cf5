"""The chart in namespaces of a test's own, on a real cluster."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from tests.chart.rendering import CHART, ROOT, Object, program

SECONDS_MAX = 240
SETTINGS = os.environ.get("LAMBENT_TEST_SETTINGS", "")
"""Further values, as `--set` takes them, where images have other names than `make images` gives them."""


def kubeconfig() -> Path | None:
    """Of KUBECONFIG, or of the cluster that `make cluster` made."""
    if "KUBECONFIG" in os.environ:
        return Path(os.environ["KUBECONFIG"])
    made = ROOT / ".cluster" / "kubeconfig"
    return made if made.exists() else None


@dataclass(frozen=True)
class Release:
    kubeconfig: Path
    system: str
    functions: str

    def run(self, name: str, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """helm or kubectl. What it says when it fails is the test's failure."""
        done = subprocess.run(
            [program(name), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS_MAX,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
        )
        assert done.returncode == 0, f"{name} {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done

    def upgrade(self, values: Object | None = None) -> None:
        values = {"functions": {"namespace": self.functions}, **(values or {})}
        self.run(
            "helm",
            *(
                "upgrade",
                "--install",
                "lambent",
                str(CHART),
                "--namespace",
                self.system,
                "--values",
                "-",
                "--set",
                SETTINGS,
            ),
            stdin=yaml.safe_dump(values),
        )

    def uninstall(self) -> None:
        self.run("helm", "uninstall", "lambent", "--namespace", self.system, "--timeout", f"{SECONDS_MAX}s")

    def get(self, kind: str, namespace: str, *name: str) -> Any:
        return json.loads(self.run("kubectl", "get", kind, *name, "--namespace", namespace, "--output", "json").stdout)

    def objects(self, namespace: str) -> set[str]:
        """All that is in a namespace, but for what Kubernetes puts into each, and its own records of what happened."""
        kinds = self.run("kubectl", "api-resources", "--namespaced", "--verbs=list", "--output=name").stdout.split()
        own = {"events", "events.events.k8s.io", "endpoints", "endpointslices.discovery.k8s.io"}
        asked = ",".join(sorted(kind for kind in kinds if kind not in own and "metrics" not in kind))
        listed = self.run("kubectl", "get", asked, "--namespace", namespace, "--output", "name").stdout.split()
        return set(listed) - {"serviceaccount/default", "configmap/kube-root-ca.crt"}

    def apply(self, namespace: str, *objects: Object) -> None:
        self.run("kubectl", "apply", "--namespace", namespace, "--filename", "-", stdin=yaml.safe_dump_all(objects))


@contextmanager
def namespaces(config: Path) -> Iterator[Release]:
    """Two, under the Pod Security level that the chart promises to keep to."""
    end = uuid4().hex[:8]
    release = Release(config, f"chart-test-{end}", f"chart-test-functions-{end}")
    names = [release.system, release.functions]
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    release.apply(
        "default",
        *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": levels}} for name in names),
    )
    try:
        yield release
    finally:
        release.run("kubectl", "delete", "namespace", *names, f"--timeout={SECONDS_MAX}s")
