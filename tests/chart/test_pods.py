"""How the platform's own pods run: without rights, probed, with time to end."""

from __future__ import annotations

from tests.chart.rendering import Rendered, render

LINGER_SECONDS = 5
"""How long a gateway that is told to end goes on serving."""
TIMEOUT_SECONDS_MAX = 900


def test_every_pod_keeps_to_the_restricted_level(rendered: Rendered) -> None:
    pods = list(rendered.pods())
    assert pods
    for _, pod in pods:
        assert pod["spec"]["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod["spec"])
        assert pod["spec"]["enableServiceLinks"] is False
        for container in pod["spec"]["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
        kinds = {kind for volume in pod["spec"].get("volumes", []) for kind in volume if kind != "name"}
        assert kinds <= {"emptyDir", "secret", "projected"}


def test_every_container_asks_for_what_it_needs_and_no_more_than_memory_is_limited(rendered: Rendered) -> None:
    for _, pod in rendered.pods():
        for container in pod["spec"]["containers"]:
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}
            assert set(container["resources"]["limits"]) == {"memory"}


def test_what_lives_long_is_probed(rendered: Rendered) -> None:
    probes = {}
    for name, pod in rendered.pods():
        (container,) = pod["spec"]["containers"]
        ports = {port["name"] for port in container.get("ports", [])}
        found = {key: value["httpGet"] for key, value in container.items() if key.endswith("Probe")}
        assert {one["port"] for one in found.values()} <= ports
        probes[name] = {key: one["path"] for key, one in found.items()}
    assert probes == {
        "lambent-gateway": {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"},
        "lambent-operator": {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/healthz"},
        "lambent-test-api": {},
        "lambent-uninstall": {},
    }


def test_a_gateway_that_leaves_has_time_to_finish(default: Rendered) -> None:
    pod = default.one("StatefulSet", "lambent-gateway")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    drain = next(int(variable["value"]) for variable in container["env"] if variable["name"] == "LAMBENT_DRAIN_SECONDS")
    assert drain >= TIMEOUT_SECONDS_MAX
    assert pod["terminationGracePeriodSeconds"] >= LINGER_SECONDS + drain + 5


def test_the_operator_is_replaced_before_it_goes(default: Rendered) -> None:
    assert default.one("Deployment", "lambent-operator")["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }


def test_the_volume_outlives_the_release(default: Rendered) -> None:
    gateway = default.one("StatefulSet", "lambent-gateway")["spec"]
    assert gateway["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    (claim,) = gateway["volumeClaimTemplates"]
    assert claim["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}


def test_storage_can_be_chosen_or_left_out() -> None:
    chosen = {"size": "1Ti", "storageClass": "fast", "accessModes": ["ReadWriteOncePod"], "annotations": {"a": "b"}}
    (claim,) = render({"gateway": {"persistence": chosen}}).one("StatefulSet", "lambent-gateway")["spec"][
        "volumeClaimTemplates"
    ]
    assert claim["spec"] == {
        "storageClassName": "fast",
        "accessModes": ["ReadWriteOncePod"],
        "resources": {"requests": {"storage": "1Ti"}},
    }
    assert claim["metadata"]["annotations"] == {"a": "b"}
    gateway = render({"gateway": {"persistence": {"enabled": False}}}).one("StatefulSet", "lambent-gateway")["spec"]
    assert "volumeClaimTemplates" not in gateway
    assert {"name": "data", "emptyDir": {}} in gateway["template"]["spec"]["volumes"]


def test_the_operator_shows_the_gateway_a_token_for_it_alone(default: Rendered) -> None:
    volumes = default.one("Deployment", "lambent-operator")["spec"]["template"]["spec"]["volumes"]
    token = {"audience": "lambent-gateway", "expirationSeconds": 3600, "path": "token"}
    assert [one["projected"]["sources"] for one in volumes if "projected" in one] == [[{"serviceAccountToken": token}]]
