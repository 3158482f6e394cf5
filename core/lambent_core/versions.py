"""
Published versions and aliases of a function: their documents, and what publishing and pointing decide.

AWS documentation: "Lambda function versions", "Lambda function aliases", "Using Lambda aliases to route invocations".

    V1  a version never changes once it is published, and its number is never given to another
    V2  publishing what was not changed since the last version gives that version again
    V3  an alias names versions that exist, at most two of them
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from lambent_core import configuration, names, timestamps
from lambent_core.deployment import BESIDE_THE_CODE, url_id
from lambent_core.errors import InvalidParameterValue, ResourceNotFound, UntypedInvalidParameterValue
from lambent_core.function import (
    LATEST,
    Condition,
    EventInvokeConfig,
    Function,
    FunctionSpec,
    FunctionStatus,
    FunctionUrl,
    Metadata,
)

_REVISIONS = uuid.UUID("b81192f2-6f64-5817-84e3-5f6512352e31")
"""Namespace of revision ids that are made of what Kubernetes knows, and so the same at every gateway."""


class _Owned(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    metadata: Metadata
    function_name: str
    """Lambda's name of the function."""
    function_uid: str
    """`metadata.uid` of the function: another one of the same name has none of its versions and aliases. Empty while it has none."""
    event_invoke_config: EventInvokeConfig | None = None
    event_invoke_config_modified: float | None = None
    """Unix time of the last PutFunctionEventInvokeConfig."""

    @property
    def function_resource(self) -> str:
        """The name of the function's own document: this one's is FUNCTION.QUALIFIER."""
        return self.metadata.name.rpartition(".")[0]


class FunctionVersion(_Owned, frozen=True, kw_only=True):
    """A function as it was when it was published."""

    api_version: Literal["lambent.dev/v1"] = "lambent.dev/v1"
    kind: Literal["FunctionVersion"] = "FunctionVersion"
    number: int
    """From 1."""
    description: str
    spec: FunctionSpec
    """As it was in `$LATEST`, without what belongs to the function as a whole."""
    status: FunctionStatus

    @property
    def version(self) -> str:
        return str(self.number)

    @property
    def function(self) -> Function:
        """The version in the shape of a function."""
        spec = msgspec.structs.replace(
            self.spec, description=self.description, event_invoke_config=self.event_invoke_config or EventInvokeConfig()
        )
        metadata = Metadata(name=self.function_resource, namespace=self.metadata.namespace, uid=self.function_uid)
        return Function(metadata=metadata, spec=spec, status=self.status)


class FunctionAlias(_Owned, frozen=True, kw_only=True):
    """A name for a version, or for two with a share of the invocations each."""

    api_version: Literal["lambent.dev/v1"] = "lambent.dev/v1"
    kind: Literal["FunctionAlias"] = "FunctionAlias"
    name: str
    version: str
    """A number, or `$LATEST`."""
    description: str = ""
    additional_version_weights: dict[str, float] = {}
    """Another version, and its share of the invocations, 0 to 1. The rest is `version`'s."""
    revision_id: str = ""
    """UUID, new with each UpdateAlias."""
    observed_generation: int = 0
    """The `metadata.generation` that `revision_id` is of."""
    url: FunctionUrl | None = None
    url_id: str | None = None
    url_created: str | None = None
    url_last_modified: str | None = None
    conditions: list[Condition] = []

    def choose(self, chance: Callable[[], float]) -> str:
        """The version of one invocation. `chance` is from 0 to below 1, new at each call."""
        for version, weight in self.additional_version_weights.items():
            if chance() < weight:
                return version
        return self.version


Owned = FunctionVersion | FunctionAlias
"""What belongs to a function, and goes with it."""


def published(
    function: Function, latest: FunctionVersion | None, *, description: str | None, revision_id: str, now: float
) -> FunctionVersion:
    """The next version of `function`, or `latest`, its last one, where nothing was changed since (V2)."""
    spec = _of_a_version(function.spec, function.name)
    number = function.status.last_version + 1
    if latest is not None:
        if latest.spec == spec and latest.number >= function.status.last_version:
            return latest
        number = max(number, latest.number + 1)
    return FunctionVersion(
        metadata=_metadata(function, str(number), now),
        function_name=function.name,
        function_uid=function.metadata.uid,
        number=number,
        description=function.spec.description if description is None else description,
        spec=spec,
        status=FunctionStatus(
            state="Active",
            last_update_status="Successful",
            revision_id=revision_id,
            last_modified=function.status.last_modified,
            layers=function.status.layers,
        ),
    )


def seen_version(version: FunctionVersion) -> FunctionVersion:
    """
    A version as Lambda's API shall see it where anybody may apply one, and a crash may come before its `status` is written.

    It is what its `spec` says, and that is published.
    """
    status, metadata = version.status, version.metadata
    if status.revision_id:
        return version
    status = msgspec.structs.replace(
        status,
        state="Active",
        last_update_status="Successful",
        revision_id=str(uuid.uuid5(_REVISIONS, metadata.uid)),
        last_modified=timestamps.last_modified(timestamps.seconds(metadata.creation_timestamp)),
    )
    return msgspec.structs.replace(version, status=status)


def with_published(function: Function, version: FunctionVersion, *, revision_id: str) -> Function:
    """The function after the publication of a version of its own: `$LATEST` has another revision id then."""
    if function.metadata.uid != version.function_uid or function.status.last_version >= version.number:
        return function
    status = msgspec.structs.replace(function.status, last_version=version.number, revision_id=revision_id)
    return msgspec.structs.replace(function, status=status)


def check_code(function: Function, code_sha256: str | None) -> None:
    """Raises InvalidParameterValue when the code is not the one that the caller means to publish."""
    found = configuration.code_sha256(function.spec.code)
    if code_sha256 and code_sha256 != found:
        raise InvalidParameterValue(
            f"CodeSHA256 ({code_sha256}) is different from current CodeSHA256 in $LATEST ({found}). "
            "Please try again with the CodeSHA256 in $LATEST."
        )


def alias_of(function: Function, name: str, version: str, *, now: float) -> FunctionAlias:
    """A new alias; what else its maker says is for `altered`."""
    return FunctionAlias(
        metadata=_metadata(function, name, now),
        function_name=function.name,
        function_uid=function.metadata.uid,
        name=name,
        version=version,
    )


def altered(alias: FunctionAlias, members: Mapping[str, Any], *, revision_id: str) -> FunctionAlias:
    """The alias with what a CreateAlias or UpdateAlias request sets; what it leaves out stays."""
    weights = (members.get("RoutingConfig") or {}).get("AdditionalVersionWeights")
    return msgspec.structs.replace(
        alias,
        version=members.get("FunctionVersion", alias.version),
        description=members.get("Description", alias.description),
        additional_version_weights=alias.additional_version_weights if weights is None else weights,
        revision_id=revision_id,
    )


def seen_alias(alias: FunctionAlias) -> FunctionAlias:
    """
    An alias as Lambda's API shall see it where anybody may change its `spec`, and the gateway's own write is two requests.

    With another generation it has another revision id, so that nobody writes over what he has not seen.
    """
    uid, generation = alias.metadata.uid, alias.metadata.generation
    if alias.observed_generation == generation:
        return alias
    revision_id = str(uuid.uuid5(_REVISIONS, f"{uid}/{generation}"))
    return msgspec.structs.replace(alias, revision_id=revision_id, observed_generation=generation)


def with_url(alias: FunctionAlias, url: FunctionUrl | None, *, now: float) -> FunctionAlias:
    """The alias with a URL of its own, or without. The id stays when it is taken away and made again."""
    at = timestamps.url_time(now)
    if url is None:
        return msgspec.structs.replace(alias, url=None, url_id=None, url_created=None, url_last_modified=None)
    if alias.url_id is not None:
        return msgspec.structs.replace(alias, url=url, url_last_modified=at)
    return msgspec.structs.replace(
        alias, url=url, url_id=url_id(alias.function_uid, alias.name), url_created=at, url_last_modified=at
    )


def check_alias(alias: FunctionAlias, exists: Callable[[str], bool], arn: Callable[[str], str]) -> None:
    """
    Raises InvalidParameterValue, or ResourceNotFound for a version that is not there (V3).

    `exists` says whether the function has the version, `arn` writes its ARN.
    """
    weights = alias.additional_version_weights
    if len(weights) > 1:
        raise InvalidParameterValue("Number of items in AdditionalVersionWeights cannot be greater than 1")
    if alias.version in weights:
        raise InvalidParameterValue(
            f"Invalid function version {alias.version}. "
            f"Function version {alias.version} is already included in routing configuration."
        )
    if weights and alias.version == LATEST:
        raise UntypedInvalidParameterValue("$LATEST is not supported for an alias pointing to more than 1 version")
    for version in (alias.version, *weights):
        if not exists(version):
            raise ResourceNotFound(f"Function not found: {arn(version)}")


def _of_a_version(spec: FunctionSpec, function_name: str) -> FunctionSpec:
    plain = FunctionSpec()
    kept = {field: getattr(plain, field) for field in BESIDE_THE_CODE}
    return msgspec.structs.replace(spec, function_name=function_name, **kept)


def _metadata(function: Function, qualifier: str, now: float) -> Metadata:
    return Metadata(
        name=f"{function.metadata.name}.{names.resource_name(qualifier)}",
        namespace=function.metadata.namespace,
        creation_timestamp=timestamps.url_time(now),
    )
