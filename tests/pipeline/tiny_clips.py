"""Measured clips without files, for tests of planning."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from manifests.rows import Clip
from pipeline.stages.scan import Scan
from pipeline.tags import TagVocabulary

NO_TAGS = TagVocabulary((), {})


def clip(clip_id: str = "a", seconds: float = 10.0, level_db: int = -20, **fields: Any) -> Clip:
    """Return a measured clip of 22,050 Hz whose every frame has one level."""
    n_samples = round(seconds * 22_050)
    base = Clip(
        corpus="folder",
        clip_id=clip_id,
        path=f"{clip_id}.wav",
        song=clip_id,
        artist="",
        split="train",
        tags=(),
        licence="",
        source_sha256=hashlib.sha256(clip_id.encode()).hexdigest(),
        source_bytes=2 * n_samples,
        source_format="WAV/PCM_16",
        source_rate=22_050,
        channels=1,
        source_samples=n_samples,
        peak=min(1.0, 4.0 * 10 ** (level_db / 20)),
        mean=0.0,
        bandwidth_hz=10_000.0,
        rms_db=np.full(-(-n_samples // 2205), level_db, dtype=np.int8).tobytes(),
    )
    return replace(base, **fields)


def levels(*runs: tuple[int, int]) -> bytes:
    """Return a level curve from (number of frames, level in dBFS) runs."""
    return np.concatenate([np.full(n, db, dtype=np.int8) for n, db in runs]).tobytes()


def scan_of(clips: Sequence[Clip], corpus: str = "folder", **fields: Any) -> Scan:
    """Return a scan that found these clips."""
    found = Scan(corpus, "/nowhere", tuple(clips), (), (), "unknown")
    return replace(found, **fields)


def noises(n: int, **fields: Any) -> list[Clip]:
    """Return ``n`` noises of 20 s that may serve any split."""
    return [clip(f"noise{i}", 20.0, split="any", **fields) for i in range(n)]
