"""Write tests/golden again: ``python tests/regenerate_golden.py``.

A change of these files changes the bytes of every set: old ones can no longer be rebuilt. So it is
a reviewed act, never a way to make a test pass. The input is whole numbers worked out by whole
numbers, at 22,050 Hz, so neither a resampler nor a library's random numbers are in the figures.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from manifests.canonical import canonical_json, pretty_json, sha256_text
from manifests.reading import ReadOptions
from manifests.rows import SAMPLE_RATE, MusicSpan, NoiseSpan, PlanRow
from manifests.signal import Pcm
from pipeline.render import Rendered, RenderOptions, render

FOLDER: Final = Path(__file__).parent / "golden"
SNRS_DB: Final = (10.0, 5.0, 0.0, -5.0, -10.0)
SECONDS: Final = {"music.wav": 4, "wind.wav": 1, "crowd.wav": 6}


def sawtooth_chord(n_samples: int) -> Pcm:
    """Three sawtooth waves with a swell, on a DC of 0.01, all in whole numbers."""
    n = np.arange(n_samples, dtype=np.int64)
    saws = sum(((n * step) % 65_536 - 32_768) for step in (653, 823, 979))
    swell = 400 + np.abs(n % 20_000 - 10_000) // 25
    return (saws * swell // 3_000 + 328).astype(np.int16)


def noise(name: str, n_samples: int) -> Pcm:
    """White noise from SHAKE-256 of the name, at a quarter of full scale."""
    data = hashlib.shake_256(name.encode()).digest(2 * n_samples)
    return (np.frombuffer(data, dtype="<i2") // 4).astype(np.int16)


def wav_bytes(pcm: Pcm) -> bytes:
    """A WAV file by the standard library alone."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(pcm.astype("<i2").tobytes())
    return buffer.getvalue()


def sources() -> dict[str, bytes]:
    """The source files by name."""
    lengths = {name: seconds * SAMPLE_RATE for name, seconds in SECONDS.items()}
    return {
        name: wav_bytes(sawtooth_chord(n) if name == "music.wav" else noise(name, n))
        for name, n in lengths.items()
    }


def plan_row(files: Mapping[str, bytes]) -> PlanRow:
    """The row that is rendered: 3.3 s of music under a looped noise and one cut from its middle."""

    def facts(name: str) -> tuple[str, int, int]:
        digest = hashlib.sha256(files[name]).hexdigest()
        return digest, SAMPLE_RATE, SECONDS[name] * SAMPLE_RATE

    n_samples = 72_765
    return PlanRow(
        key="golden-music-00000000-0",
        split="test",
        domain=None,
        tags=("guitar", "slow"),
        shard=0,
        music=MusicSpan(
            "golden", "music", "music.wav", "song", "artist", "CC0-1.0", *facts("music.wav"),
            start_s=0.4, n_samples=n_samples,
        ),
        noises=(
            NoiseSpan(
                "golden", "wind", "wind.wav", ("Wind",), "CC0-1.0", *facts("wind.wav"),
                start_s=0.0, looped=True,
            ),
            NoiseSpan(
                "golden", "crowd", "crowd.wav", ("Crowd", "Speech"), "", *facts("crowd.wav"),
                start_s=1.7, looped=False,
            ),
        ),
    )  # fmt: skip


def render_from_files() -> Rendered:
    """Render the row from files on disk, as a build does."""
    files = sources()
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        roots = {role: {"golden": folder} for role in ("music", "noise")}
        return render(plan_row(files), roots, RenderOptions(SNRS_DB, "wav", ReadOptions()))


def rendered_example() -> dict[str, Any]:
    """Return what is published of the row: its sidecar, and the hashes of the canonical texts."""
    row, done = plan_row(sources()), render_from_files()
    return {
        "plan_row": json.loads(canonical_json(row)),
        "plan_row_sha256": sha256_text(canonical_json(row)),
        "sidecar": json.loads(canonical_json(done.example)),
        "sidecar_sha256": hashlib.sha256(done.files["json"]).hexdigest(),
        "levels_db": done.levels_db,
    }


def main() -> None:
    """Write the golden files."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "rendered_example.json").write_text(pretty_json(rendered_example()))


if __name__ == "__main__":
    main()
