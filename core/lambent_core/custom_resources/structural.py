"""
JSON Schema as the API server wants it: structural. No references, no alternatives, a type and a description for everything.

API reference: "Extend the Kubernetes API with CustomResourceDefinitions", section "Specifying a structural schema". Nothing is
nullable: the API server drops an empty member (null) before it looks at the rest, which is what the manifest means by it.
"""

from __future__ import annotations

from typing import Literal

from lambent_core.custom_resources.rules import (
    ALTERNATIVES,
    AT_MOST,
    FROZEN,
    FROZEN_MESSAGE,
    REQUIRED,
    RULES,
    SHAPES,
    unchanged,
)
from lambent_core.resources import ATOMIC
from lambent_core.schema import Schema, limits_in_words, referred

_KEPT = (
    "type", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties",
    "pattern",
)  # fmt: skip


def structure(name: str, definitions: dict[str, Schema], *, wanted: bool) -> Schema:
    """
    A structure of the model, with all that is below it. `definitions` are the structures that it refers to.

    `wanted`: the user writes it, so it has defaults and rules. Else the platform does, and what it writes is taken.
    """
    return _Part(definitions, "spec" if wanted else "status").structure(name)


class _Part:
    """
    `spec`, what is frozen in it, and `status`.

    Lists can't be frozen from within: the API server doesn't know which of their elements was which. They are compared as a whole.
    """

    def __init__(
        self, definitions: dict[str, Schema], part: Literal["spec", "frozen", "frozen list", "status"]
    ) -> None:
        self._definitions = definitions
        self._part = part
        self._wanted = part != "status"

    def structure(self, name: str) -> Schema:
        definition = self._definitions[name]
        shape: Schema = {"type": "object", "description": _one_line(definition.get("description", ""))}
        required = [*definition.get("required", []), *(REQUIRED.get(name, []) if self._wanted else [])]
        if required:
            shape["required"] = required
        if self._wanted and name in ALTERNATIVES:
            shape["oneOf"] = [{"required": [member]} for member in ALTERNATIVES[name]]
        properties = {
            member: self._member((name, member), schema) for member, schema in definition["properties"].items()
        }
        if rules := self._rules((name, ""), properties):
            shape["x-kubernetes-validations"] = rules
        return shape | {"properties": properties}

    def _member(self, place: tuple[str, str], schema: Schema) -> Schema:
        part = _Part(self._definitions, "frozen") if place == FROZEN else self
        shape = {**SHAPES[place]} if place in SHAPES else part._value(schema)
        shape |= {key: schema[key] for key in _KEPT if key in schema}
        if place in ATOMIC:
            shape["x-kubernetes-map-type"] = "atomic"
        if place[1] == "conditions":
            shape |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
        if "enum" in shape:
            shape["enum"] = [value for value in shape["enum"] if value is not None]
        words = schema.get("description") or shape.get("description", "")
        facts = [*limits_in_words(shape), *_default_in_words(schema)] if self._wanted else []
        shape["description"] = _one_line(" ".join([words, *facts]))
        if self._wanted:
            shape |= AT_MOST.get(place, {}) | _default(schema, shape)
        if rules := [*shape.get("x-kubernetes-validations", []), *self._rules(place, {})]:
            shape["x-kubernetes-validations"] = rules
        return shape

    def _rules(self, place: tuple[str, str], properties: dict[str, Schema]) -> list[Schema]:
        """What is frozen was checked when it was written; it has only to stay as it is."""
        if self._part != "frozen":
            return RULES.get(place, []) if self._part == "spec" else []
        seen = [member for member, shape in properties.items() if "type" in shape]
        rules = [_stays(member, properties[member]) for member in seen]
        return [{"rule": " && ".join(f"({rule})" for rule in rules), "message": FROZEN_MESSAGE}] if rules else []

    def _value(self, schema: Schema) -> Schema:
        name = referred(schema)
        if name is not None:
            return self.structure(name)
        if "anyOf" in schema:
            alternatives = [one for one in schema["anyOf"] if one.get("type") != "null"]
            assert len(alternatives) == 1, f"{schema} has no structural form"
            return self._value(alternatives[0])
        shape = {key: schema[key] for key in _KEPT if key in schema}
        if "enum" in schema:
            shape["type"] = "string"
        if shape.get("type") == "integer":
            shape["format"] = "int64"
        if "items" in schema:
            part = _Part(self._definitions, "frozen list") if self._part == "frozen" else self
            shape["items"] = part._value(schema["items"])
        if "additionalProperties" in schema:
            shape["additionalProperties"] = self._value(schema["additionalProperties"])
        return shape


def _stays(member: str, shape: Schema) -> str:
    """Structures have rules of their own for what is in them."""
    if "properties" in shape:
        return f"has(self.{member}) == has(oldSelf.{member})"
    return unchanged(member)


def _default(schema: Schema, shape: Schema) -> Schema:
    """What Lambda takes where nothing is said: a scalar that says something; a structure where there are such members below."""
    value = schema.get("default")
    if isinstance(value, str | int) and value is not False and value != "":
        return {"default": value}
    if isinstance(value, dict) and any("default" in below for below in shape.get("properties", {}).values()):
        return {"default": {}}
    return {}


def _default_in_words(schema: Schema) -> list[str]:
    match schema.get("default"):
        case bool(value):
            return [f"Default {str(value).lower()}."]
        case int(value):
            return [f"Default {value:,}."]
        case str(value) if value:
            return [f"Default {value}."]
    return []


def _one_line(text: str) -> str:
    return " ".join(text.split())
