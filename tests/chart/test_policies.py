"""Who may connect to whom, as whole NetworkPolicies."""

from __future__ import annotations

from tests.chart.rendering import Object, Rendered, render

GATEWAY = {
    "app.kubernetes.io/name": "lambent",
    "app.kubernetes.io/instance": "lambent",
    "app.kubernetes.io/component": "gateway",
}
OPERATOR = {**GATEWAY, "app.kubernetes.io/component": "operator"}
TEST = {**GATEWAY, "app.kubernetes.io/component": "test"}
ENVIRONMENT = {
    "app.kubernetes.io/managed-by": "lambent-operator",
    "app.kubernetes.io/component": "environment",
}
PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"]


def namespace(name: str) -> Object:
    return {"matchLabels": {"kubernetes.io/metadata.name": name}}


OFFICE = {"ipBlock": {"cidr": "203.0.113.0/24"}}
FUNCTIONS = {"namespaceSelector": namespace("default"), "podSelector": {"matchLabels": ENVIRONMENT}}


def test_functions_reach_the_gateway_dns_and_the_internet(default: Rendered) -> None:
    policy = default.one("NetworkPolicy", "lambent-functions")
    assert policy["metadata"]["namespace"] == "default"
    assert policy["spec"] == {
        "podSelector": {"matchLabels": ENVIRONMENT},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [],
        "egress": [
            {
                "to": [{"namespaceSelector": namespace("lambent-system"), "podSelector": {"matchLabels": GATEWAY}}],
                "ports": [{"port": 9001, "protocol": "TCP"}],
            },
            {
                "to": [{"namespaceSelector": namespace("kube-system")}],
                "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
            },
            {
                "to": [
                    {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16", *PRIVATE]}},
                    {"ipBlock": {"cidr": "::/0", "except": ["fe80::/10", "fc00::/7"]}},
                ]
            },
        ],
    }


def test_functions_can_be_kept_from_the_internet_and_let_to_more() -> None:
    database = {"to": [{"namespaceSelector": namespace("databases")}], "ports": [{"port": 5432}]}
    values = {"networkPolicy": {"functionEgress": {"internet": False, "rules": [database]}, "dnsTo": []}}
    egress = render(values).one("NetworkPolicy", "lambent-functions")["spec"]["egress"]
    assert egress[1:] == [database]


def test_functions_that_call_functions_reach_the_api() -> None:
    values = {"networkPolicy": {"functionEgress": {"gatewayAPI": True}, "gatewayFrom": [OFFICE]}}
    rendered = render(values)
    (gateway, *_) = rendered.one("NetworkPolicy", "lambent-functions")["spec"]["egress"]
    assert gateway["ports"] == [{"port": 9000, "protocol": "TCP"}, {"port": 9001, "protocol": "TCP"}]
    assert rendered.one("NetworkPolicy", "lambent-gateway")["spec"]["ingress"][0]["from"] == [
        *({"podSelector": {"matchLabels": labels}} for labels in (GATEWAY, OPERATOR, TEST)),
        FUNCTIONS,
        OFFICE,
    ]


def test_the_whole_internet_has_no_exceptions() -> None:
    values: Object = {"networkPolicy": {"functionEgress": {"exceptCIDRs": []}}}
    egress = render(values).one("NetworkPolicy", "lambent-functions")["spec"]["egress"]
    assert egress[2] == {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}}]}


def test_everybody_calls_the_gateway_and_functions_alone_use_its_link(default: Rendered) -> None:
    assert default.one("NetworkPolicy", "lambent-gateway")["spec"] == {
        "podSelector": {"matchLabels": GATEWAY},
        "policyTypes": ["Ingress"],
        "ingress": [
            {"ports": [{"port": "http", "protocol": "TCP"}]},
            {"ports": [{"port": "link", "protocol": "TCP"}], "from": [FUNCTIONS]},
            {"ports": [{"port": "peer", "protocol": "TCP"}], "from": [{"podSelector": {"matchLabels": GATEWAY}}]},
        ],
    }


def test_callers_can_be_named_and_the_platform_stays_among_them() -> None:
    policy = render({"networkPolicy": {"gatewayFrom": [OFFICE]}}).one("NetworkPolicy", "lambent-gateway")
    assert policy["spec"]["ingress"][0]["from"] == [
        {"podSelector": {"matchLabels": GATEWAY}},
        {"podSelector": {"matchLabels": OPERATOR}},
        {"podSelector": {"matchLabels": TEST}},
        OFFICE,
    ]


def test_nobody_connects_to_the_operator_unless_metrics_are_read(default: Rendered) -> None:
    assert default.one("NetworkPolicy", "lambent-operator")["spec"] == {
        "podSelector": {"matchLabels": OPERATOR},
        "policyTypes": ["Ingress"],
        "ingress": [],
    }
    prometheus = {"namespaceSelector": namespace("monitoring")}
    policy = render({"networkPolicy": {"metricsFrom": [prometheus]}}).one("NetworkPolicy", "lambent-operator")
    assert policy["spec"]["ingress"] == [{"ports": [{"port": "health", "protocol": "TCP"}], "from": [prometheus]}]


def test_policies_can_be_left_out() -> None:
    assert render({"networkPolicy": {"enabled": False}}).of("NetworkPolicy") == []
