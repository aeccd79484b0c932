"""Tiny corpora for tests of the build: synthetic clips of 3 to 4 s in a few rates and formats."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from pipeline.planned import Plan

Samples = NDArray[np.float64]
MakePlan = Callable[..., Plan]
"""The fixture ``make_plan``."""
Roots = dict[str, dict[str, str]]
"""The fixture ``roots``."""

SOUND_BIBLE_LICENSE = """noise-sound-bible-0001
Title: Public Domain Radio
License: Attribution 3.0
Recorded by Mike Koenig
========================================================================
noise-sound-bible-0002
Title: Hammering
License: Public Domain
"""
FREE_SOUND_LICENSE = "All of these noises are in the public domain.\n"


def generator(*parts: object) -> np.random.Generator:
    """Return a generator that depends on the parts alone."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def chord(rng: np.random.Generator, seconds: float, rate: int) -> Samples:
    """Return a decaying, repeated chord with overtones over a faint hiss; peak 0.5."""
    t = np.arange(round(seconds * rate)) / rate
    sound = 0.001 * rng.standard_normal(t.size)
    for _ in range(3):
        pitch_hz = 110.0 * 2.0 ** (rng.integers(0, 36) / 12.0)
        for overtone in range(1, 8):
            if overtone * pitch_hz < 0.45 * rate:
                phase = rng.uniform(0.0, 2.0 * np.pi)
                sound += np.sin(2.0 * np.pi * overtone * pitch_hz * t + phase) / overtone
    beat_s = rng.uniform(0.3, 0.6)
    sound *= np.exp(-3.0 * (t % beat_s) / beat_s)
    return 0.5 * sound / np.max(np.abs(sound))


def burst(rng: np.random.Generator, seconds: float, rate: int) -> Samples:
    """Return white noise in bursts, peak 0.8."""
    t = np.arange(round(seconds * rate)) / rate
    sound = rng.standard_normal(t.size) * (0.2 + (np.sin(2.0 * np.pi * 1.7 * t) > 0.0))
    return 0.8 * sound / np.max(np.abs(sound))


def write_audio(
    path: Path, samples: NDArray[np.floating], rate: int = 22_050, subtype: str | None = "PCM_16"
) -> Path:
    """Write samples; the suffix says the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def write_table(root: Path, rows: Iterable[str]) -> None:
    """Write a folder corpus' metadata.csv."""
    text = "\n".join(["path,split,tags,song,artist,licence", *rows]) + "\n"
    (root / "metadata.csv").write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Corpora:
    """Roots of one set of tiny corpora."""

    music: Path
    noise: Path
    musan: Path


def write_music(root: Path) -> Path:
    """Write 12 training and 4 test clips of 3.0 to 4.0 s; two clips of each of the first songs."""
    rows = []
    for number in range(16):
        rng = generator("music", number)
        rate = (22_050, 16_000, 44_100, 22_050)[number % 4]
        seconds = 3.0 + 0.1 * (number % 11)
        sound = chord(rng, seconds, rate)
        if number % 5 == 4:  # a stereo file whose channels differ
            stereo = np.stack([sound, 0.5 * np.roll(sound, 40)], axis=1)
            write_audio(root / f"clips/clip{number:02d}.flac", stereo, rate)
        else:
            write_audio(root / f"clips/clip{number:02d}.wav", sound, rate)
        suffix = "flac" if number % 5 == 4 else "wav"
        song = f"song{number // 2 if number < 8 else number}"
        tags = ("rock|guitar", "piano", "guitar", "rock;slow")[number % 4]
        split = "train" if number < 12 else "test"
        rows.append(
            f"clips/clip{number:02d}.{suffix},{split},{tags},{song},artist{number % 3},CC-BY-4.0"
        )
    write_table(root, rows)
    return root


def write_noise(root: Path) -> Path:
    """Write 8 noises without a table: long, short (looped), stereo, of several rates."""
    lengths_s = (5.0, 4.2, 0.7, 6.0, 1.3, 3.0, 12.0, 0.3)
    for number, seconds in enumerate(lengths_s):
        rate = (22_050, 48_000, 16_000, 44_100)[number % 4]
        sound = burst(generator("noise", number), seconds, rate)
        if number == 3:
            sound = np.stack([sound, -0.3 * sound], axis=1)
        write_audio(root / f"noise{number}.wav", sound, rate)
    return root


def write_musan(root: Path) -> Path:
    """Write a small MUSAN in its official layout, 16 kHz."""
    for number in range(3):
        name = f"noise/free-sound/noise-free-sound-{number:04d}.wav"
        write_audio(root / name, burst(generator("free", number), 2.0 + 2 * number, 16_000), 16_000)
    for number in range(3):
        name = f"noise/sound-bible/noise-sound-bible-{number:04d}.wav"
        write_audio(root / name, burst(generator("bible", number), 4.0, 16_000), 16_000)
    (root / "noise/free-sound/LICENSE").write_text(FREE_SOUND_LICENSE)
    (root / "noise/sound-bible/LICENSE").write_text(SOUND_BIBLE_LICENSE)
    return root


MTAT_TAGS = ("guitar", "piano", "techno", "rare thing")


def write_mtat(root: Path, folders: str = "000cccddddd") -> Path:
    """Write a small MagnaTagATune in its official layout: 16 kHz MP3s of 3.2 s, a song each."""
    rows = ["\t".join(f'"{name}"' for name in ("clip_id", *MTAT_TAGS, "mp3_path"))]
    for number, folder in enumerate(folders):
        path = f"{folder}/artist{number % 3}-album-{number:02d}-title-0-3.mp3"
        write_audio(
            root / path, chord(generator("mtat", number), 3.2, 16_000), 16_000, "MPEG_LAYER_III"
        )
        flags = [str(int(number % 4 == i or i == 0)) for i in range(4)]
        rows.append("\t".join(f'"{cell}"' for cell in (str(number), *flags, path)))
    (root / "annotations_final.csv").write_text("\n".join(rows) + "\n")
    return root


def write_corpora(root: Path) -> Corpora:
    """Write all of them."""
    return Corpora(
        music=write_music(root / "music"),
        noise=write_noise(root / "noise"),
        musan=write_musan(root / "musan"),
    )


def set_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder, hidden ones included."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def stamps(folder: Path) -> dict[str, int]:
    """Return when each file of a folder was changed, ns."""
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
