"""
Functions that somebody else than the gateway has changed: on Kubernetes anybody may write a `spec`, and `metadata.generation` tells.

A change is foreign until `status.observedGeneration` is the generation; bringing it about is for the gateway, once.

    G1  what was foreign is settled or failed, and foreign no more, after it was brought about
    G2  environments are made anew exactly if code or configuration differ from what the last ones were made of
    G3  a change that can't be brought about leaves the code of the last one in force
    G4  what the gateway writes beside a foreign change doesn't make that one its own: it is brought about all the same
    G5  a change that names a layer version which isn't there yet is brought about once it is
    G6  a change whose image or package could not be had is brought about once it can be
    G7  code of a change that failed is in force when the function is Successful again, unless other code came meanwhile
    G8  a change that reserves more concurrency than there was is brought about once there is enough
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from lambent_core import deployment, function_rules, timestamps
from lambent_core.awaited import PACKAGE_NOT_FOUND, RESERVATION_TOO_LARGE
from lambent_core.deployment import BESIDE_THE_CODE, url_status
from lambent_core.function import NOT_TEXT, Code, Function, FunctionLayer, FunctionSpec, FunctionStatus
from lambent_core.function_rules import ENVIRONMENT_MEASURED
from lambent_core.images import IMAGE_PROBLEMS
from lambent_core.layer_names import LayerReference, parse_layer_version

_PENDING = "The function is being created."
_OF_THE_API = (
    "last_version", "url_id", "url_created", "url_last_modified", "event_invoke_config_modified", "url",
    "reserved_concurrent_executions",
)  # fmt: skip
"""Members of `status` that are not what a change came to."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a change can't be brought about."""

    code: str
    """Of AWS's StateReasonCode, or of `awaited`."""
    message: str


def is_foreign(function: Function) -> bool:
    return function.metadata.generation != function.status.observed_generation


def seen(function: Function) -> Function:
    """The function as Lambda's API and the invoke path shall see it: with its package, and under way while a change is foreign."""
    status = function.status
    if not is_foreign(function):
        return function if status.code is None else _with_code(function, status.code)
    if status.observed_generation == 0:
        return msgspec.structs.replace(function, status=FunctionStatus())
    under_way = msgspec.structs.replace(
        status,
        last_update_status="InProgress",
        last_update_status_reason=_PENDING,
        last_update_status_reason_code="Creating",
    )
    return msgspec.structs.replace(function, status=under_way)


def noted(function: Function, before: FunctionStatus, *, generation: int, url: str | None) -> Function:
    """
    A function that the gateway itself has written: the new generation is its own doing. `before` is what stood in its status.

    Not so if it wrote beside a foreign change that is still to be brought about: then both are brought about together. Nor if
    it wrote after a change that failed, and no other code than what is in force: that it saw, and another is in the resource; or beside
    a reservation that was refused, and is to be asked for anew.
    """
    if is_foreign(function):
        return function
    spec, status = function.spec, function.status
    same_code = before.code in (None, spec.code)
    refused = spec.reserved_concurrent_executions != status.reserved_concurrent_executions
    if before.last_update_status == "Failed" and deployment.is_unsettled(function) and (same_code or refused):
        in_force = msgspec.structs.replace(
            status, observed_generation=generation - 1, code_revision=before.code_revision, layers=before.layers
        )
        return msgspec.structs.replace(function, status=in_force)
    code = spec.code if spec.code.sha256 or spec.code.image_uri else status.code
    anew = deployment.is_unsettled(function)  # else it wrote beside the code, and environments stay what they are
    status = msgspec.structs.replace(
        status,
        observed_generation=generation,
        code=code,
        settled_sha256=digest(spec, code) if code and anew else status.settled_sha256,
        url=url,
    )
    return msgspec.structs.replace(function, status=status)


def beside(ours: Function, theirs: Function) -> Function:
    """
    What the gateway has still to write of `ours`, whose `spec` it has written, where `theirs` is there now.

    If another gateway has brought that about meanwhile, it is as that found it, but for what the API alone writes.
    """
    if theirs.status.observed_generation < ours.status.observed_generation:
        return ours
    own = {field: getattr(ours.status, field) for field in _OF_THE_API}
    return msgspec.structs.replace(ours, status=msgspec.structs.replace(theirs.status, **own))


def has_failed(function: Function) -> bool:
    """Whether the last change could not be brought about."""
    return function.status.last_update_status == "Failed" and not is_foreign(function)


def awaits_layer(function: Function, layer: LayerReference) -> bool:
    """Whether the layer version is what a change lacked, or still lacks: the two may be applied in any order (G5)."""
    if not has_failed(function) and not is_foreign(function):
        return False
    wanted = {reference.short for reference in map(parse_layer_version, function.spec.layers) if reference}
    return layer.short in wanted - {had.layer for had in function.status.layers}


def awaits_code(function: Function) -> bool:
    """Whether a change failed because its image or package could not be had: it may be there a moment later (G6)."""
    problem = function.status.last_update_status_reason_code
    return has_failed(function) and (problem in IMAGE_PROBLEMS or problem == PACKAGE_NOT_FOUND)


def awaits_room(function: Function) -> bool:
    """Whether a change failed because others had reserved too much (G8)."""
    return has_failed(function) and function.status.last_update_status_reason_code == RESERVATION_TOO_LARGE


def asked_for(failed: Function, earlier: Function | None) -> FunctionSpec | None:
    """
    The spec that a failed change asked for: it is seen while that is under way, and with the code in force afterwards.

    None where `earlier`, the function as it was seen before, isn't that change under way.
    """
    if earlier is None or not is_foreign(earlier) or earlier.metadata.uid != failed.metadata.uid:
        return None
    return earlier.spec if earlier.metadata.generation == failed.metadata.generation else None


def once_more(function: Function) -> Function:
    """
    The function with its last change foreign again, as it is seen then: it is brought about anew.

    Only so is it seen as it was wanted: a failed one is seen with the code in force.
    """
    before = max(function.metadata.generation - 1, 0)
    status = msgspec.structs.replace(function.status, observed_generation=before)
    return seen(msgspec.structs.replace(function, status=status))


def problem_of(spec: FunctionSpec) -> Problem | None:
    """What can't be in a function, beyond what the resource's schema refuses."""
    if isinstance(spec.code.inline, dict) and NOT_TEXT in spec.code.inline:
        return Problem("InvalidZipFileException", f"spec.code.inline: {spec.code.inline[NOT_TEXT]}")
    for _, message in function_rules.problems(spec):
        told = message.partition(ENVIRONMENT_MEASURED)[
            0
        ]  # the rest quotes variables' values, and many may read a status
        return Problem("InvalidConfiguration", told)
    for path in function_rules.unsupported(spec):
        return Problem("InvalidConfiguration", f"{path} is not implemented yet in Lambent.")
    return None


def brought_about(
    function: Function,
    outcome: Code | Problem,
    *,
    layers: Sequence[FunctionLayer] = (),
    url: str | None,
    revision_id: str,
    now: float,
) -> Function:
    """The function after a foreign change: `outcome` and `layers` are what its code and layers came to, or what is wrong."""
    status = msgspec.structs.replace(
        url_status(function, function.spec.url, now),
        observed_generation=function.metadata.generation,
        revision_id=revision_id,
        last_modified=timestamps.last_modified(now),
        url=url,
    )
    if isinstance(outcome, Problem):
        return msgspec.structs.replace(function, status=_failed(status, outcome))
    code = _as_known(function, outcome)
    made_of = digest(function.spec, code)
    return msgspec.structs.replace(
        function,
        status=msgspec.structs.replace(
            status,
            state="Active",
            state_reason=None,
            state_reason_code=None,
            last_update_status="Successful",
            last_update_status_reason=None,
            last_update_status_reason_code=None,
            code=code,
            layers=list(layers),
            reserved_concurrent_executions=function.spec.reserved_concurrent_executions,
            code_revision=status.code_revision + (made_of != status.settled_sha256),
            settled_sha256=made_of,
        ),
    )


def digest(spec: FunctionSpec, code: Code) -> str:
    """Of all that an execution environment is made of."""
    plain = FunctionSpec()
    same = {field: getattr(plain, field) for field in BESIDE_THE_CODE}
    return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(spec, code=code, **same))).hexdigest()


def _failed(status: FunctionStatus, problem: Problem) -> FunctionStatus:
    never_was = status.code_revision == 0
    return msgspec.structs.replace(
        status,
        state="Failed" if never_was else "Active",
        state_reason=problem.message if never_was else None,
        state_reason_code=problem.code if never_was else None,
        last_update_status="Failed",
        last_update_status_reason=problem.message,
        last_update_status_reason_code=problem.code,
    )


def _as_known(function: Function, code: Code) -> Code:
    """
    The code as it is in force already, where it is of the same package: what that unzips to is no other code (G2).

    Not everybody measures it. Once known it stays so, but becomes known only with a change that makes environments anew.
    """
    before = function.status.code
    if before is None or msgspec.structs.replace(before, unzipped_size=code.unzipped_size) != code:
        return code
    as_made = digest(function.spec, before) == function.status.settled_sha256
    return before if as_made or code.unzipped_size is None else code


def _with_code(function: Function, code: Code) -> Function:
    return msgspec.structs.replace(function, spec=msgspec.structs.replace(function.spec, code=code))
