from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lambent_core import readiness
from lambent_core.conditions import Finding, condition_of
from lambent_core.function import Condition, Function, FunctionSpec, Metadata
from lambent_core.layers import LayerVersion, LayerVersionMetadata, LayerVersionSpec, LayerVersionStatus
from lambent_core.readiness import Judged
from lambent_core.versions import FunctionAlias, FunctionVersion, alias_of, published

FUNCTION = Function(metadata=Metadata(name="fn", uid="u"), spec=FunctionSpec(runtime="python3.11"))
VERSION = published(FUNCTION, None, description=None, revision_id="r", now=0.0)
LAYER = LayerVersion(metadata=LayerVersionMetadata(name="libs.1"), spec=LayerVersionSpec(layer_name="libs", version=1))
NOW, LATER = "2026-11-24T02:08:06Z", "2026-11-24T02:09:06Z"
NOBODYS = "Function fn, which is Lambda's fn, is not there. Apply it: this is then given to it."


def alias(version: str = "1", **members: Any) -> FunctionAlias:
    return msgspec.structs.replace(alias_of(FUNCTION, "live", version, now=0.0), **members)


def test_a_version_is_ready_as_long_as_it_has_its_function() -> None:
    assert readiness.of_version(VERSION, has_function=True) == Finding(
        "Ready", "True", "Active", "Version 1 can be invoked."
    )
    assert readiness.of_version(VERSION, has_function=False) == Finding("Ready", "False", "FunctionNotFound", NOBODYS)


@pytest.mark.parametrize(
    ("weights", "message"),
    [({}, "Invocations run version 1."), ({"2": 0.25}, "Invocations run version 1, 0.25 of them version 2.")],
)
def test_an_alias_is_ready_when_its_versions_are_there(weights: dict[str, float], message: str) -> None:
    found = readiness.of_alias(alias(additional_version_weights=weights), {"1", "2"}.__contains__)
    assert found == Finding("Ready", "True", "Active", message)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"9": 0.5}, "spec.routingConfig.additionalVersionWeights: fn has no version 9."),
        ({"1": 0.5}, "spec.functionVersion: fn has no version 3."),
    ],
)
def test_an_alias_names_the_version_that_is_not_there(weights: dict[str, float], message: str) -> None:
    named = alias("3" if "1" in weights else "1", additional_version_weights=weights)
    assert readiness.of_alias(named, {"1"}.__contains__) == Finding(
        "Ready", "False", "VersionNotFound", f"{message} Publish it, or name one that is there."
    )


def test_an_alias_without_its_function_is_not_ready() -> None:
    assert readiness.of_alias(alias(), None) == Finding("Ready", "False", "FunctionNotFound", NOBODYS)


@pytest.mark.parametrize(
    ("status", "found"),
    [
        (LayerVersionStatus("Active"), ("True", "Active", "Functions can use it.")),
        (LayerVersionStatus("Pending"), ("False", "Creating", "Its package is being made.")),
        (LayerVersionStatus("Failed", "No file."), ("False", "CodeInvalid", "No file.")),
        (LayerVersionStatus("Deleted", "It was deleted."), ("False", "Deleted", "It was deleted.")),
    ],
)
def test_a_layer_version_is_ready_when_functions_can_use_it(
    status: LayerVersionStatus, found: tuple[str, str, str]
) -> None:
    finding = readiness.of_layer_version(msgspec.structs.replace(LAYER, status=status))
    assert (finding.type, finding.status, finding.reason, finding.message) == ("Ready", *found)


@pytest.mark.parametrize("document", [alias(), VERSION, LAYER])
def test_a_condition_is_told_once_and_stands_beside_others(document: Judged) -> None:
    def conditions(of: Judged) -> list[Condition]:
        return of.conditions if isinstance(of, FunctionAlias) else of.status.conditions

    yes, no = Finding("Ready", "True", "Active", "yes"), Finding("Ready", "False", "No", "no")
    in_other_words = Finding("Ready", "True", "Active", "yes indeed")
    other = Finding("Theirs", "True", "So", "")
    first = readiness.with_finding(document, other, timestamp=NOW)
    told = readiness.with_finding(first, yes, timestamp=NOW)
    assert readiness.with_finding(told, yes, timestamp=LATER) is told
    assert readiness.with_finding(told, in_other_words, timestamp=LATER) is told
    again = readiness.with_finding(told, no, timestamp=LATER)
    why = readiness.with_finding(again, Finding("Ready", "False", "No", "why"), timestamp=LATER)
    assert conditions(why)[-1].message == "why"
    assert [(one.type, one.status, one.last_transition_time) for one in conditions(again)] == [
        ("Theirs", "True", NOW),
        ("Ready", "False", LATER),
    ]


def test_a_condition_is_of_the_generation_that_it_is_about() -> None:
    changed = alias(metadata=Metadata(name="fn.live", generation=4))
    told = readiness.with_finding(changed, Finding("Ready", "True", "Active", ""), timestamp=NOW)
    assert isinstance(told, FunctionAlias)
    ready = condition_of(told.conditions, "Ready")
    assert ready is not None and ready.observed_generation == 4


def test_a_version_keeps_all_else_of_its_status() -> None:
    told = readiness.with_finding(VERSION, Finding("Ready", "True", "Active", ""), timestamp=NOW)
    assert isinstance(told, FunctionVersion)
    assert msgspec.structs.replace(told.status, conditions=[]) == VERSION.status
