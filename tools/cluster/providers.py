"""Three ways to have a cluster, and which one is taken."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tools.cluster import loopback, node, one_node
from tools.cluster.commands import ClusterError, run, succeeds
from tools.cluster.image_builders import docker_engine
from tools.cluster.places import ENDPOINT_PORT, GATEWAY_NODE_PORT, NAMESPACE, Places

KIND_NAME = "lambent"
"""As in kind-config.yaml."""


class Provider(Protocol):
    @property
    def kubeconfig(self) -> Path: ...

    def up(self) -> None:
        """Does nothing where all is there."""

    def down(self) -> None: ...

    def load(self, image: Path, identity: str | None) -> None:
        """Gives the nodes an image that is a file; `identity`: what it was made of, if that is known."""

    def endpoint(self) -> str:
        """Where the gateway answers."""

    def expose(self) -> None:
        """Makes it answer there, once its Service exists."""


@dataclass(frozen=True)
class OneNode:
    """Kubernetes' own programs on this machine."""

    places: Places
    keeper: int | None = None
    """The process it is for, if it is not for whoever comes."""

    @property
    def kubeconfig(self) -> Path:
        return self.places.kubeconfig

    def up(self) -> None:
        one_node.up(self.places, self.keeper)

    def down(self) -> None:
        one_node.down(self.places)

    def load(self, image: Path, identity: str | None) -> None:
        one_node.load(image, identity, self.places)

    def endpoint(self) -> str:
        return f"http://{loopback.ADDRESS}:{ENDPOINT_PORT}"

    def expose(self) -> None:
        services = json.loads(
            one_node.kubectl(self.places, "get", "services", f"--namespace={NAMESPACE}", "--output=json")
        )
        gateway = loopback.service_with_node_port(services["items"], GATEWAY_NODE_PORT)
        if gateway is None:
            raise ClusterError(f"no Service in {NAMESPACE} has the node port {GATEWAY_NODE_PORT}")
        expose(gateway, self.places)


def expose(service: dict[str, Any], places: Places) -> None:
    """Leads `ENDPOINT_PORT` of 127.0.0.1 to the pods of a Service with the gateway's node port."""
    twin = loopback.twin(service, GATEWAY_NODE_PORT, ENDPOINT_PORT)
    one_node.kubectl(places, "apply", "-f", "-", input=node.as_json(twin))
    metadata = twin["metadata"]
    balanced = json.dumps(loopback.balanced())
    where = ("service", metadata["name"], f"--namespace={metadata['namespace']}")
    one_node.kubectl(places, "patch", *where, "--subresource=status", "--patch", balanced)


@dataclass(frozen=True)
class Kind:
    """A node in a Docker container."""

    places: Places

    @property
    def kubeconfig(self) -> Path:
        return self.places.kubeconfig

    def up(self) -> None:
        if KIND_NAME in run("kind", "get", "clusters").split():
            run("kind", "export", "kubeconfig", "--name", KIND_NAME, "--kubeconfig", self.kubeconfig)
        else:
            configuration = self.places.checkout / "kind-config.yaml"
            run(
                "kind",
                "create",
                "cluster",
                "--config",
                configuration,
                "--kubeconfig",
                self.kubeconfig,
                "--wait",
                "180s",
            )

    def down(self) -> None:
        run("kind", "delete", "cluster", "--name", KIND_NAME)

    def load(self, image: Path, identity: str | None) -> None:
        run("kind", "load", "image-archive", image, "--name", KIND_NAME)

    def endpoint(self) -> str:
        return f"http://127.0.0.1:{ENDPOINT_PORT}"

    def expose(self) -> None:
        """kind-config.yaml does."""


@dataclass(frozen=True)
class Given:
    """A cluster that was there: what KUBECONFIG names. It is never taken down."""

    places: Places
    kubeconfig: Path

    def up(self) -> None: ...

    def down(self) -> None: ...

    def load(self, image: Path, identity: str | None) -> None:
        node = self._node()
        if node is None:
            raise ClusterError(f"can't load images into a cluster of others: push {image} where its nodes pull from")
        node.load(image, identity)

    def endpoint(self) -> str:
        node = self._node()
        if node is not None:
            return node.endpoint()
        nodes = json.loads(run(self.places.kubectl, f"--kubeconfig={self.kubeconfig}", "get", "nodes", "--output=json"))
        addresses = nodes["items"][0]["status"]["addresses"]
        internal = next(entry["address"] for entry in addresses if entry["type"] == "InternalIP")
        return f"http://{internal}:{GATEWAY_NODE_PORT}"

    def expose(self) -> None:
        node = self._node()
        if node is not None:
            node.expose()  # elsewhere the node port is enough

    def _node(self) -> OneNode | None:
        """Where it is the one node of this machine, which another checkout brought up."""
        owner = one_node.owner(self.places)
        theirs = OneNode(Places(owner, self.places.cache, self.places.run)) if owner else None
        return theirs if theirs and theirs.kubeconfig.resolve() == self.kubeconfig.resolve() else None


def choose(places: Places, kubeconfig: str | None, keeper: int | None = None) -> Provider:
    """`kubeconfig`: the variable's value. A cluster that is in use already stays in use."""
    given = Path(kubeconfig) if kubeconfig else None
    if given and given.resolve() == places.kubeconfig.resolve():
        given = None  # what .cluster/env says
    in_use = current(places)
    if in_use is not None and not given:
        return in_use
    if given and _reachable(given, places):
        return Given(places, given)
    if shutil.which("kind") and docker_engine():
        return Kind(places)
    return OneNode(places, keeper)


def current(places: Places) -> Provider | None:
    """The cluster that this checkout uses."""
    try:
        name, _, detail = places.provider.read_text().partition(" ")
    except FileNotFoundError:
        return None
    match name:
        case "given":
            return Given(places, Path(detail))
        case "kind":
            return Kind(places)
        case _:
            return OneNode(places)


def up(provider: Provider, places: Places) -> None:
    _remember(provider, places)  # also one that fails on the way is to be taken down
    provider.up()
    _remember(provider, places)
    places.environment.write_text(environment(provider.kubeconfig.resolve(), provider.endpoint()))


def down(places: Places) -> None:
    provider = current(places)
    if provider is not None:
        provider.down()
    one_node.down(places)  # also where another cluster was taken into use since
    shutil.rmtree(places.state, ignore_errors=True)


def _remember(provider: Provider, places: Places) -> None:
    places.state.mkdir(exist_ok=True)
    match provider:
        case Given():
            places.provider.write_text(f"given {provider.kubeconfig.resolve()}")
        case Kind():
            places.provider.write_text("kind")
        case _:
            places.provider.write_text("one-node")


def _reachable(kubeconfig: Path, places: Places) -> bool:
    return succeeds(places.kubectl, f"--kubeconfig={kubeconfig}", "get", "--raw=/readyz", "--request-timeout=5s")


def environment(kubeconfig: Path, endpoint: str) -> str:
    """For `source`, and for tests."""
    return f"KUBECONFIG={kubeconfig}\nLAMBENT_ENDPOINT={endpoint}\n"
