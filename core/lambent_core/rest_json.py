"""
The REST-JSON protocol: an HTTP request becomes an operation's typed input, its output becomes an HTTP response.

Only members of the service model come in or go out. A member of the wrong JSON type is a SerializationException; constraints
are checked afterwards, by `validation`.

    J1  parse(serialise(output)) gives the members of the model that were in it
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from lambent_core.errors import InvalidRequestContent, SerializationFailed
from lambent_core.operations import Match
from lambent_core.shapes import OperationModel, Reference, ServiceModel, Shape

_BASE64_SLICE = 1 << 18
"""Characters decoded at once; a multiple of four. Between two slices other threads get their turn."""
_JSON_NAMES = {
    str: "STRING_VALUE",
    bool: "BOOLEAN_VALUE",
    int: "NUMBER_VALUE",
    float: "NUMBER_VALUE",
    list: "LIST_VALUE",
}
_MODEL_NAMES = {
    "string": "String",
    "integer": "Integer",
    "long": "Long",
    "double": "Double",
    "float": "Float",
    "boolean": "Boolean",
    "blob": "Blob",
    "timestamp": "Timestamp",
    "list": "List",
    "map": "Map",
    "structure": "Structure",
}


def parse(
    model: ServiceModel,
    match: Match,
    *,
    query: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
    body: bytes,
) -> dict[str, Any]:
    """The operation's input by member name. `headers` by lower-case name; absent and null members are left out."""
    reference = match.operation.input
    if reference is None:
        return {}
    shape = model.shape(reference)
    members: dict[str, Any] = {}
    for name, member in shape.members.items():
        if member.location is not None:
            value = _from_text(model, member, _texts(member, name, match.labels, query, headers))
            if value is not None:
                members[name] = value
    if shape.payload:
        members |= _payload(model, shape, body)
    elif any(member.location is None for member in shape.members.values()):
        members |= _read_structure(model, shape, _json_object(body))
    return members


def serialise(
    model: ServiceModel, operation: OperationModel, output: Mapping[str, Any]
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a successful answer."""
    status = operation.http.response_code
    if operation.output is None:
        return status, {}, b""
    shape = model.shape(operation.output)
    headers: dict[str, str] = {}
    for name, member in shape.members.items():
        if member.location == "header" and output.get(name) is not None:
            headers[member.location_name or name] = str(output[name])
        elif member.location == "statusCode" and output.get(name) is not None:
            status = output[name]
    body = {name: value for name, value in output.items() if name in shape.members and not shape.members[name].location}
    return status, headers, b"" if status == 204 else orjson.dumps(_written(model, shape, body))


def _texts(
    member: Reference,
    name: str,
    labels: Mapping[str, str],
    query: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
) -> list[str]:
    wanted = member.location_name or name
    match member.location:
        case "uri":
            return [labels[wanted]]
        case "querystring":
            return [value for key, value in query if key == wanted]
        case _:
            value = headers.get(wanted.lower())
            return [] if value is None else [value]


def _from_text(model: ServiceModel, member: Reference, texts: list[str]) -> Any:
    shape = model.shape(member)
    if not texts:
        return None
    match shape.type:
        case "list":
            return texts
        case "integer" | "long":
            try:
                return int(texts[0])
            except ValueError:
                raise _misfit(texts[0], shape) from None
        case "boolean":
            return texts[0].lower() == "true"
        case _:
            return texts[0]


def _payload(model: ServiceModel, shape: Shape, body: bytes) -> dict[str, Any]:
    assert shape.payload is not None
    member = model.shape(shape.members[shape.payload])
    if member.type == "blob":
        return {shape.payload: body}
    return {shape.payload: _read_structure(model, member, _json_object(body))} if body.strip() else {}


def _json_object(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequestContent(f"Could not parse request body into json: {error}") from None
    if not isinstance(document, dict):
        raise SerializationFailed(f"{_kind(document)} can not be converted to a Structure")
    return document


def _read_structure(model: ServiceModel, shape: Shape, given: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _read(model, model.shape(member), given[member.location_name or name])
        for name, member in shape.members.items()
        if member.location is None and given.get(member.location_name or name) is not None
    }


def _read(model: ServiceModel, shape: Shape, value: Any) -> Any:
    match shape.type:
        case "structure" if isinstance(value, dict):
            return _read_structure(model, shape, value)
        case "list" if isinstance(value, list):
            assert shape.member is not None
            element = model.shape(shape.member)
            return [_read(model, element, item) for item in value if item is not None]
        case "map" if isinstance(value, dict):
            assert shape.value is not None
            element = model.shape(shape.value)
            return {key: _read(model, element, item) for key, item in value.items() if item is not None}
        case "string" if isinstance(value, str):
            return value
        case "boolean" if isinstance(value, bool):
            return value
        case "integer" | "long" if isinstance(value, int) and not isinstance(value, bool):
            return value
        case "double" | "float" | "timestamp" if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        case "blob" if isinstance(value, str):
            return from_base64(value)
    raise _misfit(value, shape)


def from_base64(text: str) -> bytes:
    try:
        data = text.encode("ascii")
        slices = range(0, len(data), _BASE64_SLICE)
        return b"".join(binascii.a2b_base64(data[at : at + _BASE64_SLICE], strict_mode=True) for at in slices)
    except (ValueError, UnicodeEncodeError):
        raise SerializationFailed("A blob member is not valid Base64") from None


def _written(model: ServiceModel, shape: Shape, value: Any) -> Any:
    match shape.type:
        case "structure":
            return {
                member.location_name or name: _written(model, model.shape(member), value[name])
                for name, member in shape.members.items()
                if value.get(name) is not None
            }
        case "list":
            assert shape.member is not None
            element = model.shape(shape.member)
            return [_written(model, element, item) for item in value]
        case "map":
            assert shape.value is not None
            element = model.shape(shape.value)
            return {key: _written(model, element, item) for key, item in value.items()}
        case "blob":
            return binascii.b2a_base64(value, newline=False).decode()
        case _:
            return value


def _misfit(value: object, shape: Shape) -> SerializationFailed:
    return SerializationFailed(f"{_kind(value)} can not be converted to {_MODEL_NAMES[shape.type]}")


def _kind(value: object) -> str:
    return _JSON_NAMES.get(type(value), "START_OBJECT")
