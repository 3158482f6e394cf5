"""
Container images as the API's doors take them: looked up before the function is written, so that whoever calls is told what is wrong.

AWS does so too: CreateFunction answers with the digest, and refuses an image that it can't find or read.
"""

from __future__ import annotations

import msgspec

from lambent_core import function_rules
from lambent_core.errors import AccessDenied, InvalidParameterValue, NotImplementedYet
from lambent_core.function import FunctionSpec
from lambent_core.images import ImageProblem
from lambent_gateway.api.calls import Parts
from lambent_gateway.images import with_image

NO_CONTAINERS = (
    "Functions from container images run on Kubernetes only: this Lambent runs functions as processes of its machine, "
    "without containers."
)


async def looked_up(parts: Parts, spec: FunctionSpec) -> FunctionSpec:
    """The spec with what was found of its image; raises the first problem as Lambda's API would."""
    function_rules.check_spec(spec)
    if parts.images is None:
        raise NotImplementedYet(NO_CONTAINERS)
    try:
        return await with_image(spec, parts.images)
    except ImageProblem as problem:
        if problem.code == "ImageAccessDenied":
            raise AccessDenied(problem.message) from problem
        raise InvalidParameterValue(problem.message) from problem


def with_looked_up(spec: FunctionSpec, seen: FunctionSpec, found: FunctionSpec) -> FunctionSpec:
    """`spec` with the image of `found`, if its code is still that which was looked up for: `seen`."""
    return msgspec.structs.replace(spec, code=found.code) if spec.code == seen.code else spec
