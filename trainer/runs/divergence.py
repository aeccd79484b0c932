"""A stage whose loss or weights are no numbers any more ends there, and says what helps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import torch

from manifests.errors import ManifestError
from trainer.runs.stage_options import stage_option

LOSS: Final = "train/loss"


def check_loss(run: Path, stage: str, step: int, figures: Mapping[str, float]) -> None:
    """Check the loss of a record, which is read for the log anyway.

    Raises:
        ManifestError: it is not finite.
    """
    loss = figures.get(LOSS, 0.0)
    if not math.isfinite(loss):
        raise ManifestError(f"{run}: loss is not finite ({loss}) at step {step}; {_advice(stage)}")


def check_weights(run: Path, stage: str, step: int, modules: Iterable[torch.nn.Module]) -> None:
    """Check networks before they are validated: the last step may have broken them.

    Raises:
        ManifestError: a weight is not finite.
    """
    values = [value for module in modules for value in module.state_dict().values()]
    broken = [(~torch.isfinite(v)).any() for v in values if v.is_floating_point()]
    if broken and bool(torch.stack(broken).any()):  # one wait for the device
        raise ManifestError(f"{run}: weights are not finite at step {step}; {_advice(stage)}")


def check_score(run: Path, stage: str, step: int, score: float) -> None:
    """Check the score of a validation, before it may count as the best.

    Raises:
        ManifestError: it is not finite.
    """
    if not math.isfinite(score):
        raise ManifestError(
            f"{run}: {stage} diverged at step {step}: expected a finite validation score, got "
            f"{score}; {_advice(stage)}"
        )


def _advice(stage: str) -> str:
    return (
        f"lower {stage_option(stage, 'lr')}, and train anew with --overwrite or into another --out"
    )
