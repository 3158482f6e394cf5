"""What an agent is told it shall become."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from lambent_core.environment_variables import Surroundings
from lambent_core.function import (
    Code,
    FoundImage,
    Function,
    FunctionSpec,
    FunctionStatus,
    ImageConfig,
    Metadata,
)
from lambent_core.log_lines import JsonLog
from lambent_core.placement import EnvironmentId
from lambent_core.runtime_pools import RuntimePool, RuntimePoolSpec
from lambent_gateway.drivers.execution import ExecutionEnvironment
from lambent_gateway.drivers.specialization import specialization
from lambent_gateway.environments.link_bodies import Specialization
from lambent_gateway.environments.pool_runtimes import PoolRuntimes
from lambent_gateway.routes import Route, route_of
from lambent_gateway.telemetry import FunctionMetrics

PLATFORM = Surroundings("us-east-1", "http://endpoint")
FOUND = FoundImage(digest="sha256:" + "ab" * 32, entry_point=["/entry"], command=["app.handler"])
IMAGE = FunctionSpec(package_type="Image", code=Code(image_uri="fn:1", image=FOUND))
ZIP = FunctionSpec(runtime="python3.11", handler="app.handler", code=Code(sha256="cd" * 32, size=9))


def route(spec: FunctionSpec) -> Route:
    runtimes = PoolRuntimes()
    pool = RuntimePoolSpec(runtimes=["python3.11"], image="python", command=["/python"], environment={"LANG": "C"})
    runtimes.put([RuntimePool(metadata=Metadata(name="python"), spec=pool)], functions_namespace="default")
    function = Function(metadata=Metadata(name="fn", uid="u"), spec=spec, status=FunctionStatus(code_revision=3))
    choice = runtimes.choose(function)
    assert choice is not None
    return route_of(function, choice, FunctionMetrics(), region="us-east-1", account="0")


def told(spec: FunctionSpec, **members: Any) -> Specialization:
    nobody: Any = None  # is told anything before an agent is there
    environment = ExecutionEnvironment(
        EnvironmentId(1), nobody, route(msgspec.structs.replace(spec, **members)), "stream", asked_at=0.0
    )
    return specialization(environment, sized=True, platform=PLATFORM)


def test_an_image_is_run_with_what_it_sets_and_no_package() -> None:
    specialized = told(IMAGE)
    assert specialized.runtime.command == ["/entry", "app.handler"]
    assert (specialized.runtime.protocol, specialized.runtime.working_directory) == ("api", "")
    assert (specialized.packages, specialized.handler) == ([], "")
    assert not {"AWS_EXECUTION_ENV", "LANG", "PATH"} & specialized.environment.keys()
    assert specialized.environment["AWS_LAMBDA_FUNCTION_NAME"] == "fn"


def test_settings_in_place_of_an_images() -> None:
    config = ImageConfig(command=["other"], working_directory="/app")
    runtime = told(IMAGE, image_config=config).runtime
    assert (runtime.command, runtime.working_directory) == (["/entry", "other"], "/app")


def test_a_package_is_run_as_before() -> None:
    specialized = told(ZIP)
    assert [package.sha256 for package in specialized.packages] == ["cd" * 32]
    assert specialized.runtime.command == ["/python"]
    assert (specialized.environment["AWS_EXECUTION_ENV"], specialized.environment["LANG"]) == (
        "AWS_Lambda_python3.11",
        "C",
    )


@pytest.mark.parametrize(
    ("spec", "version"), [(IMAGE, ""), (ZIP, " Runtime Version: python:3.11.v1")], ids=["image", "package"]
)
def test_the_first_line_of_a_log_has_the_version_of_a_runtime_that_lambda_brings(
    spec: FunctionSpec, version: str
) -> None:
    assert route(spec).system_log.init_start(0.0).decode().partition("\t")[0].rstrip() == f"INIT_START{version}"
    logging = msgspec.structs.replace(spec.logging_config, log_format="JSON")
    log = route(msgspec.structs.replace(spec, logging_config=logging)).system_log
    assert isinstance(log, JsonLog)
    record = json.loads(log.init_start(0.0))["record"]
    assert ("runtimeVersion" in record) is bool(version)
