"""Power, gains, rounding and PCM against figures worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_sounds import SINE_DBFS, tone, white

from manifests import signal
from manifests.errors import ManifestError

full_int16 = st.lists(st.integers(-32_768, 32_767), max_size=300)


def test_power_of_a_sine_over_whole_periods_is_half_its_peak_squared() -> None:
    assert signal.power(tone(441.0, 22_050, peak=0.5)) == pytest.approx(0.125, rel=1e-12)
    level_db = signal.power_db(signal.power(tone(441.0, 22_050)))
    assert level_db == pytest.approx(SINE_DBFS, abs=1e-9) == pytest.approx(-3.0103, abs=1e-4)


def test_power_by_hand() -> None:
    assert signal.power(np.array([3.0, -4.0])) == 12.5
    assert signal.power(np.zeros(0)) == 0.0
    assert signal.power_db(0.0) == -math.inf
    assert signal.power_db(100.0) == 20.0


def test_snr_of_two_tones_is_the_ratio_of_their_squared_peaks() -> None:
    music, noise = tone(441.0, 22_050, peak=0.8), tone(1_323.0, 22_050, peak=0.08)
    assert signal.snr_db(music, noise) == pytest.approx(20.0, abs=1e-9)
    assert signal.snr_db(noise, music) == pytest.approx(-20.0, abs=1e-9)


def test_snr_against_silence_is_infinite() -> None:
    assert signal.snr_db(np.ones(4), np.zeros(4)) == math.inf
    assert signal.snr_db(np.zeros(4), np.ones(4)) == -math.inf


def test_amplitude_by_hand() -> None:
    assert signal.amplitude(0.0) == 1.0
    assert signal.amplitude(20.0) == 10.0
    assert signal.amplitude(-6.0206) == pytest.approx(0.5, rel=1e-6)


@given(st.floats(-200, 200))
@settings(deadline=None)
def test_gains_lie_on_the_grid_of_a_ten_thousandth_of_a_db(gain_db: float) -> None:
    rounded = signal.round_gain_db(gain_db)
    assert rounded == round(rounded * 1e4) / 1e4
    assert abs(rounded - gain_db) <= 0.5e-4 + 1e-12
    assert signal.round_gain_db(rounded) == rounded
    assert float(f"{rounded:.4f}") == rounded


def test_a_rounded_gain_is_never_minus_zero() -> None:
    assert math.copysign(1.0, signal.round_gain_db(-0.00001)) == 1.0


@pytest.mark.parametrize("gain_db", [math.inf, -math.inf, math.nan])
def test_a_gain_that_is_not_finite_is_refused(gain_db: float) -> None:
    with pytest.raises(ManifestError, match="expected music and noise above silence"):
        signal.round_gain_db(gain_db)


def test_peak_takes_the_larger_side() -> None:
    assert signal.peak(np.array([0.2, -0.7, 0.5])) == 0.7
    assert signal.peak(np.array([0.9, -0.7])) == 0.9
    assert signal.peak(np.zeros(0)) == 0.0
    assert math.isnan(signal.peak(np.array([0.0, np.nan])))


@given(full_int16, full_int16)
@settings(deadline=None)
def test_power_of_whole_numbers_is_exact(a: list[int], b: list[int]) -> None:
    n = min(len(a), len(b))
    differences = [x - y for x, y in zip(a[:n], b[:n], strict=True)]
    exact = sum(d * d for d in differences) / max(n, 1)
    samples = np.array(differences, dtype=np.float64)
    assert signal.pcm_power(samples) == exact == signal.power(samples)


@given(st.floats(1e-3, 1e4))
@settings(deadline=None)
def test_common_gain_brings_any_peak_under_the_limit_and_rounds_down(peak: float) -> None:
    gain_db = signal.common_gain_db(peak)
    assert gain_db <= 0.0
    assert gain_db == round(gain_db * 1e4) / 1e4
    scaled = signal.amplitude(gain_db) * peak
    assert round(scaled * 32_768) <= 32_766
    if peak > signal.PEAK_LIMIT:
        assert scaled <= signal.PEAK_LIMIT * (1 + 1e-12)
        assert scaled >= signal.PEAK_LIMIT * signal.amplitude(-1.001e-4)
    else:
        assert gain_db == 0.0


def test_common_gain_by_hand() -> None:
    assert signal.common_gain_db(0.999) == 0.0
    assert signal.common_gain_db(1.0) == -0.0006  # 20 log10(32766/32768) = -0.00053
    assert signal.common_gain_db(2.0) == -6.0212  # 6.0206 + 0.0005, rounded down


@pytest.mark.parametrize("peak", [math.nan, math.inf])
def test_common_gain_of_a_peak_that_is_not_finite_is_refused(peak: float) -> None:
    with pytest.raises(ManifestError, match="expected a finite signal"):
        signal.common_gain_db(peak)


@given(st.lists(st.integers(-32_767, 32_767), max_size=200))
@settings(deadline=None)
def test_pcm_round_trip_is_exact(values: list[int]) -> None:
    pcm = np.array(values, dtype=np.int16)
    back = signal.to_pcm(signal.from_pcm(pcm))
    assert back.dtype == np.int16
    assert np.array_equal(back, pcm)


def test_from_pcm_maps_to_minus_one_up_to_below_one() -> None:
    values = signal.from_pcm(np.array([-32_768, 0, 16_384, 32_767], dtype=np.int16))
    assert values.tolist() == [-1.0, 0.0, 0.5, 32_767 / 32_768]


def test_to_pcm_rounds_half_to_even() -> None:
    halves = np.array([0.5, 1.5, 2.5, -0.5, -1.5]) / 32_768
    assert signal.to_pcm(halves).tolist() == [0, 2, 2, 0, -2]


def test_to_pcm_leaves_its_input_alone() -> None:
    samples = white(100)
    before = samples.copy()
    signal.to_pcm(samples)
    assert np.array_equal(samples, before)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1.0, -1.0, 1.5])
def test_to_pcm_refuses_what_would_clip_or_is_no_number(bad: float) -> None:
    samples = np.zeros(8)
    samples[3] = bad
    with pytest.raises(ManifestError, match="expected at most 1 - 1/32768 of scale"):
        signal.to_pcm(samples)


def test_to_pcm_of_nothing_is_nothing() -> None:
    assert signal.to_pcm(np.zeros(0)).size == 0
