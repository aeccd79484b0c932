"""Clips as they will be heard: how much of a sound lies above the band that a set keeps.

A scan measures levels over the whole band of a file; a mix is made at 22,050 Hz and below the band
limit. What lies above is gone by then, and all that is left of it would be the filters' residue.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from manifests.measure import ACTIVE_FLOOR_DBFS
from manifests.rows import BAND_STEP_HZ, SAMPLE_RATE, Clip, Reject
from pipeline.activity import levels_db
from pipeline.draft import plan_reject

NOISE_LOSS_DB: Final = 10
"""Broadband noise always loses some dB, and is brought to a level of its own: only a noise that
loses nine tenths of its power or more is planned by what is left."""


def band_loss_db(clip: Clip, band_hz: float | None) -> int:
    """Return by how many whole dB a clip is quieter in the band kept; 0 where it is not known.

    All below the band's upper edge counts as kept, the filter's 500 Hz transition too.
    """
    if not clip.band_db or (band_hz is None and clip.source_rate <= SAMPLE_RATE):
        return 0
    below_db = levels_db(clip.band_db)
    edge_hz = SAMPLE_RATE / 2 if band_hz is None else band_hz
    step = min(max(round(edge_hz / BAND_STEP_HZ), 1), below_db.size)
    return -int(below_db[step - 1])


def as_heard(clip: Clip, band_hz: float | None, least_db: int = 1) -> Clip:
    """Return a clip with the level curve of what is heard of it.

    Args:
        clip: as it was scanned.
        band_hz: band limit of the set, Hz; None keeps all that 22,050 Hz holds.
        least_db: losses below this are left as they are.
    """
    loss_db = band_loss_db(clip, band_hz)
    if loss_db < least_db:
        return clip
    lowered = np.maximum(levels_db(clip.rms_db).astype(np.int16) - loss_db, -128)
    return replace(clip, rms_db=lowered.astype(np.int8).tobytes())


def out_of_band(clip: Clip, band_hz: float | None) -> Reject | None:
    """Return the reject of a clip of which the band keeps no frame above -60 dBFS."""
    heard = as_heard(clip, band_hz, NOISE_LOSS_DB)
    if heard is clip or (loudest_db := int(levels_db(heard.rms_db).max())) > ACTIVE_FLOOR_DBFS:
        return None
    kept_hz = SAMPLE_RATE / 2 if band_hz is None else band_hz
    return plan_reject(
        clip,
        "out-of-band",
        f"expected a frame above {ACTIVE_FLOOR_DBFS:.0f} dBFS below {kept_hz:g} Hz, where the set "
        f"ends, got {loudest_db} dBFS: its sound lies higher",
    )
