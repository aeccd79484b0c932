"""The row types that pass between scan, plan, build and other teams.

Every row is a frozen dataclass of plain values, so that it goes through JSON and Parquet without
loss. Times are in seconds, levels in dB, rates in Hz; ``n_samples`` always counts audio samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SAMPLE_RATE: Final = 22_050
"""Sample rate of every member of every set, Hz."""

CHUNK_SAMPLES: Final = 59_049
"""Input of SampleCNN, 3**10 samples = 2.678 s (Lee et al. 2017)."""

FRAME_S: Final = 0.1
"""Grid of the level curve of a clip and of every span that is drawn, seconds."""

BAND_STEP_HZ: Final = 250
"""Grid of the levels by band of a clip, Hz."""

SPLITS: Final = ("train", "valid", "test")
ANY_SPLIT: Final = "any"
"""The split of a clip that may serve every split (MUSAN has none of its own)."""

SOURCE: Final = "source"
TARGET: Final = "target"
"""Halves of a training set: the source half is the clean domain, the target half the noisy one."""


@dataclass(frozen=True)
class Clip:
    """One audio file of a corpus: what its metadata says, and what a scan measured.

    Fields from ``source_sha256`` on are measured and stay at their defaults after
    ``prep scan --no-audio``.

    Attributes:
        corpus: corpus name, e.g. ``mtat``.
        clip_id: the corpus' own id, unique within the corpus, stable between copies of it.
        path: path below the corpus root, with ``/``.
        song: id of the recording that the clip was cut from; clips of one song share it.
        artist: id or name of the artist; empty where unknown.
        split: ``train``, ``valid``, ``test`` or ``any``.
        tags: tags of a music clip, labels of a noise clip, sorted; before any tag filter.
        licence: SPDX-like id or short licence text; empty where unknown.
        expected_s: duration in seconds that the metadata states; 0 where it states none.
        source_sha256: SHA-256 of the file's bytes, hex.
        source_bytes: size of the file.
        source_format: decoder's name of the container and coding, e.g. ``MP3/MPEG_LAYER_III``.
        source_rate: sample rate of the file, Hz.
        channels: channels of the file.
        source_samples: samples per channel that a linear decode returned, at ``source_rate``.
        peak: largest magnitude of the mono average, full scale = 1.
        mean: mean of the mono average (DC), full scale = 1.
        bandwidth_hz: upper edge of the occupied band (see ``manifests.measure``), Hz.
        rms_db: RMS of each 0.1 s of the mono average, the mean of each 0.1 s removed, dBFS, an
            int8 each (-128 = silence).
        band_db: level of what lies below 250 Hz, 500 Hz … 11,000 Hz, against the whole, dB, an
            int8 each; empty where it was not measured.
    """

    corpus: str
    clip_id: str
    path: str
    song: str
    artist: str
    split: str
    tags: tuple[str, ...]
    licence: str
    expected_s: float = 0.0
    source_sha256: str = ""
    source_bytes: int = 0
    source_format: str = ""
    source_rate: int = 0
    channels: int = 0
    source_samples: int = 0
    peak: float = 0.0
    mean: float = 0.0
    bandwidth_hz: float = 0.0
    rms_db: bytes = b""
    band_db: bytes = b""

    @property
    def duration_s(self) -> float:
        """Measured duration in seconds; the metadata's where nothing was measured."""
        return self.source_samples / self.source_rate if self.source_rate else self.expected_s


@dataclass(frozen=True)
class Reject:
    """A file or clip that will not be used, and why.

    Attributes:
        corpus: corpus name.
        clip_id: clip id; empty where the file could not be tied to one.
        path: path below the corpus root.
        stage: ``metadata``, ``scan`` or ``plan``.
        reason: short fixed word for counting, e.g. ``truncated``.
        detail: one line for people, with what was expected and what was found.
        split: split of the clip where known, else empty.
        tags: tags of the clip where known, so that lost labels can be counted.
    """

    corpus: str
    clip_id: str
    path: str
    stage: str
    reason: str
    detail: str
    split: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class MusicSpan:
    """The stretch of a music clip that an example holds.

    ``n_samples`` is its length at 22,050 Hz; ``start_s`` lies on the 0.1 s grid.
    """

    corpus: str
    clip_id: str
    path: str
    song: str
    artist: str
    licence: str
    source_sha256: str
    source_rate: int
    source_samples: int
    start_s: float
    n_samples: int

    @property
    def duration_s(self) -> float:
        """Length of the span in seconds."""
        return self.n_samples / SAMPLE_RATE


@dataclass(frozen=True)
class NoiseSpan:
    """The stretch of a noise clip that is mixed under an example, looped where it is too short."""

    corpus: str
    clip_id: str
    path: str
    labels: tuple[str, ...]
    licence: str
    source_sha256: str
    source_rate: int
    source_samples: int
    start_s: float
    looped: bool


@dataclass(frozen=True)
class PlanRow:
    """All that is needed to render one example; rendering draws nothing at random.

    Attributes:
        key: key of the example in the shards, ``[a-z0-9_-]+``, unique in the set.
        split: split of the set.
        domain: ``source``, ``target`` or None where the set has no halves.
        tags: tags of the set's vocabulary, in vocabulary order.
        shard: number of the shard that holds the example.
        music: the music span.
        noises: k noise spans, smallest hash first; empty for real recordings.
    """

    key: str
    split: str
    domain: str | None
    tags: tuple[str, ...]
    shard: int
    music: MusicSpan
    noises: tuple[NoiseSpan, ...]
