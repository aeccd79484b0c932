"""Active spans: what counts as sound, and where a span may start."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.activity import (
    FRAME_SAMPLES,
    active_frames,
    active_starts,
    span_level_db,
)

LEVELS_DB = st.lists(st.integers(-128, 0), min_size=1, max_size=60)


def curve(*levels_db: int) -> bytes:
    return np.array(levels_db, dtype=np.int8).tobytes()


def test_a_frame_is_a_tenth_of_a_second() -> None:
    assert FRAME_SAMPLES == 2205


def test_active_is_within_40_db_of_the_loudest_and_above_minus_60_dbfs() -> None:
    assert active_frames(curve(-10, -50, -51, -128)).tolist() == [True, True, False, False]
    assert active_frames(curve(-30, -59, -60, -61)).tolist() == [True, True, False, False]
    assert active_frames(curve(-61, -128)).tolist() == [False, False]
    assert active_frames(b"").tolist() == []


def test_levels_of_127_db_range_do_not_wrap_around() -> None:
    assert active_frames(curve(-128, 0)).tolist() == [False, True]
    assert active_frames(curve(-128, -128)).tolist() == [False, False]


@given(LEVELS_DB, st.integers(1, 60 * FRAME_SAMPLES), st.sampled_from([0.1, 0.5, 1.0]))
def test_starts_are_those_a_plain_count_finds(
    levels_db: list[int], span_samples: int, share: float
) -> None:
    clip_samples = len(levels_db) * FRAME_SAMPLES
    span_samples = min(span_samples, clip_samples)
    loudest = max(levels_db)
    active = [level >= loudest - 40 and level > -60 for level in levels_db]
    expected = []
    for frame in range((clip_samples - span_samples) // FRAME_SAMPLES + 1):
        n_frames = -(-span_samples // FRAME_SAMPLES)
        inside = active[frame : frame + n_frames]
        if sum(inside) >= share * len(inside):
            expected.append(frame)
    found = active_starts(curve(*levels_db), clip_samples, span_samples, share)
    assert found.tolist() == expected


@given(LEVELS_DB, st.integers(0, FRAME_SAMPLES - 1), st.integers(1, 60 * FRAME_SAMPLES))
def test_a_span_never_reaches_past_the_clip(
    levels_db: list[int], tail: int, span_samples: int
) -> None:
    clip_samples = len(levels_db) * FRAME_SAMPLES - tail
    span_samples = min(span_samples, clip_samples)
    starts = active_starts(curve(*levels_db), clip_samples, span_samples, 0.1)
    assert all(0 <= s * FRAME_SAMPLES <= clip_samples - span_samples for s in starts)


def test_level_of_a_span_is_that_of_its_power() -> None:
    levels = curve(-20, -20, -40, -128)
    assert span_level_db(levels, 0, 2) == pytest.approx(-20.0)
    assert span_level_db(levels, 1, 2) == pytest.approx(10 * np.log10((1e-2 + 1e-4) / 2))
    assert span_level_db(levels, 4, 2) == -128.0
