"""Canonical JSON and the hashes that identify plans, recipes and draws.

Canonical JSON here: keys sorted, no white space, UTF-8, no NaN or infinity, floats in Python's
shortest round-trip form. Two teams that hold equal values therefore hold equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import is_dataclass
from typing import Any, Final


def canonical_json(value: Any) -> str:
    """Return the canonical JSON text of a value, a dataclass or a nest of them.

    Raises:
        ValueError: a float is NaN or infinite.
        TypeError: neither a plain value nor a dataclass is in it.
    """
    return _ENCODER.encode(value)


def _fields(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass; not ``asdict``, whose copies cost four times as much."""
    if is_dataclass(value) and not isinstance(value, type):
        return vars(value)
    raise TypeError(f"object of type {type(value).__name__} is not JSON serializable")


_ENCODER: Final = json.JSONEncoder(
    sort_keys=True,
    separators=(",", ":"),
    ensure_ascii=False,
    allow_nan=False,
    default=_fields,
)


def pretty_json(value: Any) -> str:
    """Return sorted, indented JSON with a final newline, for files that people read."""
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def sha256_text(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8 bytes, hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_lines(lines: Iterable[str]) -> str:
    """Return the SHA-256 over lines, each ended by a newline; order counts."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
        digest.update(b"\n")
    return digest.hexdigest()


def hash64(*parts: object) -> int:
    """Return 64 bits that depend on the parts alone: the source of every random choice.

    SHA-256 over the parts' texts, joined by the unit separator, first 8 bytes, big-endian. The
    same parts give the same bits on every machine, in any order of calls and with any number of
    workers (the seeding of SMS-WSJ, arXiv 1910.13934, without its generator).
    """
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def fraction(*parts: object) -> float:
    """Return a number in [0, 1) that depends on the parts alone (53 bits of ``hash64``)."""
    return (hash64(*parts) >> 11) / float(1 << 53)
