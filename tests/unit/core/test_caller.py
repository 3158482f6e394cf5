"""Callers as the credential scope names them."""

from __future__ import annotations

import pytest

from lambent_core.caller import Caller, caller_of

SIGNED = "AWS4-HMAC-SHA256 Credential=AKID/20261124/eu-central-1/lambda/aws4_request, SignedHeaders=host, Signature=00"


def test_region_and_principal_come_from_the_credential_scope() -> None:
    assert caller_of(SIGNED, account="123456789012") == Caller("123456789012", "eu-central-1", "AKID")


@pytest.mark.parametrize(
    "header",
    ["", "Bearer token", "AWS4-HMAC-SHA256 Credential=AKID/20261124", "Credential=AKID/20261124//lambda/aws4_request"],
    ids=["none", "another scheme", "cut off", "no region"],
)
def test_anything_else_is_nobody_in_the_default_region(header: str) -> None:
    assert caller_of(header, account="123456789012", region="eu-west-1") == Caller("123456789012", "eu-west-1", "")


def test_arns() -> None:
    caller = Caller("123456789012", "eu-west-1")
    assert caller.function_arn("f") == "arn:aws:lambda:eu-west-1:123456789012:function:f"
    assert caller.function_arn("f", "1") == "arn:aws:lambda:eu-west-1:123456789012:function:f:1"
    assert caller.latest_arn("f") == "arn:aws:lambda:eu-west-1:123456789012:function:f:$LATEST"
