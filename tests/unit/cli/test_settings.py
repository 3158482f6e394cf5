"""S1 and S2: what a deployment sets, from the manifest, the options and neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lambent_cli.blueprint import own_runtime
from lambent_cli.failures import Failure
from lambent_cli.settings import Overrides, api_value, read
from lambent_core.function import DEFAULT_ROLE, FileSystemConfig, LoggingConfig

MANIFEST = """\
apiVersion: lambent.dev/v1
kind: Function
metadata: {name: books}
spec:
  runtime: python3.12
  handler: app.handler
  timeout: 30
  environment: {variables: {ONE: "1", TWO: "2"}}
  tags: {team: a}
"""

NOTHING: dict[str, Any] = {
    "DeadLetterConfig": {"TargetArn": ""},
    "KMSKeyArn": "",
    "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []},
}
DEFAULTS: dict[str, Any] = {
    "Role": DEFAULT_ROLE,
    "Runtime": "python3.12",
    "Handler": "app.handler",
    "Description": "",
    "Timeout": 30,
    "MemorySize": 128,
    "EphemeralStorage": {"Size": 512},
    "Layers": [],
    "FileSystemConfigs": [],
    "TracingConfig": {"Mode": "PassThrough"},
    "LoggingConfig": {"LogFormat": "Text"},
    "SnapStart": {"ApplyOn": "None"},
    "Environment": {"Variables": {"ONE": "1", "TWO": "2"}},
}


def with_manifest(folder: Path, text: str = MANIFEST) -> Path:
    (folder / "function.yaml").write_text(text)
    return folder


def test_a_manifest_sets_all_and_puts_the_rest_back_to_defaults(tmp_path: Path) -> None:
    settings = read(with_manifest(tmp_path), Overrides())
    assert settings.name == "books"
    assert settings.update == NOTHING | DEFAULTS
    assert settings.create == DEFAULTS | {"Architectures": ["x86_64"], "PackageType": "Zip", "Tags": {"team": "a"}}
    assert (settings.code, settings.runtime, settings.architecture) == (tmp_path / ".", "python3.12", "x86_64")


def test_without_variables_in_the_manifest_none_remain(tmp_path: Path) -> None:
    text = "\n".join(line for line in MANIFEST.splitlines() if "environment" not in line)
    assert read(with_manifest(tmp_path, text), Overrides()).update["Environment"] == {"Variables": {}}


def test_options_win_over_the_manifest(tmp_path: Path) -> None:
    overrides = Overrides("other", "python3.11", "main.run", 256, 5, {"TWO": "3", "THREE": "4"})
    settings = read(with_manifest(tmp_path), overrides)
    assert (settings.name, settings.runtime) == ("other", "python3.11")
    assert settings.update == NOTHING | DEFAULTS | {
        "Runtime": "python3.11",
        "Handler": "main.run",
        "MemorySize": 256,
        "Timeout": 5,
        "Environment": {"Variables": {"ONE": "1", "TWO": "3", "THREE": "4"}},
    }


def test_a_role_of_the_manifest_is_set(tmp_path: Path) -> None:
    settings = read(with_manifest(tmp_path, MANIFEST + "  role: arn:aws:iam::000000000000:role/mine\n"), Overrides())
    assert settings.create["Role"] == settings.update["Role"] == "arn:aws:iam::000000000000:role/mine"


def test_a_manifest_may_name_a_folder_below(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    settings = read(with_manifest(tmp_path, MANIFEST + "  code: {path: src}\n"), Overrides())
    assert settings.code == tmp_path / "src"


def test_a_manifest_with_the_code_in_it_is_for_apply(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="gives the code itself") as caught:
        read(with_manifest(tmp_path, MANIFEST + "  code: {inline: x}\n"), Overrides())
    assert "lambent apply -f" in caught.value.fix


@pytest.mark.parametrize(("given", "architecture"), [("[arm64]", "arm64"), ("[]", "x86_64")])
def test_the_architecture_is_the_manifests(tmp_path: Path, given: str, architecture: str) -> None:
    settings = read(with_manifest(tmp_path, MANIFEST + f"  architectures: {given}\n"), Overrides())
    assert settings.architecture == architecture


def test_members_are_written_as_the_api_wants_them() -> None:
    mounted = [FileSystemConfig(arn="arn:x", local_mount_path="/mnt/x")]
    assert api_value(mounted) == [{"Arn": "arn:x", "LocalMountPath": "/mnt/x"}]
    assert api_value(LoggingConfig(log_format="JSON", log_group="g")) == {"LogFormat": "JSON", "LogGroup": "g"}


def test_variables_are_set_without_a_manifest_too(tmp_path: Path) -> None:
    settings = read(tmp_path, Overrides(name="f", handler="a.b", environment={"ONE": "1"}))
    assert settings.update == {"Handler": "a.b", "Environment": {"Variables": {"ONE": "1"}}}


def test_without_a_manifest_only_what_options_say_is_updated(tmp_path: Path) -> None:
    folder = tmp_path / "My_function"
    folder.mkdir()
    (folder / "lambda_function.py").write_text("def lambda_handler(event, context):\n    return event\n")
    settings = read(folder, Overrides(memory=256))
    assert settings.name == "My_function"
    assert settings.update == {"MemorySize": 256}
    assert settings.create == {
        "Role": DEFAULT_ROLE,
        "Runtime": own_runtime(),
        "Handler": "lambda_function.lambda_handler",
        "MemorySize": 256,
    }
    assert settings.spec is None


@pytest.mark.parametrize(
    ("file", "text", "handler"),
    [
        ("app.py", "def handler(event, context): ...", "app.handler"),
        ("app.py", "async def lambda_handler(event, context): ...", "app.lambda_handler"),
        ("app.py", "handler = make()", "app.handler"),
        ("main.py", "def handler(event, context): ...", "main.handler"),
    ],
)
def test_the_handler_is_looked_for(tmp_path: Path, file: str, text: str, handler: str) -> None:
    (tmp_path / file).write_text(text)
    assert read(tmp_path, Overrides(name="f")).create["Handler"] == handler


@pytest.mark.parametrize("text", ["    def handler(event, context): ...", "def handlers(): ...", ""])
def test_what_is_no_handler(tmp_path: Path, text: str) -> None:
    (tmp_path / "app.py").write_text(text)
    with pytest.raises(Failure, match=r"which function of .* is the handler") as caught:
        read(tmp_path, Overrides(name="f"))
    assert "--handler FILE.FUNCTION" in caught.value.fix


def test_a_folder_whose_name_is_no_functions_name(tmp_path: Path) -> None:
    folder = tmp_path / "my function"
    folder.mkdir()
    with pytest.raises(Failure, match="'my function' can't be a function's name") as caught:
        read(folder, Overrides(handler="a.b"))
    assert caught.value.fix == "Give one with --name."
