"""Invented artists, albums and titles."""

from __future__ import annotations

import re
from typing import Final

import numpy as np

_FIRST: Final = (
    "Amber", "Copper", "Distant", "Early", "Faded", "Gentle", "Hollow", "Iron", "Late", "Little",
    "Lunar", "Marble", "Northern", "Open", "Paper", "Quiet", "Restless", "Silver", "Velvet", "Wild",
)  # fmt: skip
_SECOND: Final = (
    "Anchors", "Bridges", "Canals", "Engines", "Fields", "Gardens", "Harbour", "Islands",
    "Lanterns", "Larks", "Letters", "Meadow", "Mirrors", "Orchard", "Pilots", "River", "Sparrows",
    "Stations", "Towers", "Winter",
)  # fmt: skip


def invented_names(n: int, rng: np.random.Generator, last: str = "") -> tuple[str, ...]:
    """Draw n different names of two words, e.g. ``Paper Lanterns``.

    Args:
        n: number of names. Beyond 400 the words come again, with a number behind them.
        rng: generator of the order.
        last: a word behind every name, which sets it apart from names drawn without it.
    """
    n_pairs = len(_FIRST) * len(_SECOND)
    picks = rng.permutation(n_pairs * max(1, -(-n // n_pairs)))[:n]
    return tuple(_name(int(pick) % n_pairs, int(pick) // n_pairs, last) for pick in picks)


def _name(pair: int, again: int, last: str) -> str:
    words = [_FIRST[pair // len(_SECOND)], _SECOND[pair % len(_SECOND)]]
    return " ".join([*words, *([last] if last else []), *([str(again + 1)] if again else [])])


def slug(name: str) -> str:
    """Write a name as MagnaTagATune's files do: lower case, ``_`` for what is not a-z or 0-9."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
