"""What other packages do with the same files; none of them is a dependency of ours.

A peer that cannot be used here is left out, and the reason stands in the table.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from manifests.extras import how_to_install
from manifests.rows import SAMPLE_RATE

HERE = Path(__file__).resolve().parent
PEERS_PYTHON = HERE.parents[1] / ".venv-peers" / "bin" / "python"


def why_not(peer: str) -> str:
    """Return why a peer cannot be used here, empty where it can."""
    if peer == "sox":
        return (
            "" if shutil.which("sox") else "the sox program is not installed: apt-get install sox"
        )
    if importlib.util.find_spec(peer) is None:
        return f"{peer} is not installed; {how_to_install('bench')}"
    return ""


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


def torch_audiomentations_crops(
    clean: Path, noise: Path, seconds: float, batch: int
) -> dict[str, Any] | str:
    """Return what ``peer_crops.py`` measured, or why it could not be run.

    torch-audiomentations 0.12 calls ``torchaudio.info``, which went with torchaudio 2.9, so it is
    run by a Python of its own.
    """
    python = PEERS_PYTHON if PEERS_PYTHON.is_file() else Path(sys.executable)
    test = "import torch_audiomentations, torchaudio; torchaudio.info"
    if subprocess.run([python, "-W", "ignore", "-c", test], capture_output=True).returncode:
        return "torch-audiomentations needs torchaudio 2.8 or older, in its own Python: make peers"
    done = subprocess.run(
        [python, "-W", "ignore", HERE / "peer_crops.py", clean, noise, "--seconds", str(seconds),
         "--batch", str(batch)],
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        return f"torch-audiomentations: {(done.stderr.strip() or 'failed').splitlines()[-1]}"
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
