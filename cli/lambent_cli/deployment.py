"""
Brings one function to what a package and settings say, through Lambda's own API.

    D1  code is uploaded only where CodeSha256 differs, configuration written only where a setting differs
    D2  returns when the function is Active and its last update Successful; a failure there is told in Lambda's words
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from lambent_cli.failures import REFUSED, Failure
from lambent_cli.package.archive import Package
from lambent_cli.settings import Settings, api_value
from lambent_cli.steps import Steps
from lambent_core.function import EventInvokeConfig, FunctionSpec
from lambent_core.layer_names import parse_layer_version

WAIT_SECONDS = 300.0
"""As long as botocore's own waiters do."""
_PAUSE_SECONDS = 0.05
_PAUSE_SECONDS_MAX = 1.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """What was done. `changed` is empty where nothing was."""

    name: str
    result: str
    """created, updated or unchanged."""
    changed: list[str]
    code_sha256: str
    url: str | None


def deploy(client: Any, settings: Settings, package: Package, steps: Steps) -> Deployment:
    settings = _with_arns(client, settings)
    current = _find(client, settings.name)
    changed: list[str] = []
    if current is None:
        _create(client, settings, package, steps)
    else:
        changed += _update(client, settings, package, current, steps)
    url = _apply_extras(client, settings, current or {}, changed) if settings.spec else None
    result = "created" if current is None else "updated" if changed else "unchanged"
    return Deployment(settings.name, result, changed, package.code_sha256, url)


def _with_arns(client: Any, settings: Settings) -> Settings:
    """A manifest may name layer versions for short, Lambda's API takes their ARNs."""
    layers = [_layer_arn(client, layer) for layer in settings.create.get("Layers", [])]
    if not layers:
        return settings
    return replace(settings, create=settings.create | {"Layers": layers}, update=settings.update | {"Layers": layers})


def _layer_arn(client: Any, layer: str) -> str:
    reference = parse_layer_version(layer)
    if reference is None or reference.account is not None:
        return layer
    try:
        found = client.get_layer_version(LayerName=reference.name, VersionNumber=reference.version)
    except client.exceptions.ResourceNotFoundException:
        raise Failure(
            f"spec.layers: layer version {layer} does not exist.",
            fix="`lambent layers ls` shows those there are; `lambent layers publish FOLDER` publishes one.",
            exit_code=REFUSED,
        ) from None
    return str(found["LayerVersionArn"])


def _find(client: Any, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = client.get_function(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        return None
    return found


def _create(client: Any, settings: Settings, package: Package, steps: Steps) -> None:
    steps.begin(f"Creating {settings.name}")
    _meter(client, package, steps)
    client.create_function(FunctionName=settings.name, Code={"ZipFile": package.content}, **settings.create)
    _wait(client, settings.name, steps)


def _update(client: Any, settings: Settings, package: Package, current: dict[str, Any], steps: Steps) -> list[str]:
    configuration = current["Configuration"]
    changed = []
    architectures = settings.create.get("Architectures") or configuration["Architectures"]
    if configuration["CodeSha256"] != package.code_sha256 or configuration["Architectures"] != architectures:
        steps.begin(f"Uploading the code of {settings.name}")
        _meter(client, package, steps)
        client.update_function_code(FunctionName=settings.name, ZipFile=package.content, Architectures=architectures)
        _wait(client, settings.name, steps)
        changed.append("code")
    different = {name for name, value in settings.update.items() if not _covered(value, configuration.get(name))}
    if different:
        steps.begin(f"Configuring {settings.name}")
        client.update_function_configuration(
            FunctionName=settings.name, **{name: settings.update[name] for name in different}
        )
        _wait(client, settings.name, steps)
        changed += sorted(different)
    return changed


def _apply_extras(client: Any, settings: Settings, current: dict[str, Any], changed: list[str]) -> str | None:
    """What has operations of its own: tags, reserved concurrency, retries of events, URL. The URL is returned."""
    spec: FunctionSpec = settings.spec  # type: ignore[assignment]
    if current:
        _apply_tags(client, current, spec.tags, changed)
    _apply_concurrency(client, settings.name, current, spec.reserved_concurrent_executions, changed)
    if spec.event_invoke_config != EventInvokeConfig():
        client.put_function_event_invoke_config(
            FunctionName=settings.name,
            MaximumRetryAttempts=spec.event_invoke_config.maximum_retry_attempts,
            MaximumEventAgeInSeconds=spec.event_invoke_config.maximum_event_age_in_seconds,
        )
    return _apply_url(client, settings.name, spec, changed)


def _apply_tags(client: Any, current: dict[str, Any], wanted: dict[str, str], changed: list[str]) -> None:
    arn, tags = current["Configuration"]["FunctionArn"], current.get("Tags", {})
    if gone := sorted(tags.keys() - wanted.keys()):
        client.untag_resource(Resource=arn, TagKeys=gone)
    if set(wanted.items()) - set(tags.items()):
        client.tag_resource(Resource=arn, Tags=wanted)
    if tags != wanted:
        changed.append("Tags")


def _apply_concurrency(client: Any, name: str, current: dict[str, Any], wanted: int | None, changed: list[str]) -> None:
    reserved = current.get("Concurrency", {}).get("ReservedConcurrentExecutions")
    if wanted == reserved:
        return
    if wanted is None:
        client.delete_function_concurrency(FunctionName=name)
    else:
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=wanted)
    changed.append("ReservedConcurrentExecutions")


def _apply_url(client: Any, name: str, spec: FunctionSpec, changed: list[str]) -> str | None:
    try:
        current = client.get_function_url_config(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        current = None
    if spec.url is None:
        if current:
            client.delete_function_url_config(FunctionName=name)
            changed.append("Url")
        return None
    wanted: dict[str, Any] = {"AuthType": spec.url.auth_type, "InvokeMode": spec.url.invoke_mode}
    if spec.url.cors is not None:
        wanted["Cors"] = api_value(spec.url.cors)
    if current and all(_covered(value, current.get(member)) for member, value in wanted.items()):
        return str(current["FunctionUrl"])
    call = client.update_function_url_config if current else client.create_function_url_config
    changed.append("Url")
    return str(call(FunctionName=name, **wanted)["FunctionUrl"])


def _wait(client: Any, name: str, steps: Steps) -> None:
    """Until the function can be invoked with what it was given."""
    steps.begin(f"Waiting until {name} is active")
    pause, until = _PAUSE_SECONDS, time.monotonic() + WAIT_SECONDS
    while True:
        found = client.get_function_configuration(FunctionName=name)
        state, update = found.get("State", "Active"), found.get("LastUpdateStatus", "Successful")
        if state in ("Active", "Inactive") and update == "Successful":
            return
        if "Failed" in (state, update):
            reason = found.get("StateReason") or found.get("LastUpdateStatusReason") or "no reason given"
            raise Failure(f"{name} was taken, but does not become active: {reason}", exit_code=REFUSED)
        if time.monotonic() > until:
            raise Failure(
                f"{name} is {state}, its last update {update}, after {WAIT_SECONDS:.0f} s.", exit_code=REFUSED
            )
        time.sleep(pause)
        pause = min(2 * pause, _PAUSE_SECONDS_MAX)


def _covered(wanted: Any, found: Any) -> bool:
    """Whether what is there says all that is wanted. An answer leaves out what is empty, and adds what is derived."""
    if isinstance(wanted, dict):
        found = found or {}
        if set(wanted) == {"Variables"}:
            return bool(wanted["Variables"] == found.get("Variables", {}))
        return all(_covered(value, found.get(name)) for name, value in wanted.items())
    if isinstance(wanted, list):
        return wanted == [item.get("Arn", item) if isinstance(item, dict) else item for item in found or []]
    return bool(wanted == found or (not wanted and not found))


def _meter(client: Any, package: Package, steps: Steps) -> None:
    """Tells of the next request's body as it is sent. botocore has no hook for that but the request itself."""
    events = client.meta.events

    def replace_body(request: Any, **_: Any) -> None:
        if isinstance(request.body, bytes) and len(request.body) > len(package.content):
            steps.uploading(len(request.body))
            request.body = _Metered(request.body, steps.sent)
            events.unregister("before-send.lambda", replace_body)

    events.register("before-send.lambda", replace_body)


class _Metered:
    """Bytes as a file that tells how much of it was read."""

    def __init__(self, content: bytes, sent: Callable[[int], None]) -> None:
        self._content = content
        self._at = 0
        self._sent = sent

    def read(self, size: int = -1) -> bytes:
        chunk = self._content[self._at :] if size < 0 else self._content[self._at : self._at + size]
        self._at += len(chunk)
        self._sent(len(chunk))
        return chunk

    def seek(self, place: int) -> None:
        self._at = place
