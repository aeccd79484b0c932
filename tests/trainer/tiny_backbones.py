"""Small encoders of every backbone, what they hear, and how ``train`` is asked for one."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from trainer.config import BackboneName, ModelConfig
from trainer.models.backbone import Backbone
from trainer.models.registry import new_encoder

MEL: tuple[BackboneName, ...] = ("transformer", "shortchunk", "musicnn")
ALL: tuple[BackboneName, ...] = ("samplecnn", *MEL)
CHUNK_S = 1.2


def tiny(backbone: BackboneName, width: float = 0.1, seed: int = 0) -> Backbone:
    """Return a small encoder; its weights are those of the seed."""
    torch.manual_seed(seed)
    chunk_s = 0.0 if backbone == "samplecnn" else CHUNK_S
    return new_encoder(ModelConfig(backbone=backbone, width=width, chunk_s=chunk_s))


def sound(encoder: Backbone, n_chunks: int = 4, seed: int = 1) -> torch.Tensor:
    """Return noise, as many chunks of it as asked for: (n, 1, T)."""
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(n_chunks, 1, encoder.chunk_samples, generator=generator)


def options(backbone: str) -> tuple[object, ...]:
    """Return the options of ``train`` for a backbone and its short chunk."""
    return ("--backbone", backbone, "--chunk-s", CHUNK_S)


def edit_card(checkpoint: Path, model: dict[str, object]) -> None:
    """Change a checkpoint's model config."""
    path = checkpoint / "state.json"
    record = json.loads(path.read_text())
    record["progress"]["model"] |= model
    del record["sha256"]
    path.write_text(json.dumps(record))
