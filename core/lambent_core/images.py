"""
Functions that are container images: what is looked up of an image, what runs in it, and what is wrong with it in Lambda's words.

Our own command hides the image's ENTRYPOINT and CMD, so they must be known: from the function's `imageConfig`, or from the registry.
AWS documentation: "Create a Lambda function using a container image", section "Container image settings"; formats: the OCI image
specification, which Docker's own media types came before.

    I1  a found image is run by its digest: environments of one revision are all of the same content
    I2  `imageConfig.entryPoint` takes ENTRYPOINT's place and `imageConfig.command` takes CMD's, each by itself
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, get_args

import msgspec

from lambent_core import image_references
from lambent_core.function import Code, FoundImage, FunctionSpec, ImageConfig

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
"""Media types of a list of images, one for each architecture."""
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
ARCHITECTURES: Mapping[str, str] = {"x86_64": "amd64", "arm64": "arm64"}
"""Lambda's names, and those of images and nodes."""
ReasonCode = Literal["ImageAccessDenied", "ImageDeleted", "InvalidImage"]
IMAGE_PROBLEMS: frozenset[str] = frozenset(get_args(ReasonCode))


class ImageProblem(Exception):
    """Why an image can't be a function. `code` is of AWS's StateReasonCode."""

    def __init__(self, code: ReasonCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Images(Protocol):
    """Where images are looked up: registries."""

    async def find(self, uri: str, architecture: str) -> FoundImage:
        """`architecture` in Lambda's words. Raises ImageProblem."""


def is_image(spec: FunctionSpec) -> bool:
    return spec.package_type == "Image"


def architecture(spec: FunctionSpec) -> str:
    """In Lambda's words."""
    return spec.architectures[0] if spec.architectures else "x86_64"


def has_to_be_found(spec: FunctionSpec) -> bool:
    """Whether the image must be looked up before it can run: nobody has, and the function does not say all itself."""
    config = spec.image_config or ImageConfig()
    return is_image(spec) and spec.code.image is None and not (config.entry_point and config.command)


def command(spec: FunctionSpec) -> list[str]:
    """What runs in the image; empty where nobody knows."""
    config, found = spec.image_config or ImageConfig(), spec.code.image
    if has_to_be_found(spec):
        return []
    entry_point = config.entry_point or (found.entry_point if found else [])
    return [*entry_point, *(config.command or (found.command if found else []))]


def digest(code: Code) -> str | None:
    """`sha256:…` of what was found, or of what the name says itself; None where a tag is used as it is."""
    if code.image is not None:
        return code.image.digest
    return image_references.parse(code.image_uri).digest if code.image_uri else None


def to_pull(code: Code) -> str:
    """The name under which pods pull it (I1)."""
    uri, pinned = code.image_uri or "", digest(code)
    return image_references.parse(uri).pinned(pinned) if pinned else uri


def still_known(spec: FunctionSpec, before: Code | None) -> FunctionSpec:
    """
    The spec that is wanted, with what was found of the same image before.

    A tag is looked up when it is given, and not at every change beside it: else other code would come with another time-out.
    """
    code = without_findings(spec.code)
    if before is not None and before.image is not None and before.image_uri == code.image_uri:
        code = before if before.image.architecture == architecture(spec) else code
    return msgspec.structs.replace(spec, code=code)


def without_findings(code: Code) -> Code:
    """What the user said of it."""
    return Code(image_uri=code.image_uri) if code.image_uri else code


def of_architecture(index: Any, architecture: str, uri: str) -> str:
    """The digest of the image for an architecture, in a list of several. Raises ImageProblem."""
    wanted, there = ARCHITECTURES[architecture], []
    for entry in _list(index, "manifests"):
        platform = _member(entry, "platform")
        if platform.get("os") == "linux" and platform.get("architecture") == wanted:
            return str(entry["digest"])
        if platform.get("os") not in (None, "unknown"):
            there.append(f"{platform.get('os')}/{platform.get('architecture')}")
    raise ImageProblem("InvalidImage", _other_architecture(uri, architecture, there))


def found(config: Any, digest: str, architecture: str, uri: str) -> FoundImage:
    """
    What an image's configuration says; `digest` is that which its name stands for.

    Raises ImageProblem for another architecture, and where there is nothing to run.
    """
    if not isinstance(config, dict):
        raise unsupported_image(uri)
    its_own = config.get("architecture")
    if its_own not in (None, "", ARCHITECTURES[architecture]):
        there = [f"{config.get('os', 'linux')}/{its_own}"]
        raise ImageProblem("InvalidImage", _other_architecture(uri, architecture, there))
    settings = _member(config, "config")
    try:
        image = FoundImage(
            digest=digest,
            architecture=architecture,
            entry_point=msgspec.convert(settings.get("Entrypoint") or [], list[str]),
            command=msgspec.convert(settings.get("Cmd") or [], list[str]),
        )
    except msgspec.ValidationError:
        raise unsupported_image(uri) from None
    return image


def check_runs(spec: FunctionSpec) -> None:
    """Raises ImageProblem where neither the image nor `imageConfig` says what to run."""
    if not has_to_be_found(spec) and not command(spec):
        raise ImageProblem(
            "InvalidImage",
            f"The image {spec.code.image_uri} has neither ENTRYPOINT nor CMD: set them in its Dockerfile, or give "
            "imageConfig.entryPoint and imageConfig.command.",
        )


def absent_image(uri: str, registry: str) -> ImageProblem:
    return ImageProblem(
        "ImageDeleted",
        f"Source image {uri} does not exist. Provide a valid source image. The registry {registry} has no such repository, tag "
        "or digest: push the image, or correct its name.",
    )


def denied_image(uri: str, registry: str, answer: str) -> ImageProblem:
    return ImageProblem(
        "ImageAccessDenied",
        f"Lambda does not have permission to access the image {uri}: the registry {registry} answered {answer}. Put credentials "
        "for it into the Secret that the chart's value gateway.registryCredentials.existingSecret names; if they are there, check "
        "the image's name.",
    )


def unreachable_image(uri: str, registry: str, why: str) -> ImageProblem:
    return ImageProblem(
        "ImageAccessDenied",
        f"The gateway can't ask the registry {registry} for the image {uri}: {why}. Check the registry and the way to it, or give both "
        "imageConfig.entryPoint and imageConfig.command: then it isn't asked.",
    )


def unsupported_image(uri: str) -> ImageProblem:
    return ImageProblem(
        "InvalidImage",
        f"The image manifest, config or layer media type for the source image {uri} is not supported.",
    )


def _other_architecture(uri: str, architecture: str, there: Sequence[str]) -> str:
    return (
        f"The image {uri} is not for linux/{ARCHITECTURES[architecture]}, which the function's architecture {architecture} needs: "
        f"it is for {', '.join(there) or 'nothing that is named'}. Build it for that, or set the function's architectures."
    )


def _list(of: Any, member: str) -> list[Any]:
    value = of.get(member) if isinstance(of, dict) else None
    return value if isinstance(value, list) else []


def _member(of: Any, member: str) -> dict[str, Any]:
    value = of.get(member) if isinstance(of, dict) else None
    return value if isinstance(value, dict) else {}
