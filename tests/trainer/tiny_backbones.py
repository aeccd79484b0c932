"""Small encoders of every backbone, and what they hear."""

from __future__ import annotations

import torch

from trainer.config import BackboneName, ModelConfig
from trainer.models.backbone import Backbone
from trainer.models.registry import new_encoder

MEL: tuple[BackboneName, ...] = ("transformer", "shortchunk", "musicnn")
ALL: tuple[BackboneName, ...] = ("samplecnn", *MEL)


def tiny(backbone: BackboneName, width: float = 0.1, seed: int = 0) -> Backbone:
    """Return a small encoder; its weights are those of the seed."""
    torch.manual_seed(seed)
    chunk_s = 0.0 if backbone == "samplecnn" else 1.2
    return new_encoder(ModelConfig(backbone=backbone, width=width, chunk_s=chunk_s))


def sound(encoder: Backbone, n_chunks: int = 4, seed: int = 1) -> torch.Tensor:
    """Return noise, as many chunks of it as asked for: (n, 1, T)."""
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(n_chunks, 1, encoder.chunk_samples, generator=generator)
