"""
The `Function` manifest: what a user writes in YAML, read into the model, and the model written out again.

`parse` finds every problem of a document at once, each named by field, value and what would be right. It checks shape
and limits; what depends on the platform (known runtimes, layers that exist, names taken) is for the platform to say.

    M1  parse(export(function)) has the name and spec that the function had, but for the size of its package
    M2  a document is refused with at least one problem, or read whole: nothing in it is left out silently but `status`
        and what the platform writes into `metadata`
    M3  an empty member (null) means the same as none, except where text is wanted in a map
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import msgspec
from msgspec import inspect

from lambent_core import function_rules, limits
from lambent_core.function import API_VERSION, Function, FunctionSpec, FunctionStatus

_SHAPE = inspect.type_info(Function)
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_FUNCTION_NAME = re.compile(r"[a-zA-Z0-9-_]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PLATFORM_METADATA = ("uid", "creationTimestamp", "resourceVersion")
_TEXT_SHOWN_MAX = 60


@dataclass(frozen=True, slots=True)
class Problem:
    path: str
    """Where: `spec.memorySize`; empty for the document itself."""
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ManifestError(Exception):
    """A document that can't be applied. `source` names it, e.g. `functions.yaml, document 2`."""

    def __init__(self, source: str, problems: list[Problem]) -> None:
        super().__init__("\n".join(f"{source}: {problem}" for problem in problems))
        self.source = source
        self.problems = problems


def parse(document: object, *, source: str, code_required: bool = True) -> Function:
    """
    The function that a YAML document describes. `status` is dropped: the platform alone writes it.

    `code_required=False` reads the settings of a folder that is itself the code.
    """
    problems: list[Problem] = []
    if not isinstance(document, dict):
        raise ManifestError(source, [Problem("", f"a mapping is wanted (apiVersion, kind, …), not {_kind(document)}")])
    for member, wanted in (("apiVersion", API_VERSION), ("kind", "Function")):
        if document.get(member) != wanted:
            problems.append(Problem(member, f'"{wanted}" is wanted, not {_shown(document.get(member))}'))
    if problems:
        raise ManifestError(source, problems)
    given = {key: value for key, value in document.items() if key != "status"}
    cleaned = _read(given, _SHAPE, "", problems)
    if problems:
        raise ManifestError(source, problems)
    function = msgspec.convert(cleaned, Function)
    problems += _beyond_limits(function)
    problems += _against_rules(function, code_required)
    if problems:
        raise ManifestError(source, problems)
    return function


def export(function: Function) -> dict[str, object]:
    """The manifest that `parse` reads back: without status, defaults, and what the platform writes into metadata."""
    document = msgspec.to_builtins(msgspec.structs.replace(function, status=FunctionStatus()))
    metadata = {key: value for key, value in document["metadata"].items() if key not in _PLATFORM_METADATA}
    defaults = msgspec.to_builtins(FunctionSpec())
    spec = {name: value for name, value in document["spec"].items() if defaults.get(name) != value}
    if "sha256" in spec.get("code", {}):
        spec["code"] = {"sha256": spec["code"]["sha256"]}
    return {"apiVersion": API_VERSION, "kind": "Function", "metadata": metadata, "spec": spec}


def _read(value: object, shape: inspect.Type, path: str, problems: list[Problem]) -> object:
    """The value without its empty members. What does not fit the shape is added to problems."""
    match shape:
        case inspect.StructType() if isinstance(value, dict):
            return _read_members(value, shape, path, problems)
        case inspect.DictType(value_type=member) if isinstance(value, dict):
            return {
                str(_read(key, inspect.StrType(), _below(path, key), problems)): _read(
                    item, member, _below(path, key), problems
                )
                for key, item in value.items()
            }
        case inspect.ListType(item_type=member) if isinstance(value, list):
            return [_read(item, member, f"{path}[{index}]", problems) for index, item in enumerate(value)]
        case inspect.UnionType(types=types):
            fitting = next((one for one in types if _fits(value, one)), types[0])
            return _read(value, fitting, path, problems)
        case inspect.LiteralType(values=values) if isinstance(value, str):
            if value not in values:
                choices = " or ".join(f'"{choice}"' for choice in values)
                problems.append(Problem(path, f"{choices} is wanted, not {_shown(value)}{_hint(value, values)}"))
        case _ if not _fits(value, shape):
            problems.append(Problem(path, _misfit(value, shape)))
    return value


def _read_members(
    value: dict[object, object], shape: inspect.StructType, path: str, problems: list[Problem]
) -> dict[str, object]:
    fields = {field.encode_name: field for field in shape.fields}
    cleaned: dict[str, object] = {}
    for key, item in value.items():
        if key not in fields:
            problems.append(Problem(_below(path, key), f"there is no such member{_hint(str(key), fields)}"))
        elif item is not None:
            cleaned[str(key)] = _read(item, fields[str(key)].type, _below(path, key), problems)
    problems += [
        Problem(_below(path, name), "is missing")
        for name, field in fields.items()
        if field.required and name not in cleaned and value.get(name) is None
    ]
    return cleaned


def _fits(value: object, shape: inspect.Type) -> bool:
    match shape:
        case inspect.StrType() | inspect.LiteralType():
            return isinstance(value, str)
        case inspect.IntType():
            return isinstance(value, int) and not isinstance(value, bool)
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.ListType():
            return isinstance(value, list)
        case inspect.DictType() | inspect.StructType():
            return isinstance(value, dict)
        case inspect.NoneType():
            return value is None
    raise AssertionError(f"no member of the model has the type {shape}")


def _misfit(value: object, shape: inspect.Type) -> str:
    match shape:
        case inspect.StrType() | inspect.LiteralType() if isinstance(value, bool | int | float):
            return f'{_shown(value)} is {_kind(value)}, text is wanted: write it in quotes, "{_shown(value)}"'
        case inspect.StrType() | inspect.LiteralType() if value is None:
            return 'is empty, text is wanted: write "" for empty text'
        case inspect.StrType() | inspect.LiteralType():
            wanted = "text"
        case inspect.IntType() if isinstance(value, str) and value.strip().isdecimal():
            return f"{_shown(value)} is text, a whole number is wanted: write it without quotes, {value.strip()}"
        case inspect.IntType():
            wanted = "a whole number"
        case inspect.BoolType():
            wanted = "true or false"
        case inspect.ListType():
            wanted = "a list"
        case _:
            wanted = "a mapping"
    return f"{wanted} is wanted, not {_shown(value)}"


def _beyond_limits(function: Function) -> Iterator[Problem]:
    """Limits of "Lambda quotas", by field."""
    spec = function.spec
    if not _DNS_LABEL.fullmatch(function.metadata.name):
        yield Problem(
            "metadata.name",
            f"{_shown(function.metadata.name)} is not a DNS label (at most 63 of a-z, 0-9 and -, no - at either end). "
            "Lambda's own name may differ from it: write that as spec.functionName",
        )
    if spec.function_name is not None and not _FUNCTION_NAME.fullmatch(spec.function_name):
        yield Problem("spec.functionName", f"{_shown(spec.function_name)} is not 1 to 64 of a-z, A-Z, 0-9, - and _")
    for path, value_of, (least, most), unit in _RANGES:
        value = value_of(function)
        if value is not None and not least <= value <= most:
            yield Problem(path, f"{value:,} is outside {least:,} to {most:,}{unit}")
    reserved = spec.reserved_concurrent_executions
    if reserved is not None and reserved < 0:
        # How many there are to reserve depends on the account.
        yield Problem("spec.reservedConcurrentExecutions", f"{reserved:,} is less than 0")
    for path, text, most in (
        ("spec.handler", spec.handler, limits.HANDLER_CHARACTERS_MAX),
        ("spec.description", spec.description, limits.DESCRIPTION_CHARACTERS_MAX),
    ):
        if text is not None and len(text) > most:
            yield Problem(path, f"{len(text):,} characters are more than {most}")
    if spec.code.sha256 is not None and not _SHA256.fullmatch(spec.code.sha256):
        yield Problem("spec.code.sha256", f"{_shown(spec.code.sha256)} is not 64 hexadecimal digits in lower case")


def _against_rules(function: Function, code_required: bool) -> Iterator[Problem]:
    spec = function.spec
    given = [name for name in ("inline", "path", "sha256") if getattr(spec.code, name) is not None]
    if len(given) > 1:
        yield Problem("spec.code", f"only one of inline, path and sha256 may be given, not {' and '.join(given)}")
    if code_required and not given and spec.package_type == "Zip":
        yield Problem("spec.code", "is missing: give the code as inline, path or sha256")
    for path, message in function_rules.problems(spec):
        yield Problem(path, message)
    for member in function_rules.unsupported(spec):
        yield Problem(member, "is not implemented yet in Lambent")


_RANGES: tuple[tuple[str, Callable[[Function], int | None], tuple[int, int], str], ...] = (
    ("spec.timeout", lambda f: f.spec.timeout, (1, limits.TIMEOUT_SECONDS_MAX), " seconds"),
    ("spec.memorySize", lambda f: f.spec.memory_size, (limits.MEMORY_MB_MIN, limits.MEMORY_MB_MAX), " MB"),
    (
        "spec.ephemeralStorage.size",
        lambda f: f.spec.ephemeral_storage.size,
        (limits.EPHEMERAL_STORAGE_MB_MIN, limits.EPHEMERAL_STORAGE_MB_MAX),
        " MB",
    ),
    (
        "spec.eventInvokeConfig.maximumRetryAttempts",
        lambda f: f.spec.event_invoke_config.maximum_retry_attempts,
        (0, limits.RETRIES_MAX),
        "",
    ),
    (
        "spec.eventInvokeConfig.maximumEventAgeInSeconds",
        lambda f: f.spec.event_invoke_config.maximum_event_age_in_seconds,
        (limits.EVENT_AGE_SECONDS_MIN, limits.EVENT_AGE_SECONDS_MAX),
        " seconds",
    ),
)


def _hint(word: str, known: Iterable[object]) -> str:
    """The nearest known word. Lambda's API writes members with a capital: those are found first."""
    names = [str(name) for name in known]
    same = [name for name in names if name.lower() == word.lower()]
    near = same or difflib.get_close_matches(word, names, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _below(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _kind(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "a mapping"
    return f"a {type(value).__name__}"


def _shown(value: object) -> str:
    """As it could stand in the manifest, cut to a line."""
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _TEXT_SHOWN_MAX else f"{text[:_TEXT_SHOWN_MAX]}…"
