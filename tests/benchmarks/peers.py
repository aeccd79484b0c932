"""What other packages do with the same files; none of them is a dependency of ours.

A peer that cannot be imported is left out, with a line that says how to install it.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import torchaudio

from manifests.rows import CHUNK_SAMPLES, SAMPLE_RATE

INSTALL = "pip install 'robust-tagger[bench]'"


def has(package: str) -> bool:
    """Tell whether a peer can be imported; says how to install it where not."""
    if importlib.util.find_spec(package) is not None:
        if package == "torch_audiomentations" and not hasattr(torchaudio, "info"):
            # torch-audiomentations 0.12 calls torchaudio.info, which went with torchaudio 2.9.
            print(f"{package} does not run with torchaudio {torchaudio.__version__}, left out",
                  file=sys.stderr)  # fmt: skip
            return False
        return True
    print(f"{package} is not installed, left out: {INSTALL}", file=sys.stderr)
    return False


def lhotse_recipe(rows: list[Any], root: Path, out: Path, snrs_db: tuple[float, ...]) -> None:
    """Resample, mix at each SNR and save as FLAC with lhotse's cuts, the way its guide shows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lhotse import Recording

        out.mkdir()
        for row in rows:
            seconds = row.music.n_samples / SAMPLE_RATE
            music = Recording.from_file(root / "music" / row.music.path).resample(SAMPLE_RATE)
            noise = Recording.from_file(root / "noise" / row.noises[0].path).resample(SAMPLE_RATE)
            clean = music.to_cut().truncate(duration=min(seconds, music.duration))
            under = noise.to_cut()
            repeats = int(np.ceil(clean.duration / under.duration))
            for _ in range(repeats - 1):
                under = under.append(noise.to_cut())
            clean.save_audio(out / f"{row.key}.clean.flac", format="flac")
            for snr_db in snrs_db:
                mixed = clean.mix(under, snr=snr_db).truncate(duration=clean.duration)
                mixed.save_audio(out / f"{row.key}.{snr_db:g}.flac", format="flac")


def audiomentations_crops(clean: list[Path], noise: Path, batch: int) -> Iterator[int]:
    """Crops of clean clips with a random background at -10 to 10 dB, mixed on the fly, for ever.

    Files are at 22,050 Hz already and mono, as a set's members are.
    """
    from torch_audiomentations import AddBackgroundNoise

    rng = np.random.default_rng(0)
    mix = AddBackgroundNoise(
        background_paths=noise, min_snr_in_db=-10.0, max_snr_in_db=10.0, p=1.0,
        sample_rate=SAMPLE_RATE, output_type="dict",
    )  # fmt: skip
    while True:
        crops = np.empty((batch, 1, CHUNK_SAMPLES), np.float32)
        for crop in crops:
            path = clean[int(rng.integers(len(clean)))]
            info = soundfile.info(path)
            start = int(rng.integers(0, info.frames - CHUNK_SAMPLES + 1))
            crop[0], _ = soundfile.read(path, CHUNK_SAMPLES, start, dtype="float32")
        mix(torch.from_numpy(crops), sample_rate=SAMPLE_RATE)
        yield batch
