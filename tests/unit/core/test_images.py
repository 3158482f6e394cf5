"""Functions that are images: what runs, under which name it is pulled, and what can be wrong (I1, I2)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lambent_core import images
from lambent_core.function import Code, FoundImage, FunctionSpec, ImageConfig
from lambent_core.images import ImageProblem

URI = "registry.example.com/fn:1"
DIGEST = "sha256:" + "ab" * 32
FOUND = FoundImage(digest=DIGEST, entry_point=["/entry"], command=["app.handler"])


def image(found: FoundImage | None = FOUND, uri: str = URI, **config: Any) -> FunctionSpec:
    code = Code(image_uri=uri, image=found)
    return FunctionSpec(package_type="Image", code=code, image_config=ImageConfig(**config) if config else None)


@pytest.mark.parametrize(
    ("spec", "command"),
    [
        (image(), ["/entry", "app.handler"]),
        (image(command=["other.handler", "-v"]), ["/entry", "other.handler", "-v"]),
        (image(entry_point=["/own"]), ["/own", "app.handler"]),
        (image(entry_point=["/own"], command=["a"]), ["/own", "a"]),
        (image(None, entry_point=["/own"], command=["a"]), ["/own", "a"]),
        (image(None, entry_point=["/own"]), []),
        (image(None), []),
        (image(FoundImage(digest=DIGEST, command=["/only"])), ["/only"]),
    ],
)
def test_what_runs(spec: FunctionSpec, command: list[str]) -> None:
    assert images.command(spec) == command


def test_what_has_to_be_found() -> None:
    assert images.has_to_be_found(image(None))
    assert images.has_to_be_found(image(None, command=["a"]))
    assert not images.has_to_be_found(image(None, entry_point=["/own"], command=["a"]))
    assert not images.has_to_be_found(image())
    assert not images.has_to_be_found(FunctionSpec(runtime="python3.11"))


@pytest.mark.parametrize(
    ("code", "pulled", "digest"),
    [
        (image().code, f"registry.example.com/fn@{DIGEST}", DIGEST),
        (image(None).code, URI, None),
        (Code(image_uri=f"fn:1@{DIGEST}"), f"fn@{DIGEST}", DIGEST),
        (Code(image_uri="alpine", image=FOUND), f"alpine@{DIGEST}", DIGEST),
    ],
)
def test_under_which_name_it_is_pulled(code: Code, pulled: str, digest: str | None) -> None:
    assert (images.to_pull(code), images.digest(code)) == (pulled, digest)


def entry(architecture: str, digest: str, os: str = "linux") -> dict[str, Any]:
    return {"digest": digest, "platform": {"os": os, "architecture": architecture}}


INDEX = {
    "manifests": [entry("unknown", "att", "unknown"), entry("amd64", "a"), entry("arm64", "b"), entry("amd64", "c")]
}


def test_of_several_the_one_for_the_architecture() -> None:
    assert images.of_architecture(INDEX, "x86_64", URI) == "a"
    assert images.of_architecture(INDEX, "arm64", URI) == "b"


@pytest.mark.parametrize(
    ("index", "there"),
    [
        ({"manifests": [entry("amd64", "a"), entry("amd64", "w", "windows")]}, "linux/amd64, windows/amd64"),
        ({"manifests": []}, "nothing that is named"),
        ({}, "nothing that is named"),
        ([], "nothing that is named"),
    ],
)
def test_none_is_for_the_architecture(index: Any, there: str) -> None:
    with pytest.raises(ImageProblem) as caught:
        images.of_architecture(index, "arm64", URI)
    assert caught.value.code == "InvalidImage"
    assert f"it is for {there}." in caught.value.message and "linux/arm64" in caught.value.message


def test_what_an_image_says() -> None:
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": ["/entry"], "Cmd": ["app.handler"], "Env": []},
    }
    assert images.found(config, DIGEST, "x86_64", URI) == FOUND
    assert images.found({"config": {"Cmd": None}}, DIGEST, "x86_64", URI) == FoundImage(digest=DIGEST)
    assert images.found({}, DIGEST, "arm64", URI) == FoundImage(digest=DIGEST, architecture="arm64")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"architecture": "arm64", "os": "linux"}, "it is for linux/arm64"),
        ([], "is not supported"),
        ({"config": {"Cmd": "text"}}, "is not supported"),
        ({"config": {"Entrypoint": [1]}}, "is not supported"),
    ],
)
def test_what_an_image_must_not_say(config: Any, words: str) -> None:
    with pytest.raises(ImageProblem, match=words) as caught:
        images.found(config, DIGEST, "x86_64", URI)
    assert caught.value.code == "InvalidImage"


def test_an_image_without_a_command() -> None:
    with pytest.raises(ImageProblem, match="neither ENTRYPOINT nor CMD"):
        images.check_runs(image(FoundImage(digest=DIGEST)))
    images.check_runs(image(FoundImage(digest=DIGEST), command=["a"]))
    images.check_runs(image())


@pytest.mark.parametrize(
    ("architectures", "architecture"), [([], "x86_64"), (["x86_64"], "x86_64"), (["arm64"], "arm64")]
)
def test_an_image_is_of_the_functions_architecture(architectures: list[str], architecture: str) -> None:
    assert images.architecture(FunctionSpec(package_type="Image", architectures=architectures)) == architecture


ARM = FoundImage(digest=DIGEST, architecture="arm64", command=["app.handler"])


@pytest.mark.parametrize(
    ("spec", "before", "known"),
    [
        (image(None), Code(image_uri=URI, image=FOUND), FOUND),
        (image(None), None, None),
        (image(None), Code(image_uri=URI), None),
        (image(None), Code(sha256="ab" * 32), None),
        (image(None, uri=f"{URI}-next"), Code(image_uri=URI, image=FOUND), None),
        (image(None), Code(image_uri=URI, image=ARM), None),
        (image(ARM), None, None),
        (image(ARM), Code(image_uri=URI, image=FOUND), FOUND),
    ],
    ids=[
        "the same image",
        "a new function",
        "not found before",
        "a package before",
        "another tag",
        "another architecture",
        "a finding in the manifest",
        "a finding in the manifest, of the same image",
    ],
)
def test_what_was_found_is_known_until_another_image_is_wanted(
    spec: FunctionSpec, before: Code | None, known: FoundImage | None
) -> None:
    """What a manifest says was found is no finding: only the platform looks images up."""
    wanted = images.still_known(spec, before)
    assert wanted == msgspec.structs.replace(spec, code=Code(image_uri=spec.code.image_uri, image=known))


def test_what_a_package_is_made_of_is_no_finding() -> None:
    code = Code(sha256="ab" * 32, size=9)
    assert images.without_findings(code) == code


@pytest.mark.parametrize(
    ("problem", "code", "words"),
    [
        (
            images.absent_image(URI, "registry.example.com"),
            "ImageDeleted",
            f"Source image {URI} does not exist. Provide a valid source image. The registry registry.example.com has no such",
        ),
        (
            images.denied_image(URI, "registry.example.com", "401 Unauthorized"),
            "ImageAccessDenied",
            f"Lambda does not have permission to access the image {URI}: the registry registry.example.com answered 401 Unauth",
        ),
        (
            images.unreachable_image(URI, "registry.example.com", "no route to host"),
            "ImageAccessDenied",
            f"The gateway can't ask the registry registry.example.com for the image {URI}: no route to host. Check the reg",
        ),
    ],
    ids=["absent", "denied", "unreachable"],
)
def test_why_an_image_could_not_be_had(problem: ImageProblem, code: str, words: str) -> None:
    """In AWS's words where it has them, and then in ours: what to do."""
    assert problem.code == code and problem.code in images.IMAGE_PROBLEMS
    assert problem.message.startswith(words)
    assert str(problem) == problem.message
