from pathlib import Path

import pytest

from lambent_operator.settings import Settings, WrongSettings, read_settings

GIVEN = {
    "LAMBENT_NAMESPACE": "default",
    "LAMBENT_SYSTEM_NAMESPACE": "lambent-system",
    "LAMBENT_POD_NAME": "lambent-operator-5d9c-x2",
    "LAMBENT_GATEWAY_SELECTOR": "app.kubernetes.io/name=lambent,app.kubernetes.io/component=gateway",
    "LAMBENT_LINK_SERVICE": "lambent-gateway-link.lambent-system.svc:9001",
    "LAMBENT_GATEWAY_TOKEN_FILE": "/var/run/lambent/token",
    "LAMBENT_AGENT_IMAGE": "registry.example.com:5000/lambent/lambent:1.0",
}


def test_what_is_given_and_what_is_left_out() -> None:
    assert read_settings(GIVEN) == Settings(
        namespace="default",
        system_namespace="lambent-system",
        pod_name="lambent-operator-5d9c-x2",
        gateway_selector="app.kubernetes.io/name=lambent,app.kubernetes.io/component=gateway",
        link_service="lambent-gateway-link.lambent-system.svc:9001",
        gateway_token_file=Path("/var/run/lambent/token"),
        agent_image="registry.example.com:5000/lambent/lambent:1.0",
        agent_image_pull_policy="IfNotPresent",
        image_pull_secrets=(),
        pod_labels={},
        gateway_port=9000,
        link_port=9001,
        health_port=8080,
        log_level="info",
    )
    ports = {"LAMBENT_GATEWAY_PORT": "1", "LAMBENT_LINK_PORT": "2", "LAMBENT_HEALTH_PORT": "65535"}
    read = read_settings(GIVEN | ports | {"LAMBENT_LOG_LEVEL": "debug"})
    images = {"LAMBENT_AGENT_IMAGE_PULL_POLICY": "Never", "LAMBENT_IMAGE_PULL_SECRETS": "one,two.secret"}
    assert read_settings(GIVEN | images).image_pull_secrets == ("one", "two.secret")
    assert read_settings(GIVEN | images).agent_image_pull_policy == "Never"
    labels = "azure.workload.identity/use=true,team=a"
    assert read_settings(GIVEN | {"LAMBENT_POD_LABELS": labels}).pod_labels == {
        "azure.workload.identity/use": "true",
        "team": "a",
    }
    assert (read.gateway_port, read.link_port, read.health_port, read.log_level) == (1, 2, 65535, "debug")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("LAMBENT_NAMESPACE", "", "LAMBENT_NAMESPACE is not set: it takes the name of a namespace"),
        ("LAMBENT_SYSTEM_NAMESPACE", "Big", "LAMBENT_SYSTEM_NAMESPACE is 'Big': it takes the name of a namespace"),
        ("LAMBENT_POD_NAME", "a b", "it takes the name of a pod"),
        ("LAMBENT_GATEWAY_SELECTOR", "gateway", "it takes labels, key=value with commas between"),
        ("LAMBENT_GATEWAY_SELECTOR", "a=b,,c=d", "it takes labels, key=value with commas between"),
        ("LAMBENT_LINK_SERVICE", "gateway", "it takes host:port"),
        ("LAMBENT_GATEWAY_TOKEN_FILE", "token", "it takes the path of a file"),
        ("LAMBENT_GATEWAY_PORT", "0", "LAMBENT_GATEWAY_PORT is '0': it takes a TCP port, 1 to 65535"),
        ("LAMBENT_LINK_PORT", "65536", "it takes a TCP port"),
        ("LAMBENT_HEALTH_PORT", "http", "it takes a TCP port"),
        ("LAMBENT_AGENT_IMAGE", "", "LAMBENT_AGENT_IMAGE is not set: it takes the name of an image"),
        ("LAMBENT_AGENT_IMAGE", "a b", "it takes the name of an image"),
        ("LAMBENT_AGENT_IMAGE_PULL_POLICY", "Often", "it takes IfNotPresent, Always, Never"),
        ("LAMBENT_IMAGE_PULL_SECRETS", "a,B", "it takes names of Secrets, with commas between"),
        ("LAMBENT_POD_LABELS", "team", "LAMBENT_POD_LABELS is 'team': it takes labels, key=value with commas between"),
        ("LAMBENT_LOG_LEVEL", "loud", "it takes debug, info, warning, error"),
    ],
)
def test_wrong_values(name: str, value: str, says: str) -> None:
    with pytest.raises(WrongSettings) as raised:
        read_settings(GIVEN | {name: value})
    assert says in str(raised.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(WrongSettings) as raised:
        read_settings({"LAMBENT_LINK_PORT": "x"})
    assert len(str(raised.value).split("; ")) == 8
