"""Layers below /opt, through boto3 and the real agent: for our own bootstrap, for AWS's client, and for custom runtimes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.platform_process import Platform, package

CLIENTS = pytest.mark.parametrize("runtime_client", ["lambent", "awslambdaric"])
PATHS = """
import json, os, subprocess, sys
import shared, sited

def handler(event, context):
    opt = os.path.dirname(os.path.dirname(shared.__file__))
    return {
        "shared": shared.NAME,
        "sited": sited.NAME,
        "data": open(opt + "/data").read(),
        "tool": subprocess.run(["tool"], capture_output=True, text=True).stdout,
        "first": [path.rpartition("opt/")[2] for path in sys.path if "opt/python" in path],
    }
"""
FIRST = {
    "python/shared.py": "NAME = 'first'\n",
    "python/lib/python3.11/site-packages/sited.py": "NAME = 'sited'\n",
    "data": "first",
    "bin/tool": "#!/bin/sh\necho from /opt/bin\n",
}
SECOND = {"python/shared.py": "NAME = 'second'\n", "data": "second"}
BOOTSTRAP = """#!/bin/sh
while true; do
    headers=$(mktemp)
    curl -s -D "$headers" -o /dev/null "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next"
    request=$(tr -d '\\r' < "$headers" | sed -n 's/^[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: //p')
    curl -s -X POST "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$request/response" -d '"a layer answers"'
done
"""


def publish(platform: Platform, name: str, files: Mapping[str, str | bytes]) -> str:
    arn: str = platform.client().publish_layer_version(LayerName=name, Content={"ZipFile": package(files)})[
        "LayerVersionArn"
    ]
    return arn


@CLIENTS
def test_files_of_layers_are_where_lambda_has_them(shared_platform: Platform, runtime_client: str) -> None:
    layers = [publish(shared_platform, f"paths-{number}", files) for number, files in enumerate((FIRST, SECOND))]
    name = shared_platform.function(
        f"layered-{runtime_client}",
        PATHS,
        Layers=layers,
        Environment={"Variables": {"LAMBENT_RUNTIME_CLIENT": runtime_client}},
    )
    assert shared_platform.invoke(name)["Payload"] == {
        "shared": "second",
        "sited": "sited",
        "data": "second",
        "tool": "from /opt/bin\n",
        "first": ["python/lib/python3.11/site-packages", "python"],
    }
    client = shared_platform.client()
    client.update_function_configuration(FunctionName=name, Layers=layers[::-1])
    assert shared_platform.invoke(name)["Payload"]["shared"] == "first", "the order counts"


@CLIENTS
def test_libraries_of_layers_are_found_by_the_loader(shared_platform: Platform, runtime_client: str) -> None:
    """Also by a runtime that was started before there was any /opt/lib."""
    library = next(path for path in mapped_libraries() if "ffi" in path.name or "libm." in path.name)
    layer = publish(shared_platform, "library", {"lib/libofalayer.so": library.read_bytes()})
    source = "import ctypes\ndef handler(event, context):\n    return bool(ctypes.CDLL('libofalayer.so'))\n"
    name = shared_platform.function(
        f"library-{runtime_client}",
        source,
        Layers=[layer],
        Environment={"Variables": {"LAMBENT_RUNTIME_CLIENT": runtime_client}},
    )
    assert shared_platform.invoke(name)["Payload"] is True


def mapped_libraries() -> list[Path]:
    """Of this very process."""
    import ctypes  # so that there are some

    assert ctypes
    lines = Path("/proc/self/maps").read_text().splitlines()
    return sorted({Path(line.split()[-1]) for line in lines if ".so" in line})


def test_a_layer_may_be_the_runtime(shared_platform: Platform) -> None:
    layer = publish(shared_platform, "runtime", {"bootstrap": BOOTSTRAP})
    name = shared_platform.function(
        "layer-runtime", {"readme": "no bootstrap"}, Runtime="provided.al2023", Handler="any", Layers=[layer]
    )
    assert shared_platform.invoke(name)["Payload"] == "a layer answers"


def test_what_uses_a_deleted_layer_goes_on(shared_platform: Platform) -> None:
    client = shared_platform.client()
    layer = publish(shared_platform, "deleted", {"python/shared.py": "NAME = 1\n"})
    source = "import shared\ndef handler(event, context):\n    return shared.NAME\n"
    name = shared_platform.function("keeps-its-layer", source, Layers=[layer])
    client.publish_version(FunctionName=name)
    client.delete_layer_version(LayerName="deleted", VersionNumber=1)
    client.update_function_configuration(FunctionName=name, Timeout=9)
    assert shared_platform.invoke(name)["Payload"] == 1
    assert shared_platform.invoke(name, Qualifier="1")["Payload"] == 1


def test_a_restarted_platform_knows_layers_and_their_numbers(tmp_path: Path) -> None:
    platform = Platform(tmp_path / "data").start()
    try:
        layer = publish(platform, "kept", {"python/shared.py": "NAME = 1\n"})
        source = "import shared\ndef handler(event, context):\n    return shared.NAME\n"
        name = platform.function("layered", source, Layers=[layer])
        platform.client().delete_layer_version(LayerName="kept", VersionNumber=1)
        platform.stop()
        platform.start()
        assert platform.invoke(name)["Payload"] == 1
        assert publish(platform, "kept", {"a": "b"}).endswith(":kept:2")
    finally:
        platform.end()


HALF = {"half": bytes(140_000_000)}


def test_a_layer_that_is_too_much_beside_the_code(shared_platform: Platform) -> None:
    client = shared_platform.client()
    name = shared_platform.function("large-code", {"app.py": "", **HALF})
    layer = publish(shared_platform, "large", HALF)
    with pytest.raises(client.exceptions.InvalidParameterValueException, match="combined with layers exceeds"):
        client.update_function_configuration(FunctionName=name, Layers=[layer])


def test_code_that_is_too_much_beside_its_layer(shared_platform: Platform) -> None:
    client = shared_platform.client()
    name = shared_platform.function("large-layer", "", Layers=[publish(shared_platform, "large", HALF)])
    with pytest.raises(client.exceptions.InvalidParameterValueException, match="combined with layers exceeds"):
        client.update_function_code(FunctionName=name, ZipFile=package({"app.py": "", **HALF}))
