"""The spread of a figure over a set: five quantiles and the count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Spread:
    """Quantiles of ``n`` values, in the values' unit, linearly interpolated, to 0.001."""

    n: int
    p5: float
    p25: float
    median: float
    p75: float
    p95: float


def spread(values: Sequence[float] | NDArray[np.float64]) -> Spread:
    """Return the spread of at least one finite value."""
    quantiles = np.quantile(np.asarray(values, dtype=np.float64), (0.05, 0.25, 0.5, 0.75, 0.95))
    p5, p25, median, p75, p95 = (round(float(q), 3) + 0.0 for q in quantiles)
    return Spread(len(values), p5, p25, median, p75, p95)
