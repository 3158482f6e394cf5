"""Objects that name one another mean what is there: selectors, ports, accounts, volumes, references."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from lambent_gateway.cluster_settings import from_environment
from lambent_operator.settings import read_settings
from tests.chart.rendering import AUTOSCALED, EVERYTHING, NAMESPACE, Object, Rendered, render

CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding"}
ENVIRONMENT_LABELS = {
    "app.kubernetes.io/name": "lambent",
    "app.kubernetes.io/component": "environment",
    "app.kubernetes.io/managed-by": "lambent-operator",
    "lambent.dev/pool": "python",
    "lambent.dev/function": "hello",
}
"""Of a function's pod, as the operator makes it."""


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def pod_labels(rendered: Rendered) -> dict[str, dict[str, str]]:
    made = {name: pod["metadata"]["labels"] for name, pod in rendered.pods()}
    return made | {"environment": ENVIRONMENT_LABELS}


def selected(rendered: Rendered, selector: dict[str, str]) -> set[str]:
    return {name for name, labels in pod_labels(rendered).items() if selects(selector, labels)}


def container(rendered: Rendered, kind: str, name: str) -> Object:
    (found,) = rendered.one(kind, name)["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_no_two_objects_are_the_same(rendered: Rendered) -> None:
    names = Counter(
        (thing["kind"], thing["metadata"].get("namespace"), thing["metadata"]["name"]) for thing in rendered.objects
    )
    assert max(names.values()) == 1


def test_every_object_says_its_namespace(everything: Rendered) -> None:
    places = {
        f"{thing['kind']}/{thing['metadata']['name']}": thing["metadata"].get("namespace")
        for thing in everything.objects
    }
    assert {name for name, namespace in places.items() if namespace is None} == {
        "ClusterRole/lambent-gateway:lambent-system",
        "ClusterRoleBinding/lambent-gateway:lambent-system",
    }
    assert {name for name, namespace in places.items() if namespace == "functions"} == {
        "NetworkPolicy/lambent-functions",
        "ServiceAccount/lambent-function",
        "Role/lambent-gateway",
        "RoleBinding/lambent-gateway",
        "Role/lambent-operator",
        "RoleBinding/lambent-operator",
        "Role/lambent-uninstall",
        "RoleBinding/lambent-uninstall",
    }
    assert set(places.values()) == {None, "functions", NAMESPACE}


def test_two_installations_share_no_object() -> None:
    def names(namespace: str, functions: str) -> set[tuple[str, str | None, str]]:
        values = {**EVERYTHING, "functions": {"namespace": functions}}
        return {
            (thing["kind"], thing["metadata"].get("namespace"), thing["metadata"]["name"])
            for thing in render(values, namespace=namespace).objects
        }

    assert not names("one", "functions-one") & names("two", "functions-two")


def test_functions_may_live_where_the_platform_does() -> None:
    rendered = render({"functions": {"namespace": NAMESPACE}})
    test_no_two_objects_are_the_same(rendered)
    test_bindings_name_roles_and_accounts_that_are_there(rendered)


def test_services_reach_the_gateway_at_ports_that_it_has(rendered: Rendered) -> None:
    ports = {
        port["name"]: port["containerPort"] for port in container(rendered, "StatefulSet", "lambent-gateway")["ports"]
    }
    assert ports == {"http": 9000, "link": 9001, "peer": 9002}
    served = {}
    for service in rendered.of("Service"):
        assert selected(rendered, service["spec"]["selector"]) == {"lambent-gateway"}
        served[service["metadata"]["name"]] = {
            port["port"]: ports[port["targetPort"]] for port in service["spec"]["ports"]
        }
    assert served == {
        "lambent-gateway": {9000: 9000},
        "lambent-gateway-link": {9001: 9001},
        "lambent-gateway-pods": {9000: 9000, 9001: 9001},
    }
    assert rendered.one("StatefulSet", "lambent-gateway")["spec"]["serviceName"] == "lambent-gateway-pods"
    assert rendered.one("Service", "lambent-gateway-pods")["spec"]["clusterIP"] == "None"


def test_the_gateway_takes_the_node_port_that_is_asked_for(everything: Rendered) -> None:
    service = everything.one("Service", "lambent-gateway")["spec"]
    assert service["type"] == "NodePort"
    assert service["ports"] == [
        {"name": "http", "port": 9000, "targetPort": "http", "appProtocol": "http", "nodePort": 30910}
    ]


def test_controllers_select_their_own_pods_alone(rendered: Rendered) -> None:
    for kind, name in (("StatefulSet", "lambent-gateway"), ("Deployment", "lambent-operator")):
        assert selected(rendered, rendered.one(kind, name)["spec"]["selector"]["matchLabels"]) == {name}


def test_selectors_outlive_a_new_chart(default: Rendered) -> None:
    """A StatefulSet's selector and claims can't be changed, and pods needn't be replaced, when only the chart is new."""
    gateway = default.one("StatefulSet", "lambent-gateway")["spec"]
    fixed = {
        "app.kubernetes.io/name": "lambent",
        "app.kubernetes.io/instance": "lambent",
        "app.kubernetes.io/component": "gateway",
    }
    assert gateway["selector"]["matchLabels"] == fixed
    assert gateway["volumeClaimTemplates"][0]["metadata"]["labels"] == fixed
    assert gateway["template"]["metadata"]["labels"] == {**fixed, "app.kubernetes.io/part-of": "lambent"}


def test_budgets_spreads_and_monitors_select_the_pods_that_they_name(everything: Rendered) -> None:
    for budget in everything.of("PodDisruptionBudget"):
        name = budget["metadata"]["name"]
        assert selected(everything, budget["spec"]["selector"]["matchLabels"]) == {name}
    assert [budget["metadata"]["name"] for budget in everything.of("PodDisruptionBudget")] == [
        "lambent-gateway",
        "lambent-operator",
    ]
    for name, pod in everything.pods():
        spread = pod["spec"].get("topologySpreadConstraints", []) if "spec" in pod else []
        assert all(selected(everything, one["labelSelector"]["matchLabels"]) == {name} for one in spread)
        assert len(spread) == (2 if name in ("lambent-gateway", "lambent-operator") else 0)
    service_monitor = everything.one("ServiceMonitor", "lambent-gateway")["spec"]
    watched = [
        service["metadata"]["name"]
        for service in everything.of("Service")
        if selects(service_monitor["selector"]["matchLabels"], service["metadata"]["labels"])
    ]
    assert watched == ["lambent-gateway-pods"], "each pod once, and not through a Service that balances"
    pod_monitor = everything.one("PodMonitor", "lambent-operator")["spec"]
    assert selected(everything, pod_monitor["selector"]["matchLabels"]) == {"lambent-operator"}
    ports = [port["name"] for port in container(everything, "Deployment", "lambent-operator")["ports"]]
    assert [endpoint["port"] for endpoint in pod_monitor["podMetricsEndpoints"]] == ports


def test_one_pod_each_asks_for_no_budget() -> None:
    """A budget for a single pod would only keep its node from being drained."""
    assert render({"gateway": {"replicas": 1}}).of("PodDisruptionBudget") == []


def test_the_autoscaler_takes_the_place_of_replicas() -> None:
    rendered = render(AUTOSCALED | {"gateway": {"autoscaling": {"enabled": True, "minReplicas": 3}}})
    assert "replicas" not in rendered.one("StatefulSet", "lambent-gateway")["spec"]
    scaler = rendered.one("HorizontalPodAutoscaler", "lambent-gateway")["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "lambent-gateway"}
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 6)
    assert rendered.one("PodDisruptionBudget", "lambent-gateway")


def test_routes_lead_to_the_gateway(everything: Rendered) -> None:
    assert everything.one("Ingress", "lambent-gateway")["spec"] == {
        "rules": [
            {
                "host": "lambent.example.com",
                "http": {
                    "paths": [
                        {
                            "path": "/",
                            "pathType": "Prefix",
                            "backend": {"service": {"name": "lambent-gateway", "port": {"name": "http"}}},
                        }
                    ]
                },
            }
        ],
        "tls": [{"secretName": "certificate", "hosts": ["lambent.example.com"]}],
    }
    assert everything.one("HTTPRoute", "lambent-gateway")["spec"] == {
        "parentRefs": [{"name": "public"}],
        "rules": [{"backendRefs": [{"name": "lambent-gateway", "port": 9000}], "timeouts": {"request": "910s"}}],
    }


def test_bindings_name_roles_and_accounts_that_are_there(rendered: Rendered) -> None:
    accounts = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in rendered.of("ServiceAccount")}
    for kind in ("Role", "ClusterRole"):
        roles = {(one["metadata"].get("namespace"), one["metadata"]["name"]) for one in rendered.of(kind)}
        bound = set()
        for binding in rendered.of(f"{kind}Binding"):
            bound.add((binding["metadata"].get("namespace"), binding["roleRef"]["name"]))
            assert binding["roleRef"]["kind"] == kind
            assert all((one["namespace"], one["name"]) in accounts for one in binding["subjects"])
        assert bound == roles


def test_pods_run_as_accounts_that_are_there(rendered: Rendered) -> None:
    accounts = {one["metadata"]["name"] for one in rendered.of("ServiceAccount")}
    used = {name: pod["spec"].get("serviceAccountName") for name, pod in rendered.pods()}
    assert used == {
        "lambent-gateway": "lambent-gateway",
        "lambent-operator": "lambent-operator",
        "lambent-uninstall": "lambent-uninstall",
        "lambent-test-api": None,
    }
    assert {name for name in used.values() if name} <= accounts
    assert not any(one["automountServiceAccountToken"] for one in rendered.of("ServiceAccount"))
    mounted = {name for name, pod in rendered.pods() if pod["spec"]["automountServiceAccountToken"]}
    assert mounted == {"lambent-gateway", "lambent-operator", "lambent-uninstall"}


def test_what_is_mounted_is_there(rendered: Rendered) -> None:
    claims = rendered.one("StatefulSet", "lambent-gateway")["spec"].get("volumeClaimTemplates", [])
    secrets = {one["metadata"]["name"] for one in rendered.of("Secret")}
    own = EVERYTHING["gateway"]["registryCredentials"]["existingSecret"]
    for name, pod in rendered.pods():
        volumes: dict[str, Any] = {one["name"]: one for one in pod["spec"].get("volumes", [])}
        there = set(volumes) | {one["metadata"]["name"] for one in claims if name == "lambent-gateway"}
        assert {mount["name"] for one in pod["spec"]["containers"] for mount in one.get("volumeMounts", [])} == there
        assert {one["secret"]["secretName"] for one in volumes.values() if "secret" in one} <= secrets | {own}


def test_files_are_mounted_where_the_processes_look_for_them(default: Rendered) -> None:
    def volume_at(kind: str, name: str, path: str) -> tuple[str, str]:
        """The volume's name, and the file in it."""
        mounts = container(default, kind, name)["volumeMounts"]
        mount = max(
            (one for one in mounts if Path(path).is_relative_to(one["mountPath"])),
            key=lambda one: len(one["mountPath"]),
        )
        return mount["name"], str(Path(path).relative_to(mount["mountPath"]))

    gateway = variables(default, "StatefulSet", "lambent-gateway")
    assert volume_at("StatefulSet", "lambent-gateway", gateway["LAMBENT_LINK_KEY_FILE"]) == ("link-key", "key")
    assert volume_at("StatefulSet", "lambent-gateway", gateway["LAMBENT_DATA_DIR"]) == ("data", ".")
    operator = variables(default, "Deployment", "lambent-operator")
    assert volume_at("Deployment", "lambent-operator", operator["LAMBENT_GATEWAY_TOKEN_FILE"]) == (
        "gateway-token",
        "token",
    )


def test_the_gateway_is_told_everything(default: Rendered) -> None:
    env = container(default, "StatefulSet", "lambent-gateway")["env"]
    assert {one["name"]: one.get("value", one.get("valueFrom")) for one in env} == {
        "LAMBENT_DATA_DIR": "/var/lib/lambent",
        "LAMBENT_PORT": "9000",
        "LAMBENT_LINK_PORT": "9001",
        "LAMBENT_PEER_PORT": "9002",
        "LAMBENT_NAMESPACE": "default",
        "LAMBENT_SYSTEM_NAMESPACE": {"fieldRef": {"fieldPath": "metadata.namespace"}},
        "LAMBENT_POD_NAME": {"fieldRef": {"fieldPath": "metadata.name"}},
        "LAMBENT_LINK_SERVICE": "lambent-gateway-link.lambent-system.svc:9001",
        "LAMBENT_OPERATOR_ACCOUNT": "system:serviceaccount:lambent-system:lambent-operator",
        "LAMBENT_ENDPOINT": "http://lambent-gateway.lambent-system.svc:9000",
        "LAMBENT_LINK_KEY_FILE": "/var/run/lambent/link/key",
        "LAMBENT_LOG_LEVEL": "info",
        "LAMBENT_DRAIN_SECONDS": "915",
        "LAMBENT_IDLE_SECONDS": "300",
        "LAMBENT_ACCOUNT_CONCURRENCY": "1000",
        "LAMBENT_ENVIRONMENTS_MAX": "1000",
    }


def test_the_gateway_is_told_of_postgresql_by_a_secret() -> None:
    def variable(postgres: Object) -> Object:
        rendered = render({"state": {"postgres": postgres}})
        (found,) = (
            one
            for one in container(rendered, "StatefulSet", "lambent-gateway")["env"]
            if one["name"] == "LAMBENT_POSTGRES"
        )
        return dict(found["valueFrom"])

    assert variable({"existingSecret": "database"}) == {"secretKeyRef": {"name": "database", "key": "uri"}}
    own = {"existingSecret": "database", "key": "connection.string"}
    assert variable(own) == {"secretKeyRef": {"name": "database", "key": "connection.string"}}


def test_registries_of_images_are_told_with_credentials_by_a_secret() -> None:
    images = {"registryCredentials": {"existingSecret": "registries"}, "plainHttpRegistries": ["a:5000", "b"]}
    rendered = render({"gateway": images, "functions": {"imagePullSecrets": ["one", "two"]}})
    gateway = variables(rendered, "StatefulSet", "lambent-gateway")
    assert gateway["LAMBENT_PLAIN_HTTP_REGISTRIES"] == "a:5000,b"
    spec = rendered.one("StatefulSet", "lambent-gateway")["spec"]["template"]["spec"]
    (mount,) = (one for one in spec["containers"][0]["volumeMounts"] if one["name"] == "registry-credentials")
    (volume,) = (one["secret"] for one in spec["volumes"] if one["name"] == "registry-credentials")
    assert volume["secretName"] == "registries"
    (item,) = volume["items"]
    assert item["key"] == ".dockerconfigjson"
    assert f"{mount['mountPath']}/{item['path']}" == gateway["LAMBENT_REGISTRY_CREDENTIALS"]
    assert variables(rendered, "Deployment", "lambent-operator")["LAMBENT_IMAGE_PULL_SECRETS"] == "one,two"


def test_labels_of_functions_pods_are_told_to_the_operator() -> None:
    labels = {"azure.workload.identity/use": "true", "team": "a"}
    told = variables(render({"functions": {"podLabels": labels}}), "Deployment", "lambent-operator")
    assert told["LAMBENT_POD_LABELS"] == "azure.workload.identity/use=true,team=a"


def test_the_gateway_is_told_of_a_bucket_and_its_keys_by_a_secret() -> None:
    def told(s3: Object) -> Object:
        env = container(render({"gateway": {"packages": {"s3": s3}}}), "StatefulSet", "lambent-gateway")["env"]
        return {
            one["name"].removeprefix("LAMBENT_S3_"): one.get("value", one.get("valueFrom"))
            for one in env
            if "_S3_" in one["name"]
        }

    assert told({"endpoint": "https://s3.example.com", "existingSecret": "keys"}) == {}, "no bucket"
    plain = {"BUCKET": "code", "ENDPOINT": "", "PREFIX": "", "REGION": "us-east-1"}
    assert told({"bucket": "code"}) == plain, "a cloud's identity"
    theirs = {"bucket": "code", "endpoint": "https://s3.example.com", "prefix": "lambent/", "region": "eu-central-1"}
    assert told({**theirs, "existingSecret": "keys"}) == {name.upper(): value for name, value in theirs.items()} | {
        name: {"secretKeyRef": {"name": "keys", "key": f"AWS_{name}"}}
        for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
    }


def test_the_operator_is_told_everything(default: Rendered) -> None:
    env = {
        one["name"]: one.get("value", one.get("valueFrom"))
        for one in container(default, "Deployment", "lambent-operator")["env"]
    }
    selector = dict(label.split("=") for label in env.pop("LAMBENT_GATEWAY_SELECTOR").split(","))
    assert selected(default, selector) == {"lambent-gateway"}
    assert env == {
        "LAMBENT_NAMESPACE": "default",
        "LAMBENT_SYSTEM_NAMESPACE": {"fieldRef": {"fieldPath": "metadata.namespace"}},
        "LAMBENT_POD_NAME": {"fieldRef": {"fieldPath": "metadata.name"}},
        "LAMBENT_GATEWAY_PORT": "9000",
        "LAMBENT_LINK_PORT": "9001",
        "LAMBENT_LINK_SERVICE": "lambent-gateway-link.lambent-system.svc:9001",
        "LAMBENT_GATEWAY_TOKEN_FILE": "/var/run/lambent/token",
        "LAMBENT_HEALTH_PORT": "8080",
        "LAMBENT_LOG_LEVEL": "info",
        "LAMBENT_AGENT_IMAGE": "localhost/lambent/lambent:dev",
        "LAMBENT_AGENT_IMAGE_PULL_POLICY": "IfNotPresent",
    }


def variables(rendered: Rendered, kind: str, name: str) -> dict[str, str]:
    """As the process finds them; what the kubelet fills in, as it would."""
    downward = {"metadata.namespace": NAMESPACE, "metadata.name": f"{name}-0", "status.podIP": "10.0.0.1"}
    return {
        one["name"]: one["value"] if "value" in one else downward[one["valueFrom"]["fieldRef"]["fieldPath"]]
        for one in container(rendered, kind, name)["env"]
    }


def test_the_gateway_understands_what_it_is_told() -> None:
    scaling = {"idleSeconds": 86_400, "accountConcurrency": 100_000, "environmentsMax": 100_000}
    values: Object = {"scaling": scaling, "gateway": {"logLevel": "debug", "endpoint": "https://lambent.example.com"}}
    settings = from_environment(variables(render(values), "StatefulSet", "lambent-gateway"))
    assert (settings.pod_name, settings.namespace, settings.system_namespace) == (
        "lambent-gateway-0",
        "default",
        NAMESPACE,
    )
    assert settings.endpoint == "https://lambent.example.com"
    found = settings.gateway.scaling
    assert {
        "idleSeconds": found.idle_seconds,
        "accountConcurrency": found.account_concurrency,
        "environmentsMax": found.environments_max,
    } == scaling


def test_the_operator_understands_what_it_is_told(everything: Rendered) -> None:
    settings = read_settings(variables(everything, "Deployment", "lambent-operator"))
    assert (settings.namespace, settings.system_namespace) == ("functions", NAMESPACE)
    assert settings.link_service == "lambent-gateway-link.lambent-system.svc:9001"


def test_settings_of_pods_arrive() -> None:
    pod: Object = {
        "priorityClassName": "high",
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
        ],
    }
    more: Object = {
        "podAnnotations": {"note": "yes"},
        "podLabels": {"team": "one"},
        "serviceAccountAnnotations": {"role": "arn"},
        "extraEnv": [{"name": "LAMBENT_REGION", "value": "eu-central-1"}],
        "extraVolumes": [{"name": "extra", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "extra", "mountPath": "/extra"}],
        "resources": {"requests": {"cpu": 2, "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        "terminationGracePeriodSeconds": 90,
    }
    values = {"gateway": {**pod, **more}, "operator": {**pod, **more}, "imagePullSecrets": [{"name": "registry"}]}
    rendered = render({**values, "commonLabels": {"owner": "us"}})
    for kind, name in (("StatefulSet", "lambent-gateway"), ("Deployment", "lambent-operator")):
        template = rendered.one(kind, name)["spec"]["template"]
        assert {member: template["spec"][member] for member in pod} == pod
        assert template["spec"]["imagePullSecrets"] == [{"name": "registry"}]
        assert template["spec"]["terminationGracePeriodSeconds"] == 90
        assert template["metadata"]["annotations"] == {"note": "yes"}
        assert selects({"team": "one", "owner": "us"}, template["metadata"]["labels"])
        assert more["extraEnv"][0] in template["spec"]["containers"][0]["env"]
        assert more["extraVolumes"][0] in template["spec"]["volumes"]
        assert more["extraVolumeMounts"][0] in template["spec"]["containers"][0]["volumeMounts"]
        assert template["spec"]["containers"][0]["resources"] == more["resources"]
        assert rendered.one("ServiceAccount", name)["metadata"]["annotations"] == {"role": "arn"}
    assert all(selects({"owner": "us"}, thing["metadata"]["labels"]) for thing in rendered.objects)


def test_a_digest_wins_over_the_tag() -> None:
    digest = "sha256:" + "0" * 64
    values = {
        "image": {"registry": "registry.example.com:5000", "tag": "1.2.3", "digest": digest, "pullPolicy": "Always"},
        "runtimePools": {"python": {"image": {"repository": "runtimes/python"}}},
    }
    rendered = render(values)
    images = {one["image"] for _, pod in rendered.pods() for one in pod["spec"]["containers"]}
    assert images == {f"registry.example.com:5000/lambent/lambent@{digest}"}
    pool = rendered.one("RuntimePool", "python")["spec"]
    assert (pool["image"], pool["imagePullPolicy"]) == ("registry.example.com:5000/runtimes/python:1.2.3", "Always")
