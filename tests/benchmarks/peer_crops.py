"""Noisy crops per second of torch-audiomentations' AddBackgroundNoise, in its own environment.

    .venv-peers/bin/python tests/benchmarks/peer_crops.py CLEAN NOISE --seconds 5

A program by itself, since the peer needs an older torchaudio than we do (``make peers`` makes its
environment). CLEAN and NOISE are folders of mono files at one rate. Crops are decoded by soundfile,
exactly as long as they are; the peer draws a noise file and an SNR for each and mixes. One thread,
after one batch that is not counted. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
import torch_audiomentations
import torchaudio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clean", type=Path)
    parser.add_argument("noise", type=Path)
    parser.add_argument("--crop-samples", type=int, default=59_049)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    clean = sorted(options.clean.iterdir())
    sample_rate = soundfile.info(clean[0]).samplerate
    rng = np.random.default_rng(0)
    mix = torch_audiomentations.AddBackgroundNoise(
        background_paths=options.noise, min_snr_in_db=-10.0, max_snr_in_db=10.0, p=1.0,
        sample_rate=sample_rate, output_type="dict",
    )  # fmt: skip

    def batch() -> None:
        crops = np.empty((options.batch, 1, options.crop_samples), np.float32)
        for crop in crops:
            path = clean[int(rng.integers(len(clean)))]
            start = int(rng.integers(0, soundfile.info(path).frames - options.crop_samples + 1))
            crop[0], _ = soundfile.read(path, options.crop_samples, start, dtype="float32")
        mix(torch.from_numpy(crops), sample_rate=sample_rate)

    batch()
    wall, cpu, crops = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - wall < options.seconds:
        batch()
        crops += options.batch
    found = {
        "crops_per_s": crops / (time.perf_counter() - wall),
        "crops_per_cpu_s": crops / (time.process_time() - cpu),
        "versions": f"torch-audiomentations {torch_audiomentations.__version__}, "
        f"torch {torch.__version__}, torchaudio {torchaudio.__version__}",
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
