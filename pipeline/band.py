"""The band limit of a set or suite: one figure, from the narrowest corpus in it.

MTAT and MUSAN end at 8 kHz, AudioSet does not: above 8 kHz a MTAT + AudioSet mix is noise only,
and a domain classifier would listen there instead of to the music.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from manifests.errors import ManifestError
from manifests.rows import SAMPLE_RATE, Clip
from pipeline.config import LOWEST_BAND_HZ, SetConfig

RATE_SHARE: Final = 0.45
ODD_SHARE_PERCENT: Final = 5.0
"""A corpus' lowest rate is taken at this percentile: one stray 8 kHz file does not set the band."""


def band_limit_hz(config: SetConfig, corpora: Iterable[list[Clip]]) -> float | None:
    """Return the upper edge of the band kept, Hz, or None to keep all.

    ``auto``: 0.45 x the lowest source rate over the corpora, lowered to that corpus' 95th
    percentile of measured bandwidth, but never below 1 kHz; nothing is cut where that reaches
    0.45 x 22,050 Hz.

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
    edges = [_corpus_edge(clips) for clips in corpora if clips]
    if not edges:
        raise ManifestError("--band-limit auto: expected scanned clips, got none")
    rate, bandwidth_hz = min(edges)
    band_hz = max(min(RATE_SHARE * rate, bandwidth_hz), LOWEST_BAND_HZ)
    return round(band_hz, 1) if band_hz < RATE_SHARE * SAMPLE_RATE else None


def _corpus_edge(clips: list[Clip]) -> tuple[float, float]:
    rates = [clip.source_rate for clip in clips]
    bandwidths_hz = [clip.bandwidth_hz for clip in clips]
    rate = float(np.percentile(rates, ODD_SHARE_PERCENT, method="lower"))
    return rate, float(np.percentile(bandwidths_hz, 95.0))
