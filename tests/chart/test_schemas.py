"""`helm lint` finds nothing, and every object is one that Kubernetes takes: kubeconform with Kubernetes' own schemas."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.chart.rendering import AUTOSCALED, CHART, EVERYTHING, Object, Rendered, helm, program, render
from tests.chart.schemas import LOCATION, write_schemas
from tools.cluster.places import KUBERNETES_VERSION


@pytest.fixture(scope="session")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schemas")
    write_schemas(folder, {thing["kind"] for values in (EVERYTHING, AUTOSCALED) for thing in render(values).objects})
    return folder


def conform(schemas: Path, objects: list[Object]) -> list[str]:
    """What kubeconform finds wrong."""
    done = subprocess.run(
        [
            program("kubeconform"),
            "-strict",
            "-output=json",
            "-kubernetes-version",
            KUBERNETES_VERSION.removeprefix("v"),
            "-schema-location",
            f"{schemas}/{LOCATION}",
        ],
        input=yaml.safe_dump_all(objects),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return [f"{one['kind']}/{one['name']}: {one['msg']}" for one in json.loads(done.stdout)["resources"] or []]


def test_every_object_conforms(schemas: Path, rendered: Rendered) -> None:
    assert conform(schemas, rendered.objects) == []


def test_what_does_not_conform_is_found(schemas: Path, default: Rendered) -> None:
    """Or the test above would prove nothing."""
    gateway = json.loads(json.dumps(default.one("StatefulSet", "lambent-gateway")))
    gateway["spec"]["template"]["spec"]["serviceAcountName"] = "misspelt"
    pool = json.loads(json.dumps(default.one("RuntimePool", "python")))
    pool["spec"]["size"] = "2"
    misspelt_member, wrong_type = sorted(conform(schemas, [pool, gateway]), reverse=True)
    assert "serviceAcountName" in misspelt_member
    assert "/spec/size" in wrong_type


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        ("HTTPRoute", "rules"),
        ("ServiceMonitor", "endpoints"),
        ("PodMonitor", "podMetricsEndpoints"),
        ("PrometheusRule", "groups"),
    ],
)
def test_what_other_projects_kinds_do_not_have_is_found(
    schemas: Path, everything: Rendered, kind: str, members: str
) -> None:
    (thing,) = json.loads(json.dumps(everything.of(kind)))
    thing["spec"][members][0]["misspelt"] = "1"
    (found,) = conform(schemas, [thing])
    assert f"/spec/{members}/0" in found and "misspelt" in found


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["default", "everything"])
def test_lint_finds_nothing(values: Object) -> None:
    printed = helm("lint", str(CHART), "--strict", "--quiet", "--values", "-", stdin=yaml.safe_dump(values))
    assert printed.strip() == ""
