"""The command as it is called: quick to start, and telling of failures by exit code and on stderr."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lambent_cli import VERSION
from lambent_cli.app import SECTIONS

ROOT = Path(__file__).parents[3]
COMMANDS = [name for section in SECTIONS.values() for name in section]


def lambent(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    path = ":".join(str(ROOT / part) for part in ("core", "gateway", "cli"))
    return subprocess.run(
        [sys.executable, "-m", "lambent_cli.main", *arguments],
        env={"PYTHONPATH": path, "HOME": "/nonexistent", "PATH": "/usr/bin:/bin", "COLUMNS": "100"} | environment,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_version_is_that_of_the_distribution() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION
    assert lambent("--version").stdout == lambent("-V").stdout == f"lambent {VERSION}\n"
    assert lambent("--endpoint", "x", "--version").stdout == f"lambent {VERSION}\n"


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("completion", "bash")])
def test_starting_loads_nothing_that_is_slow(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys; sys.argv = ['lambent', *sys.argv[1:]]\n"
        "from lambent_cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    path = ":".join(str(ROOT / part) for part in ("core", "gateway", "cli"))
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert loaded.isdisjoint(
        {"botocore", "boto3", "rich", "yaml", "lambent_gateway", "watchfiles", "msgspec", "uvicorn"}
    )
    assert ("typer" in loaded) is (arguments != ("--version",))


def test_help_names_every_command() -> None:
    shown = lambent("--help")
    assert shown.returncode == 0
    assert [name for name in COMMANDS if not re.search(rf"^  {name} ", shown.stdout, re.MULTILINE)] == []


def test_every_command_has_a_module_and_the_other_way_round() -> None:
    modules = {file.stem for file in (ROOT / "cli" / "lambent_cli" / "commands").glob("*.py")} - {"__init__"}
    assert modules == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    shown = lambent(command, "--help")
    assert shown.returncode == 0
    assert f"Usage: lambent {command}" in shown.stdout
    for option in ("--endpoint", "--region", "--output"):
        assert option in shown.stdout


def test_a_command_that_is_not_there() -> None:
    done = lambent("deplyo")
    assert done.returncode == 2
    assert "Did you mean 'deploy'?" in done.stderr


MANIFEST = """\
{apiVersion: lambent.dev/v1, kind: Function, metadata: {name: f},
 spec: {runtime: python3.11, handler: a.b, code: {inline: x}}}
"""


@pytest.mark.parametrize(
    ("before", "after", "environment"),
    [
        pytest.param(("--endpoint", "127.0.0.1:1"), ("ls",), {}, id="endpoint before the command"),
        pytest.param((), ("ls", "--endpoint", "127.0.0.1:1"), {}, id="endpoint after the command"),
        pytest.param((), ("apply", "-f", "-"), {"LAMBENT_ENDPOINT": "http://127.0.0.1:1/"}, id="from the environment"),
        pytest.param(
            ("--endpoint", "http://127.0.0.1:1"),
            ("logs", "f"),
            {"LAMBENT_ENDPOINT": "http://nowhere"},
            id="option wins",
        ),
    ],
)
def test_no_platform_is_exit_code_4_and_advice(
    before: tuple[str, ...], after: tuple[str, ...], environment: dict[str, str]
) -> None:
    done = lambent(*before, *after, stdin=MANIFEST, **environment)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("Error: no answer from http://127.0.0.1:1 (")
    assert "Is `lambent up` running?" in done.stderr


def test_a_payload_that_is_not_json_is_wrong_usage() -> None:
    done = lambent("invoke", "f", "{name: Ann}")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: the payload {name: Ann} is not JSON: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("invoke", "f", "@nowhere.json"), "nowhere.json: there is no such file"),
        (("deploy", "nowhere"), "nowhere is not a folder"),
        (("deploy", "-e", "A", "/tmp"), "--env 'A': NAME=VALUE is wanted"),
        (("apply", "-f", "nowhere.yaml"), "nowhere.yaml: there is no such file or folder"),
        (("logs", "f", "--since", "soon"), "--since 'soon' is neither an age nor a time"),
        (("--endpoint", "ftp://x", "apply", "-f", "-"), "there is no YAML document"),
        (("completion",), "which shell? $SHELL does not say"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], message: str) -> None:
    done = lambent(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_completion_knows_commands_and_their_options() -> None:
    words = {"_LAMBENT_COMPLETE": "complete_bash", "COMP_WORDS": "lambent de", "COMP_CWORD": "1"}
    assert lambent(**words).stdout.split() == ["deploy", "dev", "describe", "delete"]
    words = {"_LAMBENT_COMPLETE": "complete_bash", "COMP_WORDS": "lambent deploy --han", "COMP_CWORD": "2"}
    assert lambent(**words).stdout.split() == ["--handler"]
    assert "_lambent_completion" in lambent("completion", "bash").stdout
