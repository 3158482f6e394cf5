"""Looks up what a function's image is, where the function does not say it all itself."""

from __future__ import annotations

import msgspec

from lambent_core import images
from lambent_core.function import FunctionSpec
from lambent_core.images import Images


async def with_image(spec: FunctionSpec, registries: Images) -> FunctionSpec:
    """The spec with what was found of its image, and a command to run. Raises ImageProblem."""
    if images.has_to_be_found(spec):
        found = await registries.find(spec.code.image_uri or "", images.architecture(spec))
        spec = msgspec.structs.replace(spec, code=msgspec.structs.replace(spec.code, image=found))
    images.check_runs(spec)
    return spec
