"""Sets and taggers of a narrower band, and what is heard above it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch
from tiny_taggers import lively

from manifests.rows import SAMPLE_RATE
from manifests.shardset import ShardSet
from manifests.signal import from_pcm
from trainer.data import Loader, LoaderConfig, Part
from trainer.data.crops import whole_pcm
from trainer.data.index import load_refs
from trainer.data.members import ShardReader
from trainer.runs.checkpoint import TrainingState, save_checkpoint

BAND_HZ = 7_200.0


def members(shard_set: ShardSet) -> dict[tuple[str, str], np.ndarray]:
    """Every stored member, (n_samples,), float64, by key and name."""
    found = {}
    with ShardReader() as reader:
        for ref in load_refs(shard_set):
            names = tuple(member.name for member in ref.members)
            for name, data in reader.read([(ref, names)])[0].items():
                found[ref.key, name] = from_pcm(whole_pcm(ref, name, data))
    return found


def above_band(audio: torch.Tensor) -> float:
    """The share of the power above the band."""
    spectrum = torch.fft.rfft(audio.double() * torch.hann_window(audio.shape[-1])).abs().square()
    edge = round(BAND_HZ * audio.shape[-1] / SAMPLE_RATE) + 2
    return float(spectrum[..., edge:].sum() / spectrum.sum())


def limited(part: Part, **options: object) -> Loader:
    """Return a loader of a part that may be limited."""
    config = LoaderConfig(batch_size=2, crop_samples=1_500, seed=4, **options)  # type: ignore[arg-type]
    return Loader([part], config)


def write_narrow_run(folder: Path, dat_run: Path) -> Path:
    """Copy a run, as of a training set below the band and with a tagger that hears differences."""
    shutil.copytree(dat_run, folder)
    tagger = lively(dat_run)
    state = TrainingState({"encoder": tagger.encoder, "predictor": tagger.predictor})
    save_checkpoint(folder / "checkpoints/best", state, {**tagger.card, "band_hz": BAND_HZ})
    return folder
