"""The chart on a real API server: what it takes, what an upgrade keeps, and what `helm uninstall` leaves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from tests.chart.rendering import EVERYTHING, Object, render
from tests.chart.schemas import foreign_definitions
from tests.cluster.chart_release import Release, kubeconfig, namespaces

pytestmark = [
    pytest.mark.skipif(kubeconfig() is None, reason="no cluster: neither KUBECONFIG nor .cluster/kubeconfig"),
    pytest.mark.timeout(300),
]
FUNCTION: Object = {
    "apiVersion": "lambent.dev/v1",
    "kind": "Function",
    "metadata": {"name": "kept", "finalizers": ["lambent.dev/drain", "example.com/of-others"]},
    "spec": {
        "runtime": "python3.11",
        "handler": "index.handler",
        "code": {"inline": "def handler(event, context): pass"},
    },
}


@pytest.fixture(scope="module")
def installed() -> Iterator[Release]:
    """A release for tests that leave it installed."""
    config = kubeconfig()
    assert config is not None
    with namespaces(config) as made:
        made.upgrade()
        yield made
        made.uninstall()


@pytest.fixture
def release() -> Iterator[Release]:
    config = kubeconfig()
    assert config is not None
    with namespaces(config) as made:
        made.upgrade()
        yield made


@pytest.fixture
def other_projects_kinds(installed: Release) -> Iterator[None]:
    """Defined; a definition that the cluster has already is left as it is."""
    there = installed.run("kubectl", "get", "crd", "--output=jsonpath={.items[*].metadata.name}").stdout.split()
    lacking = {
        made["metadata"]["name"]: made for made in foreign_definitions() if made["metadata"]["name"] not in there
    }
    if lacking:
        installed.run("kubectl", "create", "--filename", "-", stdin=yaml.safe_dump_all(lacking.values()))
        installed.run("kubectl", "wait", "crd", *lacking, "--for=condition=Established", "--timeout=60s")
    yield
    if lacking:
        installed.run("kubectl", "delete", "crd", *lacking)


def pod(name: str, labels: dict[str, str]) -> Object:
    """One that no node takes: what matters is who deletes it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "nodeSelector": {"lambent.dev/nowhere": "yes"},
            "securityContext": {"runAsNonRoot": True, "runAsUser": 993, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "runtime",
                    "image": "none",
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }


@pytest.mark.usefixtures("other_projects_kinds")
def test_the_api_server_takes_every_object_under_restricted_pod_security(installed: Release) -> None:
    values = {**EVERYTHING, "functions": {"namespace": installed.functions}}
    values["gateway"] = {"replicas": 2}  # the port on the nodes may be taken
    objects = render(values, namespace=installed.system).objects
    done = installed.run(
        "kubectl",
        *("apply", "--dry-run=server", "--validate=strict", "--server-side", "--force-conflicts", "--filename", "-"),
        stdin=yaml.safe_dump_all(objects),
    )
    assert len(done.stdout.splitlines()) == len(objects)
    assert "Warning" not in done.stderr


def test_an_upgrade_keeps_the_link_key(installed: Release) -> None:
    first = installed.get("secret", installed.system, "lambent-link-key")["data"]
    installed.upgrade({"scaling": {"idleSeconds": 60}})
    assert installed.get("secret", installed.system, "lambent-link-key")["data"] == first


def test_uninstalling_leaves_only_what_is_the_users(release: Release) -> None:
    ours = {"app.kubernetes.io/managed-by": "lambent-operator", "app.kubernetes.io/component": "environment"}
    release.apply(release.functions, FUNCTION, pod("environment", ours), pod("somebody-elses", {"app": "other"}))
    release.uninstall()
    assert release.objects(release.functions) == {"function.lambent.dev/kept", "pod/somebody-elses"}
    volumes = {f"persistentvolumeclaim/data-lambent-gateway-{number}" for number in range(2)}
    assert release.objects(release.system) <= volumes
    kept = release.get("function", release.functions, "kept")
    assert kept["metadata"]["finalizers"] == ["example.com/of-others"], "nobody is left who would take ours away"
    release.run(
        "kubectl",
        "patch",
        "function",
        "kept",
        "-n",
        release.functions,
        "--type=merge",
        "-p",
        '{"metadata":{"finalizers":null}}',
    )
