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


def test_a_function_that_is_deleted_does_not_wait_for_its_versions_to_idle(lambent: Installation) -> None:
    """Kubernetes deletes them after it, and it goes after its environments: theirs must end with it."""
    with lambent.applied(function("owner", idleSeconds=3600)):
        assert lambent.client.publish_version(FunctionName="owner")["Version"] == "1"
        lambent.client.invoke(FunctionName="owner", Qualifier="1")
        lambent.kubectl("delete", "fn", "owner", "--timeout=60s")
        wait_for("the end of the version", lambda: "owner.1" not in lambent.kubectl("get", "fnv", "-o", "name"))


def test_an_alias_says_whether_the_version_that_it_names_is_there(lambent: Installation) -> None:
    """In whichever order the two are made, and when the version is deleted past the API, which would have refused it."""
    alias = {
        "apiVersion": "lambent.dev/v1",
        "kind": "FunctionAlias",
        "metadata": {"name": "aliased.live"},
        "spec": {"functionName": "aliased", "name": "live", "functionVersion": "1"},
    }

    def waits(condition: str, name: str) -> None:
        lambent.kubectl("wait", f"--for=condition={condition}", name, "--timeout=30s")

    with lambent.applied(function("aliased")):
        lambent.apply(alias)
        waits("Ready=false", "fna/aliased.live")
        shown = lambent.kubectl("describe", "fna", "aliased.live")
        assert "VersionNotFound" in shown and "spec.functionVersion: aliased has no version 1." in shown
        lambent.client.publish_version(FunctionName="aliased")
        waits("Ready", "fna/aliased.live")
        waits("Ready", "fnv/aliased.1")
        columns = lambent.kubectl("get", "fna", "aliased.live").splitlines()
        assert columns[0].split() == ["NAME", "FUNCTION", "ALIAS", "VERSION", "WEIGHTS", "READY", "AGE"]
        assert columns[1].split()[:5] == ["aliased.live", "aliased", "live", "1", "True"]
        lambent.kubectl("delete", "fnv", "aliased.1")
        waits("Ready=false", "fna/aliased.live")
