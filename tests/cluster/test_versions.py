"""Published versions on a cluster: what Kubernetes gives their environments stays what it was, whatever becomes of `$LATEST`."""

from __future__ import annotations

import json

import pytest

from tests.cluster.installation import Installation, Object, function, wait_for

pytestmark = pytest.mark.timeout(240)
GREETS = "import os\n\ndef handler(event, context):\n    return os.environ['GREETING']\n"


def greeting(word: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"greets-{word}"},
        "data": {"GREETING": word},
    }


def greets(word: str) -> Object:
    return function("greets", GREETS, pod={"envFrom": [{"configMapRef": {"name": f"greets-{word}"}}]})


def test_a_version_keeps_the_config_map_that_it_was_published_with(lambent: Installation) -> None:
    try:
        lambent.apply(greeting("a"), greeting("b"))
        with lambent.applied(greets("a")):
            assert lambent.client.publish_version(FunctionName="greets")["Version"] == "1"
            lambent.apply(greets("b"))
            wait_for("the other ConfigMap", lambda: lambent.invoke("greets") == "b")
            answer = lambent.client.invoke(FunctionName="greets", Qualifier="1")
            assert json.loads(answer["Payload"].read()) == "a"
    finally:
        lambent.kubectl("delete", "configmap", "greets-a", "greets-b", "--ignore-not-found")
