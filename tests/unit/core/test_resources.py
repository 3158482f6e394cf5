"""Documents as Kubernetes has them, in examples. For all documents: tests/property."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lambent_core.function import (
    NOT_TEXT,
    Code,
    Environment,
    EventInvokeConfig,
    FileSystemConfig,
    Function,
    FunctionLayer,
    FunctionSpec,
    FunctionUrl,
    Metadata,
)
from lambent_core.resources import UnreadableResource, from_resource, to_resource
from lambent_core.runtime_pools import Resources, RuntimePool
from lambent_core.versions import FunctionAlias, FunctionVersion, alias_of, altered, published

NOW = 1_700_000_000.5
FUNCTION = Function(
    metadata=Metadata(name="hello", namespace="team", uid="u-1", resource_version="7", labels={"a": "b"}),
    spec=FunctionSpec(runtime="python3.11", handler="app.handler", code=Code(sha256="ab" * 32, size=9), timeout=30),
)
OWNER = {
    "apiVersion": "lambent.dev/v1",
    "kind": "Function",
    "name": "hello",
    "uid": "u-1",
    "controller": False,
    "blockOwnerDeletion": False,
}


def test_a_function() -> None:
    assert to_resource(FUNCTION) == {
        "apiVersion": "lambent.dev/v1",
        "kind": "Function",
        "metadata": {
            "name": "hello",
            "namespace": "team",
            "uid": "u-1",
            "resourceVersion": "7",
            "labels": {"a": "b"},
        },
        "spec": {
            "runtime": "python3.11",
            "handler": "app.handler",
            "code": {"sha256": "ab" * 32, "size": 9},
            "timeout": 30,
            "architectures": ["x86_64"],
        },
    }


def test_the_namespace_is_always_named() -> None:
    assert to_resource(Function(metadata=Metadata(name="hello"), spec=FunctionSpec()))["metadata"] == {
        "name": "hello",
        "namespace": "default",
    }


def test_what_kubernetes_does_not_keep_has_no_resource() -> None:
    class Note(msgspec.Struct):
        metadata: Metadata

    with pytest.raises(TypeError, match="Note has no resource"):
        to_resource(Note(Metadata(name="hello")))


def a_version() -> FunctionVersion:
    version = published(FUNCTION, None, description="first", revision_id="r", now=NOW)
    return msgspec.structs.replace(
        version, event_invoke_config=EventInvokeConfig(maximum_retry_attempts=0), event_invoke_config_modified=NOW
    )


def test_a_version_is_its_functions() -> None:
    assert to_resource(a_version()) == {
        "apiVersion": "lambent.dev/v1",
        "kind": "FunctionVersion",
        "metadata": {
            "name": "hello.1",
            "namespace": "team",
            "creationTimestamp": "2023-11-14T22:13:20.500000Z",
            "ownerReferences": [OWNER],
        },
        "spec": {
            "functionName": "hello",
            "version": 1,
            "description": "first",
            "function": {
                "functionName": "hello",
                "runtime": "python3.11",
                "handler": "app.handler",
                "code": {"sha256": "ab" * 32, "size": 9},
                "timeout": 30,
                "architectures": ["x86_64"],
            },
            "eventInvokeConfig": {"maximumRetryAttempts": 0},
        },
        "status": {
            "state": "Active",
            "lastUpdateStatus": "Successful",
            "revisionId": "r",
            "eventInvokeConfigModified": NOW,
        },
    }


def test_a_version_comes_back_as_it_was() -> None:
    """R1, with layers: what was published is in `spec`, where nobody may change it."""
    layers = [FunctionLayer(layer="deps:1", sha256="cd" * 32, size=5, unzipped_size=50)]
    version = a_version()
    version = msgspec.structs.replace(version, status=msgspec.structs.replace(version.status, layers=layers))
    resource = to_resource(version)
    assert resource["spec"]["layers"] == [
        {"layer": "deps:1", "sha256": "cd" * 32, "size": 5, "unzippedSize": 50},
    ]
    assert "layers" not in resource["status"]
    assert from_resource(resource) == version


def test_an_alias_is_its_functions() -> None:
    weights = {"RoutingConfig": {"AdditionalVersionWeights": {"2": 0.25}}}
    alias = altered(alias_of(FUNCTION, "Live", "1", now=NOW), weights, revision_id="r")
    resource = to_resource(msgspec.structs.replace(alias, url=FunctionUrl(), url_id="x"))
    assert resource["metadata"]["name"].startswith("hello.live-")
    assert resource["metadata"]["ownerReferences"] == [OWNER]
    assert resource["spec"] == {
        "functionName": "hello",
        "name": "Live",
        "functionVersion": "1",
        "routingConfig": {"additionalVersionWeights": {"2": 0.25}},
        "url": {},
    }
    assert resource["status"] == {"revisionId": "r", "urlId": "x"}


def by_hand(**metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "lambent.dev/v1",
        "kind": "FunctionAlias",
        "metadata": {"name": "hello.live", "namespace": "team"} | metadata,
        "spec": {"functionName": "hello", "name": "live", "functionVersion": "1"},
    }


def test_an_alias_made_by_hand_has_no_function_yet() -> None:
    alias = from_resource(by_hand())
    assert isinstance(alias, FunctionAlias)
    assert (alias.function_uid, alias.function_resource) == ("", "hello")
    assert "ownerReferences" not in to_resource(alias)["metadata"]


def test_other_owners_are_not_the_function() -> None:
    others = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u-2"},
        {"apiVersion": "example.org/v1", "kind": "Function", "name": "hello", "uid": "u-3"},
        {"apiVersion": "lambent.dev/v2", "kind": "Function", "name": "hello", "uid": "u-1"},
    ]
    alias = from_resource(by_hand(ownerReferences=others, managedFields=[{"manager": "kubectl"}], finalizers=["x"]))
    assert isinstance(alias, FunctionAlias)
    assert alias.function_uid == "u-1"


def test_quantities_may_be_numbers() -> None:
    spec = {
        "runtimes": ["python3.11"],
        "image": "i",
        "command": ["c"],
        "resources": {"requests": {"cpu": 1, "memory": "160Mi"}},
    }
    pool = from_resource({"kind": "RuntimePool", "metadata": {"name": "p"}, "spec": spec})
    assert isinstance(pool, RuntimePool)
    assert pool.spec.resources == Resources(requests={"cpu": "1", "memory": "160Mi"})


def test_what_a_status_says_of_a_newer_version_is_left_out() -> None:
    status = {"state": "Hibernating", "revisionId": "r", "temperature": 3, "conditions": [{"type": "Ready"}]}
    read = from_resource(to_resource(FUNCTION) | {"status": status})
    assert read == msgspec.structs.replace(FUNCTION, status=msgspec.structs.replace(FUNCTION.status, revision_id="r"))


def test_what_a_newer_version_has_inside_what_may_be_absent_is_left_out() -> None:
    """R2."""
    spec = {
        "environment": {"variables": {"A": "1"}, "encrypted": True},
        "url": {"http3": True},
        "fileSystemConfigs": [{"arn": "a", "localMountPath": "/mnt/a", "readOnly": True}],
    }
    read = from_resource({"kind": "Function", "metadata": {"name": "hello"}, "spec": spec})
    assert isinstance(read, Function)
    assert (read.spec.environment, read.spec.url) == (Environment({"A": "1"}), FunctionUrl())
    assert read.spec.file_system_configs == [FileSystemConfig(arn="a", local_mount_path="/mnt/a")]


@pytest.mark.parametrize(
    ("inline", "words"),
    [
        (5, "it is 5, which is not text."),
        (["a"], "it is ['a'], which is not text."),
        ({"a.py": "x", "b.py": None}, "b.py is None, which is not text."),
        ({"a.py": 7}, "a.py is 7, which is not text."),
    ],
    ids=["a number", "a list", "nothing", "a number in a file"],
)
def test_inline_code_that_is_not_text_is_told_and_the_rest_is_read(inline: Any, words: str) -> None:
    """The API server can't check it, and the function would be nobody's."""
    spec = {"timeout": 9, "code": {"inline": inline}}
    read = from_resource({"kind": "Function", "metadata": {"name": "a"}, "spec": spec})
    assert isinstance(read, Function) and read.spec.timeout == 9
    assert read.spec.code == Code(inline={NOT_TEXT: words})


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        (
            {"kind": "Pod"},
            "Pod is no kind of Lambent's: Function, FunctionVersion, FunctionAlias, LayerVersion, RuntimePool are",
        ),
        (
            {"kind": "Function", "metadata": {"name": "a", "namespace": "team"}, "spec": {"timeout": "soon"}},
            r"Function team/a: Expected `int`, got `str` - at `\$.spec.timeout`",
        ),
        ({"kind": "Function", "metadata": {"name": "a"}, "spec": {"description": True}}, r"at `\$.spec.description`"),
        ({"kind": "Function", "metadata": {"name": "a"}}, "missing required field `spec`"),
    ],
)
def test_what_cannot_be_read(resource: dict[str, Any], message: str) -> None:
    with pytest.raises(UnreadableResource, match=message):
        from_resource(resource)
