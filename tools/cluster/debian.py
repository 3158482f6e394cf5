"""Debian's packages: installs what is missing, without starting or enabling the services that come with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import which

from tools.cluster.commands import SYSTEM_PATH, ClusterError, run, say

NODE_PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "etcd-server": "etcd",
    "iptables": "iptables",
    "iproute2": "ip",
    "mount": "mount",
    "openssl": "openssl",
    "kmod": "modprobe",
}
"""What one node needs, each with a command or file that shows that it is there; Docker's own packages have some of them too."""
IMAGE_PACKAGES = {
    "buildah": "buildah",
    "runc": "runc",
    "debootstrap": "debootstrap",
    "debian-archive-keyring": "/usr/share/keyrings/debian-archive-keyring.gpg",
}
"""What building images needs where there is no Docker engine."""
SERVICES = {"containerd": "containerd.service", "etcd-server": "etcd.service", "postgresql-15": "postgresql.service"}
"""What they would start when the machine boots."""
POLICY = Path("/usr/sbin/policy-rc.d")


def is_there(command_or_file: str) -> bool:
    return which(command_or_file, path=SYSTEM_PATH) is not None or Path(command_or_file).exists()


def missing(packages: Mapping[str, str], there: Callable[[str], bool]) -> list[str]:
    return [name for name, sign in packages.items() if not there(sign)]


def install(packages: Mapping[str, str]) -> None:
    """Raises `ClusterError` where something is missing and can't be installed."""
    names = missing(packages, is_there)
    if not names:
        return
    if os.geteuid() != 0 or not which("apt-get", path=SYSTEM_PATH):
        raise ClusterError(f"missing: {', '.join(names)}. On Debian, as root: apt-get install {' '.join(names)}")
    say(f"Installing {' '.join(names)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", "-qq", environment=quiet)
    with _services_stay_off():
        run("apt-get", "install", "-y", "-qq", "--no-remove", "--no-install-recommends", *names, environment=quiet)
    if which("systemctl", path=SYSTEM_PATH):
        for name in SERVICES.keys() & names:
            run("systemctl", "disable", "--quiet", SERVICES[name])


@contextmanager
def _services_stay_off() -> Iterator[None]:
    """Debian asks this file before it starts a service; where there is one, it is the machine's own decision."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def mirrors(suite: str) -> list[str]:
    """Where this machine gets that suite's packages from; empty where it doesn't."""
    if not which("apt-get", path=SYSTEM_PATH):
        return []
    asked = ("apt-get", "indextargets", "--format", "$(SITE)", f"Codename: {suite}", "Component: main")
    return [site for site in run(*asked).splitlines() if "security" not in site]
