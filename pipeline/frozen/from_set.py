"""The rows of a recipe from a finished set: from its sidecars, and its samples where asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from manifests import store
from manifests.errors import ManifestError
from manifests.example import Example, decode_members
from manifests.keys import member_names
from manifests.shard import iter_examples
from manifests.shardset import ShardSet, shared_set
from pipeline.frozen.rows import (
    MUSIC,
    NOISE,
    FrozenMusic,
    FrozenNoise,
    FrozenRow,
    FrozenSource,
    SourceKey,
)
from pipeline.frozen.sketch import sketch


@dataclass(frozen=True)
class FrozenShard:
    """The rows of one shard of a set; ``sketches`` in the same order."""

    number: int
    rows: tuple[FrozenRow, ...]
    sketches: tuple[tuple[str, ...], ...]


def frozen_row(example: Example, shard: int, members: tuple[str, ...]) -> FrozenRow:
    """Return the row of an example, from its sidecar.

    Args:
        example: the sidecar.
        shard: number of its shard.
        members: the set's members in order; the first is the one that all lengths follow.

    Raises:
        ManifestError: the example has other members.
    """
    if example.members.keys() != set(members):
        raise ManifestError(
            f"{example.key}: expected members {sorted(members)}, got {sorted(example.members)}"
        )
    gains = (example.members[name].mix_gain_db for name in members)
    music = example.music
    return FrozenRow(
        key=example.key,
        shard=shard,
        domain=example.domain,
        tags=example.tags,
        music=FrozenMusic(
            corpus=music.corpus,
            clip_id=music.clip_id,
            song=music.song,
            source_rate=music.source_rate,
            start_s=music.start_s,
            n_samples=example.members[members[0]].n_samples,
        ),
        noises=tuple(
            FrozenNoise(
                corpus=noise.corpus,
                clip_id=noise.clip_id,
                source_rate=noise.source_rate,
                start_s=noise.start_s,
                looped=noise.looped,
                level_db=noise.level_db,
            )
            for noise in example.noises
        ),
        gain_db=example.gain_db,
        mix_gains_db=tuple(gain for gain in gains if gain is not None),
        pcm_sha256=tuple(example.members[name].pcm_sha256 for name in members),
    )


def example_sources(example: Example) -> tuple[FrozenSource, ...]:
    """Return the sources of an example as its sidecar names them, the music first."""
    music = example.music
    return (
        FrozenSource(
            role=MUSIC,
            corpus=music.corpus,
            clip_id=music.clip_id,
            sha256=music.source_sha256,
            licence=music.licence,
            artist=music.artist,
            labels=(),
            path=None,
            n_bytes=None,
        ),
        *(
            FrozenSource(
                role=NOISE,
                corpus=noise.corpus,
                clip_id=noise.clip_id,
                sha256=noise.source_sha256,
                licence=noise.licence,
                artist="",
                labels=noise.labels,
                path=None,
                n_bytes=None,
            )
            for noise in example.noises
        ),
    )


def set_members(shard_set: ShardSet) -> tuple[str, ...]:
    """Return the audio members of every example of a set, in order."""
    return member_names(shard_set.index.snrs_db, bool(shard_set.index.noises_per_example))


def freeze_shard(url: str, number: int) -> FrozenShard:
    """Decode one shard of a set and return its rows: one task.

    Every sample is decoded and compared with its hash, so no recipe is made of a damaged set.

    Raises:
        ManifestError: the shard is not what its sidecar says.
    """
    shard_set = shared_set(url)
    info = shard_set.index.shards[number]
    records = {entry.key: entry.record for entry in shard_set.sidecar(number).examples}
    members = set_members(shard_set)
    rows, sketches = [], []
    with store.open_read(store.join(url, info.file)) as file:
        for key, files in iter_examples(file, info.file, whole=True):
            example, pcms = decode_members(files, f"{info.file}: {key}")
            if records.get(key) != example:
                raise ManifestError(f"{info.file}: {key}: sidecar of the shard says otherwise")
            rows.append(frozen_row(example, number, members))
            sketches.append(tuple(sketch(pcms[name]) for name in members))
    if len(rows) != info.n_examples:
        raise ManifestError(f"{info.file}: expected {info.n_examples} examples, got {len(rows)}")
    return FrozenShard(number, tuple(rows), tuple(sketches))


def add_sources(sources: dict[SourceKey, FrozenSource], more: Iterable[FrozenSource]) -> None:
    """Add sources; one that is there already must be the same file.

    Raises:
        ManifestError: two examples say differently of one source.
    """
    for source in more:
        known = sources.setdefault(source.key, source)
        if known != source:
            raise ManifestError(
                f"{source.corpus} {source.clip_id}: expected one file under this id, got SHA-256 "
                f"{known.sha256[:12]}… and {source.sha256[:12]}…; build the set again"
            )
