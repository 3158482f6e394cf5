"""The agent in a container image that it was put into: what the image brings is what the runtime finds, official client included."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from agent_gateway import PYTHON, TOKEN, Gateway, can_mount
from conftest import PLATFORM

SOURCE = (Path(__file__).parent / "provided.py").read_text()
IMAGE = {
    "PATH": f"{Path(PYTHON).parent}:/usr/bin:/bin",
    "HOME": "/home/app",
    "HOSTNAME": "pod",
    "GREETING": "from the image",
}
"""What a Dockerfile's ENV comes to for the agent, and what the container's engine adds."""
SEEN = "import os\nanswer = {'variables': dict(os.environ), 'cwd': os.getcwd()}"
Run = Callable[..., Awaitable[Gateway]]


@pytest.fixture
async def run(agent_binary: Path, tmp_path: Path) -> AsyncIterator[Run]:
    """An agent that was installed into a folder of the image, and the image's command as its runtime."""
    (tmp_path / "bin").mkdir()
    subprocess.run([agent_binary, "install", tmp_path / "bin"], check=True)
    app = tmp_path / "app"
    app.mkdir()
    (app / "provided.py").write_text(SOURCE)
    (app / "handlers.py").write_text(
        "import os\ndef handler(event, context):\n    return [event, os.environ['GREETING']]\n"
    )
    async with AsyncExitStack() as stack:

        async def run(command: list[str], *, places: str = "image", **options: Any) -> Gateway:
            gateway = Gateway(tmp_path, f"unix:{tmp_path}/gateway.sock")
            await gateway.listen()
            stack.push_async_callback(gateway.close)
            await gateway.start_agent(
                tmp_path / "bin" / "lambent-agent",
                prestart=[],
                mounts=False,
                settings={**IMAGE, "LAMBENT_PLACES": places, **options.pop("settings", {})},
                directory=app,
            )
            runtime = {"protocol": "api", "command": command} | options.pop("runtime", {})
            variables = {name: PLATFORM[name] for name in PLATFORM if name.startswith("AWS_")}
            await gateway.specialize(
                [], runtime, handler="", variables=variables | options.pop("variables", {}), **options
            )
            return gateway

        yield run


async def test_the_command_runs_where_the_image_says_with_what_it_sets(run: Run, tmp_path: Path) -> None:
    gateway = await run(["python3", "provided.py"])
    assert gateway.init["status"] == "success"
    seen = (await gateway.invoke({"run": SEEN})).value
    assert seen["cwd"] == seen["variables"]["PWD"] == str(tmp_path / "app")
    assert seen["variables"]["PATH"] == IMAGE["PATH"] and seen["variables"]["GREETING"] == "from the image"
    assert seen["variables"]["HOME"] == "/home/app"
    assert seen["variables"]["AWS_LAMBDA_FUNCTION_NAME"] == "test"
    assert (seen["variables"]["LAMBDA_TASK_ROOT"], seen["variables"]["LAMBDA_RUNTIME_DIR"]) == (
        "/var/task",
        "/var/runtime",
    )
    ours = {name for name in seen["variables"] if name.startswith("LAMBENT_")}
    assert not ours | ({"HOSTNAME", "_HANDLER", "TMPDIR"} & seen["variables"].keys())


async def test_a_home_that_only_the_container_has_is_left_out(run: Run) -> None:
    gateway = await run(["python3", "provided.py"], settings={"HOME": "/"})
    assert "HOME" not in (await gateway.invoke({"run": SEEN})).value["variables"]


async def test_variables_of_the_function_come_over_those_of_the_image(run: Run) -> None:
    gateway = await run(["python3", "provided.py"], variables={"GREETING": "from the function"})
    assert (await gateway.invoke({"run": SEEN})).value["variables"]["GREETING"] == "from the function"


async def test_another_working_directory(run: Run, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    gateway = await run(
        ["python3", str(tmp_path / "app" / "provided.py")], runtime={"workingDirectory": str(tmp_path / "elsewhere")}
    )
    seen = (await gateway.invoke({"run": SEEN})).value
    assert seen["cwd"] == seen["variables"]["PWD"] == str(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("command", "runtime", "error_type", "message"),
    [
        (["python3", "provided.py"], {"workingDirectory": "/nowhere"}, "Runtime.InvalidWorkingDir", "/nowhere"),
        (["/no/such/program"], {}, "Runtime.InvalidEntrypoint", "/no/such/program"),
        (["no-such-program"], {}, "Runtime.InvalidEntrypoint", "no-such-program"),
    ],
    ids=["directory", "path", "name"],
)
async def test_what_the_image_does_not_have(
    run: Run, command: list[str], runtime: dict[str, str], error_type: str, message: str
) -> None:
    gateway = await run(command, runtime=runtime)
    assert (gateway.init["status"], gateway.init["errorType"]) == ("error", error_type)
    answer = await gateway.invoke(1)
    assert answer.error_type == error_type
    assert message in answer.value["errorMessage"]


async def test_a_wrapper_is_left_to_the_images_entry_point(run: Run) -> None:
    gateway = await run(["python3", "provided.py"], variables={"AWS_LAMBDA_EXEC_WRAPPER": "/no/wrapper"})
    assert gateway.init["status"] == "success"
    assert (await gateway.invoke({"run": SEEN})).value["variables"]["AWS_LAMBDA_EXEC_WRAPPER"] == "/no/wrapper"


async def test_the_official_client_as_images_start_it(run: Run, official_client: Path) -> None:
    """`ENTRYPOINT ["python", "-m", "awslambdaric"]`, `CMD ["handlers.handler"]`."""
    gateway = await run(
        ["python3", "-m", "awslambdaric", "handlers.handler"], settings={"PYTHONPATH": str(official_client)}
    )
    assert gateway.init["status"] == "success", gateway.outside_log
    assert (await gateway.invoke({"a": 1})).value == [{"a": 1}, "from the image"]


@pytest.mark.skipif(not can_mount(), reason="needs root and mount namespaces")
async def test_in_an_image_of_one_program_alone(agent_binary: Path, tmp_path: Path) -> None:
    """As a pod has it: no shell, no C library, no user of that number; all is read-only but what a pod mounts."""
    root = tmp_path / "image"
    for folder in ("proc", "dev", "tmp", "work", "agent", "var/lambent"):
        (root / folder).mkdir(parents=True)
    subprocess.run([agent_binary, "install", root / "agent"], check=True)
    go = shutil.which("go")
    assert go is not None
    environment = {**os.environ, "CGO_ENABLED": "0"}
    program = Path(__file__).parents[2] / "cluster" / "function_image"
    subprocess.run([go, "build", "-o", root / "function", "."], cwd=program, env=environment, check=True)
    for folder in ("tmp", "var/lambent"):
        (root / folder).chmod(0o777)
    script = (
        'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && mount -t proc proc "$1/proc" && mount --bind /dev "$1/dev" && '
        'for folder in tmp var/lambent; do mount -t tmpfs -o mode=1777 tmpfs "$1/$folder" || exit 1; done && '
        'exec chroot --userspec=993:993 "$1" /agent/lambent-agent'
    )
    gateway = Gateway(tmp_path, "tcp:127.0.0.1:0")
    await gateway.listen()
    try:
        gateway.agent = await asyncio.create_subprocess_exec(
            *("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", str(root)),
            env={
                "PATH": os.environ["PATH"],
                "LAMBENT_GATEWAY": gateway.address,
                "LAMBENT_ENVIRONMENT": "environment-1",
                "LAMBENT_TOKEN": TOKEN,
                "LAMBENT_RUNTIME": "function/fn/1/fn:1",
                "LAMBENT_ROOT": "/var/lambent",
                "LAMBENT_PLACES": "image",
                "IMAGE_VERSION": "1",
            },
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        await gateway.welcome()
        runtime = {"protocol": "api", "command": ["/function", "a", "b"], "workingDirectory": "/work"}
        variables = {"AWS_LAMBDA_FUNCTION_NAME": "fn"}
        assert (await gateway.specialize([], runtime, variables=variables))["status"] == "success"
        beside = await gateway.open()
        assert (await beside.specialize_again())["status"] == "success"
        expected = {
            "event": {"n": 1},
            "arguments": ["a", "b"],
            "version": "1",
            "function": "fn",
            "directory": "/work",
            "user": 993,
            "tmp": True,
            "root": False,
        }
        for environment in (gateway, beside):
            assert (await environment.invoke({"n": 1})).value == expected
    finally:
        await gateway.close()


def test_install_says_what_it_can_not(agent_binary: Path) -> None:
    done = subprocess.run([agent_binary, "install", "/nonexistent"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("lambent-agent: ") and "/nonexistent" in done.stderr


def test_an_unknown_kind_of_places_is_named(agent_binary: Path, tmp_path: Path) -> None:
    variables = {"GATEWAY": "unix:/x", "ENVIRONMENT": "e", "ROOT": str(tmp_path), "TOKEN": "t", "PLACES": "picture"}
    environment = {f"LAMBENT_{name}": value for name, value in variables.items()}
    done = subprocess.run([agent_binary], env=environment | os.environ, capture_output=True, text=True, check=False)
    assert json.dumps("picture") in done.stderr and "mounted or image" in done.stderr
