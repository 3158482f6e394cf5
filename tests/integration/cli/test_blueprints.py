"""Every blueprint and every example deploys and answers its test event."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from lambent_cli import blueprint
from tests.integration.cli.conftest import Lambent
from tests.platform_process import ROOT

EXAMPLES = ROOT / "examples"
ANSWERS: dict[str, Any] = {
    "plain": {"greeting": "Hello, Ann!", "function": "b-plain"},
    "http-api": {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": '{"id": "1", "title": "The Left Hand of Darkness"}',
    },
    "queue-worker": {"batchItemFailures": [{"itemIdentifier": "22222222-2222-2222-2222-222222222222"}]},
    "scheduled-task": {"from": "2026-01-01T00:00:00+00:00", "to": "2026-01-02T00:00:00+00:00"},
    "file-processor": {"files": [{"bucket": "inbox", "key": "2026/monthly report.csv", "kind": "csv", "size": 1024}]},
}


@pytest.mark.parametrize("kind", blueprint.NAMES)
def test_a_blueprint_answers_its_test_event(lambent: Lambent, kind: str) -> None:
    name = f"b-{kind}"
    written = lambent("init", name, "--blueprint", kind)
    assert f"lambent deploy {name}" in written.stdout
    done = lambent("deploy", name)
    assert (done.returncode, done.stderr) == (0, "")
    answered = lambent("invoke", name, f"@{name}/event.json")
    assert (answered.returncode, answered.stderr) == (0, "")
    assert json.loads(answered.stdout) == ANSWERS[kind]
    lambent("rm", name)


def test_the_http_blueprint_answers_at_its_url(lambent: Lambent) -> None:
    lambent("init", "b-url", "-b", "http-api")
    url = json.loads(lambent("deploy", "b-url", "-o", "json").stdout)["url"]
    with urlopen(f"{url}books/2") as answer:
        assert json.load(answer) == {"id": "2", "title": "Ubik"}
    assert f"URL           {url}" in lambent("describe", "b-url").stdout
    lambent("rm", "b-url")


def test_hello_is_the_plain_blueprint_that_up_deploys(tmp_path: Path) -> None:
    files = blueprint.write("plain", tmp_path / "hello", name="hello", runtime="python3.11")
    assert {file.name: file.read_text() for file in files} == {
        file.name: file.read_text() for file in (EXAMPLES / "hello").iterdir() if file.is_file()
    }


@pytest.mark.parametrize("how", [("deploy",), ("apply", "-f")], ids=["deploy", "apply"])
def test_the_http_example_rolls_dice(lambent: Lambent, how: tuple[str, ...]) -> None:
    folder = EXAMPLES / "http-api"
    assert lambent(*how, str(folder)).returncode == 0
    rolled = json.loads(lambent("invoke", "dice", f"@{folder}/event.json").stdout)
    assert rolled["roll"] == "2d6"
    assert len(rolled["dice"]) == 2
    assert rolled["total"] == sum(rolled["dice"])
    url = json.loads(lambent("describe", "dice", "-o", "json").stdout)["FunctionUrl"]
    with urlopen(f"{url}3d1") as answer:
        assert json.load(answer) == {"roll": "3d1", "dice": [1, 1, 1], "total": 3}
    lambent("rm", "dice")


@pytest.mark.parametrize("how", [("deploy",), ("apply", "-f")], ids=["deploy", "apply"])
def test_the_word_count_example_counts_and_refuses(lambent: Lambent, how: tuple[str, ...]) -> None:
    folder = EXAMPLES / "word-count"
    assert lambent(*how, str(folder)).returncode == 0
    counted = json.loads(lambent("invoke", "word-count", f"@{folder}/event.json").stdout)
    assert counted == {"words": 9, "most_common": [["to", 2], ["be", 2], ["or", 1]]}
    refused = lambent("invoke", "word-count", '{"text": 1}')
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["errorType"] == "ValueError"
    lambent("rm", "word-count")


def test_the_layered_example(lambent: Lambent) -> None:
    folder = EXAMPLES / "layered"
    assert lambent("apply", "-f", str(folder)).stdout == "greetings:1 created\nlayered created\n"
    assert lambent("invoke", "layered", f"@{folder}/event.json").stdout == '{"greeting": "Guten Tag, Ann!"}'
    assert lambent("delete", "-f", str(folder)).returncode == 0
    published = lambent("layers", "publish", str(folder / "layer"), "--name", "greetings")
    assert published.stdout.startswith("greetings:2 published: 1 file, ")
    lambent("layers", "rm", "greetings:2")


def test_the_inline_example(lambent: Lambent) -> None:
    assert lambent("apply", "-f", str(EXAMPLES / "inline.yaml")).stdout == "echo created\nclock created\n"
    assert lambent("invoke", "echo", '{"a": [1]}').stdout == '{"a": [1]}'
    assert datetime.fromisoformat(json.loads(lambent("invoke", "clock").stdout)).utcoffset() is not None
    lambent("delete", "-f", str(EXAMPLES / "inline.yaml"))
