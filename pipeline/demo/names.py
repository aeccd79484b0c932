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


def invented_names(n: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Draw n different names of two words, e.g. ``Paper Lanterns``; at most 400."""
    picks = rng.permutation(len(_FIRST) * len(_SECOND))[:n]
    return tuple(f"{_FIRST[i // len(_SECOND)]} {_SECOND[i % len(_SECOND)]}" for i in picks)


def slug(name: str) -> str:
    """Write a name as MagnaTagATune's files do: lower case, ``_`` for what is not a-z or 0-9."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
