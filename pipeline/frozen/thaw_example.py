"""Thaw one example: render it from the files found, compare, and give its files where accepted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from manifests.audio import AudioError
from manifests.errors import ManifestError
from manifests.example import Example
from manifests.reading import resampled_length
from manifests.rows import SAMPLE_RATE
from pipeline.frozen.match import MISSING
from pipeline.frozen.replay import level_db, member_files, replay, replayed_example
from pipeline.frozen.thaw_plan import ThawHeader, ThawRow
from pipeline.frozen.verdict import (
    ACCEPTS,
    ExampleVerdict,
    failed_verdict,
    missing_verdict,
    output_verdict,
)
from pipeline.render import Roots, SourceChangedError

MAX_DELAY_S: Final = 0.2
"""What encoders add and gapless headers take away: up to 4,608 samples of 22,050 Hz."""


@dataclass(frozen=True)
class ThawedExample:
    """An accepted example as it goes into a shard.

    Attributes:
        files: its files by what stands after ``KEY.``, the sidecar last.
        record: the sidecar.
        levels_db: RMS of each member, dBFS.
    """

    files: dict[str, bytes]
    record: Example
    levels_db: dict[str, float]


def thaw_example(item: ThawRow, header: ThawHeader) -> tuple[ExampleVerdict, ThawedExample | None]:
    """Return the verdict on one example, and the example where it is accepted.

    Raises:
        ManifestError: a source changed since it was matched.
    """
    row, matches = item.row, item.matches
    if any(match.state == MISSING for match in matches):
        return missing_verdict(row, matches), None
    if unusable := next(filter(None, (m.detail for m in matches)), "") or _too_short(item):
        return failed_verdict(row, matches, unusable), None
    roots: Roots = header.roots
    try:
        replayed = replay(row, matches, header.config, roots)
    except SourceChangedError:
        raise
    except (AudioError, ManifestError, ValueError) as error:
        return failed_verdict(row, matches, str(error)), None
    verdict = output_verdict(row, matches, item.sketches, replayed.pcms)
    if verdict.verdict not in ACCEPTS[header.accept]:
        return verdict, None
    record = replayed_example(row, replayed, matches, item.sources, header.config)
    files = member_files(replayed.pcms, record, header.config.codec)
    levels_db = {name: level_db(pcm) for name, pcm in replayed.pcms.items()}
    return verdict, ThawedExample(files, record, levels_db)


def _too_short(item: ThawRow) -> str:
    """Return which file ends before its span does, of those that were decoded; else empty."""
    n_samples = item.row.music.n_samples
    starts_s = (item.row.music.start_s, *(0.0 if n.looped else n.start_s for n in item.row.noises))
    needed = (n_samples, *(2 if n.looped else n_samples for n in item.row.noises))
    for match, start_s, length in zip(item.matches, starts_s, needed, strict=True):
        if not match.source_samples:
            continue
        end = round(start_s * SAMPLE_RATE) + length
        found = resampled_length(match.source_samples, match.source_rate)
        if found < end - 1:
            delay = end - found <= MAX_DELAY_S * SAMPLE_RATE
            why = "an MP3 with another gapless header is so" if delay else "it is cut short"
            return (
                f"{match.path}: expected at least {end / SAMPLE_RATE:.3f} s, "
                f"got {found / SAMPLE_RATE:.3f} s; {why}"
            )
    return ""
