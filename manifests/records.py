"""Rows from JSON: nested frozen dataclasses built strictly from parsed JSON.

What another team sends is checked field by field: nothing missing, nothing unknown, every type as
annotated. There is no other way from text to a row.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from typing import Any, TypeVar

from manifests.errors import ManifestError

Row = TypeVar("Row")


def parse_json(text: str | bytes, name: str) -> Any:
    """Parse JSON; NaN, infinity, half surrogate pairs and repeated keys are refused.

    Raises:
        ManifestError: not JSON, or one of these.
    """
    try:
        value = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_unique,
        )
        if (b"\\u" if isinstance(text, bytes) else "\\u") in text:  # type: ignore[operator]
            json.dumps(value, ensure_ascii=False).encode()  # half a pair has no UTF-8 form
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{name}: expected JSON: {error}") from error
    return value


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits:.40} is out of range")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("a key stands twice")
    return record


def row_from_json(text: str | bytes, row_type: type[Row], name: str) -> Row:
    """Return a row from its JSON text; raises ManifestError naming the file and the field."""
    try:
        return row_builder(row_type)(parse_json(text, name))
    except ManifestError as error:
        message = str(error)
        raise ManifestError(message if message.startswith(name) else f"{name}: {error}") from error


def row_builder(row_type: type[Row]) -> typing.Callable[[dict[str, Any]], Row]:
    """Return a function that builds a row from nested dicts and lists, as read from JSON.

    The function raises ManifestError where a field is missing, unknown or of the wrong type.
    """
    hints = typing.get_type_hints(row_type)
    fields = {f.name: _converter(hints[f.name], f.name) for f in dataclasses.fields(row_type)}  # type: ignore[arg-type]

    def build(record: dict[str, Any]) -> Row:
        _expect(record, (dict,), row_type.__name__)
        if record.keys() != fields.keys():
            raise ManifestError(
                f"{row_type.__name__}: expected fields {sorted(fields)}, got "
                f"{sorted(record)} (missing {sorted(fields.keys() - record.keys())}, "
                f"unknown {sorted(record.keys() - fields.keys())})"
            )
        return row_type(**{name: convert(record[name]) for name, convert in fields.items()})

    return build


def _converter(annotation: Any, name: str) -> typing.Callable[[Any], Any]:
    if dataclasses.is_dataclass(annotation):
        return row_builder(annotation)  # type: ignore[arg-type]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        item = _converter(arguments[0], name)
        return lambda values: tuple(item(value) for value in _expect(values, (list, tuple), name))
    if origin is dict:
        entry = _converter(arguments[1], name)
        return lambda values: {k: entry(v) for k, v in _expect(values, (dict,), name).items()}
    if annotation is Any:
        return lambda value: value
    if origin in (typing.Union, types.UnionType):
        (kept,) = [a for a in arguments if a is not type(None)]
        inner = _converter(kept, name)
        return lambda value: None if value is None else inner(value)
    if annotation is float:
        return lambda value: float(_in_range(_expect(value, (int, float), name), name))
    if annotation is int:
        return lambda value: _in_range(_expect(value, (int,), name), name)
    return lambda value: _expect(value, (annotation,), name)


def _in_range(value: Any, name: str) -> Any:
    """Refuse whole numbers that no Parquet column and no array index holds."""
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        raise ManifestError(
            f"{name}: expected a number of 64 bits, got one of {value.bit_length()}"
        )
    return value


def _expect(value: Any, kinds: tuple[type, ...], name: str) -> Any:
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise ManifestError(f"{name}: expected {expected}, got {value!r:.80}")
    return value
