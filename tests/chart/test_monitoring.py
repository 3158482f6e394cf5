"""Alerts and dashboard ask for metrics and labels that gateway and operator have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from lambent_gateway.telemetry import COLD_START_PHASES, Gauges, MetricsCollector
from lambent_operator.census import Census
from lambent_operator.metrics import Metrics as OperatorMetrics
from lambent_operator.observation import Observation
from tests.chart.rendering import Rendered, render

OF_PROMETHEUS = {"namespace", "service", "container", "le", "persistentvolumeclaim"}
"""Labels that scraping adds."""
OF_GATHERED = {"queue", "gateway"}
"""Labels of the operator's that need a running one to show."""


SUFFIX = re.compile(r"_(bucket|count|sum|total|created)$")


def exposed() -> tuple[set[str], set[str]]:
    """Families and labels of all that gateway and operator count."""
    registry = CollectorRegistry()
    registry.register(_gateway())
    operator = OperatorMetrics(registry)
    operator.watch(Observation(lambda _: None, clock=lambda: 0.0), Census(lambda _: None, now=0.0), [])
    operator.seconds.labels("Function").observe(1.0)
    operator.errors.labels("Function").inc()
    operator.changes.labels("CreatePod").inc()
    text = generate_latest(registry).decode()
    families = {SUFFIX.sub("", name) for name in re.findall(r"^# TYPE (lambent_\w+)", text, re.MULTILINE)}
    return families, set(re.findall(r'[{,](\w+)="', text))


def _gateway() -> MetricsCollector:
    collector = MetricsCollector()
    metrics = collector.of("hello")
    metrics.throttled("reason")
    metrics.dropped("condition")
    metrics.cold_start(COLD_START_PHASES[0], 1.0)
    collector.gauges = Gauges(lambda: {("hello", "busy"): 1}, lambda: {("python", "ready"): 1}, lambda: 0, lambda: 0.0)
    return collector


def expressions(rendered: Rendered) -> Iterator[str]:
    for group in rendered.one("PrometheusRule", "lambent")["spec"]["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]
    dashboard = json.loads(rendered.one("ConfigMap", "lambent-dashboard")["data"]["lambent.json"])
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


def test_what_is_asked_for_is_exposed(everything: Rendered) -> None:
    families, labels = exposed()
    asked = list(expressions(everything))
    named = {name for text in asked for name in re.findall(r"lambent_\w+", text)}
    assert {name for name in named if SUFFIX.sub("", name) not in families} == set()
    used = {label for text in asked for label in re.findall(r"[{,]\s*(\w+)(?:=~|=|!=)", text)}
    grouped = {label for text in asked for some in re.findall(r"by \(([^)]*)\)", text) for label in some.split(", ")}
    assert (used | grouped) - labels - OF_PROMETHEUS - OF_GATHERED == set()


def test_every_metric_is_shown(everything: Rendered) -> None:
    families, _ = exposed()
    dashboard = everything.one("ConfigMap", "lambent-dashboard")["data"]["lambent.json"]
    assert {
        family for family in families if not re.search(rf"{family}(?![a-z]|_(?!bucket|count|total))", dashboard)
    } == set()


def test_every_alert_says_what_to_do(everything: Rendered) -> None:
    (group,) = everything.one("PrometheusRule", "lambent")["spec"]["groups"]
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "description"}
    assert "{{ $labels.function }}" in str(group), "Prometheus' own templates come through Helm's unharmed"


def test_monitors_carry_the_labels_that_prometheus_selects_by() -> None:
    chosen = {
        name: {"enabled": True, "labels": {"release": "ours"}}
        for name in ("serviceMonitor", "prometheusRule", "dashboard")
    }
    rendered = render({"monitoring": {**chosen, "serviceMonitor": {**chosen["serviceMonitor"], "intervalSeconds": 15}}})
    for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule", "ConfigMap"):
        (thing,) = rendered.of(kind)
        assert thing["metadata"]["labels"]["release"] == "ours"
    assert rendered.of("ServiceMonitor")[0]["spec"]["endpoints"] == [
        {"port": "http", "path": "/metrics", "interval": "15s"}
    ]


def test_nothing_of_it_is_there_unless_wanted(default: Rendered) -> None:
    kinds = {thing["kind"] for thing in default.objects}
    assert not kinds & {"ServiceMonitor", "PodMonitor", "PrometheusRule", "ConfigMap", "Ingress", "HTTPRoute"}


@pytest.mark.parametrize(("secret", "over_gateways"), [("", "sum"), ("database", "max")])
def test_events_in_a_shared_queue_are_not_counted_by_each_gateway(secret: str, over_gateways: str) -> None:
    monitoring = {name: {"enabled": True} for name in ("prometheusRule", "dashboard")}
    values = {"monitoring": monitoring, "state": {"postgres": {"existingSecret": secret}}}
    depths = [each for each in expressions(render(values)) if "(lambent_async_queue_depth{" in each]
    assert depths == [f'{over_gateways} (lambent_async_queue_depth{{namespace="$namespace"}})']
