"""All figures of a report in one value: what the page shows and ``--json`` prints."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from manifests.rows import SAMPLE_RATE
from pipeline.card import licence_uses
from pipeline.report.checks import Check, run_checks
from pipeline.report.contents import SetContents
from pipeline.report.counts import Durations, NoiseUse, Tags, count_tags, durations, noise_use
from pipeline.report.cue_auc import CueReport
from pipeline.report.levels import Levels, levels
from pipeline.report.rejected import Rejects, group_rejects
from pipeline.report.snr import ChunkSpread, SnrErrors, chunk_spread, snr_errors


@dataclass(frozen=True)
class SetHead:
    """What a set is.

    Attributes:
        name: name of the set.
        split: split of its music.
        music: music corpora.
        noise: noise corpora; empty for recordings.
        snrs_db: SNRs, from the highest down.
        noises_per_example: noises in each mix.
        band_hz: upper edge of the band, Hz; None is the full band.
        codec: coding of the members.
        sample_rate: Hz.
        n_examples: examples.
        n_songs: different songs.
        n_shards: shards.
        hours: hours of music, one member each.
        audio_hours: hours of all members.
        bytes: bytes of all shards.
        plan_sha256: hash of the plan.
    """

    name: str
    split: str
    music: tuple[str, ...]
    noise: tuple[str, ...]
    snrs_db: tuple[float, ...]
    noises_per_example: int
    band_hz: float | None
    codec: str
    sample_rate: int
    n_examples: int
    n_songs: int
    n_shards: int
    hours: float
    audio_hours: float
    bytes: int
    plan_sha256: str


@dataclass(frozen=True)
class LicenceUse:
    """How often a licence stands behind an example, as music or as noise."""

    role: str
    corpus: str
    licence: str
    uses: int


@dataclass(frozen=True)
class SetFigures:
    """Everything that a report says in numbers."""

    head: SetHead
    checks: tuple[Check, ...]
    snr_error_db: SnrErrors | None
    chunk_snr_db: ChunkSpread | None
    levels: Levels
    cues: CueReport
    tags: Tags
    durations: Durations
    noise: NoiseUse | None
    rejects: Rejects
    licences: tuple[LicenceUse, ...]


def set_figures(contents: SetContents, cues: CueReport) -> SetFigures:
    """Compute the figures of a set; ``cues`` come from a sample of its audio."""
    errors, rejects = snr_errors(contents), group_rejects(contents)
    uses = Counter(use for row in contents.rows for use in licence_uses(row))
    return SetFigures(
        head=_head(contents),
        checks=tuple(run_checks(contents, errors, rejects)),
        snr_error_db=errors,
        chunk_snr_db=chunk_spread(contents),
        levels=levels(contents),
        cues=cues,
        tags=count_tags(contents),
        durations=durations(contents),
        noise=noise_use(contents),
        rejects=rejects,
        licences=tuple(LicenceUse(*use, count) for use, count in sorted(uses.items())),
    )


def _head(contents: SetContents) -> SetHead:
    index, rows = contents.index, contents.rows
    hours = sum(row.duration_s for row in rows) / 3600
    return SetHead(
        name=index.name,
        split=index.split,
        music=tuple(sorted({row.corpus for row in rows})),
        noise=tuple(sorted({name for row in rows for name in row.noise_corpora})),
        snrs_db=tuple(sorted(index.snrs_db, reverse=True)),
        noises_per_example=index.noises_per_example,
        band_hz=rows[0].band_hz,
        codec=index.codec,
        sample_rate=SAMPLE_RATE,
        n_examples=len(rows),
        n_songs=len({(row.corpus, row.song) for row in rows}),
        n_shards=len(index.shards),
        hours=round(hours, 4),
        audio_hours=round(hours * len(rows[0].members), 4),
        bytes=sum(shard.bytes for shard in index.shards),
        plan_sha256=index.plan_sha256,
    )
