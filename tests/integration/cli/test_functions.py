"""A function's life with the command: init, deploy, invoke, logs, describe, rm."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest
from tests.integration.cli.conftest import Lambent
from tests.platform_process import wait_for

FAILING = 'def handler(event, context):\n    raise ValueError("no good")\n'


@pytest.fixture
def hello(lambent: Lambent, tmp_path: Path) -> str:
    """A deployed function of this test's own."""
    name = "f-" + re.sub(r"\W+", "-", tmp_path.name.lower()).strip("-")[-50:]
    assert lambent("init", name).returncode == 0
    done = lambent("deploy", name)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{name} created: 1 file, ")
    assert f"Run it: lambent invoke {name} @{name}/event.json" in done.stdout
    return name


def test_the_response_alone_is_on_stdout(lambent: Lambent, hello: str) -> None:
    done = lambent("invoke", hello, '{"name": "Bob"}')
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"greeting": "Hello, Bob!", "function": hello}
    assert not done.stdout.endswith("\n")


def test_the_event_comes_from_a_file_from_stdin_or_is_empty(lambent: Lambent, hello: str) -> None:
    greetings = [
        json.loads(lambent("invoke", hello, f"@{hello}/event.json").stdout)["greeting"],
        json.loads(lambent("invoke", hello, "-", stdin='{"name": "Cleo"}').stdout)["greeting"],
        json.loads(lambent("invoke", hello).stdout)["greeting"],
    ]
    assert greetings == ["Hello, Ann!", "Hello, Cleo!", "Hello, world!"]


def test_the_log_tail_goes_to_stderr(lambent: Lambent, hello: str) -> None:
    done = lambent("invoke", hello, "--log")
    assert json.loads(done.stdout)["greeting"] == "Hello, world!"
    lines = done.stderr.splitlines()
    assert lines[0].startswith("START RequestId: ")
    assert lines[1] == "greeting world"
    assert any(line.startswith("REPORT RequestId: ") for line in lines)


def test_a_function_error_is_the_response_and_exit_code_1(lambent: Lambent, hello: str, tmp_path: Path) -> None:
    (tmp_path / hello / "app.py").write_text(FAILING)
    assert lambent("deploy", hello).stdout.startswith(f"{hello} updated (code): ")
    done = lambent("invoke", hello)
    assert done.returncode == 1
    assert json.loads(done.stdout)["errorMessage"] == "no good"
    assert done.stderr == f"{hello} failed (Unhandled). Its log: lambent logs {hello}\n"


def test_json_has_the_response_and_all_around_it(lambent: Lambent, hello: str) -> None:
    document = json.loads(lambent("invoke", hello, "--output", "json").stdout)
    assert re.fullmatch(r"[0-9a-f-]{36}", document.pop("requestId"))
    assert document == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": None,
        "payload": {"greeting": "Hello, world!", "function": hello},
    }


def test_an_asynchronous_invocation_is_in_the_log(lambent: Lambent, hello: str) -> None:
    done = lambent("invoke", hello, '{"name": "Dora"}', "--async")
    assert (done.returncode, done.stdout) == (0, "")
    assert re.fullmatch(r"Accepted: request [0-9a-f-]{36}\n", done.stderr)
    wait_for("the line", lambda: "  greeting Dora\n" in lambent("logs", hello).stdout)


def test_logs_are_lines_with_their_time_or_json(lambent: Lambent, hello: str) -> None:
    lambent("invoke", hello)
    wait_for("the line", lambda: "greeting world" in lambent("logs", hello).stdout)
    assert re.search(
        r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  greeting world$", lambent("logs", hello).stdout, re.MULTILINE
    )
    records = [json.loads(line) for line in lambent("logs", hello, "-o", "json").stdout.splitlines()]
    assert set(records[0]) == {"timestamp", "stream", "requestId", "message"}
    assert "greeting world" in [record["message"] for record in records]
    assert lambent("logs", hello, "--since", "2999-01-01").stdout == ""


def test_what_has_not_changed_is_not_sent_again(lambent: Lambent, hello: str, tmp_path: Path) -> None:
    assert lambent("deploy", hello).stdout.startswith(f"{hello} unchanged: ")
    (tmp_path / hello / "app.py").touch()
    assert lambent("deploy", hello).stdout.startswith(f"{hello} unchanged: ")
    manifest = tmp_path / hello / "function.yaml"
    manifest.write_text(manifest.read_text().replace("timeout: 3 ", "timeout: 5 "))
    document = json.loads(lambent("deploy", hello, "-o", "json").stdout)
    assert (document["result"], document["changed"]) == ("updated", ["Timeout"])


def test_options_win_over_the_manifest(lambent: Lambent, hello: str) -> None:
    done = lambent("deploy", hello, "--memory", "256", "-e", "GREETING=Hi", "-e", "PLACE=here=there")
    assert done.stdout.startswith(f"{hello} updated (Environment, MemorySize): ")
    configuration = json.loads(lambent("describe", hello, "-o", "json").stdout)["Configuration"]
    assert configuration["MemorySize"] == 256
    assert configuration["Environment"]["Variables"] == {"GREETING": "Hi", "PLACE": "here=there"}


def test_a_folder_without_a_manifest_is_a_function_by_its_name(lambent: Lambent, tmp_path: Path) -> None:
    (tmp_path / "Plain_One").mkdir()
    (tmp_path / "Plain_One" / "lambda_function.py").write_text("def lambda_handler(event, context):\n    return 7\n")
    assert lambent("deploy", "Plain_One", "--timeout", "9").stdout.startswith("Plain_One created: ")
    assert lambent("invoke", "Plain_One").stdout == "7"
    assert lambent("deploy", "Plain_One").stdout.startswith("Plain_One unchanged: ")
    assert json.loads(lambent("describe", "Plain_One", "-o", "json").stdout)["Configuration"]["Timeout"] == 9
    lambent("rm", "Plain_One")


def test_requirements_are_part_of_the_package(
    lambent: Lambent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "greetings-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("greetings.py", "TEXT = 'from a package'\n")
        archive.writestr("greetings-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: greetings\nVersion: 1.0\n")
        archive.writestr(
            "greetings-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("greetings-1.0.dist-info/RECORD", "")
    folder = tmp_path / "needy"
    folder.mkdir()
    (folder / "app.py").write_text("import greetings\n\ndef handler(event, context):\n    return greetings.TEXT\n")
    (folder / "requirements.txt").write_text(f"--no-index\n--find-links {tmp_path}\ngreetings\n")
    done = lambent("deploy", "needy")
    assert (done.returncode, done.stderr) == (0, "")
    assert lambent("invoke", "needy").stdout == '"from a package"'
    lambent("rm", "needy")


def test_ls_and_describe_show_it(lambent: Lambent, hello: str) -> None:
    row = next(line for line in lambent("ls").stdout.splitlines() if line.startswith(hello))
    assert row.split()[:5] == [hello, "python3.11", "app.handler", "128", "MB"]
    assert hello in [function["FunctionName"] for function in json.loads(lambent("ls", "-o", "json").stdout)]
    shown = lambent("describe", hello).stdout
    assert re.search(r"^State +Active$", shown, re.MULTILINE)


def test_rm_deletes_and_says_so_and_refuses_what_is_not_there(lambent: Lambent, hello: str) -> None:
    assert lambent("rm", hello).stdout == f"{hello} deleted\n"
    again = lambent("rm", hello)
    assert again.returncode == 3
    assert again.stderr.startswith("Error: ResourceNotFoundException: Function not found: arn:aws:lambda:")
    assert "`lambent ls`" in again.stderr


@pytest.mark.parametrize("command", ["invoke", "describe", "logs", "export"])
def test_a_function_that_is_not_there_is_lambdas_own_error(lambent: Lambent, command: str) -> None:
    done = lambent(command, "nowhere")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(
        "Error: ResourceNotFoundException: Function not found: arn:aws:lambda:us-east-1:000000000000:function:nowhere"
    )


def test_lambdas_own_validation_is_told_untouched(lambent: Lambent, hello: str) -> None:
    done = lambent("deploy", hello, "--timeout", "901")
    assert done.returncode == 3
    assert "Value '901' at 'timeout' failed to satisfy constraint" in done.stderr
