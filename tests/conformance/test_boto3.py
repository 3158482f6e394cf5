"""An unmodified boto3 client's ways of waiting and paging."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import boto3
import pytest


@pytest.fixture
def client(endpoint: str) -> Any:
    return boto3.client(
        "lambda", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )


def package(text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", text)
    return buffer.getvalue()


def create(client: Any, name: str) -> Any:
    return client.create_function(
        FunctionName=name,
        Runtime="python3.11",
        Handler="app.handler",
        Role="arn:aws:iam::000000000000:role/any",
        Code={"ZipFile": package("def handler(event, context): return event")},
    )


@pytest.mark.parametrize("waiter", ["function_exists", "function_active", "function_active_v2"])
def test_waiters_of_a_new_function(client: Any, waiter: str) -> None:
    name = f"waited-{waiter.replace('_', '-')}"
    create(client, name)
    client.get_waiter(waiter).wait(FunctionName=name, WaiterConfig={"MaxAttempts": 1})
    client.delete_function(FunctionName=name)


@pytest.mark.parametrize("waiter", ["function_updated", "function_updated_v2"])
def test_waiters_of_an_update(client: Any, waiter: str) -> None:
    name = f"waited-{waiter.replace('_', '-')}"
    create(client, name)
    client.update_function_code(FunctionName=name, ZipFile=package("def handler(event, context): return 2"))
    client.get_waiter(waiter).wait(FunctionName=name, WaiterConfig={"MaxAttempts": 1})
    assert client.get_function(FunctionName=name)["Configuration"]["LastUpdateStatus"] == "Successful"
    client.delete_function(FunctionName=name)


def test_paginator_sees_every_function(client: Any) -> None:
    names = {f"paged-{number}" for number in range(7)}
    for name in names:
        create(client, name)
    pages = client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 3})
    found = [function["FunctionName"] for page in pages for function in page["Functions"]]
    assert len(found) == len(set(found))
    assert names <= set(found)
    for name in names:
        client.delete_function(FunctionName=name)


def test_exceptions_are_boto3s_own(client: Any) -> None:
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="Function not found"):
        client.get_function(FunctionName="nobody")
