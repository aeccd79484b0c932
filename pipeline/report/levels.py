"""Level of clean against each noisy version: the cue that is there by arithmetic alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from manifests.keys import AUDIO, CLEAN, format_snr, noisy_name
from pipeline.report.contents import SetContents, member_levels_db
from pipeline.report.spread import Spread, spread


@dataclass(frozen=True)
class LevelStep:
    """One noisy version against clean.

    Attributes:
        snr: target SNR as text, dB.
        level_dbfs: RMS of the noisy members.
        louder_db: noisy minus clean, per example.
        expected_db: the same for music and noise that have nothing in common.
    """

    snr: str
    level_dbfs: Spread
    louder_db: Spread
    expected_db: float


@dataclass(frozen=True)
class Levels:
    """Levels of a set, dBFS RMS over whole members.

    Attributes:
        clean_dbfs: clean members, or the recordings.
        gain_db: the common gain, per example; below 0 where a mix would have clipped.
        steps: one per SNR; empty for recordings.
    """

    clean_dbfs: Spread
    gain_db: Spread
    steps: tuple[LevelStep, ...]


def expected_louder_db(snr_db: float) -> float:
    """Return how much louder a mix is than its music: ``10 log10(1 + 10**(-snr / 10))``.

    Powers of music and noise add where the two are uncorrelated.
    """
    return 10.0 * math.log10(1.0 + 10.0 ** (-snr_db / 10.0))


def levels(contents: SetContents) -> Levels:
    """Return the levels of a set."""
    rows = contents.rows
    clean = member_levels_db(rows, CLEAN if contents.has_noise else AUDIO)
    steps = []
    for snr_db in contents.index.snrs_db:
        noisy = member_levels_db(rows, noisy_name(snr_db))
        steps.append(
            LevelStep(
                snr=format_snr(snr_db),
                level_dbfs=spread(noisy),
                louder_db=spread(noisy - clean),
                expected_db=round(expected_louder_db(snr_db), 3),
            )
        )
    return Levels(spread(clean), spread([row.gain_db for row in rows]), tuple(steps))
