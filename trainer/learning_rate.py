"""The learning rate over a stage: constant, or falling to nothing along half a cosine.

A function of the step alone, so that a resumed stage needs no state of it.
"""

from __future__ import annotations

import math
from typing import Literal

from torch.optim import Optimizer

from manifests.errors import UsageError

Decay = Literal["none", "cosine"]


def decay_factor(progress: float, decay: Decay) -> float:
    """Factor on the learning rate: 1, or (1 + cos πp)/2, from 1 towards 0.

    Loshchilov & Hutter 2017 (arXiv:1608.03983), equation 5, without restarts.

    Args:
        progress: fraction p of the stage that is done, 0 to 1.
        decay: ``none`` or ``cosine``.

    Raises:
        UsageError: for progress outside [0, 1].
    """
    if not 0 <= progress <= 1:
        raise UsageError(
            f"progress: expected 0 to 1, got {progress}; divide the step by the stage's steps"
        )
    return 1.0 if decay == "none" else (1.0 + math.cos(math.pi * progress)) / 2.0


class LearningRate:
    """Sets the rates of an optimizer's groups, each by the same factor.

    Args:
        optimizer: with the rates to begin with, before a checkpoint is restored into it.
        decay: ``none`` or ``cosine``.
        n_steps: steps of the whole stage.
    """

    def __init__(self, optimizer: Optimizer, decay: Decay, n_steps: int) -> None:
        self._optimizer, self._decay, self._n_steps = optimizer, decay, n_steps
        self._begin = [float(group["lr"]) for group in optimizer.param_groups]

    def set(self, step: int) -> float:
        """Set the rates for a step, from 0; return their factor."""
        factor = decay_factor(step / self._n_steps, self._decay)
        for group, begin in zip(self._optimizer.param_groups, self._begin, strict=True):
            group["lr"] = begin * factor
        return factor
