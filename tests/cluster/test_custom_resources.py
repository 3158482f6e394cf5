"""
The custom resource definitions in a real API server: what it takes, what it refuses and in which words, what it adds and shows.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from lambent_core import layers, manifest
from lambent_core.function import DEFAULT_ROLE, EventInvokeConfig, Function, FunctionUrl
from lambent_core.package import Package
from lambent_core.resources import from_resource, to_resource
from lambent_core.versions import alias_of, altered, published

ROOT = Path(__file__).parents[2]
CRDS = ROOT / "charts" / "lambent" / "crds"
SHA256 = "ab" * 32
CODE = {"inline": "def handler(event, context):\n    return event\n"}
WEIGHTS = {"additionalVersionWeights": {"2": 0.25}}


class Kubectl:
    """In a namespace of this module's own."""

    def __init__(self, program: str, kubeconfig: str) -> None:
        self._command = [program, "--kubeconfig", kubeconfig]
        self.namespace = f"crds-test-{uuid.uuid4().hex[:8]}"

    def __call__(self, *arguments: str, stdin: object = None) -> str:
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *arguments: str, stdin: object = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._command, "--namespace", self.namespace, *arguments],
            input=None if stdin is None else json.dumps(stdin),
            capture_output=True,
            text=True,
            check=False,
        )

    def refused(self, document: object) -> str:
        done = self.run("apply", "--dry-run=server", "-f", "-", stdin=document)
        assert done.returncode != 0, f"was taken: {done.stdout}"
        return done.stderr

    def stored(self, document: dict[str, Any]) -> dict[str, Any]:
        """What the API server keeps."""
        self("apply", "-f", "-", stdin=document)
        return self.get(document["kind"], document["metadata"]["name"])

    def get(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("get", kind, name, "-o", "json"))
        return found


@pytest.fixture(scope="module")
def kubectl() -> Iterator[Kubectl]:
    made = ROOT / ".cluster" / "kubeconfig"
    kubeconfig = os.environ.get("KUBECONFIG") or (str(made) if made.exists() else None)
    built = sorted((ROOT / ".cache" / "kubernetes").glob("*/bin/kubectl"))
    program = shutil.which("kubectl") or (str(built[-1]) if built else None)
    if kubeconfig is None or program is None:
        pytest.skip("no cluster: KUBECONFIG is not set and `make cluster` was not run; or no kubectl")
    kubectl = Kubectl(program, kubeconfig)
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
    kubectl("create", "namespace", kubectl.namespace)
    yield kubectl
    kubectl("delete", "namespace", kubectl.namespace, "--wait=false")


def function(name: str = "hello", /, *, without: str = "", **spec: Any) -> dict[str, Any]:
    given = {"runtime": "python3.11", "handler": "app.handler", "code": CODE} | spec
    given.pop(without, None)
    return {"apiVersion": "lambent.dev/v1", "kind": "Function", "metadata": {"name": name}, "spec": given}


def version(name: str = "hello.1", /, **spec: Any) -> dict[str, Any]:
    was = {"runtime": "python3.11", "handler": "app.handler", "code": {"sha256": SHA256, "size": 9}}
    given = {"functionName": "hello", "version": 1, "function": was} | spec
    return {"apiVersion": "lambent.dev/v1", "kind": "FunctionVersion", "metadata": {"name": name}, "spec": given}


def alias(name: str = "hello.live", /, **spec: Any) -> dict[str, Any]:
    given = {"functionName": "hello", "name": "live", "functionVersion": "1"} | spec
    return {"apiVersion": "lambent.dev/v1", "kind": "FunctionAlias", "metadata": {"name": name}, "spec": given}


def layer(name: str = "deps.1", /, **spec: Any) -> dict[str, Any]:
    given = {"layerName": "deps", "version": 1, "code": {"inline": {"python/shared.py": "A = 1\n"}}} | spec
    return {"apiVersion": "lambent.dev/v1", "kind": "LayerVersion", "metadata": {"name": name}, "spec": given}


def pool(name: str = "python3.11", /, **spec: Any) -> dict[str, Any]:
    given = {"runtimes": ["python3.11"], "image": "example.org/python:1", "command": ["/bin/true"]} | spec
    return {"apiVersion": "lambent.dev/v1", "kind": "RuntimePool", "metadata": {"name": name}, "spec": given}


EXAMPLES = [
    pytest.param(document, id=f"{file.parent.name}/{file.name} {index}")
    for file in sorted([*ROOT.glob("examples/**/*.yaml"), *ROOT.glob("cli/lambent_cli/blueprints/*/function.yaml")])
    for index, document in enumerate(
        yaml.safe_load_all(
            file.read_text()
            .replace("{{resource}}", "made")
            .replace("{{name}}", "Made")
            .replace("{{runtime}}", "python3.11")
        ),
        1,
    )
]


def image(uri: str, **code: Any) -> dict[str, Any]:
    """A function that is a container image."""
    made = function("pictured", code={"imageUri": uri} | code, packageType="Image")
    del made["spec"]["runtime"], made["spec"]["handler"]
    return made


@pytest.mark.parametrize("document", EXAMPLES)
def test_examples_are_taken_once_their_code_is_uploaded(kubectl: Kubectl, document: dict[str, Any]) -> None:
    if "path" in document["spec"]["code"]:
        assert "only the lambent command reads folders" in kubectl.refused(document)
        document["spec"]["code"] = {"sha256": SHA256}
    stored = kubectl.stored(document)
    assert from_resource(stored).spec == manifest.parse_any(document, source="example").spec  # type: ignore[union-attr]
    kubectl("delete", document["kind"], document["metadata"]["name"])


@pytest.mark.parametrize(
    ("document", "told"),
    [
        pytest.param(function(without="code"), "spec.code: Required value", id="no code"),
        pytest.param(function(code={}), "spec.code.inline: Required value", id="empty code"),
        pytest.param(
            function(code=CODE | {"sha256": SHA256}),
            '"spec.code" must validate one and only one schema',
            id="code twice",
        ),
        pytest.param(
            function(code={"path": "."}),
            "spec.code.path: .*only the lambent command reads folders: use `lambent apply",
            id="a path",
        ),
        pytest.param(function(code={"sha256": "AB"}), r"spec.code.sha256: .*'\^\[0-9a-f\]\{64\}\$'", id="no digest"),
        pytest.param(function(without="runtime"), "spec.runtime: .*Runtime and Handler are mandatory", id="no runtime"),
        pytest.param(function(without="handler"), "spec.handler: .*Runtime and Handler are mandatory", id="no handler"),
        pytest.param(
            function(runtime="python2.7"), 'spec.runtime: Unsupported value: "python2.7"', id="a former runtime"
        ),
        pytest.param(
            function(handler="a" * 129), "spec.handler: Too long: may not be more than 128", id="a long handler"
        ),
        pytest.param(
            function(description="a" * 257), "spec.description: Too long: may not be more than 256", id="a long text"
        ),
        pytest.param(function(timeout=901), "spec.timeout: .* less than or equal to 900", id="too much time"),
        pytest.param(function(timeout=0), "spec.timeout: .* greater than or equal to 1", id="no time"),
        pytest.param(
            function(timeout="3"), 'spec.timeout: .* must be of type integer: "string"', id="text for a number"
        ),
        pytest.param(
            function(memorySize=127), "spec.memorySize: .* greater than or equal to 128", id="too little memory"
        ),
        pytest.param(
            function(memorySize=10_241), "spec.memorySize: .* less than or equal to 10240", id="too much memory"
        ),
        pytest.param(
            function(ephemeralStorage={"size": 511}),
            "spec.ephemeralStorage.size: .* greater than or equal to 512",
            id="too little disk",
        ),
        pytest.param(
            function(packageType="Image"),
            "Please provide ImageUri when creating a function",
            id="an image without a name",
        ),
        pytest.param(
            function(packageType="Image", code={"imageUri": "fn:1"}),
            "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image",
            id="an image with a handler",
        ),
        pytest.param(
            function(code={"imageUri": "fn:1"}),
            "Please don't provide ImageUri when the intended function PackageType is Zip",
            id="an image as a package",
        ),
        pytest.param(image("Fn:1"), "spec.code.imageUri: Invalid value", id="no image's name"),
        pytest.param(
            image("fn:1", image={"digest": f"sha256:{SHA256}"}),
            "the platform finds it out: give imageUri alone",
            id="what was found of an image",
        ),
        pytest.param(
            function(imageConfig={"command": ["a"]}),
            "Please don't provide ImageConfig when the intended function PackageType is Zip",
            id="an image's settings",
        ),
        pytest.param(
            function(fileSystemConfigs=[{"arn": "a", "localMountPath": "/mnt/a"}]),
            "spec.fileSystemConfigs is not implemented yet",
            id="a file system",
        ),
        pytest.param(
            function(vpcConfig={"subnetIds": ["subnet-1"]}),
            "spec.vpcConfig.subnetIds is not implemented yet",
            id="a subnet",
        ),
        pytest.param(
            function(vpcConfig={"securityGroupIds": ["sg-1"]}),
            "The security group 'sg-1' does not exist",
            id="a security group",
        ),
        pytest.param(function(layers=["arn:x"]), r"spec.layers\[0\]: .*should match", id="no layer version"),
        pytest.param(
            function(layers=[f"a{number}:1" for number in range(6)]),
            "spec.layers: Too many: 6: must have at most 5 items",
            id="six layers",
        ),
        pytest.param(
            function(architectures=["riscv"]), r"spec.architectures\[0\]: .*x86_64\|arm64", id="an architecture"
        ),
        pytest.param(
            function(tags={str(number): "" for number in range(51)}),
            "spec.tags: Too many: 51: must have at most 50",
            id="51 tags",
        ),
        pytest.param(function(tags={"a" * 129: ""}), "spec.tags: .*each key has 1 to 128 characters", id="a long tag"),
        pytest.param(
            function(tags={"a": "b" * 257}), "spec.tags.a: Too long: may not be more than 256", id="a long tag's value"
        ),
        pytest.param(
            function(environment={"variables": {"AWS_REGION": "x", "MINE": "y"}}),
            "spec.environment.variables: .*reserved keys .* used in this request: AWS_REGION",
            id="a reserved variable",
        ),
        pytest.param(
            function(environment={"variables": {"_MINE": "x"}}),
            "spec.environment.variables: .*each key is a letter, then letters, digits and _",
            id="a variable's name",
        ),
        pytest.param(
            function(environment={"variables": {"ONE": "x" * 2_040, "TWO": "y" * 2_040}}),
            "spec.environment.variables: .*exceeded the 4KB limit",
            id="too many variables",
        ),
        pytest.param(
            function(environment={"variables": {"ONE": "ä" * 2_040, "TWO": "x"}}),
            "spec.environment.variables: .*exceeded the 4KB limit",
            id="bytes, not characters",
        ),
        pytest.param(
            function(loggingConfig={"applicationLogLevel": "INFO"}),
            'spec.loggingConfig.applicationLogLevel: .*LogLevel is not supported when LogFormat is set to "Text"',
            id="a level without JSON",
        ),
        pytest.param(
            function(loggingConfig={"logFormat": "Text", "systemLogLevel": "INFO"}),
            'spec.loggingConfig.systemLogLevel: .*LogLevel is not supported when LogFormat is set to "Text"',
            id="a system level without JSON",
        ),
        pytest.param(
            function(runtime="ruby3.4", snapStart={"applyOn": "PublishedVersions"}),
            "spec.snapStart: .*ruby3.4 is not supported for SnapStart enabled functions",
            id="no snapshots of Ruby",
        ),
        pytest.param(
            function(reservedConcurrentExecutions=-1),
            "spec.reservedConcurrentExecutions: .* greater than or equal to 0",
            id="less than none",
        ),
        pytest.param(function(replicas=1_001), "spec.replicas: .* less than or equal to 1000", id="too many replicas"),
        pytest.param(function(role="me"), "spec.role: .* should match", id="no role"),
        pytest.param(
            function(deadLetterConfig={"targetArn": "foo"}),
            "spec.deadLetterConfig.targetArn: .* should match",
            id="no ARN",
        ),
        pytest.param(
            function(eventInvokeConfig={"maximumRetryAttempts": 3}),
            "spec.eventInvokeConfig.maximumRetryAttempts: .* less than or equal to 2",
            id="three retries",
        ),
        pytest.param(
            function(eventInvokeConfig={"maximumEventAgeInSeconds": 59}),
            "spec.eventInvokeConfig.maximumEventAgeInSeconds: .* greater than or equal to 60",
            id="too young",
        ),
        pytest.param(function(url={"authType": "SOME"}), 'spec.url.authType: Unsupported value: "SOME"', id="a choice"),
        pytest.param(
            function(url={"cors": {"maxAge": 86_401}}),
            "spec.url.cors.maxAge: .* less than or equal to 86400",
            id="too long in a cache",
        ),
        pytest.param(
            function(pod={"envFrom": [{"secretRef": {"name": "a"}, "configMapRef": {"name": "b"}}]}),
            r"spec.pod.envFrom\[0\]: .*exactly one of secretRef and configMapRef",
            id="two sources",
        ),
        pytest.param(
            function(pod={"envFrom": [{"prefix": "A"}]}), "exactly one of secretRef and configMapRef", id="no source"
        ),
        pytest.param(
            function(pod={"serviceAccountName": "Not Valid"}),
            "spec.pod.serviceAccountName: .*should match",
            id="no service account's name",
        ),
        pytest.param(
            function(pod={"runtimeClassName": "A B"}),
            "spec.pod.runtimeClassName: .*should match",
            id="no runtime class' name",
        ),
        pytest.param(
            function(pod={"envFrom": [{"secretRef": {"name": "A B"}}]}),
            r"spec.pod.envFrom\[0\].secretRef.name: .*should match",
            id="no Secret's name",
        ),
        pytest.param(
            function(pod={"envFrom": [{"configMapRef": {"name": "A B"}}]}),
            r"spec.pod.envFrom\[0\].configMapRef.name: .*should match",
            id="no ConfigMap's name",
        ),
        pytest.param(
            function(pod={"imagePullSecrets": ["A B"]}),
            r"spec.pod.imagePullSecrets\[0\]: .*should match",
            id="no pull secret's name",
        ),
        pytest.param(
            function(functionName="my function"),
            r"spec.functionName: .*\[a-zA-Z0-9-_\]\{1,64\}",
            id="a name with a space",
        ),
        pytest.param(
            function("a.b"),
            "metadata.name: a.b is not a DNS label .*write that as spec.functionName",
            id="a dot in the name",
        ),
        pytest.param(function("a" * 64), "metadata.name: Too long: may not be more than 63", id="a long name"),
        pytest.param(function(memroySize=1), 'unknown field "spec.memroySize"', id="a slip"),
        pytest.param(version("hello.2"), "metadata.name: hello.2 is not FUNCTION.VERSION", id="another version's name"),
        pytest.param(version("hello"), "metadata.name: hello is not FUNCTION.VERSION", id="no version in the name"),
        pytest.param(version(version=0), "spec.version: .* greater than or equal to 1", id="version 0"),
        pytest.param(
            version(function={"runtime": "python3.11", "handler": "a.b", "code": CODE}),
            "the code of a version is a package in the platform's store",
            id="a version's code inline",
        ),
        pytest.param(
            alias("hello.other"), "metadata.name: hello.other is not FUNCTION.ALIAS", id="another alias' name"
        ),
        pytest.param(alias("live"), "metadata.name: live is not FUNCTION.ALIAS", id="no function in the name"),
        pytest.param(alias("hello.7", name="7"), "spec.name: ", id="a number for an alias"),
        pytest.param(alias(functionVersion="live"), "spec.functionVersion: ", id="an alias of an alias"),
        pytest.param(alias(functionVersion="0"), "spec.functionVersion: .*should match", id="an alias of version 0"),
        pytest.param(alias(functionVersion="02"), "spec.functionVersion: .*should match", id="a number with a zero"),
        pytest.param(
            alias(routingConfig={"additionalVersionWeights": {"2": 0.1, "3": 0.1}}),
            "additionalVersionWeights: Too many: 2: must have at most 1 item",
            id="three versions",
        ),
        pytest.param(
            alias(routingConfig={"additionalVersionWeights": {"2": 1.1}}),
            "additionalVersionWeights.2: .* less than or equal to 1",
            id="more than all",
        ),
        pytest.param(
            alias(routingConfig={"additionalVersionWeights": {"live": 0.5}}),
            "each key is the number of a version",
            id="a weight for an alias",
        ),
        pytest.param(
            alias(functionVersion="2", routingConfig=WEIGHTS),
            "Function version 2 is already included in routing configuration",
            id="one version twice",
        ),
        pytest.param(
            alias(functionVersion="$LATEST", routingConfig=WEIGHTS),
            r"\$LATEST is not supported for an alias pointing to more than 1 version",
            id="a share of $LATEST",
        ),
        pytest.param(layer("deps.2"), "metadata.name: deps.2 is not NAME.VERSION", id="another layer version's name"),
        pytest.param(layer("other.1"), "metadata.name: other.1 is not NAME.VERSION", id="another layer's name"),
        pytest.param(layer(code={}), "spec.code.inline: Required value", id="a layer without code"),
        pytest.param(
            layer(code={"path": "."}), "spec.code.path: .*only the lambent command reads folders", id="a layer's path"
        ),
        pytest.param(layer("deps.0", version=0), "spec.version: .* greater than or equal to 1", id="layer version 0"),
        pytest.param(
            layer(compatibleArchitectures=["riscv"]),
            r"spec.compatibleArchitectures\[0\]: .*x86_64\|arm64",
            id="a layer's architecture",
        ),
        pytest.param(pool(runtimes=[]), "spec.runtimes: .* should have at least 1 items", id="no runtime offered"),
        pytest.param(pool(image="A B"), "spec.image: .*should match", id="no image of a pool"),
        pytest.param(
            pool(imagePullSecrets=["A B"]),
            r"spec.imagePullSecrets\[0\]: .*should match",
            id="no name of a pool's pull secret",
        ),
        pytest.param(
            pool(runtimeClassName="A B"), "spec.runtimeClassName: .*should match", id="no runtime class of a pool"
        ),
        pytest.param(pool(size=-1), "spec.size: .* greater than or equal to 0", id="a negative pool"),
        pytest.param(pool(resources={"requests": {"cpu": "much"}}), "spec.resources.requests.cpu: ", id="no quantity"),
        pytest.param(pool(protocol="http"), 'spec.protocol: Unsupported value: "http"', id="a protocol"),
    ],
)
def test_what_lambda_refuses_is_refused(kubectl: Kubectl, document: dict[str, Any], told: str) -> None:
    message = kubectl.refused(document)
    assert re.search(told, message), message


def test_an_image_is_taken_and_never_becomes_a_package(kubectl: Kubectl) -> None:
    wanted = image(f"registry.example.com:5000/team/fn:1@sha256:{SHA256}")
    wanted["spec"]["imageConfig"] = {"entryPoint": ["/own"], "command": ["a"], "workingDirectory": "/app"}
    wanted["spec"]["pod"] = {"imagePullSecrets": ["registry"]}
    spec = kubectl.stored(wanted)["spec"]
    assert {name: spec[name] for name in wanted["spec"]} == wanted["spec"]
    kubectl("apply", "-f", "-", stdin=image("fn:1"))
    package = function() | {"metadata": image("fn:1")["metadata"]}
    assert "spec.packageType never changes" in kubectl.refused(package)


def test_defaults_are_written_down(kubectl: Kubectl) -> None:
    spec = kubectl.stored(function("defaults", url={}))["spec"]
    assert spec == {
        "runtime": "python3.11",
        "handler": "app.handler",
        "code": CODE,
        "role": DEFAULT_ROLE,
        "packageType": "Zip",
        "timeout": 3,
        "environmentsPerPod": 1,
        "memorySize": 128,
        "ephemeralStorage": {"size": 512},
        "tracingConfig": {"mode": "PassThrough"},
        "loggingConfig": {"logFormat": "Text"},
        "snapStart": {"applyOn": "None"},
        "url": {"authType": "NONE", "invokeMode": "BUFFERED"},
        "eventInvokeConfig": {"maximumRetryAttempts": 2, "maximumEventAgeInSeconds": 21_600},
        "recursiveLoop": "Terminate",
        "updateRuntimeOn": "Auto",
        "replicas": 0,
    }
    pools = kubectl.stored(pool("defaults"))["spec"]
    assert (pools["size"], pools["protocol"], pools["prestart"], pools["imagePullPolicy"]) == (
        4,
        "frames",
        True,
        "IfNotPresent",
    )


def test_empty_members_are_as_good_as_none(kubectl: Kubectl) -> None:
    empty = dict.fromkeys(("memorySize", "url", "tags", "environment", "loggingConfig", "pod"))
    assert from_resource(kubectl.stored(function("empty", **empty))).spec == from_resource(function("empty")).spec


def test_the_edge_of_each_limit_is_taken(kubectl: Kubectl) -> None:
    names = {f"V{number:03}": "" for number in range(409)}  # 10 bytes each in JSON, and the braces less a comma
    document = function(
        "edges",
        functionName="A_" * 32,
        handler="a" * 128,
        description="ä" * 256,
        timeout=900,
        memorySize=10_240,
        ephemeralStorage={"size": 10_240},
        environment={"variables": names},
        tags={f"{number:0128}": "b" * 256 for number in range(50)},
        architectures=["arm64"],
        loggingConfig={"logFormat": "JSON", "applicationLogLevel": "TRACE", "systemLogLevel": "WARN"},
        snapStart={"applyOn": "PublishedVersions"},
        runtime="python3.12",
        replicas=1_000,
        pod={
            "envFrom": [{"secretRef": {"name": "a", "optional": True}}, {"configMapRef": {"name": "b"}, "prefix": "P"}]
        },
    )
    stored = from_resource(kubectl.stored(document))
    assert isinstance(stored, Function)
    assert stored.spec == manifest.parse(document, source="edges").spec


def test_a_function_keeps_its_name(kubectl: Kubectl) -> None:
    kubectl.stored(function("kept"))
    kubectl.stored(function("kept", functionName="kept"))  # the same name, said
    message = kubectl.refused(function("kept", functionName="another"))
    assert re.search("spec.functionName: .*spec.functionName never changes", message), message


def test_code_of_another_kind_takes_the_place_of_the_old(kubectl: Kubectl) -> None:
    """Somebody updates by Lambda's API what another keeps in a manifest: server-side apply tells of it, and can take it back."""
    apply = ("apply", "--server-side", "-f", "-")
    kubectl(*apply, stdin=function("taken"))
    updated = {"spec": {"code": {"inline": None, "sha256": SHA256}}}
    kubectl("patch", "fn", "taken", "--type=merge", "--field-manager=lambent-api", "-p", json.dumps(updated))
    refused = kubectl.run(*apply, stdin=function("taken"))
    assert 'conflict with "lambent-api"' in refused.stderr and ".spec.code" in refused.stderr
    kubectl(*apply, "--force-conflicts", stdin=function("taken"))
    assert kubectl.get("fn", "taken")["spec"]["code"] == CODE


def test_a_version_never_changes(kubectl: Kubectl) -> None:
    kubectl.stored(version("hello.1"))
    was = version()["spec"]["function"]
    for changed in (
        was | {"timeout": 4},
        was | {"handler": "app.other"},
        was | {"environment": {"variables": {"MORE": "x"}}},
        was | {"code": {"sha256": "cd" * 32}},
        was | {"loggingConfig": {"logFormat": "JSON"}},
        was | {"pod": {"envFrom": [{"secretRef": {"name": "a"}}]}},
        was | {"tags": {"a": "b"}},
    ):
        assert "spec.function of a version never changes" in kubectl.refused(version("hello.1", function=changed))
    assert "spec.functionName never changes" in kubectl.refused(version("hello.1", functionName="other"))
    assert "spec.description never changes" in kubectl.refused(version("hello.1", description="more"))
    retried = kubectl.stored(version("hello.1", eventInvokeConfig={"maximumRetryAttempts": 0}))
    assert from_resource(retried).event_invoke_config == EventInvokeConfig(maximum_retry_attempts=0)


def test_the_layers_of_a_version_never_change(kubectl: Kubectl) -> None:
    used = {"layer": "deps:1", "sha256": SHA256, "size": 1, "unzippedSize": 2}
    kubectl.stored(version("layered.1", functionName="layered", layers=[used]))
    for others in ([], [used | {"sha256": "cd" * 32}]):
        changed = version("layered.1", functionName="layered", layers=others)
        assert "spec.layers never changes" in kubectl.refused(changed)


def test_a_layer_version_never_changes(kubectl: Kubectl) -> None:
    kubectl.stored(layer("deps.1", compatibleRuntimes=["python3.11"]))
    for member, value in {
        "description": "more",
        "compatibleRuntimes": ["python3.12"],
        "compatibleArchitectures": ["arm64"],
        "licenseInfo": "MIT",
    }.items():
        message = kubectl.refused(layer("deps.1", **{"compatibleRuntimes": ["python3.11"], member: value}))
        assert f"spec.{member} never changes: publish another version of the layer" in message
    for code in ({"inline": {"python/shared.py": "A = 2\n"}}, {"sha256": SHA256}):
        message = kubectl.refused(layer("deps.1", compatibleRuntimes=["python3.11"], code=code))
        assert "spec.code never changes: publish another version of the layer" in message
    kubectl.stored(layer("my-layer-0123abcd.1", layerName="My_Layer"))


def test_scale(kubectl: Kubectl) -> None:
    kubectl.stored(function("scaled"))
    kubectl("scale", "function", "scaled", "--replicas=3")
    assert kubectl.get("fn", "scaled")["spec"]["replicas"] == 3
    status = {"replicas": 2, "selector": "lambent.dev/function=scaled"}
    kubectl("patch", "fn", "scaled", "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
    scale = json.loads(kubectl("get", "function", "scaled", "--subresource=scale", "-o", "json"))
    assert (scale["spec"], scale["status"]) == ({"replicas": 3}, status)


def test_columns(kubectl: Kubectl) -> None:
    kubectl.stored(function("shown", memorySize=256))
    status = {
        "state": "Active",
        "reservedConcurrentExecutions": 7,
        "revisionId": "2f5b",
        "environments": {"ready": 4, "busy": 1, "updated": 3},
        "url": "http://shown.example.org/",
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "Invocable", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        ],
    }
    kubectl("patch", "fn", "shown", "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
    head, row = (line.split() for line in kubectl("get", "fn", "shown", "-o", "wide").splitlines())
    assert (
        dict(zip(head, row, strict=True)).items()
        >= {
            "NAME": "shown",
            "RUNTIME": "python3.11",
            "MEMORY": "256",
            "STATE": "Active",
            "READY": "4",
            "UPDATED": "3",
            "BUSY": "1",
            "CONCURRENCY": "7",
            "URL": "http://shown.example.org/",
            "HANDLER": "app.handler",
            "TIMEOUT": "3",
            "REASON": "Invocable",
            "REVISION": "2f5b",
        }.items()
    )
    kubectl.stored(alias("shown.live", functionName="shown", routingConfig=WEIGHTS))
    assert 'shown      live    1         {"2":0.25}' in kubectl(
        "get", "fna", "--field-selector", "spec.functionName=shown"
    )
    assert "shown.live" not in kubectl("get", "fna", "--field-selector", "spec.functionName=hello")
    assert "function.lambent.dev/shown" in kubectl("get", "lambent")
    kubectl.stored(layer("columns.3", layerName="columns", version=3, compatibleRuntimes=["python3.11"]))
    told = {"state": "Active", "code": {"sha256": SHA256, "size": 123, "unzippedSize": 456}}
    kubectl("patch", "lv", "columns.3", "--subresource=status", "--type=merge", "-p", json.dumps({"status": told}))
    shown = kubectl("get", "lv", "--field-selector", "spec.layerName=columns").splitlines()[1].split()
    assert shown[:6] == ["columns.3", "columns", "3", "Active", "123", '["python3.11"]']


@pytest.mark.parametrize(
    ("member", "words"),
    [
        ("function.spec.memorySize", "Megabytes of memory; the share of a CPU follows it. 128 to 10,240. Default 128."),
        ("fn.spec.timeout", "Seconds that an invocation may take. 1 to 900. Default 3."),
        ("fn.spec.environment.variables", "together at most 4,096 bytes"),
        ("fna.spec.routingConfig.additionalVersionWeights", "At most one entry"),
        ("rp.spec.size", "Pods that wait without code"),
    ],
)
def test_explain(kubectl: Kubectl, member: str, words: str) -> None:
    assert words in " ".join(kubectl("explain", member).split())


def test_documents_are_taken_and_come_back(kubectl: Kubectl) -> None:
    """What the platform makes itself, as `to_resource` writes it: also the parts that a function brings about."""
    made = from_resource(kubectl.stored(function("whole", functionName="Whole_1", code={"sha256": SHA256, "size": 9})))
    assert isinstance(made, Function)
    first = published(made, None, description="first", revision_id="r1", now=1_700_000_000.0)
    live = altered(alias_of(made, "live", "1", now=1_700_000_000.0), {}, revision_id="r2")
    live = msgspec.structs.replace(live, url=FunctionUrl(invoke_mode="RESPONSE_STREAM"))
    package = Package(SHA256, 9, 90)
    deps = layers.version_of("Deps", 1, {"CompatibleRuntimes": []}, package, uid="", now=1_700_000_000.0)
    here = msgspec.structs.replace(deps.metadata, namespace=made.metadata.namespace)
    deps = msgspec.structs.replace(deps, metadata=here)
    assert from_resource(kubectl.stored(to_resource(deps))).spec == deps.spec  # type: ignore[union-attr]
    for document in (first, live):
        stored = from_resource(kubectl.stored(to_resource(document)))
        assert stored == msgspec.structs.replace(document, metadata=stored.metadata, **_unwritten(document))
        assert stored.function_uid == made.metadata.uid  # type: ignore[union-attr]
        assert stored.metadata.name == document.metadata.name


def _unwritten(document: Any) -> dict[str, Any]:
    """`status` is not written with the rest."""
    plain = to_resource(document)
    del plain["status"]
    read = from_resource(plain)
    return {name: getattr(read, name) for name in ("status", "revision_id") if hasattr(read, name)}
