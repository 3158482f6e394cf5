"""Layers' names as callers and manifests write them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent_core.caller import Caller
from lambent_core.layer_names import (
    REFERENCE_PATTERN,
    LayerReference,
    document_name,
    parse_layer,
    parse_layer_version,
)

CALLER = Caller("123456789012", "us-east-1")
ARN = "arn:aws:lambda:us-east-1:123456789012:layer:deps"
NAMES = st.from_regex(r"[a-zA-Z0-9-_]{1,140}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("deps", "deps"),
        (ARN, "deps"),
        (ARN.replace("us-east-1", "eu-west-1"), None),
        (ARN.replace("123456789012", "999999999999"), None),
        (f"{ARN}:1", None),
        ("a.b", None),
    ],
)
def test_a_layer_by_name_or_arn(text: str, name: str | None) -> None:
    assert parse_layer(text, CALLER) == name


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("deps:3", LayerReference("deps", 3)),
        (f"{ARN}:12", LayerReference("deps", 12, "us-east-1", "123456789012")),
        ("deps", None),
        (ARN, None),
        ("arn:aws:lambda:::awslayer:AmazonLinux1703", None),
        ("a:b:1", None),
        ("deps:1\n", None),
        ("deps:٣", None),
    ],
)
def test_a_layer_version_by_arn_or_for_short(text: str, reference: LayerReference | None) -> None:
    assert parse_layer_version(text) == reference


@given(NAMES, st.integers(1, 10**10 - 1))
def test_what_is_written_is_read(name: str, version: int) -> None:
    for text in (f"{name}:{version}", CALLER.layer_arn(name, version)):
        read = parse_layer_version(text)
        assert read is not None and (read.name, read.version, read.short) == (name, version, f"{name}:{version}")
        assert read.arn(CALLER) == CALLER.layer_arn(name, version)
        assert re.fullmatch(REFERENCE_PATTERN, text), "manifests take it"
    assert parse_layer(CALLER.layer_arn(name), CALLER) == name


@given(NAMES, NAMES, st.integers(1, 99))
def test_documents_of_two_layers_have_two_names(one: str, other: str, version: int) -> None:
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.[1-9][0-9]*", document_name(one, version))
    assert (document_name(one, version) == document_name(other, version)) == (one == other)
