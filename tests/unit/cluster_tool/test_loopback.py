"""The Service that leads 127.0.0.1:9010 to the gateway's pods."""

from __future__ import annotations

from typing import Any

from tools.cluster.loopback import balanced, service_with_node_port, twin

GATEWAY: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "lambent-gateway", "namespace": "lambent-system", "uid": "1"},
    "spec": {
        "type": "NodePort",
        "clusterIP": "10.96.3.4",
        "selector": {"app": "gateway"},
        "ports": [
            {"name": "metrics", "port": 9090, "targetPort": 9090, "nodePort": 31000},
            {"name": "http", "port": 9000, "targetPort": "http", "nodePort": 30910},
        ],
    },
}
OTHER: dict[str, Any] = {"metadata": {"name": "link"}, "spec": {"ports": [{"port": 9001}]}}


def test_the_gateway_is_known_by_its_node_port() -> None:
    assert service_with_node_port([OTHER, GATEWAY], 30910) is GATEWAY
    assert service_with_node_port([OTHER], 30910) is None


def test_twin_has_the_same_pods_and_the_asked_for_port() -> None:
    assert twin(GATEWAY, 30910, 9010) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "lambent-gateway-loopback", "namespace": "lambent-system"},
        "spec": {
            "type": "LoadBalancer",
            "loadBalancerClass": "lambent.dev/loopback",
            "allocateLoadBalancerNodePorts": False,
            "selector": {"app": "gateway"},
            "ports": [{"name": "loopback", "protocol": "TCP", "port": 9010, "targetPort": "http"}],
        },
    }
    assert balanced() == {"status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}}
