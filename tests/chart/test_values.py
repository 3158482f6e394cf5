"""values.yaml, its schema and what they refuse; and that the same values make the same objects."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.chart.rendering import CHART, EVERYTHING, Object, Refused, Rendered, helm, render

TEXT = (CHART / "values.yaml").read_text()
VALUES: Object = yaml.safe_load(TEXT)
SCHEMA: Object = json.loads((CHART / "values.schema.json").read_text())
OF_USERS = {"runtimePools"}
"""Maps whose members users name."""


def resolve(shape: Object) -> Object:
    return dict(SCHEMA["$defs"][shape["$ref"].rpartition("/")[2]]) if "$ref" in shape else shape


def shapes(shape: Object, path: str = "") -> Iterator[tuple[str, Object]]:
    shape = resolve(shape)
    yield path, shape
    for name, member in shape.get("properties", {}).items():
        yield from shapes(member, f"{path}.{name}")
    for inner in (shape.get("items"), shape.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from shapes(inner, f"{path}[]")


def test_the_schema_knows_every_value_and_no_other() -> None:
    def differences(values: Any, shape: Object, path: str) -> Iterator[str]:
        shape = resolve(shape)
        if "properties" not in shape or not isinstance(values, dict):
            return
        known = set(shape["properties"])
        # A pool's image names a registry, a tag or a digest only where they are its own; Helm hands `global` to every chart.
        optional = {"registry", "tag", "digest"} if path.startswith(".runtimePools") else {"global"}
        for name in known ^ set(values):
            if name not in optional:
                yield f"{path}.{name}"
        for name in known & set(values):
            yield from differences(values[name], shape["properties"][name], f"{path}.{name}")

    assert list(differences(VALUES, SCHEMA, "")) == []
    pool = SCHEMA["properties"]["runtimePools"]["additionalProperties"]
    assert list(differences(VALUES["runtimePools"]["python"], pool, ".runtimePools")) == []


def test_the_schema_is_closed() -> None:
    """A misspelt value is refused wherever the chart knows what there can be."""
    open_ones = [
        path for path, shape in shapes(SCHEMA) if "properties" in shape and shape["additionalProperties"] is not False
    ]
    assert open_ones == []


SPEAKING = {
    "enabled",
    "requests",
    "limits",
    "repository",
    "functionEgress",
    "tls",
    "serviceAccount",
    "podDisruptionBudget",
}
"""Names that say all there is to say, or whose members are explained."""


def test_every_value_is_explained() -> None:
    """A comment stands above each value."""
    lines = TEXT.splitlines()
    names = set(_names(VALUES))
    bare = [
        line.strip()
        for above, line in itertools.pairwise(lines)
        if (match := re.match(r" *([A-Za-z]+):", line))
        and match[1] in names - SPEAKING
        and not above.strip().startswith("#")
        and not line.endswith(":")
    ]
    assert bare == []


def _names(values: Object) -> Iterator[str]:
    """Of all values; a pool's environment is the pool's."""
    for name, value in values.items():
        yield name
        if isinstance(value, dict) and name != "environment":
            yield from _names(value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        pytest.param({"gatway": {}}, "additional properties 'gatway' not allowed", id="misspelt group"),
        pytest.param(
            {"gateway": {"replica": 2}}, "at '/gateway': additional properties 'replica' not allowed", id="misspelt"
        ),
        pytest.param({"gateway": {"replicas": 0}}, "at '/gateway/replicas': minimum: got 0, want 1", id="no gateway"),
        pytest.param({"gateway": {"replicas": "2"}}, "at '/gateway/replicas': got string, want integer", id="text"),
        pytest.param(
            {"gateway": {"endpoint": "lambent.example.com"}}, "at '/gateway/endpoint'", id="endpoint without scheme"
        ),
        pytest.param({"gateway": {"logLevel": "verbose"}}, "'debug', 'info', 'warning', 'error'", id="log level"),
        pytest.param(
            {"gateway": {"service": {"type": "Node"}}}, "'ClusterIP', 'NodePort', 'LoadBalancer'", id="service"
        ),
        pytest.param(
            {"gateway": {"terminationGracePeriodSeconds": 30}}, "minimum: got 30, want 35", id="no time to drain"
        ),
        pytest.param({"gateway": {"persistence": {"size": "10 GB"}}}, "at '/gateway/persistence/size'", id="quantity"),
        pytest.param({"functions": {"namespace": "Default"}}, "at '/functions/namespace'", id="namespace"),
        pytest.param({"scaling": {"idleSeconds": 0}}, "at '/scaling/idleSeconds': minimum: got 0, want 1", id="idle"),
        pytest.param({"scaling": {"idleSeconds": 90_000}}, "maximum: got 90,000, want 86,400", id="idle for days"),
        pytest.param({"image": {"digest": "latest"}}, "at '/image/digest'", id="digest"),
        pytest.param({"image": {"pullPolicy": "Sometimes"}}, "'IfNotPresent', 'Always', 'Never'", id="pull policy"),
        pytest.param(
            {"ingress": {"enabled": True}}, "at '/ingress/hosts': minItems: got 0, want 1", id="ingress for nobody"
        ),
        pytest.param(
            {"httpRoute": {"enabled": True}}, "at '/httpRoute/parentRefs': minItems: got 0, want 1", id="route"
        ),
        pytest.param(
            {"runtimePools": {"node": {"size": 1}}}, "missing properties 'runtimes', 'image', 'command'", id="pool"
        ),
        pytest.param({"runtimePools": {"Node": {}}}, "invalid propertyName 'Node'", id="name of a pool"),
        pytest.param(
            {"networkPolicy": {"gatewayFrom": [{}]}}, "at '/networkPolicy/gatewayFrom/0'", id="peer of everybody"
        ),
        pytest.param(
            {"networkPolicy": {"functionEgress": {"exceptCIDRs": ["10.0.0.1"]}}}, "exceptCIDRs/0'", id="address"
        ),
        pytest.param(
            {"gateway": {"packages": {"s3": {"bucket": "My_Bucket"}}}}, "at '/gateway/packages/s3/bucket'", id="bucket"
        ),
        pytest.param(
            {"gateway": {"packages": {"s3": {"endpoint": "s3:9000"}}}}, "at '/gateway/packages/s3/endpoint'", id="S3"
        ),
        pytest.param(
            {"gateway": {"packages": {"s3": {"secretKey": "x"}}}}, "additional properties 'secretKey'", id="key itself"
        ),
        pytest.param(
            {"gateway": {"autoscaling": {"enabled": True}}},
            "gateway.autoscaling.enabled is true and state.postgres.existingSecret is empty",
            id="events on volumes of gateways that may be scaled away",
        ),
        pytest.param({"state": {"postgres": {"key": "a b"}}}, "at '/state/postgres/key'", id="key of a Secret"),
        pytest.param(
            {"state": {"postgres": {"url": "x"}}}, "additional properties 'url'", id="connection string itself"
        ),
        pytest.param(
            {"imagePullSecrets": ["registry"]}, "at '/imagePullSecrets/0': got string, want object", id="secret"
        ),
    ],
)
def test_wrong_values_are_refused_in_clear_words(values: Object, words: str) -> None:
    with pytest.raises(Refused) as refused:
        render(values)
    assert words in str(refused.value)


def test_an_older_kubernetes_is_refused() -> None:
    with pytest.raises(Refused, match=r"chart requires kubeVersion: >=1\.34"):
        helm("template", "lambent", str(CHART), "--kube-version", "v1.33.0")


def test_with_a_secret_of_ones_own_rendering_is_the_same_each_time() -> None:
    values = {**EVERYTHING, "gateway": {"existingSecret": "our-key"}}
    first, second = render(values), render(values)
    assert first.text == second.text
    assert first.of("Secret") == []
    volumes = first.one("StatefulSet", "lambent-gateway")["spec"]["template"]["spec"]["volumes"]
    assert [one["secret"]["secretName"] for one in volumes if "secret" in one] == ["our-key"]


def test_without_one_only_the_key_differs(default: Rendered) -> None:
    again = render()
    assert [thing for thing in again.objects if thing["kind"] != "Secret"] == [
        thing for thing in default.objects if thing["kind"] != "Secret"
    ]
    assert again.one("Secret", "lambent-link-key")["data"] != default.one("Secret", "lambent-link-key")["data"]


def test_no_template_draws_chance_but_the_key() -> None:
    drawing = re.compile(r"\b(rand\w+|uuidv4|gen\w+(Cert|Key|CA)\w*|htpasswd|now)\b")
    found = [path.name for path in CHART.rglob("templates/**/*") if path.is_file() and drawing.search(path.read_text())]
    assert found == ["link-key.yaml"]
