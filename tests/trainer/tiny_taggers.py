"""A tagger that hears differences, and sounds for it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch
from tiny_sets import music_and_noise

from manifests.rows import CHUNK_SAMPLES, SAMPLE_RATE
from trainer.adabn import average_from_here
from trainer.audio_files import file_chunks
from trainer.runs.checkpoint import TrainingState, save_checkpoint
from trainer.tagger import Tagger, load_tagger


def write_lively_run(run_folder: Path, dat_run: Path) -> Path:
    """Copy a run with a tagger that hears differences, which four steps of training do not make.

    Its BatchNorm statistics are those of chords and noise, its last layer is ten times as steep.
    """
    shutil.copytree(dat_run, run_folder)
    one = lively(dat_run)
    state = TrainingState({"encoder": one.encoder, "predictor": one.predictor})
    for name in ("best", "last"):
        save_checkpoint(run_folder / "checkpoints" / name, state, one.card)
    return run_folder


def lively(dat_run: Path) -> Tagger:
    """Return a run's tagger, made to hear differences."""
    one = load_tagger(dat_run)
    average_from_here(one.encoder, forget=True)
    heard = [np.float32(sum(music_and_noise(CHUNK_SAMPLES, n))) for n in range(8)]
    with torch.no_grad():
        one.encoder.train()(one.prepare(torch.from_numpy(np.stack(heard)[:, None])))
        one.predictor.layers[2].weight.mul_(10.0)
    return one


def tone(seconds: float, rate: int = SAMPLE_RATE, hz: float = 440.0) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return 0.2 * np.sin(2 * np.pi * hz * t) * (1 + 0.5 * np.sin(2 * np.pi * 3 * t))


def chunks_of(path: Path, tagger: Tagger) -> np.ndarray:
    """All chunks of a file."""
    return np.concatenate(list(file_chunks(str(path), tagger)))
