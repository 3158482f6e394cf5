"""Lambent as it is installed in a cluster, seen by those who use and those who operate it: kubectl, boto3, HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import BotoCoreError, ClientError

from tests.chart.rendering import CHART, program
from tests.lambda_client import lambda_client

Object = dict[str, Any]
GATEWAYS = 2
"""Gateway pods of the installation: with fewer than two there is a moment without any while they are replaced."""
IDLE_SECONDS = 5
VALUES: Object = {"scaling": {"idleSeconds": IDLE_SECONDS}, "gateway": {"replicas": GATEWAYS}}
"""What the suite sets beside the development cluster's own values."""
SECONDS_MAX = 90.0
ECHO = "def handler(event, context):\n    return event\n"


def function(name: str, code: str | Object = ECHO, **spec: Any) -> Object:
    return {
        "apiVersion": "lambent.dev/v1",
        "kind": "Function",
        "metadata": {"name": name},
        "spec": {"runtime": "python3.11", "handler": "app.handler", "code": {"inline": code}} | spec,
    }


def wait_for(what: str, look: Callable[[], Any], *, seconds: float = SECONDS_MAX) -> Any:
    """What `look` answers, as soon as it is something. What is not there yet is no error."""
    ends, last = time.monotonic() + seconds, ""
    while time.monotonic() < ends:
        try:
            if found := look():
                return found
        except (KeyError, IndexError, KubectlFailed) as error:
            last = f"; last: {error}"
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds:.0f} s{last}")


class KubectlFailed(Exception):
    """With what it said."""


@dataclass(frozen=True)
class Installation:
    kubeconfig: Path
    system: str
    functions: str
    endpoint: str

    # kubectl

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        """In the functions' namespace, unless another is named. Raises `KubectlFailed`."""
        namespace = [] if "--namespace" in words else ["--namespace", self.functions]
        done = subprocess.run(
            [program("kubectl"), "--kubeconfig", str(self.kubeconfig), *namespace, *words],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        if done.returncode:
            raise KubectlFailed(f"kubectl {' '.join(words)}: {done.stderr or done.stdout}")
        return done.stdout

    def apply(self, *documents: Object, namespace: str | None = None) -> None:
        where = ["--namespace", namespace or self.functions]
        self.kubectl("apply", *where, "--filename", "-", stdin=yaml.safe_dump_all(documents))

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object:
        found: Object = json.loads(
            self.kubectl(
                "get",
                kind,
                name,
                "--namespace",
                namespace or self.functions,
                "--output",
                "json",
                "--show-managed-fields",
            )
        )
        return found

    def function(self, name: str) -> Object:
        return self.get("fn", name)

    def condition(self, kind: str, name: str, type: str, namespace: str | None = None) -> tuple[str, str]:
        """Its status and reason."""
        conditions = self.get(kind, name, namespace).get("status", {}).get("conditions", [])
        (found,) = [one for one in conditions if one["type"] == type] or [{"status": "", "reason": ""}]
        return found["status"], found["reason"]

    def pods(self, namespace: str, selector: str) -> list[Object]:
        listed = self.kubectl("get", "pods", "--namespace", namespace, "--selector", selector, "--output", "json")
        found: list[Object] = json.loads(listed)["items"]
        return found

    def pods_of(self, name: str) -> list[Object]:
        """Environments of a function."""
        return self.pods(self.functions, f"lambent.dev/function={name}")

    def evict(self, pod: Object) -> None:
        """As `kubectl drain` does."""
        name = pod["metadata"]["name"]
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": self.functions},
        }
        path = f"/api/v1/namespaces/{self.functions}/pods/{name}/eviction"
        self.kubectl("create", "--raw", path, "--filename", "-", stdin=json.dumps(eviction))

    def platform_pods(self, component: str) -> list[Object]:
        return self.pods(self.system, f"app.kubernetes.io/component={component}")

    def events(self, name: str) -> dict[str, int]:
        """Reasons of the events about an object of the functions' namespace, and how often each was told."""
        listed = self.kubectl("get", "events.events.k8s.io", "--output", "json")
        counts: dict[str, int] = {}
        for event in json.loads(listed)["items"]:
            if event["regarding"]["name"] == name:
                times = (event.get("series") or {}).get("count", 1)
                counts[event["reason"]] = counts.get(event["reason"], 0) + times
        return counts

    @contextmanager
    def applied(self, *documents: Object) -> Iterator[None]:
        """Functions that are Ready, until the block ends; then they and their pods are gone."""
        names = [document["metadata"]["name"] for document in documents]
        try:
            self.apply(*documents)
            self.kubectl("wait", "--for=condition=Ready", *(f"fn/{name}" for name in names), "--timeout=60s")
            yield
        finally:
            self.remove(*names)

    def remove(self, *names: str) -> None:
        self.kubectl("delete", "fn", *names, "--ignore-not-found", "--timeout=60s")
        selector = f"lambent.dev/function in ({','.join(names)})"
        wait_for(f"the end of the pods of {', '.join(names)}", lambda: not self.pods(self.functions, selector))

    # helm

    def upgrade(self, **values: Any) -> None:
        """The same chart with further values; returns when all of it is ready."""
        command = ["upgrade", "lambent", str(CHART), "--namespace", self.system, "--reuse-values", "--values", "-"]
        done = subprocess.run(
            [program("helm"), "--kubeconfig", str(self.kubeconfig), *command, "--wait", "--timeout", "180s"],
            input=yaml.safe_dump(values),
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr

    # The AWS API

    @cached_property
    def client(self) -> Any:
        return lambda_client(self.endpoint)

    def invoke(self, name: str, payload: Any = None) -> Any:
        """What the function returned. An error of its own is a failure here."""
        answer = self.client.invoke(FunctionName=name, Payload=json.dumps(payload).encode())
        text = answer["Payload"].read()
        assert "FunctionError" not in answer, text
        return json.loads(text)

    def serves(self, name: str) -> bool:
        """Whether a call is answered now, by a function that returns its event."""
        try:
            return bool(self.invoke(name, 1) == 1)
        except (BotoCoreError, ClientError, AssertionError):
            return False


def installed() -> Installation | None:
    """What `python -m tests.cluster` has installed and tells in the environment."""
    endpoint, config = os.environ.get("LAMBENT_ENDPOINT"), os.environ.get("KUBECONFIG")
    if not endpoint or not config:
        return None
    return Installation(
        Path(config),
        os.environ.get("LAMBENT_TEST_SYSTEM", "lambent-system"),
        os.environ.get("LAMBENT_TEST_FUNCTIONS", "default"),
        endpoint,
    )
