"""Names of images (R1)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent_core.image_references import PATTERN, InvalidReference, parse

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest"),
    [
        ("alpine", "docker.io", "library/alpine", "latest", None),
        ("alpine:3.20", "docker.io", "library/alpine", "3.20", None),
        ("team/fn", "docker.io", "team/fn", "latest", None),
        ("docker.io/alpine", "docker.io", "library/alpine", "latest", None),
        ("index.docker.io/team/fn:1", "docker.io", "team/fn", "1", None),
        ("localhost/fn:dev", "localhost", "fn", "dev", None),
        ("localhost:5000/fn", "localhost:5000", "fn", "latest", None),
        ("127.0.0.1:5000/a/b/c:1", "127.0.0.1:5000", "a/b/c", "1", None),
        ("[::1]:5000/fn", "[::1]:5000", "fn", "latest", None),
        ("Registry/fn", "Registry", "fn", "latest", None),
        (f"registry.example.com/fn@{DIGEST}", "registry.example.com", "fn", "latest", DIGEST),
        (f"registry.example.com/fn:1@{DIGEST}", "registry.example.com", "fn", "1", DIGEST),
        (
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/fn:v1.2-3_a",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "team/fn",
            "v1.2-3_a",
            None,
        ),
    ],
)
def test_the_parts_of_a_name(text: str, registry: str, repository: str, tag: str, digest: str | None) -> None:
    found = parse(text)
    assert (found.registry, found.repository, found.tag, found.digest) == (registry, repository, tag, digest)


@pytest.mark.parametrize("text", ["alpine", "alpine:3.20", f"alpine:3@{DIGEST}", "localhost:5000/team/fn:1"])
def test_pinned_it_is_the_same_repository(text: str) -> None:
    pinned = parse(parse(text).pinned(DIGEST))
    assert (pinned.registry, pinned.repository, pinned.digest) == (parse(text).registry, parse(text).repository, DIGEST)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "Fn", "a b", "fn:", "fn:a b", "fn@sha256:ab", "fn@md5:" + "ab" * 16, "https://registry/fn", "a//b", "/fn", "fn/",
        "fn:" + "t" * 129, "-fn", "fn\n", "fn:ü",
    ],
)  # fmt: skip
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(InvalidReference):
        parse(text)


@given(st.from_regex(PATTERN, fullmatch=True) | st.text(max_size=30))
def test_what_the_pattern_takes_can_be_read(text: str) -> None:
    """The custom resources check the pattern, the gateway reads the parts."""
    if re.fullmatch(PATTERN, text):
        assert parse(text).repository
    else:
        with pytest.raises(InvalidReference):
            parse(text)
