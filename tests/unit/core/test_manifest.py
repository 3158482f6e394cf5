"""What a manifest may say, and what is said about one that can't be applied."""

from __future__ import annotations

import copy
from datetime import date
from typing import Any

import msgspec
import pytest

from lambent_core import limits
from lambent_core.bounds import BOUNDS
from lambent_core.function import DEFAULT_ROLE, Code, Environment, Function, FunctionSpec, FunctionStatus, Metadata
from lambent_core.manifest import ManifestError, Problem, export, export_layer_version, parse, parse_layer_version
from lambent_core.schema import manifest_schema

OBJECT_NAME = BOUNDS["ObjectReference", "name"].wanted


def document(**spec: Any) -> dict[str, Any]:
    whole = {"runtime": "python3.11", "handler": "app.handler", "code": {"path": "."}} | spec
    return {"apiVersion": "lambent.dev/v1", "kind": "Function", "metadata": {"name": "hello"}, "spec": whole}


def problems(content: object) -> list[Problem]:
    with pytest.raises(ManifestError) as caught:
        parse(content, source="f.yaml")
    return caught.value.problems


def test_a_small_manifest_is_a_function_with_defaults() -> None:
    assert parse(document(), source="f.yaml") == Function(
        metadata=Metadata(name="hello"),
        spec=FunctionSpec(runtime="python3.11", handler="app.handler", code=Code(path=".")),
    )


def test_members_that_are_empty_are_as_if_absent() -> None:
    assert parse(document(layers=None, environment=None, description=None), source="f") == parse(document(), source="f")


def test_status_is_dropped_and_an_unknown_status_member_too() -> None:
    content = document() | {"status": {"state": "Active", "conditions": []}}
    assert parse(content, source="f").status == FunctionStatus()


def test_every_problem_is_told_at_once_with_document_field_and_value() -> None:
    with pytest.raises(ManifestError) as caught:
        parse(
            document(timeout="30", memorysize=256, environment={"variables": {"PORT": 8080}}),
            source="f.yaml, document 2",
        )
    assert str(caught.value).splitlines() == [
        'f.yaml, document 2: spec.timeout: "30" is text, a whole number is wanted: write it without quotes, 30',
        "f.yaml, document 2: spec.memorysize: there is no such member; did you mean memorySize?",
        "f.yaml, document 2: spec.environment.variables.PORT: 8080 is a number, text is wanted: "
        'write it in quotes, "8080"',
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param([1], Problem("", "a mapping is wanted (apiVersion, kind, …), not a list"), id="a list"),
        pytest.param("text", Problem("", "a mapping is wanted (apiVersion, kind, …), not text"), id="text"),
        pytest.param(None, Problem("", "a mapping is wanted (apiVersion, kind, …), not nothing"), id="nothing"),
        pytest.param(1.5, Problem("", "a mapping is wanted (apiVersion, kind, …), not a number"), id="a number"),
        pytest.param(
            document() | {"kind": "Deployment"},
            Problem("kind", '"Function" is wanted, not "Deployment"'),
            id="another kind",
        ),
        pytest.param(
            document() | {"apiVersion": None},
            Problem("apiVersion", '"lambent.dev/v1" is wanted, not nothing'),
            id="no apiVersion",
        ),
        pytest.param(document() | {"metadata": {}}, Problem("metadata.name", "is missing"), id="no name"),
        pytest.param(
            {"apiVersion": "lambent.dev/v1", "kind": "Function", "metadata": {"name": "a"}},
            Problem("spec", "is missing"),
            id="no spec",
        ),
        pytest.param(
            document() | {"metadata": {"name": None}}, Problem("metadata.name", "is missing"), id="an empty name"
        ),
        pytest.param(
            document() | {"sepc": {}},
            Problem("sepc", "there is no such member; did you mean spec?"),
            id="a slip at the top",
        ),
        pytest.param(
            document(zzzzzz=1), Problem("spec.zzzzzz", "there is no such member"), id="a member like no other"
        ),
        pytest.param(
            document(MemorySize=256),
            Problem("spec.MemorySize", "there is no such member; did you mean memorySize?"),
            id="a member as the API writes it",
        ),
    ],
)
def test_wrong_documents(content: object, problem: Problem) -> None:
    assert problems(content) == [problem]


@pytest.mark.parametrize(
    ("spec", "path", "message"),
    [
        pytest.param(
            {"timeout": True}, "spec.timeout", "a whole number is wanted, not true", id="a boolean for a number"
        ),
        pytest.param({"timeout": 1.5}, "spec.timeout", "a whole number is wanted, not 1.5", id="a fraction"),
        pytest.param(
            {"timeout": "soon"}, "spec.timeout", 'a whole number is wanted, not "soon"', id="a word for a number"
        ),
        pytest.param({"layers": "x"}, "spec.layers", 'a list is wanted, not "x"', id="text for a list"),
        pytest.param({"tags": ["a"]}, "spec.tags", 'a mapping is wanted, not ["a"]', id="a list for a mapping"),
        pytest.param(
            {"environment": []}, "spec.environment", "a mapping is wanted, not []", id="a list for a structure"
        ),
        pytest.param({"description": ["a"]}, "spec.description", 'text is wanted, not ["a"]', id="a list for text"),
        pytest.param(
            {"description": date(2026, 1, 2)},
            "spec.description",
            'text is wanted, not "2026-01-02"',
            id="a date for text",
        ),
        pytest.param(
            {"tags": {"on": True}},
            "spec.tags.on",
            'true is a boolean, text is wanted: write it in quotes, "true"',
            id="yes without quotes",
        ),
        pytest.param(
            {"tags": {"a": None}},
            "spec.tags.a",
            'is empty, text is wanted: write "" for empty text',
            id="an empty value",
        ),
        pytest.param(
            {"tags": {1: "a"}},
            "spec.tags.1",
            '1 is a number, text is wanted: write it in quotes, "1"',
            id="a number as a key",
        ),
        pytest.param(
            {"architectures": ["x86_64", 1]},
            "spec.architectures[1]",
            '1 is a number, text is wanted: write it in quotes, "1"',
            id="a number in a list",
        ),
        pytest.param(
            {"url": {"authType": "NONNE"}},
            "spec.url.authType",
            '"AWS_IAM" or "NONE" is wanted, not "NONNE"; did you mean NONE?',
            id="a choice misspelled",
        ),
        pytest.param(
            {"url": {"authType": 3}},
            "spec.url.authType",
            '3 is a number, text is wanted: write it in quotes, "3"',
            id="a number for a choice",
        ),
        pytest.param(
            {"url": {"cors": {"allowCredentials": "yes"}}},
            "spec.url.cors.allowCredentials",
            'true or false is wanted, not "yes"',
            id="text for a boolean",
        ),
        pytest.param(
            {"code": {"inline": {"app.py": 3}}},
            "spec.code.inline.app.py",
            '3 is a number, text is wanted: write it in quotes, "3"',
            id="one of several types, deep inside",
        ),
        pytest.param(
            {"code": {"inline": {"app.py": "", "../x.py": ""}}},
            "spec.code.inline",
            "../x.py is no path of a file in the package",
            id="a file outside the package",
        ),
        pytest.param(
            {"code": {"inline": "x"}, "handler": "../x.handler"},
            "spec.code.inline",
            "///x.py is no path of a file in the package",
            id="a handler outside the package",
        ),
        pytest.param(
            {"code": {"inline": {"a/b": "", "a": ""}}},
            "spec.code.inline",
            "a is a file and a folder at once",
            id="a file and a folder at once",
        ),
        pytest.param(
            {"code": {"inline": "x"}, "handler": None, "runtime": "provided.al2023"},
            "spec.handler",
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
            id="inline code without a handler",
        ),
        pytest.param({"timeout": 0}, "spec.timeout", "0 is outside 1 to 900 seconds", id="no time at all"),
        pytest.param({"timeout": 901}, "spec.timeout", "901 is outside 1 to 900 seconds", id="too much time"),
        pytest.param({"memorySize": 127}, "spec.memorySize", "127 is outside 128 to 10,240 MB", id="too little memory"),
        pytest.param(
            {"memorySize": 10_241}, "spec.memorySize", "10,241 is outside 128 to 10,240 MB", id="too much memory"
        ),
        pytest.param(
            {"ephemeralStorage": {"size": 511}},
            "spec.ephemeralStorage.size",
            "511 is outside 512 to 10,240 MB",
            id="too little storage",
        ),
        pytest.param(
            {"ephemeralStorage": {"size": 10_241}},
            "spec.ephemeralStorage.size",
            "10,241 is outside 512 to 10,240 MB",
            id="too much storage",
        ),
        pytest.param({"handler": "a" * 129}, "spec.handler", "129 characters are more than 128", id="a long handler"),
        pytest.param(
            {"description": "a" * 257}, "spec.description", "257 characters are more than 256", id="a long description"
        ),
        pytest.param(
            {"reservedConcurrentExecutions": -1},
            "spec.reservedConcurrentExecutions",
            "-1 is less than 0",
            id="less than no concurrency",
        ),
        pytest.param(
            {"eventInvokeConfig": {"maximumRetryAttempts": 3}},
            "spec.eventInvokeConfig.maximumRetryAttempts",
            "3 is outside 0 to 2",
            id="too many retries",
        ),
        pytest.param(
            {"eventInvokeConfig": {"maximumEventAgeInSeconds": 59}},
            "spec.eventInvokeConfig.maximumEventAgeInSeconds",
            "59 is outside 60 to 21,600 seconds",
            id="too young",
        ),
        pytest.param(
            {"eventInvokeConfig": {"maximumEventAgeInSeconds": 21_601}},
            "spec.eventInvokeConfig.maximumEventAgeInSeconds",
            "21,601 is outside 60 to 21,600 seconds",
            id="too old",
        ),
        pytest.param(
            {"functionName": "my function"},
            "spec.functionName",
            '"my function" is not 1 to 64 of a-z, A-Z, 0-9, - and _',
            id="a name with a space",
        ),
        pytest.param(
            {"code": {"sha256": "ABC"}},
            "spec.code.sha256",
            '"ABC" is not 64 hexadecimal digits in lower case',
            id="no digest",
        ),
        pytest.param(
            {"code": {"path": ".", "inline": "x"}},
            "spec.code",
            "only one of inline, path, sha256 and imageUri may be given, not inline and path",
            id="code twice",
        ),
        pytest.param(
            {"code": {}}, "spec.code", "is missing: give the code as inline, path or sha256", id="no code at all"
        ),
        pytest.param(
            {"code": {"imageUri": "registry.example.com/fn:1"}},
            "spec.code.imageUri",
            "Please don't provide ImageUri when the intended function PackageType is Zip.",
            id="an image as a package",
        ),
        pytest.param(
            {"packageType": "Image", "code": {"imageUri": "fn:1"}, "runtime": None},
            "spec.handler",
            "Please don't provide Handler or Runtime or Layer when the intended function PackageType is Image.",
            id="an image with a handler",
        ),
        pytest.param(
            {"packageType": "Image", "code": {"imageUri": "Fn:1"}, "runtime": None, "handler": None},
            "spec.code.imageUri",
            '"Fn:1" is not the name of an image, REGISTRY/REPOSITORY:TAG or …@sha256:DIGEST',
            id="no image's name",
        ),
        pytest.param(
            {"packageType": "Image", "code": {}, "runtime": None, "handler": None},
            "spec.code.imageUri",
            "Please provide ImageUri when creating a function with packageType Image.",
            id="no image at all",
        ),
        pytest.param(
            {
                "packageType": "Image",
                "code": {"imageUri": "fn:1", "image": {"digest": "sha256:" + "0" * 64}},
                "runtime": None,
                "handler": None,
            },
            "spec.code.image",
            "the platform finds it out: give imageUri alone",
            id="what was found of an image",
        ),
        pytest.param(
            {"pod": {"serviceAccountName": "Not Valid"}},
            "spec.pod.serviceAccountName",
            f'"Not Valid" is not {OBJECT_NAME}',
            id="no service account's name",
        ),
        pytest.param(
            {"pod": {"runtimeClassName": "A B"}},
            "spec.pod.runtimeClassName",
            f'"A B" is not {OBJECT_NAME}',
            id="no runtime class' name",
        ),
        pytest.param(
            {"pod": {"envFrom": [{"secretRef": {"name": "A B"}}]}},
            "spec.pod.envFrom[0].secretRef.name",
            f'"A B" is not {OBJECT_NAME}',
            id="no Secret's name",
        ),
        pytest.param(
            {"pod": {"envFrom": [{"configMapRef": {"name": "a..b"}}]}},
            "spec.pod.envFrom[0].configMapRef.name",
            f'"a..b" is not {OBJECT_NAME}',
            id="no ConfigMap's name",
        ),
        pytest.param(
            {"pod": {"imagePullSecrets": ["a", "A B"]}},
            "spec.pod.imagePullSecrets[1]",
            f'"A B" is not {OBJECT_NAME}',
            id="no pull secret's name",
        ),
        pytest.param(
            {"pod": {"serviceAccountName": "a" * 254}},
            "spec.pod.serviceAccountName",
            "254 characters are more than 253",
            id="a long name of a service account",
        ),
        pytest.param(
            {"fileSystemConfigs": [{"arn": "a", "localMountPath": "/mnt/a"}]},
            "spec.fileSystemConfigs",
            "is not implemented yet in Lambent",
            id="not there yet",
        ),
        pytest.param(
            {"handler": None},
            "spec.handler",
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
            id="no handler",
        ),
    ],
)
def test_wrong_members(spec: dict[str, Any], path: str, message: str) -> None:
    assert problems(document(**spec)) == [Problem(path, message)]


@pytest.mark.parametrize("name", ["Hello", "-a", "a-", "a_b", "a" * 64, ""])
def test_a_name_that_is_no_dns_label(name: str) -> None:
    found = problems(document() | {"metadata": {"name": name}})
    assert [problem.path for problem in found] == ["metadata.name"]
    assert "write that as spec.functionName" in found[0].message


@pytest.mark.parametrize("name", ["a", "a-b", "0a", "a" * 63])
def test_a_dns_label(name: str) -> None:
    assert parse(document() | {"metadata": {"name": name}}, source="f").name == name


def test_long_values_are_cut_in_messages() -> None:
    whole = "ä" * 58
    assert problems(document(layers=whole)) == [Problem("spec.layers", f'a list is wanted, not "{whole}"')]
    assert problems(document(layers="x" * 100)) == [Problem("spec.layers", f'a list is wanted, not "{"x" * 59}…')]


def test_limits_are_within() -> None:
    least = document(
        timeout=1,
        memorySize=limits.MEMORY_MB_MIN,
        ephemeralStorage={"size": limits.EPHEMERAL_STORAGE_MB_MIN},
        reservedConcurrentExecutions=0,
        eventInvokeConfig={"maximumRetryAttempts": 0, "maximumEventAgeInSeconds": limits.EVENT_AGE_SECONDS_MIN},
        functionName="a",
        code={"sha256": "0123456789abcdef" * 4},
    )
    most = document(
        timeout=limits.TIMEOUT_SECONDS_MAX,
        memorySize=limits.MEMORY_MB_MAX,
        ephemeralStorage={"size": limits.EPHEMERAL_STORAGE_MB_MAX},
        reservedConcurrentExecutions=900,
        eventInvokeConfig={"maximumRetryAttempts": 2, "maximumEventAgeInSeconds": limits.EVENT_AGE_SECONDS_MAX},
        functionName="A_" * 32,
        handler="a" * 128,
        description="a" * 256,
        code={"inline": "def handler(event, context): ..."},
    )
    assert parse(least, source="f").spec.timeout == 1
    assert parse(most, source="f").spec.timeout == limits.TIMEOUT_SECONDS_MAX


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"role": "me"}, 'spec.role: "me" is not the ARN of a role, as arn:aws:iam::000000000000:role/NAME'),
        ({"kmsKeyArn": "foo"}, 'spec.kmsKeyArn: "foo" is not an ARN'),
        ({"deadLetterConfig": {"targetArn": "foo"}}, 'spec.deadLetterConfig.targetArn: "foo" is not an ARN'),
    ],
)
def test_what_the_api_takes_for_no_arn_is_none_in_a_manifest(members: dict[str, Any], words: str) -> None:
    assert [str(problem) for problem in problems(document(**members))] == [words]
    arn = "arn:aws:iam::000000000000:role/a"
    parse(document(role=arn, kmsKeyArn=arn, deadLetterConfig={"targetArn": arn}), source="f")


def _bounds() -> list[tuple[str, str, Any, Any]]:
    """Of each bounded member of `spec` and one level below: where, how it is called, what is just within, just beyond."""
    schema = manifest_schema()
    found = []
    for name, member in schema["$defs"]["FunctionSpec"]["properties"].items():
        found += _edges("spec", name, member)
        if "$ref" in member:
            below = schema["$defs"][member["$ref"].rpartition("/")[2]]["properties"]
            found += [edge for inner, shape in below.items() for edge in _edges(f"spec.{name}", inner, shape)]
    return found


def _edges(path: str, name: str, shape: dict[str, Any]) -> list[tuple[str, str, Any, Any]]:
    edges: list[tuple[str, str, Any, Any]] = []
    if "minimum" in shape:
        edges.append((path, name, shape["minimum"], shape["minimum"] - 1))
    if "maximum" in shape:
        edges.append((path, name, shape["maximum"], shape["maximum"] + 1))
    if "maxLength" in shape:
        edges.append((path, name, "a" * shape["maxLength"], "a" * (shape["maxLength"] + 1)))
    if "maxProperties" in shape:
        tags = {str(number): "" for number in range(shape["maxProperties"])}
        edges.append((path, name, tags, tags | {"more": ""}))
    return edges


@pytest.mark.parametrize(("path", "name", "within", "beyond"), _bounds())
def test_bounds_are_those_of_the_schema(path: str, name: str, within: Any, beyond: Any) -> None:
    def spec(value: Any) -> dict[str, Any]:
        inner = path.removeprefix("spec").removeprefix(".")
        return {inner: {name: value}} if inner else {name: value}

    parse(document(**spec(within)), source="f")
    assert {problem.path for problem in problems(document(**spec(beyond)))} == {f"{path}.{name}"}


def test_settings_of_a_folder_need_no_code() -> None:
    content = document()
    del content["spec"]["code"]
    assert parse(content, source="f", code_required=False).spec.code == Code()


def test_parsing_changes_nothing_in_the_document() -> None:
    content = document(layers=None)
    before = copy.deepcopy(content)
    parse(content, source="f")
    assert content == before


def test_an_export_is_what_apply_reads() -> None:
    function = Function(
        metadata=Metadata(
            name="hello",
            uid="1",
            creation_timestamp="2026-01-01T00:00:00Z",
            resource_version="7",
            labels={"team": "a"},
        ),
        spec=FunctionSpec(
            runtime="python3.11",
            handler="app.handler",
            code=Code(sha256="ab" * 32, size=123),
            timeout=30,
            environment=Environment(variables={"ONE": "1"}),
        ),
        status=FunctionStatus(state="Active", revision_id="r"),
    )
    exported = export(function)
    assert exported == {
        "apiVersion": "lambent.dev/v1",
        "kind": "Function",
        "metadata": {"name": "hello", "labels": {"team": "a"}},
        "spec": {
            "code": {"sha256": "ab" * 32},
            "runtime": "python3.11",
            "handler": "app.handler",
            "timeout": 30,
            "environment": {"variables": {"ONE": "1"}},
        },
    }
    read = parse(exported, source="f")
    assert read.spec == msgspec.structs.replace(function.spec, code=Code(sha256="ab" * 32))


LAST_APPLIED = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}


@pytest.mark.parametrize(
    ("annotations", "left"), [(LAST_APPLIED, {}), (LAST_APPLIED | {"a": "b"}, {"annotations": {"a": "b"}})]
)
def test_what_kubectl_applied_last_is_neither_read_nor_exported(
    annotations: dict[str, str], left: dict[str, Any]
) -> None:
    content = document() | {"metadata": {"name": "hello", "annotations": annotations}}
    function = parse(content, source="f")
    assert function.metadata == Metadata(name="hello", **left)
    stored = msgspec.structs.replace(function, metadata=Metadata(name="hello", annotations=annotations))
    assert export(stored)["metadata"] == {"name": "hello"} | left


def test_what_kubectl_applied_last_is_no_part_of_a_layer_version() -> None:
    metadata = {"name": "deps.1", "labels": {"team": "a"}}
    spec = {"layerName": "deps", "version": 1, "code": {"sha256": "ab" * 32}}
    content = {"apiVersion": "lambent.dev/v1", "kind": "LayerVersion", "metadata": metadata, "spec": spec}
    noted = content | {"metadata": metadata | {"annotations": LAST_APPLIED}}
    assert export_layer_version(parse_layer_version(noted, source="f")) == content


def test_paths_of_a_layers_files_are_checked() -> None:
    spec = {"layerName": "deps", "version": 1, "code": {"inline": {"../x.py": "", "a/b": "", "a": ""}}}
    content = {"apiVersion": "lambent.dev/v1", "kind": "LayerVersion", "metadata": {"name": "deps.1"}, "spec": spec}
    with pytest.raises(ManifestError) as caught:
        parse_layer_version(content, source="f")
    assert [str(problem) for problem in caught.value.problems] == [
        "spec.code.inline: ../x.py is no path of a file in the package",
        "spec.code.inline: a is a file and a folder at once",
    ]


def test_an_export_leaves_out_a_default_that_was_given() -> None:
    stored = (
        b'{"metadata":{"name":"hello"},"spec":{"runtime":"python3.11","role":"%b","ephemeralStorage":{"size":512}}}'
    )
    function = msgspec.json.decode(stored % DEFAULT_ROLE.encode(), type=Function)
    assert export(function)["spec"] == {"runtime": "python3.11"}


def test_an_export_keeps_inline_code() -> None:
    content = document(code={"inline": {"app.py": "x = 1"}})
    assert export(parse(content, source="f")) == content
