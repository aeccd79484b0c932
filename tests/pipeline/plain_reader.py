"""A reader that knows tarfile, json, soundfile and numpy only: the tests' independent oracle."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray


@dataclass(frozen=True)
class PlainExample:
    """One example as anybody would read it."""

    shard: str
    key: str
    names: tuple[str, ...]
    record: dict[str, Any]
    pcm: dict[str, NDArray[np.int16]]
    sample_rates: frozenset[int]

    def sha256(self, member: str) -> str:
        return hashlib.sha256(self.pcm[member].astype("<i2").tobytes()).hexdigest()


def read_shard(path: Path) -> list[PlainExample]:
    """Read every example of a tar, in order."""
    grouped: dict[str, dict[str, bytes]] = {}
    with tarfile.open(path) as tar:
        for entry in tar.getmembers():
            key, _, rest = entry.name.partition(".")
            file = tar.extractfile(entry)
            assert file is not None
            grouped.setdefault(key, {})[rest] = file.read()
    return [_decoded(path.name, key, files) for key, files in grouped.items()]


def _decoded(shard: str, key: str, files: dict[str, bytes]) -> PlainExample:
    pcm, rates = {}, set()
    for name, data in files.items():
        if name != "json":
            samples, rate = soundfile.read(io.BytesIO(data), dtype="int16")
            pcm[name.rsplit(".", 1)[0]] = samples
            rates.add(rate)
    record = json.loads(files["json"])
    return PlainExample(shard, key, tuple(files), record, pcm, frozenset(rates))


def read_set(folder: Path) -> list[PlainExample]:
    """Read every example of every tar of a folder, in order of names."""
    return [example for path in sorted(folder.glob("*.tar")) for example in read_shard(path)]


def snr_db(clean: NDArray[np.int16], noisy: NDArray[np.int16]) -> float:
    """Return total power of clean over that of (noisy - clean), dB."""
    music = clean.astype(np.float64)
    noise = noisy.astype(np.float64) - music
    return float(10.0 * np.log10(np.sum(music**2) / np.sum(noise**2)))


def level_dbfs(samples: NDArray[Any]) -> float:
    """Return the RMS level of int16 samples or differences of them, dBFS."""
    power = np.mean((samples.astype(np.float64) / 32768.0) ** 2)
    return float(10.0 * np.log10(power + 1e-30))


def check_snrs(examples: list[PlainExample], tolerance_db: float = 0.05) -> int:
    """Assert that every loud enough pair of every example is at its target; returns their number.

    The target is what the member's name says.
    """
    n_pairs = 0
    for example in examples:
        clean = example.pcm["clean"]
        for name, noisy in example.pcm.items():
            if name == "clean":
                continue
            target_db = float(name.removeprefix("noisy.snr_"))
            difference = noisy.astype(np.int32) - clean
            assert level_dbfs(clean) > -70.0 and level_dbfs(difference) > -70.0, example.key
            found_db = snr_db(clean, noisy)
            assert abs(found_db - target_db) <= tolerance_db, (example.key, name, found_db)
            n_pairs += 1
    return n_pairs
