"""The strip of checks at the head of the page: what would stop somebody from using the set."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

import numpy as np

from manifests.rows import SOURCE, TARGET
from manifests.signal import FULL_SCALE, PEAK_LIMIT, SNR_TOLERANCE_DB
from pipeline.report.contents import SetContents
from pipeline.report.rejected import Rejects
from pipeline.report.snr import SnrErrors

GOOD: Final = "good"
WATCH: Final = "watch"
BAD: Final = "bad"
NEUTRAL: Final = "neutral"
MANY_REJECTS: Final = 0.05
"""The share at which ``prep build-shards`` stops unless told otherwise."""


@dataclass(frozen=True)
class Check:
    """One check: its name, the figure, a note, and ``good``, ``watch``, ``bad`` or ``neutral``."""

    title: str
    value: str
    note: str
    state: str


def run_checks(contents: SetContents, errors: SnrErrors | None, rejects: Rejects) -> list[Check]:
    """Check a set by its tables; ``prep verify`` checks its bytes."""
    return [
        *_snr_checks(errors),
        _clipping(contents),
        *_halves(contents),
        _rejects(contents, rejects),
        _licences(contents),
    ]


def _snr_checks(errors: SnrErrors | None) -> list[Check]:
    if errors is None:
        return [Check("SNR", "none", "recordings as they are", NEUTRAL)]
    exact = errors.n_within == errors.n
    return [
        Check(
            f"SNR within {SNR_TOLERANCE_DB:g} dB",
            f"{errors.n_within:,} of {errors.n:,}",
            "noisy members, as written",
            GOOD if exact else BAD,
        ),
        Check(
            "largest miss",
            f"{abs(errors.largest_db):.3f} dB",
            errors.largest_key,
            GOOD if abs(errors.largest_db) <= SNR_TOLERANCE_DB + 1e-9 else BAD,
        ),
    ]


def _clipping(contents: SetContents) -> Check:
    peaks = np.array([row.peaks for row in contents.rows])
    # Peaks are stored to 1e-6; the mixer stays one LSB below full scale, so only -32768 is over.
    clipped = int(np.count_nonzero(peaks > PEAK_LIMIT + 1 / FULL_SCALE + 1e-6))
    return Check(
        "clipped members",
        f"{clipped:,} of {peaks.size:,}",
        f"highest peak {float(peaks.max()):.4f} of full scale",
        BAD if clipped else GOOD,
    )


def _halves(contents: SetContents) -> list[Check]:
    halves: dict[tuple[str, str], set[str | None]] = defaultdict(set)
    for row in contents.rows:
        halves[row.corpus, row.song].add(row.domain)
    if not any(row.domain for row in contents.rows):
        return []
    both = sum({SOURCE, TARGET} <= domains for domains in halves.values())
    counts = contents.index.counts
    return [
        Check(
            "songs in both halves",
            f"{both:,} of {len(halves):,}",
            f"{counts.get('source', 0):,.0f} source, {counts.get('target', 0):,.0f} target "
            "examples",
            BAD if both else GOOD,
        )
    ]


def _rejects(contents: SetContents, rejects: Rejects) -> Check:
    if contents.rejects is None:
        return Check("rejects", "unknown", "the set came without its table", WATCH)
    if rejects.music_share is None:
        note, state = "of all clips; the set is limited to a part", NEUTRAL
    else:
        note = f"{rejects.music_share:.1%} of the music's clips"
        state = GOOD if rejects.music_share <= MANY_REJECTS else WATCH
    return Check("rejects", f"{rejects.count:,}", note, state)


def _licences(contents: SetContents) -> Check:
    unknown = sum(not row.licence or "" in row.noise_licences for row in contents.rows)
    return Check(
        "without a known licence",
        f"{unknown:,} of {len(contents.rows):,}",
        "examples, by music or noise",
        WATCH if unknown else GOOD,
    )
