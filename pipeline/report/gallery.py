"""Examples to hear and see: every member's beginning as a player under its spectrogram."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from manifests import signal
from manifests.keys import AUDIO, CLEAN, format_snr, noisy_name
from manifests.member_audio import encode_pcm
from manifests.rows import SAMPLE_RATE
from manifests.shardset import SetIndex
from pipeline.finish import ExampleRow
from pipeline.report.charts import falling
from pipeline.report.sample import place, read_example
from pipeline.report.spectrogram import picture, spectrogram_db

LONGEST_S: Final = 8.0
SHORTEST_S: Final = 2.0
MOST_SNRS: Final = 5
AUDIO_BUDGET_BYTES: Final = 9_000_000
"""All players together, before base64 makes them a third larger."""
FLAC_BYTES_PER_S: Final = 31_000
"""FLAC of loud broadband noise over music at 22,050 Hz, about 0.7 of PCM."""


@dataclass(frozen=True)
class Shown:
    """One member as it is shown.

    Attributes:
        name: member name.
        title: ``clean``, ``recording`` or the SNR.
        level_dbfs: RMS over the whole member.
        peak_dbfs: peak over the whole member.
        achieved_db: SNR as written; None for clean and recordings.
        picture: spectrogram of the excerpt, base64 PNG.
        audio: the excerpt, base64 FLAC.
    """

    name: str
    title: str
    level_dbfs: float
    peak_dbfs: float
    achieved_db: float | None
    picture: str
    audio: str


@dataclass(frozen=True)
class GalleryExample:
    """One example of the gallery: its row, members and the seconds that are played."""

    row: ExampleRow
    seconds: float
    shown: tuple[Shown, ...]


def excerpt_s(n_players: int) -> float:
    """Return how long a player may be, so that all together stay within the page's budget."""
    fits = AUDIO_BUDGET_BYTES / max(n_players, 1) / FLAC_BYTES_PER_S
    return round(min(LONGEST_S, max(SHORTEST_S, fits)), 1)


def shown_members(index: SetIndex) -> list[tuple[str, str]]:
    """Return name and title of the members to show: clean and at most five SNRs, ends included."""
    if not index.snrs_db:
        return [(AUDIO, "recording")]
    snrs = falling(index.snrs_db)
    if len(snrs) > MOST_SNRS:
        last = len(snrs) - 1
        snrs = [snrs[round(i * last / (MOST_SNRS - 1))] for i in range(MOST_SNRS)]
    return [(CLEAN, "clean"), *((noisy_name(s), f"{format_snr(s)} dB") for s in snrs)]


def gallery(url: str, index: SetIndex, rows: Sequence[ExampleRow]) -> Iterator[GalleryExample]:
    """Read examples one after another and make their pictures and players.

    Raises:
        ManifestError: a shard is not what the index says.
    """
    members = shown_members(index)
    seconds = excerpt_s(len(rows) * len(members))
    for row in rows:
        yield gallery_example(url, index, row, members, seconds)


def gallery_example(
    url: str,
    index: SetIndex,
    row: ExampleRow,
    members: Sequence[tuple[str, str]],
    seconds: float,
) -> GalleryExample:
    """Read one example; see ``gallery``."""
    example, pcms = read_example(url, place(row, index))
    n_samples = round(seconds * SAMPLE_RATE)
    excerpts = {name: pcms[name][:n_samples] for name, _ in members}
    spectra = {n: spectrogram_db(signal.from_pcm(pcm)) for n, pcm in excerpts.items()}
    top_db = max(float(spectrum.max()) for spectrum in spectra.values())
    shown = []
    for name, title in members:
        figures = example.members[name]
        level_db = row.levels_db[row.members.index(name)]
        flac = encode_pcm(excerpts[name], SAMPLE_RATE, "flac")
        shown.append(
            Shown(
                name=name,
                title=title,
                level_dbfs=level_db,
                peak_dbfs=signal.power_db(figures.peak**2 + 1e-12),
                achieved_db=figures.achieved_db,
                picture=picture(spectra[name], top_db),
                audio=base64.b64encode(flac).decode("ascii"),
            )
        )
    return GalleryExample(row, round(excerpts[members[0][0]].size / SAMPLE_RATE, 2), tuple(shown))
