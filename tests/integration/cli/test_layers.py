"""`lambent layers`, and layer versions in manifests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.integration.cli.conftest import Lambent

SOURCE = "import shared\ndef handler(event, context):\n    return shared.NAME\n"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    (folder / "python").mkdir(parents=True)
    (folder / "python" / "shared.py").write_text("NAME = 'from the layer'\n")
    return folder


def layer_version(name: str, version: int, **code: object) -> str:
    spec = {"layerName": name, "version": version, "code": code}
    document = {"apiVersion": "lambent.dev/v1", "kind": "LayerVersion", "metadata": {"name": f"{name}.{version}"}}
    return yaml.safe_dump({**document, "spec": spec})


def function(name: str, *layers: str, **code: object) -> str:
    spec = {"runtime": "python3.11", "handler": "app.handler", "layers": [*layers], "code": code}
    document = {"apiVersion": "lambent.dev/v1", "kind": "Function", "metadata": {"name": name}}
    return yaml.safe_dump({**document, "spec": spec})


def test_a_folder_becomes_a_layer_and_a_function_uses_it(lambent: Lambent, tmp_path: Path, shared: Path) -> None:
    done = lambent("layers", "publish", "shared", "--name", "l-folder", "--runtime", "python3.11", "--license", "MIT")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("l-folder:1 published: 1 file, ")
    assert "arn:aws:lambda:us-east-1:000000000000:layer:l-folder:1" in done.stdout
    (shared / "python" / "shared.py").write_text("NAME = 2\n")
    again = json.loads(lambent("layers", "publish", "shared", "--name", "l-folder", "-o", "json").stdout)
    assert again["Version"] == 2

    (tmp_path / "fn").mkdir()
    (tmp_path / "fn" / "app.py").write_text(SOURCE)
    (tmp_path / "fn" / "function.yaml").write_text(function("l-fn", "l-folder:1", path="."))
    done = lambent("deploy", "fn")
    assert done.returncode == 0, done.stderr
    assert lambent("invoke", "l-fn").stdout == '"from the layer"'
    assert lambent("deploy", "fn").stdout.startswith("l-fn unchanged")
    assert "layer:l-folder:1" in lambent("describe", "l-fn").stdout

    rows = lambent("layers", "ls", "l-folder").stdout.splitlines()
    assert [row.split()[:2] for row in rows] == [["LAYER", "VERSION"], ["l-folder", "2"], ["l-folder", "1"]]
    latest = json.loads(lambent("layers", "ls", "-o", "json").stdout)
    assert [one["Version"] for one in latest if "l-folder" in one["LayerVersionArn"]] == [2]
    assert lambent("layers", "rm", "l-folder:1", "l-folder:2").stdout == "l-folder:1 deleted\nl-folder:2 deleted\n"
    assert lambent("invoke", "l-fn").stdout == '"from the layer"'
    missing = lambent("deploy", "fn", "--name", "l-other")
    assert (missing.returncode, missing.stdout) == (3, "")
    assert "spec.layers: layer version l-folder:1 does not exist" in missing.stderr
    lambent("rm", "l-fn")


def test_manifests_bring_layers_before_functions(lambent: Lambent, shared: Path) -> None:
    both = (
        f"{function('m-fn', 'm-shared:1', inline={'app.py': SOURCE})}---\n{layer_version('m-shared', 1, path='shared')}"
    )
    assert lambent("apply", "-f", "-", stdin=both).stdout == "m-shared:1 created\nm-fn created\n"
    assert lambent("invoke", "m-fn").stdout == '"from the layer"'
    assert lambent("apply", "-f", "-", stdin=both).stdout == "m-shared:1 unchanged\nm-fn unchanged\n"
    (shared / "python" / "shared.py").write_text("NAME = 'other'\n")
    done = lambent("apply", "-f", "-", stdin=both)
    assert done.returncode == 3
    assert "version 1 of the layer m-shared is published with another content" in done.stderr
    assert "publish this as version 2" in done.stderr
    assert lambent("delete", "-f", "-", stdin=both).stdout == "m-shared:1 deleted\nm-fn deleted\n"
    assert lambent("delete", "-f", "-", stdin=both).stdout == "m-shared:1 not there\nm-fn not there\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("publish", "nowhere"), "nowhere: there is no such file or folder"),
        (("rm", "shared"), "'shared' names no layer version: NAME:VERSION or an ARN is wanted"),
    ],
)
def test_wrong_usage(lambent: Lambent, arguments: tuple[str, ...], told: str) -> None:
    done = lambent("layers", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
