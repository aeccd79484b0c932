"""Which SNR an example is heard at, drawn from the hash of the example and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from manifests.canonical import hash64
from manifests.errors import UsageError

SnrDraw = Literal["integer", "stored"]

_ROUNDING_DB: Final = 1e-6
"""Slack at a bound: the steps of a schedule add up to 0.7 plus one unit in the last place."""


@dataclass(frozen=True)
class SnrRange:
    """Bounds of the SNRs of a step, dB, both included."""

    low_db: float = -10.0
    high_db: float = 10.0

    def values(self, draw: SnrDraw, rungs_db: Sequence[float]) -> tuple[float, ...]:
        """Return the SNRs that may be drawn, lowest first.

        Args:
            draw: ``integer`` draws whole dB, ``stored`` the rungs of the set.
            rungs_db: the rungs of the set.

        Raises:
            UsageError: nothing lies within the bounds.
        """
        low, high = self.low_db - _ROUNDING_DB, self.high_db + _ROUNDING_DB
        if draw == "integer":
            values = tuple(float(value) for value in range(math.ceil(low), math.floor(high) + 1))
        else:
            values = tuple(sorted(value for value in rungs_db if low <= value <= high))
        if not values:
            what = "a whole number of dB" if draw == "integer" else f"one of {list(rungs_db)} dB"
            raise UsageError(
                f"SNR range: expected {what} within, got {self.low_db:g} to {self.high_db:g} dB; "
                "widen it (--snr-low-db, --snr-high-db)"
            )
        return values


SnrAt: TypeAlias = Callable[[int], SnrRange]
"""The range of a step. It travels to the worker processes, so it is a module's function or a
dataclass with ``__call__``, not a lambda."""


@dataclass(frozen=True)
class ConstantSnr:
    """The same range at every step."""

    snr: SnrRange

    def __call__(self, step: int) -> SnrRange:
        """Return the range."""
        return self.snr


def draw_snr_db(values: Sequence[float], *parts: object) -> float:
    """Return one of the values, chosen by the hash of the parts (bias below 2**-50)."""
    return values[hash64(*parts, "snr") % len(values)]
