"""
Events and results as JSON, with the official encoder's behaviour: it accepts more than the standard library's.

    M1  Decimal is written with all its digits, a NaN of it as NaN
    M2  named tuples, and whatever else has `_asdict`, become objects
    M3  bytes below the result become text; a result that is itself bytes is the response as it is
"""

import decimal
import json
from collections.abc import Iterator
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any

from lambent_runtime.errors import Fault

RUNTIMES_WRITING_UNICODE = frozenset(f"AWS_Lambda_python3.{minor}" for minor in range(12, 16))
"""`AWS_EXECUTION_ENV` of the runtimes that do not escape what is beyond ASCII."""

_CONTAINERS = (dict, list, tuple)


class Marshaller:
    """Made once per function: which characters are escaped depends on the runtime's version."""

    def __init__(self, execution_environment: str) -> None:
        self._ascii = execution_environment not in RUNTIMES_WRITING_UNICODE
        self._encode = json.JSONEncoder(ensure_ascii=self._ascii, default=_refuse).encode

    def load(self, payload: bytes) -> Any:
        try:
            return json.loads(payload)
        except Exception as error:
            raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from error

    def dump(self, result: Any) -> bytes:
        if isinstance(result, bytes):
            return result
        try:
            return self.text(result).encode()
        except Exception as error:
            raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from error

    def text(self, value: Any) -> str:
        """JSON text. Raises `TypeError` or `ValueError` for what has none."""
        if not (isinstance(value, _CONTAINERS) and _has_named_tuple(value)):
            try:
                return self._encode(value)
            except _Special:
                pass
            except TypeError as error:
                if "not bytes" not in str(error):  # a key of bytes
                    raise
        return "".join(_Writer(encode_basestring_ascii if self._ascii else encode_basestring).write(value))


class _Special(Exception):
    """The standard encoder met a value that only ours writes."""


def _refuse(value: Any) -> Any:
    if isinstance(value, (decimal.Decimal, bytes)) or callable(getattr(value, "_asdict", None)):
        raise _Special
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _has_named_tuple(value: Any) -> bool:
    """Whether the standard encoder would write a list where M2 wants an object. It sees no more than it would."""
    waiting, seen = [value], set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, tuple) and hasattr(value, "_asdict"):
            return True
        items = value.values() if isinstance(value, dict) else value
        waiting += [item for item in items if isinstance(item, _CONTAINERS)]
    return False


class _Writer:
    """Writes anything the official encoder takes. Slower than the standard library's, and only for what that can't."""

    def __init__(self, quote: Any) -> None:
        self._quote = quote
        self._open: set[int] = set()

    def write(self, value: Any) -> "Iterator[str]":
        simple = self._scalar(value)
        if simple is not None:
            yield simple
            return
        if id(value) in self._open:
            raise ValueError("Circular reference detected")
        self._open.add(id(value))
        if isinstance(value, list):
            yield from self._array(value)
        elif callable(getattr(value, "_asdict", None)):
            yield from self._object(value._asdict())
        elif isinstance(value, tuple):
            yield from self._array(value)
        elif isinstance(value, dict):
            yield from self._object(value)
        else:
            raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
        self._open.discard(id(value))

    def _scalar(self, value: Any) -> "str | None":
        if isinstance(value, str):
            return self._quote(value)  # type: ignore[no-any-return]
        if isinstance(value, bytes):
            return self._quote(value.decode())  # type: ignore[no-any-return]
        if isinstance(value, decimal.Decimal):
            return "NaN" if value.is_nan() else str(value)
        if value is None or isinstance(value, (bool, int, float)):
            return json.dumps(value)
        return None

    def _array(self, values: "list[Any] | tuple[Any, ...]") -> "Iterator[str]":
        between = "["
        for value in values:
            yield between
            yield from self.write(value)
            between = ", "
        yield "]" if values else "[]"

    def _object(self, values: "dict[Any, Any]") -> "Iterator[str]":
        between = "{"
        for key, value in values.items():
            yield f"{between}{self._key(key)}: "
            yield from self.write(value)
            between = ", "
        yield "}" if values else "{}"

    def _key(self, key: Any) -> str:
        if isinstance(key, bytes):
            key = key.decode()
        if isinstance(key, str):
            return self._quote(key)  # type: ignore[no-any-return]
        if key is None or isinstance(key, (bool, int, float)):
            return f'"{json.dumps(key)}"'
        raise TypeError(f"keys must be str, int, float, bool or None, not {type(key).__name__}")
