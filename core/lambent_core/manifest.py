"""
The manifests `Function` and `LayerVersion`: what a user writes in YAML, read into the model, and a function written out again.

`parse` finds every problem of a document at once, each named by field, value and what would be right. It checks shape
and limits; what depends on the platform (known runtimes, layers that exist, names taken) is for the platform to say.

    M1  parse(export(function)) has the name and spec that the function had, but for the size of its package and what was found of its image
    M2  a document is refused with at least one problem, or read whole: nothing in it is left out silently but `status`
        and what the platform and kubectl write into `metadata`
    M3  an empty member (null) means the same as none, except where text is wanted in a map
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import msgspec
from msgspec import inspect

from lambent_core import function_rules, layers
from lambent_core.bounds import BOUNDS, broken, shown
from lambent_core.function import API_VERSION, Code, Function, FunctionSpec, FunctionStatus, Metadata
from lambent_core.layers import LayerCode, LayerVersion, LayerVersionStatus
from lambent_core.package import inline_files, path_problems

M = TypeVar("M", Function, LayerVersion)
N = TypeVar("N", bound=Metadata)
KINDS: dict[str, type[Function] | type[LayerVersion]] = {"Function": Function, "LayerVersion": LayerVersion}
FOUND_BY_THE_PLATFORM = "the platform finds it out: give imageUri alone"
_SOURCES = ("inline", "path", "sha256", "image_uri")
_PLATFORM_METADATA = ("uid", "creationTimestamp", "resourceVersion", "generation")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


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
    return _parsed(document, Function, source, lambda function: _against_rules(function, code_required))


def parse_layer_version(document: object, *, source: str, code_required: bool = True) -> LayerVersion:
    """The layer version that a YAML document describes. `code_required=False`: the code comes beside it."""
    return _parsed(document, LayerVersion, source, lambda version: _against_layer_rules(version, code_required))


def parse_any(document: object, *, source: str) -> Function | LayerVersion:
    """What a YAML document of any kind describes."""
    kind = document.get("kind") if isinstance(document, dict) else None
    if isinstance(kind, str) and kind not in KINDS:
        raise ManifestError(
            source, [Problem("kind", f"{_choices(KINDS)} is wanted, not {shown(kind)}{_hint(kind, KINDS)}")]
        )
    if kind == "LayerVersion":
        return parse_layer_version(document, source=source)
    return parse(document, source=source)


def _parsed(document: object, model: type[M], source: str, rules: Callable[[M], Iterable[Problem]]) -> M:
    problems: list[Problem] = []
    if not isinstance(document, dict):
        raise ManifestError(source, [Problem("", f"a mapping is wanted (apiVersion, kind, …), not {_kind(document)}")])
    for member, wanted in (("apiVersion", API_VERSION), ("kind", model.__name__)):
        if document.get(member) != wanted:
            problems.append(Problem(member, f'"{wanted}" is wanted, not {shown(document.get(member))}'))
    if problems:
        raise ManifestError(source, problems)
    given = {key: value for key, value in document.items() if key != "status"}
    cleaned = _read(given, inspect.type_info(model), "", problems)
    if problems:
        raise ManifestError(source, problems)
    read = msgspec.convert(cleaned, model)
    problems += _beyond_bounds(read, "")
    told = {problem.path for problem in problems}
    problems += [problem for problem in rules(read) if problem.path not in told]
    if problems:
        raise ManifestError(source, problems)
    return msgspec.structs.replace(read, metadata=_without_last_applied(read.metadata))


def export(function: Function) -> dict[str, object]:
    """The manifest that `parse` reads back: without status, defaults, and what the platform and kubectl write into metadata."""
    document = msgspec.to_builtins(msgspec.structs.replace(function, status=FunctionStatus()))
    defaults, members = FunctionSpec(), msgspec.structs.fields(FunctionSpec)
    default = {
        each.encode_name for each in members if getattr(function.spec, each.name) == getattr(defaults, each.name)
    }
    spec = {name: value for name, value in document["spec"].items() if name not in default}
    for member in ("sha256", "imageUri"):
        if member in spec.get("code", {}):
            spec["code"] = {member: spec["code"][member]}
    return {"apiVersion": API_VERSION, "kind": "Function", "metadata": _exported(function.metadata), "spec": spec}


def export_layer_version(version: LayerVersion) -> dict[str, object]:
    """The same for a layer version."""
    document = msgspec.to_builtins(msgspec.structs.replace(version, status=LayerVersionStatus()))
    metadata = _exported(version.metadata)
    return {"apiVersion": API_VERSION, "kind": "LayerVersion", "metadata": metadata, "spec": document["spec"]}


def _exported(metadata: Metadata) -> dict[str, object]:
    document = msgspec.to_builtins(_without_last_applied(metadata))
    return {key: value for key, value in document.items() if key not in _PLATFORM_METADATA}


def _without_last_applied(metadata: N) -> N:
    """Without kubectl's note of what it applied itself: anybody else's apply makes it stale."""
    annotations = {key: value for key, value in metadata.annotations.items() if key != _LAST_APPLIED}
    return msgspec.structs.replace(metadata, annotations=annotations)


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
                problems.append(
                    Problem(path, f"{_choices(values)} is wanted, not {shown(value)}{_hint(value, values)}")
                )
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
            return f'{shown(value)} is {_kind(value)}, text is wanted: write it in quotes, "{shown(value)}"'
        case inspect.StrType() | inspect.LiteralType() if value is None:
            return 'is empty, text is wanted: write "" for empty text'
        case inspect.StrType() | inspect.LiteralType():
            wanted = "text"
        case inspect.IntType() if isinstance(value, str) and value.strip().isdecimal():
            return f"{shown(value)} is text, a whole number is wanted: write it without quotes, {value.strip()}"
        case inspect.IntType():
            wanted = "a whole number"
        case inspect.BoolType():
            wanted = "true or false"
        case inspect.ListType():
            wanted = "a list"
        case _:
            wanted = "a mapping"
    return f"{wanted} is wanted, not {shown(value)}"


def _beyond_bounds(model: msgspec.Struct, path: str) -> Iterator[Problem]:
    for field in msgspec.structs.fields(model):
        value, below = getattr(model, field.name), _below(path, field.encode_name)
        if bound := BOUNDS.get((type(model).__name__, field.encode_name)):
            for key, message in broken(bound, value):
                yield Problem(_element(below, key), message)
        for index, inner in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(inner, msgspec.Struct):
                yield from _beyond_bounds(inner, _element(below, index))


def _against_rules(function: Function, code_required: bool) -> Iterator[Problem]:
    spec = function.spec
    yield from _sources(spec.code, code_required and spec.package_type == "Zip")
    if spec.code.image is not None:
        yield Problem("spec.code.image", FOUND_BY_THE_PLATFORM)
    for path, message in function_rules.problems(spec):
        yield Problem(path, message)
    for message in path_problems(_inline_files(spec)):
        yield Problem("spec.code.inline", message)
    for member in function_rules.unsupported(spec):
        yield Problem(member, "is not implemented yet in Lambent")


def _inline_files(spec: FunctionSpec) -> dict[str, str]:
    """Without a handler a text has no name yet."""
    match spec.code.inline:
        case dict(files):
            return files
        case str(text) if spec.handler:
            return inline_files(text, handler=spec.handler, runtime=spec.runtime or "")
    return {}


def _against_layer_rules(version: LayerVersion, code_required: bool) -> Iterator[Problem]:
    yield from _sources(version.spec.code, code_required)
    for path, message in layers.problems(version):
        yield Problem(path, message)


def _sources(code: Code | LayerCode, required: bool) -> Iterator[Problem]:
    members = [field for field in msgspec.structs.fields(code) if field.name in _SOURCES]
    names = [field.encode_name for field in members]
    given = [field.encode_name for field in members if getattr(code, field.name) is not None]
    if len(given) > 1:
        one_of = f"{', '.join(names[:-1])} and {names[-1]}"
        yield Problem("spec.code", f"only one of {one_of} may be given, not {' and '.join(given)}")
    if required and not given:
        yield Problem("spec.code", "is missing: give the code as inline, path or sha256")


def _choices(values: Iterable[object]) -> str:
    return " or ".join(f'"{value}"' for value in values)


def _hint(word: str, known: Iterable[object]) -> str:
    """The nearest known word. Lambda's API writes members with a capital: those are found first."""
    names = [str(name) for name in known]
    same = [name for name in names if name.lower() == word.lower()]
    near = same or difflib.get_close_matches(word, names, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _below(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _element(path: str, key: object) -> str:
    return path if key is None else f"{path}[{key}]" if isinstance(key, int) else _below(path, key)


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
