"""
Each verb that the chart grants is needed: gateway, operator and uninstaller run as processes, with their own service accounts and the
chart's roles, on a real API server. What they ask for is noted and compared with docs/rbac.md: nothing of it is refused, nothing that is
granted goes unused, and a verb that is taken out of its role is refused from then on.
"""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from lambent_core.census import AgentEntry
from lambent_core.function import EnvironmentCounts
from lambent_kube.client import Object
from lambent_kube.resources import (
    FUNCTION_ALIASES,
    FUNCTION_VERSIONS,
    FUNCTIONS,
    LAYER_VERSIONS,
    PODS,
    RUNTIME_POOLS,
    Resource,
)
from lambent_operator.leader import LEASE
from tests.chart.rendering import CHART, Rendered, program, render
from tests.chart.test_access import documented
from tests.cluster.gateway_process import start_gateway_process
from tests.cluster.operator_world import World, kubeconfig, until, world
from tests.cluster.recorded_requests import Grant, Recorder
from tests.platform_process import ROLE, package

pytestmark = [
    pytest.mark.skipif(kubeconfig() is None, reason="no cluster: neither KUBECONFIG nor .cluster/kubeconfig"),
    pytest.mark.timeout(300),
]

GATEWAY, OPERATOR, UNINSTALL = "lambent-gateway", "lambent-operator", "lambent-uninstall"
KINDS = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
ACCESS_REVIEWS = Resource("authorization.k8s.io", "v1", "subjectaccessreviews", namespaced=False)
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles")
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", namespaced=False)
ASKED_BY_ADMISSION = {(OPERATOR, "functions", "lambent.dev", "functions/finalizers", "update")}
"""No request: OwnerReferencesPermissionEnforcement asks it of whoever writes an owner that blocks deletion, and `is_owned` sees that."""
ECHO = "def handler(event, context):\n    return event\n"


def needed(account: str) -> set[Grant]:
    return {grant for grant in documented() if grant[0] == account} - ASKED_BY_ADMISSION


class Accounts:
    """The chart's service accounts with its roles, for the namespaces of a world."""

    def __init__(self, here: World) -> None:
        self.here = here
        self.where: dict[str | None, str] = {here.namespace: "functions", here.system: "system", None: "cluster"}
        self.rendered: Rendered = render({"functions": {"namespace": here.namespace}}, namespace=here.system)

    def apply(self) -> None:
        objects = [thing for kind in KINDS for thing in self.rendered.of(kind)]
        own = [thing for thing in objects if thing["metadata"]["name"] != "lambent-function"]  # the world has it
        self.kubectl("apply", "--filename", "-", stdin=yaml.safe_dump_all(own))

    def delete(self) -> None:
        """What belongs to no namespace; the rest goes with its own."""
        self.kubectl("delete", "clusterrole,clusterrolebinding", f"{GATEWAY}:{self.here.system}", "--ignore-not-found")

    def token(self, account: str, *options: str) -> str:
        return self.kubectl("create", "token", account, "--namespace", self.here.system, *options).strip()

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        command = [program("kubectl"), "--kubeconfig", str(self.here.kubeconfig), *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout

    @asynccontextmanager
    async def recorded(self, account: str) -> AsyncIterator[Recorder]:
        document = yaml.safe_load(self.here.kubeconfig.read_text())
        for entry in document["users"]:
            entry["user"] = {"token": self.token(account)}
        path = self.here.folder / f"kubeconfig-of-{account}"
        path.write_text(yaml.safe_dump(document))
        async with Recorder(account, path, where=self.where).open() as recorder:
            yield recorder


@pytest_asyncio.fixture
async def accounts(tmp_path: Path) -> AsyncIterator[Accounts]:
    config = kubeconfig()
    assert config is not None
    async with world(tmp_path, config) as here:
        made = Accounts(here)
        made.apply()
        try:
            yield made
        finally:
            made.delete()


async def all_was_needed(recorder: Recorder) -> None:
    """And nothing else was asked for that is not granted."""
    wanted = needed(recorder.account)
    assert wanted
    try:
        await until(lambda: wanted <= recorder.used, "each verb is used", seconds=60)
    except AssertionError:
        assert wanted - recorder.used == set(), "granted for nothing"
    assert recorder.refused == []


# The gateway


async def test_the_gateway_needs_each_verb(accounts: Accounts) -> None:
    here = accounts.here
    async with accounts.recorded(GATEWAY) as recorder:
        gateway = start_gateway_process(here, kubeconfig=recorder.kubeconfig(here.folder))
        await until(lambda: gateway.answers("/readyz"), "the gateway serves")
        token = accounts.token(OPERATOR, "--audience", "lambent-gateway")
        assert await gateway.answers("/lambent/v1/agents", token), "the operator's token is looked at"
        meanwhile = partial(somebody_else_writes, here)
        await asyncio.to_thread(life_of_a_function, gateway.client(), recorder, meanwhile)
        await all_was_needed(recorder)


def life_of_a_function(aws: Any, recorder: Recorder, meanwhile: Callable[[], None]) -> None:
    """By the AWS API. `meanwhile` changes all four resources while the gateway's watches are silent: its writes fail, and it reads."""
    code = {"ZipFile": package({"app.py": ECHO})}
    aws.create_function(FunctionName="walked", Runtime="python3.11", Handler="app.handler", Role=ROLE, Code=code)
    aws.get_waiter("function_active_v2").wait(FunctionName="walked", WaiterConfig={"Delay": 1})
    change(aws, 9)
    assert aws.publish_version(FunctionName="walked")["Version"] == "1"
    aws.put_function_event_invoke_config(FunctionName="walked", Qualifier="1", MaximumRetryAttempts=0)
    aws.create_alias(FunctionName="walked", Name="live", FunctionVersion="1")
    aws.update_alias(FunctionName="walked", Name="live", Description="once")
    for _ in range(2):
        aws.publish_layer_version(LayerName="walked", Content={"ZipFile": package({"python/lib.py": ""})})
    aws.delete_layer_version(LayerName="walked", VersionNumber=1)
    with recorder.silence():
        meanwhile()
        change(aws, 8)
        aws.put_function_event_invoke_config(FunctionName="walked", Qualifier="1", MaximumRetryAttempts=1)
        aws.update_alias(FunctionName="walked", Name="live", Description="twice")
        aws.delete_layer_version(LayerName="walked", VersionNumber=2)
    aws.delete_alias(FunctionName="walked", Name="live")
    aws.delete_function(FunctionName="walked", Qualifier="1")
    aws.delete_function(FunctionName="walked")


def change(aws: Any, timeout: int) -> None:
    aws.update_function_configuration(FunctionName="walked", Timeout=timeout)
    aws.get_waiter("function_updated_v2").wait(FunctionName="walked", WaiterConfig={"Delay": 1})


def somebody_else_writes(here: World) -> None:
    for resource, name in (
        (FUNCTIONS, "walked"), (FUNCTION_VERSIONS, "walked.1"), (FUNCTION_ALIASES, "walked.live"), (LAYER_VERSIONS, "walked.2"),
    ):  # fmt: skip
        kubectl = [program("kubectl"), "--kubeconfig", str(here.kubeconfig), "--namespace", here.namespace]
        done = subprocess.run(
            [*kubectl, "annotate", f"{resource.plural}.{resource.group}", name, "example.com/seen=yes"],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


# The operator, and who clears away after it


async def test_the_operator_and_the_uninstaller_need_each_verb(accounts: Accounts) -> None:
    here = accounts.here
    gateway = await here.start_gateway()
    await here.put_pool()
    await here.put_pool(
        "broken", runtimes=["python3.12"], image="localhost/lambent/there-is-none:1", imagePullPolicy="IfNotPresent"
    )
    await put_pool_of_functions(here)
    made = await here.put_function()
    await here.put_version()
    await here.api.create(PODS, here.namespace, namesake("python-2"))
    async with accounts.recorded(OPERATOR) as recorder:
        operator = here.start_operator(kubeconfig=recorder.kubeconfig(here.folder))
        gateway.put(wanted("python-1"), wanted("python-2"), wanted("broken-1", "broken"))
        gateway.put(wanted("hello-1", "function/hello/v1"), wanted("nobody-1", "function/nobody/1"))
        await until(lambda: _runs(here, "python-1"), "the pod runs")
        claim = AgentEntry("python-1", "python3.11", "claimed", "hello", made["metadata"]["uid"], "1", 384)
        gateway.put(claim, hello=EnvironmentCounts(ready=1))
        await until(lambda: is_owned(here, "python-1"), "the pod is the function's")
        await until(lambda: "broken-1" in gateway.failures, "the gateway is told what can't be had")
        await all_was_needed(recorder)
        operator.kill()
        operator.wait()
    async with accounts.recorded(UNINSTALL) as recorder:
        clearing = start_clearing(accounts, recorder)
        await here.api.delete(PODS, here.system, "gateway-0")
        assert await asyncio.to_thread(clearing.wait, 120) == 0, here.log("clear")
        await all_was_needed(recorder)


def wanted(id: str, pool: str = "python3.11") -> AgentEntry:
    return AgentEntry(id, pool, "wanted")


async def put_pool_of_functions(here: World) -> None:
    spec = {"runtimes": ["python3.13"], "image": "localhost/lambent/python:dev", "command": ["python3"], "size": 0}
    body = {"apiVersion": "lambent.dev/v1", "kind": "RuntimePool", "metadata": {"name": "own"}, "spec": spec}
    await here.api.apply(RUNTIME_POOLS, here.namespace, body)


def namesake(name: str) -> Object:
    """A pod of somebody else's with the name that the operator's will have, and without the labels that it watches. No node takes it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "schedulerName": "nobody",
            "securityContext": {"runAsNonRoot": True, "runAsUser": 993, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "runtime",
                    "image": "none",
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }


async def _runs(here: World, name: str) -> bool:
    return bool((await here.pod(name))["status"]["phase"] == "Running")


async def is_owned(here: World, name: str) -> bool:
    owners = (await here.pod(name))["metadata"]["ownerReferences"]
    return [(owner["kind"], owner["blockOwnerDeletion"]) for owner in owners] == [("Function", True)]


def start_clearing(accounts: Accounts, recorder: Recorder) -> subprocess.Popen[bytes]:
    """The hook's program as the chart has it, but for where it finds its account and that it speaks plain HTTP."""
    here = accounts.here
    account = here.folder / "account"
    account.mkdir()
    (account / "token").write_text("the way knows it")
    (cluster, *_) = yaml.safe_load(here.kubeconfig.read_text())["clusters"]
    (account / "ca.crt").write_bytes(base64.b64decode(cluster["cluster"]["certificate-authority-data"]))
    source = (CHART / "files" / "clear.py").read_text()
    for old, new in (("/var/run/secrets/kubernetes.io/serviceaccount", str(account)), ('f"https://{', 'f"http://{')):
        assert source.count(old) == 1
        source = source.replace(old, new)
    environ = {
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(recorder.port),
        "FUNCTIONS_NAMESPACE": here.namespace,
        "SYSTEM_NAMESPACE": here.system,
        "PLATFORM": "app.kubernetes.io/component in (gateway,operator)",
    }
    with (here.folder / "clear.log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-c", source], env=environ, stderr=log, stdout=log)
    here.processes.append(process)
    return process


# What is taken out


async def test_a_verb_that_is_taken_out_of_its_role_is_refused(accounts: Accounts) -> None:
    """So no other role, of the cluster's own either, gives an account what docs/rbac.md says that it needs."""
    roles = [(ROLES, role) for role in accounts.rendered.of("Role")]
    roles += [(CLUSTER_ROLES, role) for role in accounts.rendered.of("ClusterRole")]
    for kind, role in roles:
        namespace, name, rules = role["metadata"].get("namespace"), role["metadata"]["name"], role["rules"]
        account = name.partition(":")[0].removesuffix("-system")
        for left, verb, rule in one_verb_less(rules):
            await accounts.here.api.patch(kind, namespace, name, {"rules": left})
            for resource in rule["resources"]:
                (group,) = rule["apiGroups"]
                asked = (account, namespace, group, resource, verb)
                await until(lambda asked=asked: _is_refused(accounts, *asked), f"{asked} is refused", seconds=20)


def one_verb_less(rules: list[Object]) -> Iterator[tuple[list[Object], str, Object]]:
    """What is left of a role's rules, the verb that is not, and the rule that it stood in."""
    for rule in rules:
        others = [each for each in rules if each is not rule]
        for verb in rule["verbs"]:
            kept = [each for each in rule["verbs"] if each != verb]
            yield [*others, rule | {"verbs": kept}] if kept else others, verb, rule


async def _is_refused(
    accounts: Accounts, account: str, namespace: str | None, group: str, resource: str, verb: str
) -> bool:
    plural, _, subresource = resource.partition("/")
    asked = {"group": group, "resource": plural, "subresource": subresource, "verb": verb, "namespace": namespace or ""}
    if plural == "leases":
        asked["name"] = LEASE
    user = f"system:serviceaccount:{accounts.here.system}:{account}"
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": user,
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": asked,
        },
    }
    return not (await accounts.here.api.create(ACCESS_REVIEWS, None, review))["status"]["allowed"]
