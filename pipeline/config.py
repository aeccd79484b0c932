"""The configuration of one set: the only home of the build's defaults.

``SetConfig`` holds what changes bytes (it goes into ``index.json``); ``RunOptions`` what does not.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from manifests.audio import DECODERS
from manifests.errors import UsageError
from manifests.keys import member_names
from manifests.member_audio import CODECS
from manifests.reading import ReadOptions
from manifests.resample import RESAMPLERS
from manifests.rows import CHUNK_SAMPLES, SAMPLE_RATE, SPLITS

NOISE_COUNTS: Final = (1, 2, 4)
DEFAULT_SNRS_DB: Final = (10.0, 5.0, 0.0, -5.0, -10.0)
LONG_CLIP_S: Final = 60.0
LONG_EXCERPT_S: Final = 30.0
LOWEST_BAND_HZ: Final = 1_000.0
HALVES: Final = ("auto", "both", "target", "none")


@dataclass(frozen=True)
class SetConfig:
    """Everything that changes the bytes of a set.

    Attributes:
        name: name of the set in its index and card.
        music: music corpora by name, in order.
        noise: noise corpora by name, in order; empty for real recordings (``--noise none``).
        split: split of the music: ``train``, ``valid``, ``test`` or ``all``.
        noise_split: split of the noise; corpora without splits serve any.
        snrs_db: SNR of each noisy member, dB, stored in this order.
        noises: noises summed in each mix: 1, 2 or 4.
        excerpt_s: length of an excerpt, seconds; ``whole`` for whole clips; ``auto`` for whole
            clips up to 60 s and 30 s of longer ones.
        excerpts_per_track: excerpts of each clip, one per equal part of it.
        halves: ``both`` marks each song as source or target, ``target`` all as target, ``none``
            none; ``auto`` is ``both`` for the train split and ``none`` else.
        with_tags: keep tags; the extra unlabelled targets go without.
        min_duration_s: shortest music clip, seconds (one model input).
        min_noise_s: shortest noise clip, seconds; shorter than the music is looped.
        band_limit: ``auto``, ``off`` or an upper edge in Hz.
        resampler: ``soxr``, ``sox`` or ``torchaudio``.
        decoder: ``soundfile`` or ``ffmpeg``.
        keep_dc: keep each span's mean.
        codec: ``flac`` or ``wav``.
        examples_per_shard: examples in each shard; the last of a half may hold fewer.
        limit: keep the N examples with the smallest hashes; None keeps all.
        seed: seed of every draw.
        corpus_options: options of the corpora by name, e.g. ``mtat_untagged``.
        tag_options: what was asked of the tags, files named by their content.
    """

    name: str = ""
    music: tuple[str, ...] = ()
    noise: tuple[str, ...] = ()
    split: str = "train"
    noise_split: str = "train"
    snrs_db: tuple[float, ...] = DEFAULT_SNRS_DB
    noises: int = 1
    excerpt_s: str = "auto"
    excerpts_per_track: int = 1
    halves: str = "auto"
    with_tags: bool = True
    min_duration_s: float = round(CHUNK_SAMPLES / SAMPLE_RATE, 3)
    min_noise_s: float = 0.1
    band_limit: str = "auto"
    resampler: str = "soxr"
    decoder: str = "soundfile"
    keep_dc: bool = False
    codec: str = "flac"
    examples_per_shard: int = 100
    limit: int | None = None
    seed: int = 0
    corpus_options: dict[str, Any] = field(default_factory=dict)
    tag_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checks = (
            (self.split in (*SPLITS, "all"), "--split", "train, valid, test or all", self.split),
            (self.noises in NOISE_COUNTS, "--noises", "1, 2 or 4", self.noises),
            (self.halves in HALVES, "halves", ", ".join(HALVES), self.halves),
            (self.codec in CODECS, "--codec", ", ".join(CODECS), self.codec),
            (self.resampler in RESAMPLERS, "--resampler", ", ".join(RESAMPLERS), self.resampler),
            (self.decoder in DECODERS, "--decoder", ", ".join(DECODERS), self.decoder),
            (
                self.examples_per_shard > 0,
                "--examples-per-shard",
                "1 or more",
                self.examples_per_shard,
            ),
            (
                self.excerpts_per_track > 0,
                "--excerpts-per-track",
                "1 or more",
                self.excerpts_per_track,
            ),
            (self.limit is None or self.limit > 0, "--limit", "1 or more", self.limit),
            (0 <= self.seed < 1 << 63, "--seed", "0 to 2**63 - 1", self.seed),
            (
                0 < self.min_duration_s < math.inf,
                "--min-duration-s",
                "seconds above 0",
                self.min_duration_s,
            ),
            (0 < self.min_noise_s < math.inf, "--min-noise-s", "seconds above 0", self.min_noise_s),
            (
                len(set(self.snrs_db)) == len(self.snrs_db),
                "--snr",
                "different values",
                self.snrs_db,
            ),
            (all(-60 <= s <= 60 for s in self.snrs_db), "--snr", "-60 to 60 dB", self.snrs_db),
            (
                all(abs(s) <= 60 and round(s, 2) == s for s in self.snrs_db),
                "--snr",
                "at most two decimals, as in the members' names",
                self.snrs_db,
            ),
            (not self.noise or self.snrs_db, "--snr", "at least one", self.snrs_db),
        )
        for legal, option, expected, found in checks:
            if not legal:
                raise UsageError(f"{option}: expected {expected}, got {found}")
        self.excerpt_samples(1 << 40)
        _ = self.fixed_band_hz

    @property
    def fixed_band_hz(self) -> float | None:
        """Band limit in Hz where it is given as a number, else None; UsageError where neither."""
        if self.band_limit in ("auto", "off"):
            return None
        try:
            band_hz = float(self.band_limit)
        except ValueError:
            band_hz = 0.0
        if not LOWEST_BAND_HZ <= band_hz <= SAMPLE_RATE / 2:
            raise UsageError(
                f"--band-limit: expected auto, off or 1000 to {SAMPLE_RATE // 2} Hz, "
                f"got {self.band_limit}"
            )
        return band_hz

    def excerpt_samples(self, clip_samples: int) -> int:
        """Return the length of an excerpt of a clip, both in samples at 22,050 Hz."""
        if self.excerpt_s == "whole":
            return clip_samples
        if self.excerpt_s == "auto":
            long = clip_samples > LONG_CLIP_S * SAMPLE_RATE
            return round(LONG_EXCERPT_S * SAMPLE_RATE) if long else clip_samples
        try:
            wanted = round(float(self.excerpt_s) * SAMPLE_RATE)
        except (ValueError, OverflowError):
            wanted = 0
        if wanted < CHUNK_SAMPLES:
            raise UsageError(
                f"--excerpt-s: expected auto, whole or at least {CHUNK_SAMPLES / SAMPLE_RATE:.3f} "
                f"seconds (one model input), got {self.excerpt_s}"
            )
        return min(wanted, clip_samples)

    @property
    def has_halves(self) -> bool:
        """Whether songs are marked as source or target."""
        return self.halves == "both" or (self.halves == "auto" and self.split == "train")

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the audio members of every example, in order."""
        return member_names(self.snrs_db, bool(self.noise))

    def read_options(self, band_hz: float | None) -> ReadOptions:
        """Return how sources are read, with the band limit resolved to Hz."""
        return ReadOptions(self.decoder, self.resampler, band_hz, self.keep_dc)

    def identity(self, band_hz: float | None) -> dict[str, Any]:
        """Return the identity config: all fields, and the band limit as resolved."""
        shown = asdict(replace(self, snrs_db=self.snrs_db if self.noise else ()))
        return {**shown, "band_hz": band_hz}


@dataclass(frozen=True)
class RunOptions:
    """How a build runs; changes no byte.

    Attributes:
        jobs: worker processes on this machine.
        engine: ``loky`` or ``dask``.
        scheduler: address of a dask scheduler; None starts a local one.
        audit: decode every written member again and check it.
        max_reject_percent: more rejects than this stop before rendering.
        overwrite: replace an existing output of another config; of this one, hash all files and
            build again what is damaged.
    """

    jobs: int = 1
    engine: str = "loky"
    scheduler: str | None = None
    audit: bool = True
    max_reject_percent: float = 5.0
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.max_reject_percent <= 100:
            raise UsageError(
                f"--max-reject-percent: expected 0 to 100, got {self.max_reject_percent}"
            )
