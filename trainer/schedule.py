"""Schedules: the weight of the adversary over a run, and the SNRs of an epoch.

Pure functions of progress or epoch, so that a resumed run needs no state of theirs.
"""

from __future__ import annotations

import math
from typing import Literal

from manifests.errors import UsageError

Easy = Literal["low", "high"]
RangeMode = Literal["expand", "slide"]


def dann_alpha(progress: float, gamma: float = 10.0) -> float:
    """Weight of the reversed gradient: 2/(1 + exp(-γp)) - 1, from 0 towards 1.

    Ganin et al. 2016 (arXiv:1505.07818), section 5.2.2.

    Args:
        progress: fraction p of the run that is done, 0 to 1.
        gamma: steepness γ.

    Returns:
        α, in [0, 1).

    Raises:
        UsageError: for progress outside [0, 1].
    """
    if not 0 <= progress <= 1:
        raise UsageError(
            f"progress: expected 0 to 1, got {progress}; divide the step by the run's steps"
        )
    return 2.0 / (1.0 + math.exp(-gamma * progress)) - 1.0


def snr_range(
    epoch: int,
    *,
    easy: Easy,
    step_db_per_epoch: float,
    low: float = -10.0,
    high: float = 10.0,
    start_width: float = 5.0,
    mode: RangeMode = "expand",
) -> tuple[float, float]:
    """SNRs of an epoch, from easy to hard (METHOD.md section 6, row 12).

    Difficulty belongs to the module: noise is easiest to *notice* at low SNR, music is easiest to
    *tag* at high SNR. The domain classifier therefore starts at [-10, -5] and its upper bound
    rises by 1/3 dB an epoch (``easy="low"``; full range after 45 epochs); DAT starts at [5, 10]
    and its lower bound falls by 1/30 dB (``easy="high"``; full range after 450).

    Args:
        epoch: epochs done, from 0.
        easy: the end of the range where the schedule starts.
        step_db_per_epoch: how far the moving bound goes each epoch, dB.
        low: lowest SNR, dB.
        high: highest SNR, dB.
        start_width: width of the first range, dB.
        mode: ``expand`` moves the far bound; ``slide`` moves both, so that easy SNRs are left
            behind and the width stays.

    Returns:
        Lower and upper bound, dB, both included; the integers within are drawn. They are sums of
        steps, so whole numbers may be off by a rounding error.

    Raises:
        UsageError: for a negative epoch or step, or a first range wider than the whole.
    """
    if epoch < 0 or step_db_per_epoch < 0:
        raise UsageError(
            f"SNR schedule: expected epoch and step of at least 0, got {epoch} and "
            f"{step_db_per_epoch}; give the step as a distance in dB"
        )
    if not 0 <= start_width <= high - low:
        raise UsageError(
            f"SNR schedule: expected a first width within 0 and {high - low} dB, got "
            f"{start_width}; widen the range (--snr-low-db, --snr-high-db), or leave out --e2h and "
            "--e2h-classifier"
        )
    moved = min(epoch * step_db_per_epoch, high - low - start_width)
    behind = moved if mode == "slide" else 0.0
    if easy == "low":
        return low + behind, low + start_width + moved
    return high - start_width - moved, high - behind
