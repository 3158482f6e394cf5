"""What `lambent up` says: lines to paste for this very endpoint, and plain words about isolation."""

from __future__ import annotations

import ast
import shlex
import textwrap
from pathlib import Path

import pytest

from lambent_cli.banner import banner
from lambent_gateway.environments.sandbox import Sandbox

BEST = Sandbox("root", "cgroup2", "cgroup2")


def test_the_whole_of_it() -> None:
    assert banner("http://127.0.0.1:9000", Path("/home/ann/.local/share/lambent"), BEST, "hello") == textwrap.dedent("""\
        Lambent serves Lambda's API at http://127.0.0.1:9000

        Try it:

          curl -sS http://127.0.0.1:9000/2015-03-31/functions/hello/invocations -d '{"name": "Ann"}'

          import boto3
          client = boto3.client("lambda", endpoint_url="http://127.0.0.1:9000", region_name="us-east-1", \
aws_access_key_id="any", aws_secret_access_key="any")
          print(client.invoke(FunctionName="hello", Payload='{"name": "Ann"}')["Payload"].read().decode())

          echo '{"name": "Ann"}' | AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any aws \
--endpoint-url http://127.0.0.1:9000 --region us-east-1 lambda invoke --function-name hello \
--payload fileb:///dev/stdin /dev/stdout

        Local mode is for code that you trust: functions run as processes of your own user, on your network.
          files: a mount namespace each
          memory: cgroup v2
          processes: cgroup v2

        Data directory  /home/ann/.local/share/lambent
        Other terminal  lambent --help

        Ctrl-C stops everything; the data stays.
        """)


def test_the_lines_are_a_shell_command_and_python() -> None:
    lines = [line.strip() for line in banner("http://[::1]:1234", Path("/d"), BEST, "f").splitlines()]
    curl = next(line for line in lines if line.startswith("curl"))
    assert shlex.split(curl)[-1] == '{"name": "Ann"}'
    start = lines.index("import boto3")
    assert len(ast.parse("\n".join(lines[start : start + 3])).body) == 3


def test_without_a_function_nothing_is_offered_that_would_fail() -> None:
    text = banner("http://127.0.0.1:9000", Path("/d"), BEST, None)
    assert "curl" not in text
    assert "boto3" not in text


def test_another_port_is_named_for_the_other_terminal() -> None:
    assert "LAMBENT_ENDPOINT=http://127.0.0.1:9001 lambent --help" in banner(
        "http://127.0.0.1:9001", Path("/d"), BEST, None
    )


@pytest.mark.parametrize(
    ("sandbox", "words"),
    [
        (
            Sandbox("none", "watch", "rlimit", {"memory": "no cgroups"}),
            "nothing keeps a function from reading others' files",
        ),
        (
            Sandbox("none", "watch", "rlimit", {"memory": "no cgroups"}),
            "memory: watched by the agent, not by the kernel",
        ),
        (Sandbox("none", "watch", "rlimit", {"memory": "no cgroups"}), "processes: a limit per user"),
        (Sandbox("none", "watch", "rlimit", {"memory": "no cgroups"}), "`lambent doctor` says why"),
        (Sandbox("user", "cgroup1", "cgroup1"), "files: a mount namespace each (of a user namespace)"),
        (Sandbox("user", "cgroup1", "cgroup1"), "memory: cgroup v1"),
    ],
)
def test_isolation_is_said_plainly(sandbox: Sandbox, words: str) -> None:
    text = banner("http://127.0.0.1:9000", Path("/d"), sandbox, None)
    assert words in text
    assert "for code that you trust" in text
