"""What a set holds: tags by split, noise labels, durations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from manifests.rows import SOURCE, TARGET
from pipeline.report.contents import SetContents
from pipeline.report.spread import Spread, spread


@dataclass(frozen=True)
class TagCount:
    """One tag of the vocabulary.

    Attributes:
        name: the tag.
        examples: examples of the set that carry it.
        source: those in the source half.
        target: those in the target half.
        clips: clips of the corpora that carry it, by split.
    """

    name: str
    examples: int
    source: int
    target: int
    clips: Mapping[str, int]


@dataclass(frozen=True)
class LostTag:
    """A tag that the filter left out, why, and how many clips carry it, by split."""

    name: str
    reason: str
    clips: Mapping[str, int]


@dataclass(frozen=True)
class Tags:
    """Tags of a set, in vocabulary order, and those that were left out."""

    kept: tuple[TagCount, ...]
    lost: tuple[LostTag, ...]
    untagged_examples: int


@dataclass(frozen=True)
class Durations:
    """Durations in seconds, and how examples spread over songs."""

    spread_s: Spread
    shortest_s: float
    longest_s: float
    n_songs: int
    most_per_song: int


@dataclass(frozen=True)
class NoiseUse:
    """How noises were used.

    Attributes:
        n_files: different noise files.
        most_uses: uses of the file that is used most.
        n_looped: uses in which the noise was looped to fill the music.
        n_uses: noises over all examples.
        labels: uses by label, most first.
    """

    n_files: int
    most_uses: int
    n_looped: int
    n_uses: int
    labels: Mapping[str, int]


def count_tags(contents: SetContents) -> Tags:
    """Count tags; a tag that nothing carries stays, since the vocabulary fixes its place."""
    used: Counter[tuple[str, str | None]] = Counter(
        (tag, row.domain) for row in contents.rows for tag in row.tags
    )
    totals = Counter(tag for row in contents.rows for tag in row.tags)
    vocabulary = contents.vocabulary
    clips = vocabulary.counts if vocabulary else {}
    kept = tuple(
        TagCount(
            name=name,
            examples=totals[name],
            source=used[name, SOURCE],
            target=used[name, TARGET],
            clips=dict(clips.get(name, {})),
        )
        for name in contents.index.tags
    )
    lost = tuple(LostTag(*tag) for tag in (vocabulary.lost if vocabulary else ()))
    return Tags(kept, lost, sum(not row.tags for row in contents.rows))


def durations(contents: SetContents) -> Durations:
    """Return durations of the examples and examples per song."""
    values = [row.duration_s for row in contents.rows]
    songs = Counter((row.corpus, row.song) for row in contents.rows)
    return Durations(spread(values), min(values), max(values), len(songs), max(songs.values()))


def noise_use(contents: SetContents) -> NoiseUse | None:
    """Return how often noises and their labels are used; None for recordings."""
    if not contents.has_noise:
        return None
    files = Counter(
        use
        for row in contents.rows
        for use in zip(row.noise_corpora, row.noise_clip_ids, strict=False)
    )
    labels = Counter(
        label
        for row in contents.rows
        for joined in row.noise_labels
        for label in (joined.split("; ") if joined else ["no label"])
    )
    looped = [flag for row in contents.rows for flag in row.noise_looped]
    ranked = sorted(labels.items(), key=lambda item: (-item[1], item[0]))
    return NoiseUse(
        len(files), max(files.values(), default=0), sum(looped), len(looped), dict(ranked)
    )
