"""What a function may do: at the Kubernetes API by its ServiceAccount, elsewhere by the keys of its Secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import yaml

from tests.cluster.installation import Installation, Object, function

pytestmark = pytest.mark.timeout(240)
NAME = "watchman"
HANDLER = """
import json, os, ssl, urllib.error, urllib.request

FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "KUBERNETES_SERVICE_HOST")

def read(name):
    with open(f"{FOLDER}/{name}") as file:
        return file.read()

def get(path):
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    url = f"https://{f'[{host}]' if ':' in host else host}:{port}/api/v1/namespaces/{read('namespace')}/{path}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {read('token')}"})
    try:
        trusted = ssl.create_default_context(cafile=f"{FOLDER}/ca.crt")
        with urllib.request.urlopen(request, context=trusted, timeout=10) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        return error.code

def handler(event, context):
    there = os.path.exists(FOLDER)
    variables = {name: os.environ[name] for name in NAMES if name in os.environ}
    return {"token": there and read("token"), "got": [get(path) for path in event], "variables": variables}
"""


def things(namespace: str) -> list[Object]:
    """An account that may read one ConfigMap of two, and a Secret with keys."""

    def thing(kind: str, name: str = NAME, version: str = "v1", **members: object) -> Object:
        return {"apiVersion": version, "kind": kind, "metadata": {"name": name}} | members

    rbac = "rbac.authorization.k8s.io/v1"
    rule = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [NAME], "verbs": ["get"]}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": NAME}
    return [
        thing("ServiceAccount"),
        thing("ConfigMap", data={"greeting": "hello"}),
        thing("ConfigMap", f"{NAME}-other", data={"greeting": "no"}),
        thing("Secret", stringData={"AWS_ACCESS_KEY_ID": "AKIAOWN", "AWS_SECRET_ACCESS_KEY": "own"}),
        thing("Role", version=rbac, rules=[rule]),
        thing(
            "RoleBinding",
            version=rbac,
            roleRef=role,
            subjects=[{"kind": "ServiceAccount", "name": NAME, "namespace": namespace}],
        ),
    ]


@contextmanager
def reaching_the_api(lambent: Installation) -> Iterator[None]:
    """Functions may connect to the API server, as docs/identity.md says: some clusters enforce NetworkPolicies."""
    listed = lambent.kubectl(
        "get", "endpointslices", "--namespace", "default", "--selector", "kubernetes.io/service-name=kubernetes", "-o", "json"
    )  # fmt: skip
    rules = [
        {
            "to": [{"ipBlock": {"cidr": f"{address}/{128 if ':' in address else 32}"}}],
            "ports": [{"port": port["port"]} for port in endpoints["ports"]],
        }
        for endpoints in json.loads(listed)["items"]
        for endpoint in endpoints["endpoints"]
        for address in endpoint["addresses"]
    ]
    lambent.upgrade(networkPolicy={"functionEgress": {"rules": rules}})
    try:
        yield
    finally:
        lambent.upgrade(networkPolicy={"functionEgress": {"rules": []}})


def test_a_function_has_its_accounts_rights_and_its_secrets_keys(lambent: Installation) -> None:
    objects = things(lambent.functions)
    pod = {"serviceAccountName": NAME, "envFrom": [{"secretRef": {"name": NAME}}]}
    try:
        lambent.apply(*objects)
        with reaching_the_api(lambent), lambent.applied(function(NAME, HANDLER, timeout=30, pod=pod)):
            paths = [f"configmaps/{NAME}", f"configmaps/{NAME}-other", f"secrets/{NAME}", "pods"]
            told = lambent.invoke(NAME, paths)
            assert told["got"] == [{"greeting": "hello"}, 403, 403, 403]
            assert told["variables"].pop("KUBERNETES_SERVICE_HOST")
            assert told["variables"] == {
                "AWS_ACCESS_KEY_ID": "AKIAOWN",
                "AWS_SECRET_ACCESS_KEY": "own",
                "AWS_REGION": "us-east-1",
            }
            assert not is_let_in(lambent, told["token"]), "an account's token is not an agent's"
    finally:
        lambent.kubectl("delete", "--ignore-not-found", "--filename", "-", stdin=yaml.safe_dump_all(objects))


def is_let_in(lambent: Installation, token: str) -> bool:
    """What the API server answers the gateway that is shown this token by an agent."""
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": ["lambent-gateway"]},
    }
    answer = lambent.kubectl("create", "--filename", "-", "--output", "json", stdin=json.dumps(review))
    return bool(json.loads(answer)["status"].get("authenticated"))


def test_a_function_that_names_no_account_has_nothing_of_it(lambent: Installation) -> None:
    with lambent.applied(function("nobody", HANDLER)):
        assert lambent.invoke("nobody", []) == {
            "token": False,
            "got": [],
            "variables": {
                "AWS_ACCESS_KEY_ID": "LAMBENTLOCAL00000000",
                "AWS_SECRET_ACCESS_KEY": "local",
                "AWS_SESSION_TOKEN": "local",
                "AWS_REGION": "us-east-1",
            },
        }
