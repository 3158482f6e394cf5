"""
Documents as Kubernetes keeps them, and back.

Functions, layer versions and runtime pools have Kubernetes' shape already. Functions' versions and aliases get it here: what was decided is
in `spec`, what the platform notes is in `status`, and the function's uid is that of their owner, so that Kubernetes deletes them with
their function.

    R1  from_resource(to_resource(document)) is the document
    R2  what another version of Lambent wrote can be read: members that the model doesn't know are left out, and so is a member of
        `status` whose value it doesn't know
    R3  a `spec` is read whole or refused; nothing in it is guessed
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any, Literal

import msgspec
from msgspec import inspect

from lambent_core.documents import Document
from lambent_core.function import (
    API_VERSION,
    NOT_TEXT,
    Condition,
    EventInvokeConfig,
    Function,
    FunctionLayer,
    FunctionSpec,
    FunctionStatus,
    FunctionUrl,
    Metadata,
)
from lambent_core.layers import LayerVersion
from lambent_core.runtime_pools import RuntimePool
from lambent_core.versions import FunctionAlias, FunctionVersion

Object = dict[str, Any]
"""A resource as JSON has it."""
ATOMIC = frozenset(
    {
        ("FunctionSpec", "code"),
        ("FunctionSpec", "deadLetterConfig"),
        ("FunctionSpec", "environment"),
        ("FunctionSpec", "imageConfig"),
        ("FunctionSpec", "pod"),
        ("FunctionSpec", "tags"),
        ("FunctionSpec", "vpcConfig"),
        ("FunctionUrl", "cors"),
        ("FunctionAliasSpec", "routingConfig"),
        ("LayerVersionSpec", "code"),
        ("RuntimePoolSpec", "environment"),
        ("RuntimePoolSpec", "nodeSelector"),
        ("RuntimePoolSpec", "resources"),
        ("FunctionStatus", "environments"),
    }
)
"""
Structures and members that belong to one field manager as a whole: what is applied takes the place of all that was there, as in
Lambda's API. All objects that defaults don't keep from being empty are among them: else the API server refuses an apply that leaves
one empty (kubernetes-sigs/structured-merge-diff#305: it puts null in its place).
"""


class UnreadableResource(Exception):
    """The message names the resource, the member and what is wrong with it."""


class _Model(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    pass


class FunctionVersionSpec(_Model, frozen=True, kw_only=True):
    """What was published. All but `eventInvokeConfig` stays as it is."""

    function_name: str
    """Lambda's name of the function."""
    version: int
    """The number of the version, from 1."""
    description: str = ""
    """Words for people, about this version."""
    function: FunctionSpec
    """The function's `spec` as it was when the version was published, without what belongs to the function as a whole."""
    layers: list[FunctionLayer] = []
    """What `function.layers` were when the version was published, in the same order."""
    event_invoke_config: EventInvokeConfig | None = None
    """How asynchronous events of this version are retried; without it, Lambda's defaults. The only member that may change."""


class FunctionVersionResource(_Model, frozen=True, kw_only=True):
    """A function as it was when it was published."""

    api_version: Literal["lambent.dev/v1"] = "lambent.dev/v1"
    kind: Literal["FunctionVersion"] = "FunctionVersion"
    metadata: Metadata
    spec: FunctionVersionSpec
    status: FunctionStatus = FunctionStatus()


class RoutingConfig(_Model, frozen=True):
    """A second version, for a part of the invocations."""

    additional_version_weights: dict[str, float] = {}
    """Another version, and its share of the invocations, 0 to 1. The rest is `functionVersion`'s. At most one entry."""


class FunctionAliasSpec(_Model, frozen=True, kw_only=True):
    """What the user wants."""

    function_name: str
    """Lambda's name of the function."""
    name: str
    """The alias: what stands behind the function's name as its qualifier."""
    function_version: str
    """The version that it points at: a number, or `$LATEST`."""
    description: str = ""
    """Words for people."""
    routing_config: RoutingConfig = RoutingConfig()
    """A second version, for a part of the invocations."""
    url: FunctionUrl | None = None
    """A function URL of its own."""
    event_invoke_config: EventInvokeConfig | None = None
    """How asynchronous events of this alias are retried; without it, Lambda's defaults."""


class FunctionAliasStatus(_Model, frozen=True, kw_only=True):
    """Written by the platform alone."""

    revision_id: str = ""
    """UUID, new with each change; what AWS calls RevisionId."""
    observed_generation: int = 0
    """The `metadata.generation` that `revisionId` is of; with another one the alias has another."""
    url_id: str | None = None
    """What its function URL has for a name."""
    url_created: str | None = None
    """When its function URL was made, ISO 8601."""
    url_last_modified: str | None = None
    """When its function URL was last changed, ISO 8601."""
    event_invoke_config_modified: float | None = None
    """Unix time of the last PutFunctionEventInvokeConfig; absent while the alias has none of its own."""
    conditions: list[Condition] = []
    """`Ready`: the versions that it names are there."""


class FunctionAliasResource(_Model, frozen=True, kw_only=True):
    """A name for a version, or for two with a share of the invocations each."""

    api_version: Literal["lambent.dev/v1"] = "lambent.dev/v1"
    kind: Literal["FunctionAlias"] = "FunctionAlias"
    metadata: Metadata
    spec: FunctionAliasSpec
    status: FunctionAliasStatus = FunctionAliasStatus()


RESOURCES: dict[str, type[msgspec.Struct]] = {
    "Function": Function,
    "FunctionVersion": FunctionVersionResource,
    "FunctionAlias": FunctionAliasResource,
    "LayerVersion": LayerVersion,
    "RuntimePool": RuntimePool,
}
"""The shape of each kind on Kubernetes."""


def to_resource(document: Document) -> Object:
    """The resource, with its `status`. Members of `spec` and `status` that have the model's defaults are left out."""
    match document:
        case Function() | LayerVersion() | RuntimePool():
            shaped: msgspec.Struct = document
        case FunctionVersion():
            shaped = _version_resource(document)
        case FunctionAlias():
            shaped = _alias_resource(document)
        case _:
            raise TypeError(f"{type(document).__name__} has no resource")
    resource = {"apiVersion": API_VERSION, "kind": type(document).__name__, **msgspec.to_builtins(shaped)}
    resource["metadata"]["namespace"] = document.metadata.namespace
    if isinstance(document, FunctionVersion | FunctionAlias) and document.function_uid:
        resource["metadata"]["ownerReferences"] = [_owner_reference(document)]
    return resource


def from_resource(resource: Object) -> Function | FunctionVersion | FunctionAlias | LayerVersion | RuntimePool:
    """The document that the API server keeps as `resource`. Raises UnreadableResource."""
    kind, metadata = resource.get("kind"), resource.get("metadata", {})
    if kind not in RESOURCES:
        raise UnreadableResource(f"{kind} is no kind of Lambent's: {', '.join(RESOURCES)} are")
    model = RESOURCES[kind]
    readable = {**resource, "status": _readable_status(resource.get("status") or {}, model)}
    if kind == "Function" and isinstance(resource.get("spec"), dict):
        readable["spec"] = _with_readable_code(resource["spec"])
    try:
        read = msgspec.convert(_known(readable, _shape(model)), model)
    except msgspec.ValidationError as error:
        raise UnreadableResource(f"{kind} {metadata.get('namespace')}/{metadata.get('name')}: {error}") from error
    match read:
        case FunctionVersionResource():
            return _version(read, _owner_uid(metadata))
        case FunctionAliasResource():
            return _alias(read, _owner_uid(metadata))
        case Function() | LayerVersion() | RuntimePool():
            return read
    raise AssertionError(f"{kind} is read as {type(read).__name__}")


def _with_readable_code(spec: Object) -> Object:
    """The API server can't check inline code, so what isn't text gets this far. It is told when the function is settled."""
    code = spec.get("code")
    if not isinstance(code, dict) or code.get("inline") is None:
        return spec
    files = code["inline"] if isinstance(code["inline"], dict) else {"it": code["inline"]}
    wrong = next((name for name, text in files.items() if not isinstance(text, str)), None)
    if wrong is None:
        return spec
    return spec | {"code": code | {"inline": {NOT_TEXT: f"{wrong} is {files[wrong]!r}, which is not text."}}}


def _owner_reference(document: FunctionVersion | FunctionAlias) -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": "Function",
        "name": document.function_resource,
        "uid": document.function_uid,
        "controller": False,
        "blockOwnerDeletion": False,
    }


def _owner_uid(metadata: Object) -> str:
    """Empty for what a user made by hand and a gateway has not yet given to its function."""
    group = API_VERSION.partition("/")[0]
    for reference in metadata.get("ownerReferences", []):
        if reference["kind"] == "Function" and reference["apiVersion"].partition("/")[0] == group:
            return str(reference["uid"])
    return ""


def _version_resource(version: FunctionVersion) -> FunctionVersionResource:
    return FunctionVersionResource(
        metadata=version.metadata,
        spec=FunctionVersionSpec(
            function_name=version.function_name,
            version=version.number,
            description=version.description,
            function=version.spec,
            layers=version.status.layers,
            event_invoke_config=version.event_invoke_config,
        ),
        status=msgspec.structs.replace(
            version.status, event_invoke_config_modified=version.event_invoke_config_modified, layers=[]
        ),
    )


def _version(read: FunctionVersionResource, function_uid: str) -> FunctionVersion:
    spec = read.spec
    return FunctionVersion(
        metadata=read.metadata,
        function_name=spec.function_name,
        function_uid=function_uid,
        event_invoke_config=spec.event_invoke_config,
        event_invoke_config_modified=read.status.event_invoke_config_modified,
        number=spec.version,
        description=spec.description,
        spec=spec.function,
        status=msgspec.structs.replace(read.status, event_invoke_config_modified=None, layers=spec.layers),
    )


def _alias_resource(alias: FunctionAlias) -> FunctionAliasResource:
    return FunctionAliasResource(
        metadata=alias.metadata,
        spec=FunctionAliasSpec(
            function_name=alias.function_name,
            name=alias.name,
            function_version=alias.version,
            description=alias.description,
            routing_config=RoutingConfig(additional_version_weights=alias.additional_version_weights),
            url=alias.url,
            event_invoke_config=alias.event_invoke_config,
        ),
        status=FunctionAliasStatus(
            revision_id=alias.revision_id,
            observed_generation=alias.observed_generation,
            url_id=alias.url_id,
            url_created=alias.url_created,
            url_last_modified=alias.url_last_modified,
            event_invoke_config_modified=alias.event_invoke_config_modified,
            conditions=alias.conditions,
        ),
    )


def _alias(read: FunctionAliasResource, function_uid: str) -> FunctionAlias:
    spec, status = read.spec, read.status
    return FunctionAlias(
        metadata=read.metadata,
        function_name=spec.function_name,
        function_uid=function_uid,
        event_invoke_config=spec.event_invoke_config,
        event_invoke_config_modified=status.event_invoke_config_modified,
        name=spec.name,
        version=spec.function_version,
        description=spec.description,
        additional_version_weights=spec.routing_config.additional_version_weights,
        revision_id=status.revision_id,
        observed_generation=status.observed_generation,
        url=spec.url,
        url_id=status.url_id,
        url_created=status.url_created,
        url_last_modified=status.url_last_modified,
        conditions=status.conditions,
    )


def _readable_status(status: Object, model: type[msgspec.Struct]) -> Object:
    """The members that the model knows and can take."""
    kept = {}
    for name, (type_, shape) in _status_members(model).items():
        if status.get(name) is not None:
            value = _known(status[name], shape)
            with suppress(msgspec.ValidationError):
                msgspec.convert(value, type_)
                kept[name] = value
    return kept


@cache
def _shape(model: Any) -> inspect.Type:
    return inspect.type_info(model)


@cache
def _status_members(model: type[msgspec.Struct]) -> dict[str, tuple[Any, inspect.Type]]:
    status = next(field.type for field in msgspec.structs.fields(model) if field.name == "status")
    return {field.encode_name: (field.type, _shape(field.type)) for field in msgspec.structs.fields(status)}


@cache
def _members(structure: type[msgspec.Struct]) -> dict[str, inspect.Type]:
    shape = _shape(structure)
    assert isinstance(shape, inspect.StructType)
    return {field.encode_name: field.type for field in shape.fields}


def _known(value: Any, shape: inspect.Type) -> Any:
    """The value without members that the model doesn't know, and without empty ones. Numbers where text is wanted become text."""
    match shape:
        case inspect.StructType(cls=structure) if isinstance(value, dict):
            members = _members(structure)
            return {
                name: _known(item, members[name])
                for name, item in value.items()
                if item is not None and name in members
            }
        case inspect.DictType(value_type=member) if isinstance(value, dict):
            return {name: _known(item, member) for name, item in value.items()}
        case inspect.ListType(item_type=member) if isinstance(value, list):
            return [_known(item, member) for item in value]
        case inspect.UnionType(types=types) if isinstance(value, dict | list):
            structures = (one for one in types if isinstance(one, inspect.StructType | inspect.ListType))
            return _known(value, next(structures, inspect.AnyType()))
        case inspect.StrType() if isinstance(value, int) and not isinstance(value, bool):
            return str(value)  # of a quantity: `cpu: 1`
    return value
