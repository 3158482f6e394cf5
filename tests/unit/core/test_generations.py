"""G1-G7 by example; over all inputs in `tests/property/test_generations.py`."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lambent_core import deployment, generations
from lambent_core.function import (
    Code,
    Environment,
    EventInvokeConfig,
    FoundImage,
    Function,
    FunctionLayer,
    FunctionSpec,
    FunctionStatus,
    FunctionUrl,
    Metadata,
    VpcConfig,
)
from lambent_core.function_rules import ENVIRONMENT_TOO_LONG
from lambent_core.generations import Problem
from lambent_core.layer_names import LayerReference

NOW = 1_795_486_086.25
INLINE = Code(inline="def handler(event, context):\n    return event\n")
PACKAGE = Code(sha256="ab" * 32, size=300)
OTHER = Code(sha256="cd" * 32, size=301)
SPEC = FunctionSpec(runtime="python3.11", handler="app.handler", code=INLINE)
NOTHING = FunctionStatus()
BROKEN = Problem("InvalidZipFileException", "spec.code.inline: too large")
HAD = FunctionLayer(layer="deps:1", sha256="cd" * 32, size=3, unzipped_size=3)


def function(generation: int, spec: FunctionSpec = SPEC, status: FunctionStatus = NOTHING) -> Function:
    return Function(metadata=Metadata(name="fn", uid="u", generation=generation), spec=spec, status=status)


def changed(before: Function, **members: Any) -> Function:
    """As Kubernetes has it after somebody wrote its `spec`."""
    return msgspec.structs.replace(
        before,
        metadata=msgspec.structs.replace(before.metadata, generation=before.metadata.generation + 1),
        spec=msgspec.structs.replace(before.spec, **members),
    )


def amended(before: Function, **members: Any) -> Function:
    return deployment.amended(before, msgspec.structs.replace(before.spec, **members), now=NOW)


def measured(unzipped: int | None) -> Code:
    return msgspec.structs.replace(PACKAGE, unzipped_size=unzipped)


def brought(before: Function, outcome: Code | Problem = PACKAGE) -> Function:
    return generations.brought_about(before, outcome, url=None, revision_id="r", now=NOW)


@pytest.mark.parametrize(
    ("generation", "observed", "foreign"),
    [(1, 0, True), (3, 2, True), (2, 2, False), (0, 0, False)],
    ids=["new", "changed", "settled", "on a machine"],
)
def test_what_nobody_has_observed_is_foreign(generation: int, observed: int, foreign: bool) -> None:
    given = function(generation, status=FunctionStatus(observed_generation=observed))
    assert generations.is_foreign(given) is foreign


def test_a_new_one_is_pending_whatever_its_author_wrote_into_its_status() -> None:
    given = function(1, status=FunctionStatus(state="Active", code=PACKAGE, code_revision=7))
    assert generations.seen(given) == function(1)


def test_a_changed_one_is_seen_under_way_with_what_it_asks_for() -> None:
    given = changed(brought(function(1)), memory_size=512)
    seen = generations.seen(given)
    assert (seen.status.state, seen.status.last_update_status) == ("Active", "InProgress")
    assert (seen.spec.memory_size, seen.spec.code) == (512, INLINE)


def test_a_settled_one_is_seen_with_its_package() -> None:
    assert generations.seen(brought(function(1))).spec.code == PACKAGE
    on_a_machine = function(0, msgspec.structs.replace(SPEC, code=PACKAGE))
    assert generations.seen(on_a_machine) is on_a_machine


def test_what_the_gateway_writes_is_its_own() -> None:
    own = function(0, msgspec.structs.replace(SPEC, code=PACKAGE))
    status = generations.noted(own, NOTHING, generation=1, url="http://u").status
    assert (status.observed_generation, status.code, status.url) == (1, PACKAGE, "http://u")
    assert status.settled_sha256 == generations.digest(own.spec, PACKAGE)


def test_what_the_gateway_writes_beside_inline_code_keeps_the_package() -> None:
    before = brought(function(1))
    spec = msgspec.structs.replace(SPEC, memory_size=512)
    under_way = deployment.changed(before, spec, arn="arn", revision_id="r2", now=NOW)
    noted = generations.noted(under_way, before.status, generation=2, url=None)
    assert (noted.status.code, noted.spec.code, noted.status.code_revision) == (PACKAGE, INLINE, 2)
    assert noted.status.settled_sha256 == generations.digest(spec, PACKAGE)


def test_what_the_gateway_writes_beside_a_foreign_change_leaves_it_foreign() -> None:
    """G4."""
    seen = generations.seen(changed(brought(function(1)), memory_size=512))
    noted = generations.noted(amended(seen, reserved_concurrent_executions=1), seen.status, generation=3, url=None)
    assert noted.status.observed_generation == 1
    assert brought(noted).status.code_revision == 2


def test_what_the_gateway_writes_after_a_change_that_failed_is_no_word_on_environments() -> None:
    """G2: they are still made of what was before it."""
    failed = brought(changed(brought(function(1)), timeout=9), BROKEN)
    noted = generations.noted(amended(failed, tags={"a": "b"}), failed.status, generation=3, url=None)
    mended = msgspec.structs.replace(noted, metadata=function(4).metadata)
    assert brought(mended).status.code_revision == 2


def reconfigured(before: Function, **members: Any) -> Function:
    """As UpdateFunctionConfiguration and its sisters write a function of which they see the code in force."""
    seen = generations.seen(before)
    spec = msgspec.structs.replace(seen.spec, **members)
    under_way = deployment.changed(seen, spec, arn="arn", revision_id="r2", now=NOW)
    return msgspec.structs.replace(under_way, status=msgspec.structs.replace(under_way.status, layers=[HAD]))


FAILED = brought(changed(brought(function(1)), layers=["deps:1"], code=Code(inline="other")), BROKEN)


@pytest.mark.parametrize("generation", [2, 3], ids=["of the status alone", "of the spec"])
def test_a_configuration_after_a_change_that_failed_is_brought_about_together_with_it(generation: int) -> None:
    """G3, G7: until then what was in force is, and if it can't be, too."""
    wanted = reconfigured(FAILED)
    noted = generations.noted(wanted, FAILED.status, generation=generation, url=None)
    kept = msgspec.structs.replace(
        wanted.status, observed_generation=generation - 1, code_revision=1, layers=[], url=None
    )
    assert noted == msgspec.structs.replace(wanted, status=kept)
    stored = msgspec.structs.replace(noted, metadata=function(generation).metadata)
    assert generations.is_foreign(stored)
    done, failed_again = brought(stored, OTHER).status, brought(stored, BROKEN).status
    assert (done.last_update_status, done.code, done.code_revision) == ("Successful", OTHER, 2)
    assert (failed_again.code, failed_again.code_revision, failed_again.layers) == (PACKAGE, 1, [])


def test_a_configuration_of_one_that_never_was_is_brought_about_with_its_code() -> None:
    """G7."""
    failed = brought(function(1), BROKEN)
    noted = generations.noted(reconfigured(failed, timeout=9), failed.status, generation=2, url=None)
    status = brought(msgspec.structs.replace(noted, metadata=function(2).metadata)).status
    assert (noted.status.observed_generation, status.state, status.code, status.code_revision) == (
        1,
        "Active",
        PACKAGE,
        1,
    )


def test_code_after_a_change_that_failed_takes_its_place() -> None:
    """G7."""
    wanted = reconfigured(FAILED, code=OTHER)
    status = generations.noted(wanted, FAILED.status, generation=3, url=None).status
    assert (status.observed_generation, status.code, status.code_revision) == (3, OTHER, 2)
    assert status.layers == [HAD]


def test_what_the_gateway_writes_beside_the_code_leaves_a_change_failed() -> None:
    """G7."""
    noted = generations.noted(amended(FAILED, tags={"a": "b"}), FAILED.status, generation=3, url=None)
    assert generations.has_failed(msgspec.structs.replace(noted, metadata=function(3).metadata))
    assert noted.status.code == PACKAGE


def test_new_code_does_not_put_a_reservation_in_force_that_was_refused() -> None:
    """It is asked for anew, together with the code."""
    full = Problem("ReservationTooLarge", "")
    seen = generations.seen(brought(changed(brought(function(1)), reserved_concurrent_executions=950), full))
    other = msgspec.structs.replace(seen.spec, code=Code(sha256="cd" * 32, size=8))
    updated = deployment.changed(seen, other, arn="arn", revision_id="r2", now=NOW)
    noted = generations.noted(updated, seen.status, generation=3, url=None)
    assert (noted.status.observed_generation, noted.status.code) == (2, PACKAGE)


def test_the_first_package_makes_it_active() -> None:
    status = brought(function(1)).status
    assert (status.state, status.last_update_status, status.code_revision) == ("Active", "Successful", 1)
    assert (status.code, status.observed_generation, status.revision_id) == (PACKAGE, 1, "r")
    assert status.last_modified == "2026-11-24T02:08:06.250+0000"


@pytest.mark.parametrize(
    ("members", "outcome", "revision"),
    [
        ({}, PACKAGE, 1),
        ({"tags": {"a": "b"}}, PACKAGE, 1),
        ({"replicas": 3}, PACKAGE, 1),
        ({"environments_per_pod": 3}, PACKAGE, 1),
        ({"idle_seconds": 3}, PACKAGE, 1),
        ({"reserved_concurrent_executions": 1}, PACKAGE, 1),
        ({"event_invoke_config": EventInvokeConfig(maximum_retry_attempts=0)}, PACKAGE, 1),
        ({"url": FunctionUrl()}, PACKAGE, 1),
        ({"code": OTHER}, PACKAGE, 1),  # the same package, brought in another way
        ({}, measured(900), 1),
        ({}, OTHER, 2),
        ({"memory_size": 512}, PACKAGE, 2),
        ({"timeout": 9}, PACKAGE, 2),
        ({"environment": Environment({"A": "1"})}, PACKAGE, 2),
        ({"handler": "app.other"}, PACKAGE, 2),
    ],
)
def test_environments_are_made_anew_for_code_and_configuration_alone(
    members: dict[str, Any], outcome: Code, revision: int
) -> None:
    """G2."""
    status = brought(changed(brought(function(1)), **members), outcome).status
    assert (status.code_revision, status.last_update_status) == (revision, "Successful")


@pytest.mark.parametrize(
    ("had", "members", "found", "kept"),
    [(9, {"timeout": 9}, None, 9), (None, {"timeout": 9}, 9, 9), (None, {}, 9, None)],
    ids=["was measured", "is measured", "is measured beside the code"],
)
def test_what_code_unzips_to_is_known_as_soon_as_it_costs_no_environments(
    had: int | None, members: dict[str, Any], found: int | None, kept: int | None
) -> None:
    status = brought(changed(brought(function(1), measured(had)), **members), measured(found)).status
    assert (status.code, status.code_revision) == (measured(kept), 1 + len(members))


def test_a_new_one_that_cannot_be_has_failed() -> None:
    status = brought(function(1), BROKEN).status
    assert (status.state, status.state_reason_code, status.state_reason) == ("Failed", BROKEN.code, BROKEN.message)
    assert (status.last_update_status, status.observed_generation) == ("Failed", 1)


def test_a_failed_one_can_be_mended() -> None:
    status = brought(changed(brought(function(1), BROKEN), timeout=9)).status
    assert (status.state, status.state_reason, status.state_reason_code) == ("Active", None, None)
    assert (status.last_update_status_reason, status.code_revision) == (None, 1)


def test_a_change_that_cannot_be_leaves_the_last_code_in_force() -> None:
    """G3."""
    before = brought(function(1))
    after = brought(changed(before, runtime="python2.7"), Problem("InvalidConfiguration", "no such runtime"))
    status = after.status
    assert (status.state, status.last_update_status) == ("Active", "Failed")
    assert (status.last_update_status_reason_code, status.last_update_status_reason) == (
        "InvalidConfiguration",
        "no such runtime",
    )
    assert (status.code, status.code_revision, status.settled_sha256) == (
        before.status.code,
        before.status.code_revision,
        before.status.settled_sha256,
    )


def test_a_change_that_is_taken_back_keeps_the_environments() -> None:
    """G2: they were made of the same before the change that failed."""
    failed = brought(changed(brought(function(1)), timeout=9), BROKEN)
    assert brought(changed(failed, timeout=SPEC.timeout)).status.code_revision == 1


def test_a_url_that_comes_and_goes() -> None:
    with_url = brought(changed(brought(function(1)), url=FunctionUrl()))
    assert (with_url.status.url_created, len(with_url.status.url_id or "")) == ("2026-11-24T02:08:06.250000Z", 32)
    assert brought(changed(with_url, url=None)).status.url_id is None


@pytest.mark.parametrize(
    ("members", "code", "text"),
    [
        ({"runtime": "python2.7"}, "InvalidConfiguration", "python2.7"),
        ({"handler": None}, "InvalidConfiguration", "Runtime and Handler are mandatory"),
        ({"environment": Environment({"AWS_REGION": "x"})}, "InvalidConfiguration", "AWS_REGION"),
        ({"vpc_config": VpcConfig(subnet_ids=["subnet-1"])}, "InvalidConfiguration", "spec.vpcConfig.subnetIds is not"),
        ({"package_type": "Image"}, "InvalidConfiguration", "Please don't provide Handler or Runtime or Layer"),
    ],
)
def test_what_the_schema_lets_through_and_lambda_does_not(members: dict[str, Any], code: str, text: str) -> None:
    problem = generations.problem_of(msgspec.structs.replace(SPEC, **members))
    assert problem is not None
    assert problem.code == code and text in problem.message


def test_what_many_may_read_quotes_no_variable() -> None:
    """AWS quotes them all to the caller who sent them; a `status` and Events are for more people."""
    problem = generations.problem_of(msgspec.structs.replace(SPEC, environment=Environment({"KEY": "secret" * 1_000})))
    assert problem is not None and problem.message == ENVIRONMENT_TOO_LONG


def test_a_good_spec_has_no_problem() -> None:
    assert generations.problem_of(SPEC) is None


DEPS = LayerReference("deps", 1)
NO_LAYER = Problem("LayerNotFound", "spec.layers: Layer version deps:1 does not exist.")


def test_a_layer_that_was_missed_is_awaited() -> None:
    """G5: also while the change is under way, which may have looked before the layer came."""
    wanted = function(1, msgspec.structs.replace(SPEC, layers=["deps:1"]))
    failed = brought(wanted, NO_LAYER)
    assert generations.awaits_layer(wanted, DEPS) and generations.awaits_layer(failed, DEPS)
    assert not generations.awaits_layer(failed, LayerReference("deps", 2))
    done = generations.brought_about(wanted, PACKAGE, layers=[HAD], url=None, revision_id="r", now=NOW)
    assert not generations.awaits_layer(done, DEPS)
    assert not generations.awaits_layer(brought(function(1)), DEPS)


IMAGE = FunctionSpec(package_type="Image", code=Code(image_uri="fn:1"))
FOUND = Code(image_uri="fn:1", image=FoundImage(digest=f"sha256:{'ab' * 32}", command=["/run"]))
GONE = Problem("ImageDeleted", "Source image fn:2 does not exist.")


def test_an_image_is_seen_with_what_was_found_of_it() -> None:
    done = brought(function(1, IMAGE), FOUND)
    assert (done.spec.code, generations.seen(done).spec.code) == (IMAGE.code, FOUND)
    other = msgspec.structs.replace(FOUND, image=FoundImage(digest=f"sha256:{'cd' * 32}", command=["/run"]))
    assert brought(changed(done, timeout=9), other).status.code_revision == 2


def test_an_image_that_the_api_looked_up_is_noted() -> None:
    made = deployment.created("fn", msgspec.structs.replace(IMAGE, code=FOUND), uid="u", revision_id="r", now=NOW)
    noted = generations.noted(made, NOTHING, generation=1, url=None)
    assert (noted.status.code, noted.status.observed_generation) == (FOUND, 1)
    assert noted.status.settled_sha256 == generations.digest(made.spec, FOUND)


@pytest.mark.parametrize(
    ("outcome", "awaits"),
    [
        (GONE, True),
        (Problem("ImageAccessDenied", ""), True),
        (Problem("InvalidImage", ""), True),
        (BROKEN, False),
        (FOUND, False),
    ],
)
def test_an_image_that_could_not_be_had_is_awaited(outcome: Code | Problem, awaits: bool) -> None:
    """G6."""
    assert generations.awaits_code(brought(function(1, IMAGE), outcome)) is awaits
    assert not generations.awaits_code(function(1, IMAGE))


def test_what_a_failed_change_asked_for_is_what_was_seen_while_it_was_under_way() -> None:
    under_way = changed(brought(function(1, IMAGE), FOUND), code=Code(image_uri="fn:2"))
    failed = brought(under_way, GONE)
    assert generations.asked_for(failed, generations.seen(under_way)) == under_way.spec
    of_another = msgspec.structs.replace(under_way, metadata=msgspec.structs.replace(under_way.metadata, uid="v"))
    for earlier in (None, failed, of_another, changed(under_way)):
        assert generations.asked_for(failed, earlier) is None


def test_a_change_after_one_that_failed_is_no_failure() -> None:
    failed = brought(function(1), BROKEN)
    assert generations.has_failed(failed)
    assert not generations.has_failed(changed(failed, timeout=9))


def test_a_new_one_that_is_brought_about_once_more_is_new() -> None:
    assert generations.once_more(brought(function(1), BROKEN)).status.state == "Pending"
    assert generations.once_more(brought(function(1), BROKEN)).status.observed_generation == 0


def test_what_is_brought_about_once_more_is_as_it_would_have_been() -> None:
    """G5 and G6: a new function, and one that ran with another image meanwhile."""
    for before in (function(0, IMAGE), brought(function(1, IMAGE), FOUND)):
        wanted = changed(before, code=Code(image_uri="fn:2"))
        failed = brought(wanted, GONE)
        again = generations.once_more(failed)
        assert generations.is_foreign(again) and deployment.is_unsettled(again)
        assert again == generations.seen(again)
        found = msgspec.structs.replace(FOUND, image_uri="fn:2")
        done = brought(msgspec.structs.replace(again, spec=wanted.spec), found)
        assert (done.status.state, done.status.last_update_status, done.status.code) == ("Active", "Successful", found)
        assert done.status.code_revision == before.status.code_revision + 1
