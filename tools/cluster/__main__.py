"""
The cluster for development and tests.

    python -m tools.cluster up          have one: KUBECONFIG's, or by kind, or of one node on this machine
    python -m tools.cluster images      build Lambent's images, and give them to the cluster
    python -m tools.cluster push        push them to a registry
    python -m tools.cluster install     install charts/lambent
    python -m tools.cluster down        leave no trace
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tools.cluster import binaries, images, one_node, providers
from tools.cluster.commands import ClusterError, say
from tools.cluster.image_builders import image_builder
from tools.cluster.install import install
from tools.cluster.places import Places
from tools.cluster.providers import OneNode, Provider

CHECKOUT = Path(__file__).parents[2]


def main(arguments: Sequence[str]) -> int:
    asked = _parser().parse_args(arguments)
    cache = Path(os.environ.get("LAMBENT_CACHE") or CHECKOUT / ".cache")
    places = Places(CHECKOUT, cache.absolute())
    began = time.monotonic()
    try:
        match asked.command:
            case "up":
                up(places)
            case "down":
                providers.down(places)
            case "build":
                binaries.build(places, [*binaries.CLIENTS, *binaries.NODE])
            case "images":
                build_images(places, asked.image, asked.base)
            case "push":
                images.push(places, asked.registry, asked.tag, plain_http=asked.plain_http)
            case "load":
                load(places, asked.image)
            case "install":
                binaries.build(places, binaries.CLIENTS)
                install(_in_use(places), places)
            case "status":
                status(places)
            case "stop":
                one_node.stop_daemon(asked.name, places)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    say(f"{asked.command}: {time.monotonic() - began:.1f} s")
    return 0


def up(places: Places, keeper: int | None = None) -> None:
    """`keeper`: the process a cluster of one node is for, if it is not for whoever comes."""
    binaries.build(places, binaries.CLIENTS)
    provider = providers.choose(places, os.environ.get("KUBECONFIG"), keeper)
    providers.up(provider, places)
    say(f"{type(provider).__name__} cluster is ready. To use it: set -a; . {places.environment}; set +a")
    say(f"kubectl and helm are in {places.binaries}")


def build_images(places: Places, names: Sequence[str], base: str | None) -> None:
    provider = providers.current(places)
    for archive in images.build(places, names, base):
        say(f"{archive.image}  {archive.file.stat().st_size / 1e6:.0f} MB  {archive.file}")
        if provider:
            provider.load(archive.file, archive.identity)


def load(places: Places, given: Sequence[str]) -> None:
    """Archives, or images that the builder has."""
    provider = _in_use(places)
    for image in given:
        if image.endswith(".tar"):
            provider.load(Path(image), None)
        else:
            with tempfile.TemporaryDirectory(dir=places.cache) as folder:
                image_builder(places).save(image, Path(folder) / "image.tar")
                provider.load(Path(folder) / "image.tar", None)


def status(places: Places) -> None:
    provider = providers.current(places)
    owner = one_node.owner(places)
    if owner and owner != places.checkout:
        say(f"This machine carries the cluster of {owner}")
    if provider is None:
        say("No cluster is in use here: make cluster")
        return
    say(f"{type(provider).__name__} cluster, kubeconfig {provider.kubeconfig}, gateway at {provider.endpoint()}")
    if isinstance(provider, OneNode):
        for line in one_node.status(places):
            say(line)


def _in_use(places: Places) -> Provider:
    provider = providers.current(places)
    if provider is None:
        raise ClusterError("no cluster is in use here: make cluster")
    return provider


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.cluster", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="have a cluster")
    commands.add_parser("down", help="take it down")
    commands.add_parser("build", help="build the programs, without starting any")
    built = commands.add_parser("images", help="build images, and give them to the cluster that is in use")
    built.add_argument("image", nargs="*", help="full names (default: all)")
    built.add_argument("--base", help="base image, in place of the usual one")
    pushed = commands.add_parser("push", help="push the images that were built last to a registry")
    pushed.add_argument("registry", help="host, with port and path where it has them: registry.example.com/team")
    pushed.add_argument("tag")
    pushed.add_argument(
        "--plain-http", action="store_true", help="TLS is not asked for; Docker's engine decides itself"
    )
    loaded = commands.add_parser("load", help="give the cluster an image")
    loaded.add_argument("image", nargs="+", help="name, or a .tar of `docker save`")
    commands.add_parser("install", help="install or upgrade charts/lambent")
    commands.add_parser("status", help="what runs")
    stopped = commands.add_parser("stop", help="end one of the node's programs; `up` starts it again")
    stopped.add_argument("name")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
