"""The networks of stage 3, a batch of both domains, and their losses and gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from trainer.config import TagConfig
from trainer.models.heads import DomainClassifier, LabelPredictor
from trainer.stage3_dat import Networks, dat_losses

N_TAGS = 4


class Encoder(nn.Module):
    """A small encoder with BatchNorm: audio (B, 1, T) to (B, 8)."""

    n_features = 8

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 8, 9, stride=4)
        self.norm = nn.BatchNorm1d(8)

    def forward(self, audio: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.conv(audio))).mean(dim=2)


def networks(seed: int = 0) -> Networks:
    torch.manual_seed(seed)
    return Networks(Encoder(), LabelPredictor(8, N_TAGS), DomainClassifier(8, (6,)))


def batch(seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Source audio, its tags, target audio; the domains differ in colour, as by noise."""
    generator = torch.Generator().manual_seed(seed)
    source = torch.randn(12, 1, 200, generator=generator).cumsum(dim=2) * 0.1
    target = torch.randn(12, 1, 200, generator=generator)
    tags = (torch.rand(12, N_TAGS, generator=generator) > 0.5).float()
    return source, tags, target


def losses_of(nets: Networks, config: TagConfig, weight: float, *, learns: bool = False) -> Any:
    source, tags, target = batch()
    return dat_losses(nets, (source,), tags, target, config, weight, classifier_learns=learns)


def gradients(nets: Networks, loss: torch.Tensor) -> dict[str, list[torch.Tensor | None]]:
    found = {}
    for name in ("encoder", "predictor", "domain"):
        parameters = [p for p in getattr(nets, name).parameters() if p.requires_grad]
        found[name] = list(
            torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        )
    return found


def flat(gradient: list[torch.Tensor | None]) -> torch.Tensor:
    return torch.cat([g.reshape(-1) for g in gradient if g is not None])
