"""``--aggregate attention`` on a small suite with three-chunk clips, and how it is asked for."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tiny_sets import music_and_noise, write_set
from tiny_suite import RUNGS_DB, SET

from manifests.rows import CHUNK_SAMPLES
from trainer.adabn import average_from_here
from trainer.compute import Compute
from trainer.config import PoolingConfig, SystemConfig, TrainConfig
from trainer.presets import preset_config
from trainer.runs.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from trainer.runs.distributed import World
from trainer.tagger import load_tagger

CPU = Compute(torch.device("cpu"), World(), SystemConfig(workers=0, compile="off"))
LONG = {**SET, "n_samples": 3 * CHUNK_SAMPLES + 99}
POOLING = ("--aggregate", "attention", "--pooling-epochs", "3", "--pooling-batch-size", "3",
           "--pooling-validations", "2", "--pooling-hidden", "7")  # fmt: skip
NOISY = tuple(f"noisy.snr_{snr:g}" for snr in RUNGS_DB)


def write_clips(folder: Path) -> Path:
    """Write a suite to train, choose and evaluate on, whose clips have three chunks."""
    sets: dict[str, dict[str, Any]] = {
        "train": {"n_songs": 8, "corpus": "train"},
        "valid": {"n_songs": 6, "corpus": "valid", "halves": False},
        "test-musan": {"n_songs": 6, "corpus": "test", "halves": False},
    }
    for role, options in sets.items():
        write_set(str(folder / role), name=role, **{**LONG, **options})
    (folder / "suite.json").write_text(json.dumps({role: role for role in sets}))
    return folder


def write_partial_run(folder: Path, attending: Path) -> Path:
    """Copy a run, with a tagger that hears differences and an attention that prefers chunks."""
    shutil.copytree(attending, folder)
    tagger = load_tagger(attending, "attention")
    assert tagger.pooling is not None
    heard = np.stack([np.float32(sum(music_and_noise(CHUNK_SAMPLES, n))) for n in range(8)])
    average_from_here(tagger.encoder, forget=True)
    with torch.no_grad():
        tagger.encoder.train()(tagger.prepare(torch.from_numpy(heard)[:, None]))
        tagger.predictor.layers[2].weight.mul_(10.0)
        torch.manual_seed(3)
        torch.nn.init.normal_(tagger.pooling.score.weight, std=10.0)
    own = {"encoder": tagger.encoder, "predictor": tagger.predictor}
    for place, modules in ((folder, own), (folder / "pooling", own | {"pooling": tagger.pooling})):
        card = load_checkpoint(place / "checkpoints/best").progress
        save_checkpoint(place / "checkpoints/best", TrainingState(modules), card)
    return folder


def config_of(method: str, **options: Any) -> TrainConfig:
    config = preset_config("demo", method)  # type: ignore[arg-type]
    pooling = PoolingConfig("attention", batch_size=2, **options)
    return replace(config, pooling=pooling)
