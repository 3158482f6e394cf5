"""docs/install.md and docs/container-images.md name values and objects that are there."""

from __future__ import annotations

import re
import shlex

import pytest
import yaml

from lambent_core.manifest import parse
from tests.chart.rendering import CHART, ROOT, Object, Rendered, render
from tools.cluster.images import pushed_names

PAGE = (ROOT / "docs" / "install.md").read_text()
IMAGES_PAGE = (ROOT / "docs" / "container-images.md").read_text()
VALUES: Object = yaml.safe_load((CHART / "values.yaml").read_text())


def has(path: str) -> bool:
    at = VALUES
    for name in path.split("."):
        if not isinstance(at, dict) or name not in at:
            return False
        at = at[name]
    return True


def test_values_that_the_page_names_are_there() -> None:
    groups = "|".join(VALUES)
    named = set(re.findall(rf"`((?:{groups})(?:\.\w+)+)`", PAGE))
    assert len(named) > 10
    assert {path for path in named if not has(path.replace("runtimePools.NAME", "runtimePools.python"))} == set()


def test_what_the_page_on_images_names_is_there() -> None:
    named = set(re.findall(r"`((?:gateway|functions|scaling)\.[\w.]+)`", IMAGES_PAGE))
    assert len(named) > 4
    assert {path for path in named if not has(path)} == set()
    (manifest,) = re.findall(r"```yaml\n(.*?)```", IMAGES_PAGE, re.DOTALL)
    assert parse(yaml.safe_load(manifest), source="docs/container-images.md").name == "resize"


def test_what_it_installs_is_what_it_has_pushed() -> None:
    ((registry, tag),) = re.findall(r"make push REGISTRY=(\S+) TAG=(\S+)", PAGE)
    line = next(line for line in PAGE.replace("\\\n", "").splitlines() if "helm install" in line)
    words = shlex.split(line)
    settings = [words[at + 1].split("=") for at, word in enumerate(words) if word == "--set"]
    values: Object = {}
    for path, value in settings:
        group, _, name = path.partition(".")
        values.setdefault(group, {})[name] = value
    rendered = render(values)
    images = {one["image"] for _, pod in rendered.pods() for one in pod["spec"]["containers"]}
    images |= {pool["spec"]["image"] for pool in rendered.of("RuntimePool")}
    assert images == set(pushed_names(registry, tag).values())


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_its_manifest_is_one(text: str) -> None:
    assert parse(yaml.safe_load(text), source="docs/install.md").name == "greeter"


def test_services_that_it_names_are_there(default: Rendered) -> None:
    for name in re.findall(r"service/([\w-]+)", PAGE):
        assert default.one("Service", name)
    for host in re.findall(r"http://([\w.-]+\.svc):9000", PAGE):
        assert host == "lambent-gateway.lambent-system.svc"


def test_all_definitions_are_named_where_they_are_deleted() -> None:
    definitions = {yaml.safe_load(path.read_text())["metadata"]["name"] for path in (CHART / "crds").glob("*.yaml")}
    (line,) = re.findall(r"kubectl delete crd (.*)", PAGE)
    assert set(line.split()) == definitions
