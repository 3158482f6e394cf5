"""
The one-node cluster for real: up, what its pods can do, and down without a trace.

One story in several tests, in this order: there is one such cluster on a machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.cluster_tool import machine_state
from tests.platform_process import wait_for
from tools.cluster import binaries, control_groups, debian, images, node, one_node, processes, providers
from tools.cluster.commands import ClusterError
from tools.cluster.image_archives import Archive
from tools.cluster.places import Places

pytestmark = pytest.mark.timeout(1200)
CHECKOUT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("LAMBENT_CACHE") or CHECKOUT / ".cache").absolute()
MARKER = f"LAMBENT_CLUSTER_TEST={uuid.uuid4()}"
RUNTIME_IMAGE = "localhost/lambent/python:dev"
SECURITY = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
NAMESPACE = "cluster-tool"


@pytest.fixture(scope="module")
def image() -> Archive:
    binaries.build(Places(CHECKOUT, CACHE), [*binaries.CLIENTS, *binaries.NODE])
    debian.install({**debian.NODE_PACKAGES, **debian.IMAGE_PACKAGES})
    return images.build(Places(CHECKOUT, CACHE), [RUNTIME_IMAGE])[0]


@pytest.fixture(scope="module")
def before(image: Archive) -> dict[str, set[str]]:
    return machine_state.machine_state()


@pytest.fixture(scope="module")
def keeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that the node is for; it ends with this one, however that ends."""
    with subprocess.Popen("cat", stdin=subprocess.PIPE) as process:
        yield process


@pytest.fixture(scope="module")
def places(
    before: dict[str, set[str]],
    image: Archive,
    keeper: subprocess.Popen[bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Places]:
    made = Places(tmp_path_factory.mktemp("checkout"), CACHE)
    name, value = MARKER.split("=")
    os.environ[name] = value
    one_node.up(made, keeper.pid)
    one_node.load(image.file, image.identity, made)
    yield made
    one_node.down(made)
    del os.environ[name]


def objects() -> dict[str, Any]:
    labels = {"app": "server"}
    container = {
        "name": "server",
        "image": RUNTIME_IMAGE,
        "command": ["/usr/bin/python3.11", "-c", (Path(__file__).parent / "server.py").read_text()],
        "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "resources": {"requests": {"memory": "64Mi", "cpu": "10m"}, "limits": {"memory": "64Mi"}},
        "readinessProbe": {"tcpSocket": {"port": 8000}, "periodSeconds": 1},
        "securityContext": SECURITY,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    pod = {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 993,
            "fsGroup": 993,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    }
    where = {"namespace": NAMESPACE}
    items: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", **where},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "server", **where},
            "spec": {
                "replicas": 1,
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "server", **where},
            "spec": {
                "type": "NodePort",
                "selector": labels,
                "ports": [{"name": "http", "port": 80, "targetPort": 8000, "nodePort": 30910}],
            },
        },
    ]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def kubectl(places: Places, *words: str) -> str:
    return one_node.kubectl(places, f"--namespace={NAMESPACE}", *words)


def seen(url: str = "http://127.0.0.1:9010") -> dict[str, Any]:
    """What the pod behind this address tells; empty where none answers."""
    try:
        with urlopen(url, timeout=5) as answer:
            told: dict[str, Any] = json.load(answer)
            return told
    except (URLError, OSError):
        return {}


def node_condition(places: Places) -> str:
    path = '{.status.conditions[?(@.type=="Ready")].status}'
    return one_node.kubectl(places, "get", "node", node.NAME, f"--output=jsonpath={path}")


def test_a_second_up_starts_nothing(places: Places) -> None:
    names = [daemon.name for daemon in node.daemons(places)]
    pids = [processes.running(name, places) for name in names]
    one_node.up(places)
    assert None not in pids
    assert [processes.running(name, places) for name in names] == pids


def test_the_nodes_programs_share_the_processor_as_one_group(places: Places) -> None:
    for daemon in node.daemons(places):
        groups = Path(f"/proc/{processes.running(daemon.name, places)}/cgroup").read_text()
        assert f"/{control_groups.DAEMONS}\n" in groups, daemon.name


def test_another_checkout_is_told_whose_cluster_is_there(places: Places, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=f"carries the cluster of {places.checkout}"):
        one_node.up(Places(tmp_path, CACHE))
    one_node.down(Places(tmp_path, CACHE))
    assert one_node.owner(places) == places.checkout


def test_a_restricted_pod_is_reached_by_node_port_and_loopback(places: Places) -> None:
    one_node.kubectl(places, "apply", "-f", "-", input=node.as_json(objects()))
    service = json.loads(kubectl(places, "get", "service", "server", "--output=json"))
    providers.expose(service, places)
    told = wait_for("the pod behind 127.0.0.1:9010", seen, seconds=60)
    assert seen("http://127.0.0.1:30910") == told
    assert told == {
        "pod": kubectl(places, "get", "pods", "--output=jsonpath={.items[0].metadata.name}"),
        "first": told["pod"],
        "api": node.API_SERVICE,
        "own": service["spec"]["clusterIP"],
        "uid": 993,
        "memory": 64 * 1024 * 1024,
    }


def test_logs_and_commands_reach_the_pod(places: Places) -> None:
    assert kubectl(places, "logs", "deployment/server").startswith("serving ")
    assert kubectl(places, "exec", "deployment/server", "--", "/bin/cat", "/data/first") == seen()["first"]


def test_a_pod_is_resized_in_place(places: Places) -> None:
    pod = seen()["pod"]
    wanted = {"requests": {"memory": "128Mi"}, "limits": {"memory": "128Mi"}}
    patch = json.dumps({"spec": {"containers": [{"name": "server", "resources": wanted}]}})
    kubectl(places, "patch", "pod", pod, "--subresource=resize", "--patch", patch)
    wait_for("the new limit", lambda: seen().get("memory") == 128 * 1024 * 1024, seconds=30)
    assert seen()["pod"] == pod


def test_a_replaced_pod_finds_its_volume_and_is_found(places: Places) -> None:
    first = seen()
    kubectl(places, "delete", "pod", first["pod"])
    second = wait_for("another pod", lambda: (told := seen()) and told["pod"] != first["pod"] and told, seconds=60)
    assert second["first"] == first["pod"]


def test_a_lost_kubelet_shows_and_comes_back(places: Places) -> None:
    one_node.stop_daemon("kubelet", places)
    wait_for("the node to be lost", lambda: node_condition(places) == "Unknown", seconds=60)
    wait_for("its pod to be no endpoint any more", lambda: not seen(), seconds=60)
    one_node.up(places)
    assert node_condition(places) == "True"
    wait_for("the pod to be one again", seen, seconds=60)


def test_what_died_is_started_again_and_the_rest_bears_it(places: Places) -> None:
    names = [daemon.name for daemon in node.daemons(places)]
    before = {name: processes.running(name, places) for name in names}
    pid = before["kube-apiserver"]
    assert pid
    processes.end(pid, patience_seconds=0)
    assert seen()["uid"] == 993
    one_node.up(places)
    after = {name: processes.running(name, places) for name in names}
    assert [name for name in names if before[name] != after[name]] == ["kube-apiserver"]


def test_volumes_go_with_their_claims(places: Places) -> None:
    volumes = places.state / "volumes"
    assert len(list(volumes.iterdir())) == 1
    one_node.kubectl(places, "delete", "namespace", NAMESPACE)
    wait_for("the volume's folder to go", lambda: not list(volumes.iterdir()), seconds=60)


def test_what_nobody_uses_any_more_is_taken_down_by_another_and_leaves_nothing(
    places: Places, before: dict[str, set[str]], keeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    assert one_node.occupied(places)
    keeper.kill()
    keeper.wait()
    assert not one_node.occupied(places)
    assert machine_state.processes_with(MARKER)
    assert set(machine_state.added(before, machine_state.machine_state())) >= {
        "mounts",
        "links",
        "firewall",
        "control groups",
    }
    one_node.down(Places(tmp_path, CACHE))
    wait_for("all processes to be gone", lambda: not machine_state.processes_with(MARKER), seconds=10)
    after = machine_state.machine_state()
    assert (machine_state.added(before, after), machine_state.missing(before, after)) == ({}, {})
    assert not places.state.exists()
