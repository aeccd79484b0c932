"""The rows of a recipe: one frozen example with its applied gains, one source with its facts.

An example's row is identity: it goes into the recipe id. What depends on optional metadata files or
on a team's copy (artist, licence, labels, hash of the file) stands beside it, in the sources.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from manifests.errors import ManifestError
from manifests.keys import check_key
from manifests.measure import RATES_HZ

MUSIC: Final = "music"
NOISE: Final = "noise"
MAX_SPAN_SAMPLES: Final = 1 << 28
"""Longest example, 3.4 h: a few bytes of a recipe must not ask for all memory."""
MAX_START_S: Final = 1e6
MAX_GAIN_DB: Final = 400.0
MAX_SHARDS: Final = 1_000_000
MAX_NOISES: Final = 16
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_CORPUS: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True)
class FrozenMusic:
    """The music span of an example; ``n_samples`` counts at 22,050 Hz."""

    corpus: str
    clip_id: str
    song: str
    source_rate: int
    start_s: float
    n_samples: int


@dataclass(frozen=True)
class FrozenNoise:
    """A noise span; ``level_db`` is the gain that was applied to bring it to 0 dBFS RMS."""

    corpus: str
    clip_id: str
    source_rate: int
    start_s: float
    looped: bool
    level_db: float


@dataclass(frozen=True)
class FrozenRow:
    """One example as it was rendered: spans, applied gains, hash of every member's samples.

    Attributes:
        key: key of the example.
        shard: number of its shard.
        domain: ``source``, ``target`` or None.
        tags: tags of the set's vocabulary, in its order.
        music: the music span.
        noises: the noise spans, in the order they were summed.
        gain_db: the common gain.
        mix_gains_db: gain of the noise sum at each SNR of the set, in its order.
        pcm_sha256: SHA-256 of the samples of each member, in the set's order of members.
    """

    key: str
    shard: int
    domain: str | None
    tags: tuple[str, ...]
    music: FrozenMusic
    noises: tuple[FrozenNoise, ...]
    gain_db: float
    mix_gains_db: tuple[float, ...]
    pcm_sha256: tuple[str, ...]


@dataclass(frozen=True)
class FrozenSource:
    """A source file as the freezing team had it; none of it is in the recipe id.

    Attributes:
        role: ``music`` or ``noise``.
        corpus: corpus name.
        clip_id: the corpus' own id.
        sha256: SHA-256 of the file.
        licence: its licence; empty where unknown.
        artist: its artist; empty where unknown or for noise.
        labels: labels of a noise.
        path: where it lay below the corpus root; None where freeze was not given the corpus.
        n_bytes: size of the file; None likewise.
    """

    role: str
    corpus: str
    clip_id: str
    sha256: str
    licence: str
    artist: str
    labels: tuple[str, ...]
    path: str | None
    n_bytes: int | None

    @property
    def key(self) -> SourceKey:
        """What names the source within a recipe."""
        return self.role, self.corpus, self.clip_id


SourceKey = tuple[str, str, str]
"""Role, corpus and clip id."""


def source_keys(row: FrozenRow) -> tuple[SourceKey, ...]:
    """Return the sources of an example, the music first."""
    noises = ((NOISE, noise.corpus, noise.clip_id) for noise in row.noises)
    return ((MUSIC, row.music.corpus, row.music.clip_id), *noises)


def check_row(row: FrozenRow, n_snrs: int, n_noises: int, tags: frozenset[str]) -> None:
    """Check the values of a row that came from elsewhere.

    Raises:
        ManifestError: the example, what was expected and what was found.
    """
    check_key(row.key)
    n_members = 1 + n_snrs if n_noises else 1
    checks = (
        (0 <= row.shard < MAX_SHARDS, "a shard number", row.shard),
        (row.domain in (None, "source", "target"), "source, target or null", row.domain),
        (tags.issuperset(row.tags), "tags of the recipe's vocabulary", row.tags),
        (0 < row.music.n_samples <= MAX_SPAN_SAMPLES, "1 to 2**28 samples", row.music.n_samples),
        (len(row.noises) == n_noises, f"{n_noises} noises", len(row.noises)),
        (len(row.mix_gains_db) == (n_snrs if n_noises else 0), "a gain per SNR", row.mix_gains_db),
        (len(row.pcm_sha256) == n_members, f"{n_members} hashes", len(row.pcm_sha256)),
        (all(map(_SHA256.fullmatch, row.pcm_sha256)), "SHA-256 in hex", row.pcm_sha256),
        (-MAX_GAIN_DB <= row.gain_db <= 0.0, "a common gain of at most 0 dB", row.gain_db),
        (all(map(_is_gain, row.mix_gains_db)), "gains within ±400 dB", row.mix_gains_db),
        *_span_checks(row.music),
        *(check for noise in row.noises for check in _span_checks(noise)),
        *((_is_gain(n.level_db), "a level within ±400 dB", n.level_db) for n in row.noises),
    )
    for legal, expected, found in checks:
        if not legal:
            raise ManifestError(f"{row.key}: expected {expected}, got {found!r:.80}")


def _span_checks(span: FrozenMusic | FrozenNoise) -> tuple[tuple[bool, str, object], ...]:
    low, high = RATES_HZ
    return (
        (_CORPUS.fullmatch(span.corpus) is not None, "the name of a corpus", span.corpus),
        (bool(span.clip_id), "a clip id", span.clip_id),
        (low <= span.source_rate <= high, f"{low} to {high} Hz", span.source_rate),
        (0.0 <= span.start_s <= MAX_START_S, "a start of 0 s or later", span.start_s),
    )


def _is_gain(gain_db: float) -> bool:
    return math.isfinite(gain_db) and abs(gain_db) <= MAX_GAIN_DB


def check_source(source: FrozenSource) -> None:
    """Check the values of a source that came from elsewhere.

    Raises:
        ManifestError: the source, what was expected and what was found.
    """
    name = f"{source.role} {source.corpus} {source.clip_id!r:.60}"
    checks = (
        (source.role in (MUSIC, NOISE), "music or noise", source.role),
        (_SHA256.fullmatch(source.sha256) is not None, "SHA-256 in hex", source.sha256),
        (source.n_bytes is None or source.n_bytes >= 0, "a size in bytes", source.n_bytes),
        (is_below(source.path), "a path below the corpus root", source.path),
    )
    for legal, expected, found in checks:
        if not legal:
            raise ManifestError(f"{name}: expected {expected}, got {found!r:.80}")


def is_below(path: str | None) -> bool:
    """Tell whether a path, if there is one, is relative, leads nowhere else and is no URL."""
    if path is None:
        return True
    parts = path.split("/")
    return (
        bool(path)
        and not path.startswith("/")
        and not {"", ".", ".."} & set(parts)
        and "\\" not in path
        and "\0" not in path
        and "://" not in path
        and not path.startswith("pipe:")
    )
