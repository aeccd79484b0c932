"""Any SNR from two stored rungs, against direct mixing and against re-levelling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_sets import music_and_noise, rendered

from manifests.errors import UsageError
from manifests.keys import CLEAN, noisy_name
from manifests.signal import (
    FULL_SCALE,
    achieved_snr_db,
    amplitude,
    mix_gain_db,
    power,
    power_db,
    relevel,
    to_pcm,
)
from trainer.data.rungs import (
    MAX_SHIFT_DB,
    Waveform,
    clip_target_db,
    mix_from_rungs,
    parts_from_rungs,
)

N = 40_000


def waves(number: int, *snrs_db: float) -> dict[str, Waveform]:
    pcms, _, _ = rendered(N, number, snrs_db)
    return {name: (pcm / FULL_SCALE).astype(np.float32) for name, pcm in pcms.items()}


def lsb(a: Waveform, b: Waveform) -> float:
    return float(np.max(np.abs(a.astype(np.float64) - b)) * FULL_SCALE)


@settings(deadline=None, max_examples=25)
@given(target_db=st.integers(-10, 10), number=st.integers(0, 50))
def test_two_rungs_give_what_direct_mixing_gives(target_db: int, number: int) -> None:
    pcms, _, gain_db = rendered(N, number, (10.0, -10.0))
    members = {name: (pcm / FULL_SCALE).astype(np.float32) for name, pcm in pcms.items()}
    music, noise = music_and_noise(N, number)
    mix = music + amplitude(mix_gain_db(music, noise, target_db)) * noise
    direct = (to_pcm(amplitude(gain_db) * mix) / FULL_SCALE).astype(np.float32)
    high, low = members["noisy.snr_10"], members["noisy.snr_-10"]
    mixed = mix_from_rungs(high, low, 10.0, -10.0, target_db)
    assert mixed.dtype == np.float32
    assert lsb(mixed, direct) <= 2.0
    assert lsb(mixed, relevel(members[CLEAN], low, -10.0, target_db)) <= 2.0
    assert achieved_snr_db(pcms[CLEAN], np.rint(mixed * FULL_SCALE).astype(np.int16)) == (
        pytest.approx(target_db, abs=0.05)
    )


def test_a_rung_itself_comes_back() -> None:
    members = waves(3, 10.0, -10.0)
    high, low = members["noisy.snr_10"], members["noisy.snr_-10"]
    np.testing.assert_array_equal(mix_from_rungs(high, low, 10.0, -10.0, -10.0), low)
    np.testing.assert_allclose(mix_from_rungs(high, low, 10.0, -10.0, 10.0), high, atol=1e-7)


def test_one_rung_spans_nothing() -> None:
    low = waves(3, -10.0)["noisy.snr_-10"]
    with pytest.raises(UsageError, match="expected two different SNRs, got -10 dB twice"):
        mix_from_rungs(low, low, -10.0, -10.0, 0.0)


def test_rungs_solve_for_music_and_noise() -> None:
    members = waves(7, 10.0, -10.0)
    high, low = members["noisy.snr_10"], members["noisy.snr_-10"]
    music, noise = parts_from_rungs(high, low, 10.0, -10.0)
    assert lsb(music, members[CLEAN]) <= 3.0
    assert lsb(noise, low - members[CLEAN]) <= 3.0


@settings(deadline=None, max_examples=25)
@given(target_db=st.integers(-10, 10), start=st.integers(0, N - 6_000), number=st.integers(0, 9))
def test_the_crop_itself_gets_the_snr(target_db: int, start: int, number: int) -> None:
    members = waves(number, -10.0)
    piece = slice(start, start + 6_000)
    clean, low = members[CLEAN][piece], members[noisy_name(-10)][piece]
    asked_db = clip_target_db(clean, low - clean, -10.0, target_db)
    mix = relevel(clean, low, -10.0, asked_db)
    heard_db = power_db(power(clean.astype(float))) - power_db(power((mix - clean).astype(float)))
    assert heard_db == pytest.approx(target_db, abs=0.01)


def test_silence_and_extreme_crops_keep_the_snr_of_the_clip(rng: np.random.Generator) -> None:
    noise = (0.1 * rng.standard_normal(5_000)).astype(np.float32)
    silent = np.zeros_like(noise)
    assert clip_target_db(silent, noise, -10.0, 3.0) == 3.0
    assert clip_target_db(noise, silent, -10.0, 3.0) == 3.0
    faint = noise * np.float32(amplitude(-10.0 - MAX_SHIFT_DB - 1.0))
    assert clip_target_db(faint, noise, -10.0, 3.0) == 3.0
    louder = noise * np.float32(amplitude(-10.0 - MAX_SHIFT_DB + 1.0))
    assert clip_target_db(louder, noise, -10.0, 3.0) == pytest.approx(3.0 + MAX_SHIFT_DB - 1.0)
