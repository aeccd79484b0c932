"""What every stage that trains a tagger shares: its card, its labels, its figures for the log."""

from __future__ import annotations

from collections.abc import Callable

import torch

from trainer.config import TagConfig, TrainConfig
from trainer.roles import Roles
from trainer.stage1_encoder import encoder_card


def tagger_card(config: TrainConfig, roles: Roles, tags: tuple[str, ...]) -> dict[str, object]:
    """Return what a checkpoint must say for its tagger to be used anywhere."""
    index = roles.open("train").index
    return {
        **encoder_card(config),
        "method": config.method,
        "tags": list(tags),
        "band_hz": roles.band_hz(),
        "trained_on": {"set": index.name, "plan_sha256": index.plan_sha256},
    }


def labels_of(tags: torch.Tensor | None) -> torch.Tensor:
    """Return a labelled batch's tags, (B, n_tags)."""
    if tags is None:
        raise AssertionError("a labelled part gave a batch without tags")
    return tags


def learning_rates(config: TagConfig) -> dict[str, float]:
    """Return the learning rates for the log."""
    return {"lr": config.lr, "lr_encoder": config.lr * config.encoder_lr_scale}


def total(losses: Callable[[], dict[str, torch.Tensor]]) -> torch.Tensor:
    """Return the loss that is minimised, from a function that returns all."""
    return losses()["loss"]
