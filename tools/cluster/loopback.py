"""
How a port of 127.0.0.1 reaches a Service of the one-node cluster.

By a second Service with the same pods and the load-balancer address 127.0.0.1: kube-proxy then leads that address and port to the pods, in
the kernel, whichever pods these are at the moment. No process stands between, and no rule of ours is left when the cluster goes.
"""

from __future__ import annotations

from typing import Any

ADDRESS = "127.0.0.1"
BALANCER_CLASS = "lambent.dev/loopback"
"""Nobody's: the address is written by hand."""


def service_with_node_port(services: list[dict[str, Any]], node_port: int) -> dict[str, Any] | None:
    for service in services:
        if any(port.get("nodePort") == node_port for port in service["spec"]["ports"]):
            return service
    return None


def twin(service: dict[str, Any], node_port: int, loopback_port: int) -> dict[str, Any]:
    """The Service that leads `loopback_port` of 127.0.0.1 to where `node_port` leads."""
    ports = {port.get("nodePort"): port for port in service["spec"]["ports"]}
    metadata = service["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"{metadata['name']}-loopback", "namespace": metadata["namespace"]},
        "spec": {
            "type": "LoadBalancer",
            "loadBalancerClass": BALANCER_CLASS,
            "allocateLoadBalancerNodePorts": False,
            "selector": service["spec"]["selector"],
            "ports": [
                {
                    "name": "loopback",
                    "protocol": "TCP",
                    "port": loopback_port,
                    "targetPort": ports[node_port]["targetPort"],
                }
            ],
        },
    }


def balanced() -> dict[str, Any]:
    """What stands in its status."""
    return {"status": {"loadBalancer": {"ingress": [{"ip": ADDRESS}]}}}
