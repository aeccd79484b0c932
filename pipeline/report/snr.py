"""How exactly the SNRs were met, and how far single chunks are from their excerpt's SNR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from manifests.keys import format_snr
from manifests.signal import SNR_TOLERANCE_DB
from pipeline.report.contents import SetContents, snr_errors_db
from pipeline.report.spread import Spread, spread

FAR_OFF_DB: Final = 5.0
"""A chunk this far from its excerpt's SNR belongs to another rung of the usual ladder."""


@dataclass(frozen=True)
class SnrErrors:
    """Achieved minus target SNR over all noisy members.

    Attributes:
        n: noisy members.
        n_within: those within 0.05 dB.
        largest_db: the error of largest magnitude, with its sign.
        largest_key: the example that has it.
        by_snr: spread of the error by target SNR as text.
    """

    n: int
    n_within: int
    largest_db: float
    largest_key: str
    by_snr: Mapping[str, Spread]


@dataclass(frozen=True)
class ChunkSpread:
    """SNR of single chunks (59,049 samples) of the 0 dB mix: how far each is from its excerpt.

    Attributes:
        spread_db: quantiles over all chunks of all examples, dB.
        share_far_off: share of chunks more than 5 dB off.
        largest_db: largest magnitude, dB.
    """

    spread_db: Spread
    share_far_off: float
    largest_db: float


def snr_errors(contents: SetContents) -> SnrErrors | None:
    """Return how exactly the SNRs were met; None for recordings."""
    if not contents.has_noise:
        return None
    errors = {snr: snr_errors_db(contents.rows, snr) for snr in contents.index.snrs_db}
    table = np.stack(list(errors.values()))
    worst = np.unravel_index(int(np.argmax(np.abs(table))), table.shape)
    # achieved SNRs are stored to 0.001 dB, so half of that is rounding and no miss
    within = np.abs(table) <= SNR_TOLERANCE_DB + 1e-9
    return SnrErrors(
        n=table.size,
        n_within=int(np.count_nonzero(within)),
        largest_db=round(float(table[worst]), 3) + 0.0,
        largest_key=contents.rows[int(worst[1])].key,
        by_snr={format_snr(snr): spread(values) for snr, values in errors.items()},
    )


def chunk_spread(contents: SetContents) -> ChunkSpread | None:
    """Return the spread of chunk SNRs; None for recordings and sets without a whole chunk."""
    chunks = np.array([value for row in contents.rows for value in row.chunk_snr_db])
    if not chunks.size:
        return None
    return ChunkSpread(
        spread_db=spread(chunks),
        share_far_off=round(float(np.mean(np.abs(chunks) > FAR_OFF_DB)), 4),
        largest_db=round(float(np.max(np.abs(chunks))), 3),
    )
