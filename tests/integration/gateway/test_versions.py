"""Published versions and aliases, through boto3: what runs, what it is told of itself, and what is left when they go."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.platform_process import Platform, package, wait_for

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
SOURCE = """
import os
import time

def handler(event, context):
    time.sleep(event.get("sleep", 0))
    print("seen", event.get("mark"))
    return {
        "code": CODE,
        "version": context.function_version,
        "variable": os.environ["AWS_LAMBDA_FUNCTION_VERSION"],
        "arn": context.invoked_function_arn,
        "stream": context.log_stream_name,
    }
"""


def source(code: int) -> str:
    return SOURCE.replace("CODE", str(code))


def update(platform: Platform, name: str, code: int, **parameters: Any) -> Any:
    client = platform.client()
    answer = client.update_function_code(FunctionName=name, ZipFile=package({"app.py": source(code)}), **parameters)
    client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    return answer


def test_each_version_runs_its_own_code_and_knows_what_it_is(shared_platform: Platform) -> None:
    client, name = shared_platform.client(), shared_platform.function("versioned", source(1))
    assert client.publish_version(FunctionName=name)["Version"] == "1"
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    assert update(shared_platform, name, 2, Publish=True)["Version"] == "2"
    update(shared_platform, name, 3)
    seen = {}
    for qualifier in (None, "$LATEST", "1", "2", "live"):
        given = {} if qualifier is None else {"Qualifier": qualifier}
        answer = shared_platform.invoke(name, **given)
        result = answer["Payload"]
        assert "FunctionError" not in answer, result
        assert answer["ExecutedVersion"] == result["version"] == result["variable"]
        assert f"[{result['version']}]" in result["stream"]
        assert result["arn"] == ARN + name + (f":{qualifier}" if qualifier else "")
        seen[qualifier] = (result["code"], result["version"])
    assert seen == {None: (3, "$LATEST"), "$LATEST": (3, "$LATEST"), "1": (1, "1"), "2": (2, "2"), "live": (1, "1")}


def test_an_alias_moves_and_goes(shared_platform: Platform) -> None:
    client, name = shared_platform.client(), shared_platform.function("moving", source(1))
    client.publish_version(FunctionName=name)
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    assert shared_platform.invoke(f"{name}:live")["Payload"]["code"] == 1
    update(shared_platform, name, 2, Publish=True)
    client.update_alias(FunctionName=name, Name="live", FunctionVersion="2")
    assert shared_platform.invoke(f"{name}:live")["Payload"]["code"] == 2
    client.update_alias(FunctionName=name, Name="live", FunctionVersion="$LATEST")
    update(shared_platform, name, 3)
    assert shared_platform.invoke(f"{name}:live")["Payload"]["code"] == 3
    client.delete_alias(FunctionName=name, Name="live")
    with pytest.raises(ClientError, match=f"Function not found: {ARN}{name}:live"):
        shared_platform.invoke(f"{name}:live")


def test_a_weighted_alias_shares_invocations_out(shared_platform: Platform) -> None:
    client, name = shared_platform.client(), shared_platform.function("weighted", source(1))
    client.publish_version(FunctionName=name)
    update(shared_platform, name, 2, Publish=True)
    client.create_alias(
        FunctionName=name, Name="ab", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}}
    )
    executed = [shared_platform.invoke(name, Qualifier="ab")["ExecutedVersion"] for _ in range(60)]
    assert set(executed) == {"1", "2"}
    client.update_alias(FunctionName=name, Name="ab", RoutingConfig={"AdditionalVersionWeights": {"2": 1.0}})
    assert {shared_platform.invoke(name, Qualifier="ab")["ExecutedVersion"] for _ in range(10)} == {"2"}
    client.update_alias(FunctionName=name, Name="ab", RoutingConfig={"AdditionalVersionWeights": {}})
    assert {shared_platform.invoke(name, Qualifier="ab")["ExecutedVersion"] for _ in range(10)} == {"1"}


def test_reserved_concurrency_is_the_functions(shared_platform: Platform) -> None:
    client, name = shared_platform.client(), shared_platform.function("reserved", source(1))
    client.publish_version(FunctionName=name)
    client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    for qualifier in ("$LATEST", "1"):
        with pytest.raises(ClientError) as error:
            shared_platform.invoke(name, Qualifier=qualifier)
        assert error.value.response["Error"]["Code"] == "TooManyRequestsException"


def test_an_event_keeps_its_qualifier(shared_platform: Platform) -> None:
    client, name = shared_platform.client(), shared_platform.function("events", source(1))
    client.publish_version(FunctionName=name)
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    update(shared_platform, name, 2)
    client.invoke(FunctionName=name, Qualifier="live", InvocationType="Event", Payload=json.dumps({"mark": "alias"}))
    client.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps({"mark": "latest"}))
    for mark, version in (("alias", "[1]"), ("latest", "[$LATEST]")):
        line = wait_for(
            mark, lambda mark=mark: [e for e in shared_platform.logs(name) if e["message"] == f"seen {mark}"]
        )
        assert version in line[0]["stream"]


def test_a_streamed_response_names_the_version(shared_platform: Platform) -> None:
    client, name = shared_platform.client(), shared_platform.function("streamed", source(1))
    client.publish_version(FunctionName=name)
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    answer = client.invoke_with_response_stream(FunctionName=name, Qualifier="live")
    assert answer["ExecutedVersion"] == "1"
    assert [event for event in answer["EventStream"] if "PayloadChunk" in event]


def test_an_alias_has_a_url_of_its_own(shared_platform: Platform) -> None:
    client, name = shared_platform.client(), shared_platform.function("with-urls", "def handler(e, c): return '1'")
    client.publish_version(FunctionName=name)
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    of_function = client.create_function_url_config(FunctionName=name, AuthType="NONE")["FunctionUrl"]
    of_alias = client.create_function_url_config(FunctionName=name, Qualifier="live", AuthType="NONE")["FunctionUrl"]
    client.update_function_code(FunctionName=name, ZipFile=package({"app.py": "def handler(e, c): return '2'"}))
    bodies = [shared_platform.get(url.removeprefix(shared_platform.endpoint)) for url in (of_function, of_alias)]
    assert bodies == [(200, "2"), (200, "1")]
    client.delete_function_url_config(FunctionName=name, Qualifier="live")
    assert shared_platform.get(of_alias.removeprefix(shared_platform.endpoint))[0] == 404


def test_what_is_deleted_is_not_found(shared_platform: Platform) -> None:
    client, name = shared_platform.client(), shared_platform.function("ending", source(1))
    client.publish_version(FunctionName=name)
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    with pytest.raises(ClientError, match=r"the following aliases reference it: \[live\]"):
        client.delete_function(FunctionName=name, Qualifier="1")
    client.delete_alias(FunctionName=name, Name="live")
    client.delete_function(FunctionName=name, Qualifier="1")
    with pytest.raises(ClientError, match=f"Function not found: {ARN}{name}:1"):
        shared_platform.invoke(name, Qualifier="1")
    assert client.publish_version(FunctionName=name)["Version"] == "2", "a number is not given twice"
    client.delete_function(FunctionName=name)
    with pytest.raises(ClientError, match=f"Function not found: {ARN}{name}:2"):
        shared_platform.invoke(name, Qualifier="2")
    shared_platform.function(name, source(9))
    assert [one["Version"] for one in client.list_versions_by_function(FunctionName=name)["Versions"]] == ["$LATEST"]
    assert client.publish_version(FunctionName=name)["Version"] == "1"
    assert shared_platform.invoke(name, Qualifier="1")["Payload"]["code"] == 9


def test_versions_and_aliases_outlive_a_restart(platform: Platform) -> None:
    client, name = platform.client(), platform.function("lasting", source(1))
    client.publish_version(FunctionName=name, Description="first")
    client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    update(platform, name, 2)
    platform.stop()
    platform.start()
    assert platform.invoke(name, Qualifier="live")["Payload"]["code"] == 1
    assert platform.client().get_function_configuration(FunctionName=name, Qualifier="live")["Description"] == "first"
    assert platform.client().publish_version(FunctionName=name)["Version"] == "2"


def test_what_a_crash_left_of_a_deleted_function_goes_at_the_next_start(platform: Platform) -> None:
    client = platform.client()
    for name in ("deleted", "kept"):
        platform.function(name, source(1))
        client.publish_version(FunctionName=name)
        client.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    platform.kill()
    with closing(sqlite3.connect(platform.data_dir / "documents.sqlite")) as documents:
        documents.execute("DELETE FROM documents WHERE kind = 'Function' AND name = 'deleted'")
        documents.commit()
    platform.start()
    with closing(sqlite3.connect(platform.data_dir / "documents.sqlite")) as documents:
        left = documents.execute("SELECT name FROM documents ORDER BY name").fetchall()
    assert left == [("kept",), ("kept.1",), ("kept.live",)]
    assert platform.invoke("kept", Qualifier="live")["Payload"]["version"] == "1"
