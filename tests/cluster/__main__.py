"""
The cluster suite: one real cluster for all tests of this folder, with Lambent on it. Arguments are pytest's.

A cluster that is there is used and left there, with Lambent as `make cluster` installs it; one that was not is taken down at the end, or
by the next who needs the machine if this run is killed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from tests.cluster.installation import VALUES
from tools.cluster import __main__ as tool
from tools.cluster import one_node, providers
from tools.cluster.commands import ClusterError
from tools.cluster.install import RELEASE, install
from tools.cluster.places import NAMESPACE, Places
from tools.cluster.providers import Given, OneNode, Provider

CHECKOUT = Path(__file__).parents[2]


def main(arguments: list[str]) -> int:
    places = Places(CHECKOUT, Path(os.environ.get("LAMBENT_CACHE") or CHECKOUT / ".cache").absolute())
    if isinstance(providers.current(places), OneNode) and not one_node.occupied(places):
        providers.down(places)  # what a run that was killed has left
    was_there = providers.current(places) is not None
    try:
        provider = _prepared(places)
        code = _tests(provider, places, arguments)
        if was_there:
            install(provider, places)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 1
    finally:
        if not was_there:
            _taken_away(places)
    return code


def _prepared(places: Places) -> Provider:
    tool.up(places, os.getpid())
    provider = providers.current(places)
    assert provider is not None
    tool.build_images(places, [], None)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as values:
        yaml.safe_dump(VALUES, values)
        values.flush()
        install(provider, places, [Path(values.name)])
    return provider


def _tests(provider: Provider, places: Places, arguments: list[str]) -> int:
    environment = {
        **os.environ,
        "KUBECONFIG": str(provider.kubeconfig),
        "LAMBENT_ENDPOINT": provider.endpoint(),
        "LAMBENT_CACHE": str(places.cache),
    }
    command = [sys.executable, "-m", "pytest", *(arguments or ["tests/cluster"])]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, check=False).returncode


def _taken_away(places: Places) -> None:
    provider = providers.current(places)
    if isinstance(provider, Given):  # it stays, so nothing of ours may
        helm = [places.binaries / "helm", f"--kubeconfig={provider.kubeconfig}", f"--namespace={NAMESPACE}"]
        subprocess.run([*helm, "uninstall", RELEASE, "--ignore-not-found", "--wait"], check=False)
    providers.down(places)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
