"""The band limit of a set or suite: one figure, from the narrowest corpus in it.

MTAT and MUSAN end at 8 kHz, AudioSet does not: above 8 kHz a MTAT + AudioSet mix is noise only,
and a domain classifier would listen there instead of to the music.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from manifests.errors import ManifestError
from manifests.rows import SAMPLE_RATE, Clip
from pipeline.config import LOWEST_BAND_HZ, SetConfig

RATE_SHARE: Final = 0.45
ODD_SHARE_PERCENT: Final = 5.0
"""A corpus' lowest rate is taken at this percentile: one stray 8 kHz file does not set the band."""
LOW_BAND_HZ: Final = 4_000.0
"""A lower limit takes so much of the music that its note says what to do."""


@dataclass(frozen=True)
class CorpusEdge:
    """Where a corpus ends.

    Attributes:
        corpus: its name.
        rate_hz: 5th percentile of its clips' sample rates, Hz.
        bandwidth_hz: 95th percentile of their measured bandwidths, Hz.
    """

    corpus: str
    rate_hz: float
    bandwidth_hz: float

    @property
    def hz(self) -> float:
        """Upper edge of its band, Hz."""
        return min(RATE_SHARE * self.rate_hz, self.bandwidth_hz)


def band_limit_hz(config: SetConfig, corpora: Iterable[Sequence[Clip]]) -> float | None:
    """Return the upper edge of the band kept, Hz, or None to keep all.

    ``auto``: the lowest over the corpora of 0.45 x the source rate and of the 95th percentile of
    measured bandwidth, but never below 1 kHz; nothing is cut where that reaches 0.45 x 22,050 Hz.

    Args:
        config: gives ``--band-limit``.
        corpora: the scanned clips of each corpus that the set or suite uses.

    Raises:
        ManifestError: ``auto`` but nothing was scanned.
    """
    if config.band_limit == "off":
        return None
    if config.fixed_band_hz is not None:
        return config.fixed_band_hz
    band_hz = max(_narrowest(corpora).hz, LOWEST_BAND_HZ)
    return round(band_hz, 1) if band_hz < RATE_SHARE * SAMPLE_RATE else None


def band_note(config: SetConfig, band_hz: float | None, corpora: Iterable[Sequence[Clip]]) -> str:
    """Return which corpus sets the band limit and why; empty where ``auto`` cuts nothing.

    Args:
        config: gives ``--band-limit``.
        band_hz: what ``band_limit_hz`` returned.
        corpora: what it was given.
    """
    if config.band_limit != "auto" or band_hz is None:
        return ""
    edge = _narrowest(corpora)
    why = f"95 % of its clips hold nothing above {edge.bandwidth_hz:,.0f} Hz"
    if edge.hz < edge.bandwidth_hz:
        why = f"its sample rate is {edge.rate_hz:,.0f} Hz"
    note = f"band: up to {band_hz:,.0f} Hz, from {edge.corpus}: {why}"
    if band_hz >= LOW_BAND_HZ:
        return note
    return (
        f"{note}; music and noise of all corpora lose what is above: --band-limit off or HZ keeps "
        "more, or leave these clips out"
    )


def _narrowest(corpora: Iterable[Sequence[Clip]]) -> CorpusEdge:
    edges = [_corpus_edge(clips) for clips in corpora if clips]
    if not edges:
        raise ManifestError("--band-limit auto: expected scanned clips, got none")
    return min(edges, key=lambda edge: edge.hz)


def _corpus_edge(clips: Sequence[Clip]) -> CorpusEdge:
    rates = [clip.source_rate for clip in clips]
    bandwidths_hz = [clip.bandwidth_hz for clip in clips]
    rate_hz = float(np.percentile(rates, ODD_SHARE_PERCENT, method="lower"))
    return CorpusEdge(clips[0].corpus, rate_hz, float(np.percentile(bandwidths_hz, 95.0)))
