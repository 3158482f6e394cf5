"""
What a deployment sets: function.yaml of the folder, and over it the options of the command line.

    S1  an option wins over the manifest
    S2  with a manifest, whatever neither says goes back to Lambda's default; without one it stays as it is
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from lambent_cli import documents
from lambent_cli.failures import Failure
from lambent_cli.package.archive import Package
from lambent_cli.package.build import build
from lambent_cli.steps import Steps
from lambent_core.function import DEFAULT_ROLE, Function, FunctionSpec

_PARAMETERS = {
    "role": "Role",
    "runtime": "Runtime",
    "handler": "Handler",
    "description": "Description",
    "timeout": "Timeout",
    "memory_size": "MemorySize",
    "environment": "Environment",
    "ephemeral_storage": "EphemeralStorage",
    "layers": "Layers",
    "tracing_config": "TracingConfig",
    "logging_config": "LoggingConfig",
    "snap_start": "SnapStart",
    "dead_letter_config": "DeadLetterConfig",
    "kms_key_arn": "KMSKeyArn",
    "vpc_config": "VpcConfig",
    "file_system_configs": "FileSystemConfigs",
    "image_config": "ImageConfig",
}
"""Members of `spec` that both CreateFunction and UpdateFunctionConfiguration take, by their names there."""

_NOTHING: dict[str, Any] = {
    "DeadLetterConfig": {"TargetArn": ""},
    "KMSKeyArn": "",
    "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []},
}
"""How UpdateFunctionConfiguration is told that a member is to be empty."""

_HANDLERS = (
    ("app.py", "app", ("handler", "lambda_handler")),
    ("lambda_function.py", "lambda_function", ("lambda_handler", "handler")),
    ("main.py", "main", ("handler", "lambda_handler")),
)
"""Files and functions tried, in order, where nothing names the handler."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says; None where it says nothing."""

    name: str | None = None
    runtime: str | None = None
    handler: str | None = None
    memory: int | None = None
    timeout: int | None = None
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    name: str
    code: Path
    """The folder or ZIP that is the code."""
    runtime: str
    architecture: str
    create: dict[str, Any]
    """Parameters of CreateFunction, but for the code."""
    update: dict[str, Any]
    """Parameters of UpdateFunctionConfiguration."""
    spec: FunctionSpec | None
    """What the manifest says; None without one: then URL, concurrency and tags stay as they are."""

    def build(self, steps: Steps, *, fresh: bool = False) -> Package:
        return build(self.code, runtime=self.runtime, architecture=self.architecture, steps=steps, fresh=fresh)


def read(folder: Path, overrides: Overrides) -> Settings:
    """The settings for the function in a folder."""
    found = documents.settings(folder)
    if found is not None:
        return _with_manifest(folder, found, overrides)
    return _without_manifest(folder, overrides)


def _with_manifest(folder: Path, function: Function, overrides: Overrides) -> Settings:
    spec = function.spec
    changes: dict[str, Any] = {
        "runtime": overrides.runtime,
        "handler": overrides.handler,
        "memory_size": overrides.memory,
        "timeout": overrides.timeout,
    }
    spec = msgspec.structs.replace(spec, **{name: value for name, value in changes.items() if value is not None})
    parameters = {_PARAMETERS[name]: api_value(getattr(spec, name)) for name in _PARAMETERS}
    variables = spec.environment.variables if spec.environment else {}
    parameters["Environment"] = {"Variables": variables | overrides.environment}
    given = {name: value for name, value in parameters.items() if value is not None}
    create = given | {"Architectures": spec.architectures, "PackageType": spec.package_type, "Tags": spec.tags}
    update = _NOTHING | given
    return Settings(
        overrides.name or function.name,
        _code(folder, function),
        spec.runtime or "",
        spec.architectures[0] if spec.architectures else "x86_64",
        create,
        update,
        spec,
    )


def _without_manifest(folder: Path, overrides: Overrides) -> Settings:
    given: dict[str, Any] = {
        "Runtime": overrides.runtime,
        "Handler": overrides.handler,
        "MemorySize": overrides.memory,
        "Timeout": overrides.timeout,
        "Environment": {"Variables": overrides.environment} if overrides.environment else None,
    }
    update = {name: value for name, value in given.items() if value is not None}
    runtime = overrides.runtime or f"python{sys.version_info.major}.{sys.version_info.minor}"
    create = {"Role": DEFAULT_ROLE, "Runtime": runtime, "Handler": overrides.handler or _find_handler(folder)} | update
    return Settings(overrides.name or _name(folder), folder, runtime, "x86_64", create, update, None)


def _code(folder: Path, function: Function) -> Path:
    code = function.spec.code
    if code.inline is not None or code.sha256 is not None or code.image_uri is not None:
        raise Failure(
            f"{folder / documents.MANIFEST} gives the code itself (spec.code): there is no folder to deploy.",
            fix=f"Use the manifest alone: lambent apply -f {folder / documents.MANIFEST}",
        )
    return documents.code_place(folder, code.path or ".", str(folder / documents.MANIFEST))


def _find_handler(folder: Path) -> str:
    for file, module, names in _HANDLERS:
        text = (folder / file).read_text(errors="replace") if (folder / file).is_file() else ""
        for name in names:
            if re.search(rf"^(async )?(def )?{name}\b", text, re.MULTILINE):
                return f"{module}.{name}"
    raise Failure(
        f"which function of {folder} is the handler? There is no function.yaml, and no handler in "
        f"{', '.join(file for file, _, _ in _HANDLERS)}.",
        fix="Say it with --handler FILE.FUNCTION (file without .py).",
    )


def _name(folder: Path) -> str:
    name = folder.resolve().name
    if not re.fullmatch(r"[a-zA-Z0-9-_]{1,64}", name):
        raise Failure(f"the folder's name {name!r} can't be a function's name.", fix="Give one with --name.")
    return name


def api_value(value: Any) -> Any:
    """A member of the model as Lambda's API writes it. Members that are None are left out."""
    if isinstance(value, msgspec.Struct):
        pairs = ((field.encode_name, getattr(value, field.name)) for field in msgspec.structs.fields(value))
        return {name[0].upper() + name[1:]: api_value(member) for name, member in pairs if member is not None}
    if isinstance(value, list):
        return [api_value(item) for item in value]
    return value
