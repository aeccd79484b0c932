"""Overshoot: an encoder that swaps the domains instead of mixing them (METHOD.md 4, pitfall 3)."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Final

import torch

logger = logging.getLogger(__name__)

OVERSHOOT_ACCURACY: Final = 0.4
"""A domain classifier this often right is confidently wrong: chance is 0.5."""

OVERSHOOT_BATCHES: Final = 50
"""Newest batches that are looked at: a run that swaps late must not be excused by its beginning."""


def warn_of_overshoot(accuracies: Sequence[torch.Tensor], batch_size: int, step: int) -> None:
    """Warn where the encoder has made the classifier confidently wrong (METHOD.md 4, pitfall 3).

    One batch may be below chance by chance, so the mean of many is looked at, and three of its
    standard errors are allowed.

    Args:
        accuracies: of the newest batches, 0-d each; at least one.
        batch_size: examples of a batch, both halves.
        step: steps done, for the message.
    """
    accuracy = float(torch.stack(list(accuracies)).mean())
    by_chance = 3 * math.sqrt(0.25 / (batch_size * len(accuracies)))
    if accuracy < min(OVERSHOOT_ACCURACY, 0.5 - by_chance):
        logger.warning(
            "dat step %d: the domain classifier is right on %.0f %% of what it heard, below "
            "chance: the encoder has swapped the domains instead of mixing them; use "
            "--domain-loss confusion, a smaller --lambda, or --refresh-domain-classifier",
            step,
            100 * accuracy,
        )
