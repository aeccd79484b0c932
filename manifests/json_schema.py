"""JSON Schema of a row dataclass, for readers that are not ours.

``manifests/schema/example.v1.json`` is the checked-in schema of ``KEY.json``; a test compares them.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, Final

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_PLAIN: Final[dict[Any, dict[str, Any]]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
}


def json_schema(row_type: type, title: str) -> dict[str, Any]:
    """Return the schema of a frozen dataclass of plain values, tuples, dicts and dataclasses.

    Every field is required and no other is allowed, as ``manifests.records`` reads rows.

    Raises:
        TypeError: a field's type has no JSON counterpart.
    """
    return {"$schema": DIALECT, "title": title, **_object(row_type)}


def _object(row_type: type) -> dict[str, Any]:
    hints = typing.get_type_hints(row_type)
    names = [field.name for field in dataclasses.fields(row_type)]
    return {
        "type": "object",
        "properties": {name: _value(hints[name]) for name in names},
        "required": names,
        "additionalProperties": False,
    }


def _value(annotation: Any) -> dict[str, Any]:
    if annotation in _PLAIN:
        return dict(_PLAIN[annotation])
    if dataclasses.is_dataclass(annotation):
        return _object(typing.cast(type, annotation))
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        return {"type": "array", "items": _value(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _value(arguments[1])}
    if origin in (typing.Union, types.UnionType):
        kinds = [_value(kind) for kind in arguments if kind is not type(None)]
        return {"anyOf": [*kinds, {"type": "null"}]}
    raise TypeError(f"no JSON type for {annotation}")
