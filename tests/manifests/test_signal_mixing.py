"""Mixing: the SNR asked for is the SNR of the written samples, against an independent mixer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tiny_sounds import tone, white

from manifests import signal
from manifests.errors import ManifestError
from manifests.signal import Pcm, Signal

LADDER_DB = (10.0, 5.0, 0.0, -5.0, -10.0)
seeds = st.integers(0, 2**32 - 1)


def sparse(n_samples: int, seed: int) -> Signal:
    """Noise in bursts: what a mixer that normalises by the wrong stretch gets wrong."""
    rng = np.random.default_rng(seed)
    gate = np.repeat(rng.random(n_samples // 100 + 1) < 0.3, 100)[:n_samples]
    return rng.standard_normal(n_samples) * (gate + 1e-3)


def render(
    music: Signal, noise: Signal, snrs_db: tuple[float, ...]
) -> tuple[Pcm, dict[float, Pcm]]:
    """Clean and noisy versions as int16, by the five steps of the contract."""
    gains = {s: signal.mix_gain_db(music, noise, s) for s in snrs_db}
    mixes = {s: music + signal.amplitude(gain) * noise for s, gain in gains.items()}
    peak = max(signal.peak(version) for version in (music, *mixes.values()))
    gain = signal.amplitude(signal.common_gain_db(peak))
    return signal.to_pcm(gain * music), {s: signal.to_pcm(gain * m) for s, m in mixes.items()}


@pytest.mark.parametrize("snr_db", LADDER_DB)
def test_mix_agrees_with_torchaudio(snr_db: float) -> None:
    import torch
    import torchaudio.functional

    music, noise = tone(330.0, 30_000, peak=0.4), sparse(30_000, 1)
    gain = signal.amplitude(signal.mix_gain_db(music, noise, snr_db))
    oracle = torchaudio.functional.add_noise(
        torch.from_numpy(music)[None], torch.from_numpy(noise)[None], torch.tensor([snr_db])
    )
    # The one difference is the rounding of the gain to 0.0001 dB: 6e-6 of the noise.
    expected = oracle[0].numpy()
    assert np.abs(music + gain * noise - expected).max() <= 6e-6 * np.abs(gain * noise).max()


@pytest.mark.parametrize("k", [1, 2, 4])
@pytest.mark.parametrize("snr_db", LADDER_DB)
def test_the_snr_is_that_of_the_sum_of_all_noises(k: int, snr_db: float) -> None:
    music = tone(330.0, 40_000, peak=0.4)
    noise_sum, _ = signal.sum_noises([sparse(40_000, seed) for seed in range(k)])
    _, noisy = render(music, noise_sum, (snr_db,))
    clean, _ = render(music, noise_sum, (snr_db,))
    assert signal.achieved_snr_db(clean, noisy[snr_db]) == pytest.approx(snr_db, abs=0.002)


def test_noises_are_brought_to_one_level_before_they_are_summed() -> None:
    quiet, loud = tone(500.0, 22_050, peak=0.001), tone(700.0, 22_050, peak=0.9)
    total, levels_db = signal.sum_noises([quiet, loud])
    assert levels_db == tuple(signal.round_gain_db(-10 * np.log10(p**2 / 2)) for p in (0.001, 0.9))
    parts = [2 * np.mean(total * tone(f, 22_050)) for f in (500.0, 700.0)]
    assert parts == pytest.approx([np.sqrt(2.0)] * 2, rel=1e-5)
    assert signal.power(total) == pytest.approx(2.0, rel=1e-5)  # two tones of power 1


def test_one_noise_is_only_normalised() -> None:
    noise = sparse(5_000, 3)
    total, (level_db,) = signal.sum_noises([noise])
    assert np.array_equal(total, signal.amplitude(level_db) * noise)
    assert signal.power_db(signal.power(total)) == pytest.approx(0.0, abs=1e-4)


def test_silent_noise_is_refused() -> None:
    with pytest.raises(ManifestError, match="noise is silent over the span"):
        signal.sum_noises([white(100), np.zeros(100)])


def test_noises_that_cancel_and_silent_music_are_refused() -> None:
    noise = white(1_000)
    cancelled, _ = signal.sum_noises([noise, -noise])
    with pytest.raises(ManifestError, match="above silence"):
        signal.mix_gain_db(tone(440.0, 1_000), cancelled, 0.0)
    with pytest.raises(ManifestError, match="above silence"):
        signal.mix_gain_db(np.zeros(1_000), noise, 0.0)


def test_a_full_scale_clip_does_not_clip_under_noise_ten_db_louder() -> None:
    music = np.sign(tone(441.0, 22_050)) * (1 - 1 / 32_768)
    clean, noisy = render(music, sparse(22_050, 5), LADDER_DB)
    assert max(np.abs(pcm.astype(int)).max() for pcm in (clean, *noisy.values())) == 32_766
    for snr_db, pcm in noisy.items():
        assert signal.achieved_snr_db(clean, pcm) == pytest.approx(snr_db, abs=0.01)


@given(seeds, st.floats(-60.0, -1.0), st.floats(-30.0, 30.0), st.integers(1, 4))
@settings(deadline=None, max_examples=60)
def test_achieved_snr_is_within_tolerance_wherever_both_parts_are_loud_enough(
    seed: int, music_dbfs: float, snr_db: float, k: int
) -> None:
    music = white(4_000, seed)
    music *= signal.amplitude(music_dbfs) / np.sqrt(signal.power(music))
    noise_sum, _ = signal.sum_noises([sparse(4_000, seed + i + 1) for i in range(k)])
    clean, noisy = render(music, noise_sum, (snr_db,))
    parts = (signal.from_pcm(clean), signal.from_pcm(noisy[snr_db]) - signal.from_pcm(clean))
    assume(min(signal.power_db(signal.power(p)) for p in parts) > signal.QUIETEST_DBFS)
    found_db = signal.achieved_snr_db(clean, noisy[snr_db])
    assert abs(found_db - snr_db) <= signal.SNR_TOLERANCE_DB


@given(seeds, st.integers(-12, 12))
@settings(deadline=None, max_examples=40)
def test_the_mix_does_not_depend_on_the_noise_s_own_level(seed: int, octaves: int) -> None:
    music, noise = white(3_000, seed), sparse(3_000, seed + 1)
    total, (level_db,) = signal.sum_noises([noise])
    scaled, (scaled_db,) = signal.sum_noises([noise * 2.0**octaves])
    gain_db = signal.mix_gain_db(music, total, 3.0)
    assert scaled_db == pytest.approx(level_db - 20 * octaves * np.log10(2), abs=1.01e-4)
    mixed = music + signal.amplitude(gain_db) * total
    again = music + signal.amplitude(signal.mix_gain_db(music, scaled, 3.0)) * scaled
    assert np.abs(mixed - again).max() <= 3e-5 * np.abs(total).max()


@given(
    seeds,
    st.sampled_from([-10.0, -5.0, 0.0]),
    st.floats(0.0, 20.0),
    st.floats(-50.0, 0.0),
)
@settings(deadline=None, max_examples=60)
def test_relevelled_is_the_direct_mix_within_two_lsb(
    seed: int, lowest_db: float, above_db: float, music_dbfs: float
) -> None:
    target_db = lowest_db + above_db
    music = white(3_000, seed) * 10.0 * signal.amplitude(music_dbfs)
    noise, _ = signal.sum_noises([sparse(3_000, seed + 1)])
    clean, noisy = render(music, noise, (target_db, lowest_db))
    stored = [pcm.astype(np.float32) / np.float32(32_768) for pcm in (clean, noisy[lowest_db])]
    found = signal.relevel(stored[0], stored[1], lowest_db, target_db)
    assert found.dtype == np.float32
    off = np.abs(found.astype(np.float64) * 32_768 - noisy[target_db].astype(np.float64))
    assert off.max() <= 2.0


def test_relevel_to_the_stored_snr_changes_nothing_beyond_float32() -> None:
    clean, noisy = (white(500, seed).astype(np.float32) for seed in (1, 2))
    found = signal.relevel(clean, noisy, -10.0, -10.0)
    assert np.abs(found - noisy).max() <= 1e-7


def test_chunk_snrs_by_hand() -> None:
    music = np.concatenate([np.full(100, 1.0), np.full(100, 0.1), np.zeros(100), np.ones(50)])
    noise = np.concatenate([np.full(100, 0.1), np.full(100, 0.1), np.ones(100), np.zeros(50)])
    assert signal.chunk_snrs_db(music, noise, 100) == (20.0, 0.0, -99.999)
    assert signal.chunk_snrs_db(noise, music, 100) == (-20.0, 0.0, 99.999)
    assert signal.chunk_snrs_db(music[:99], noise[:99], 100) == ()


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_chunk_snrs_are_the_snr_of_each_chunk(seed: int) -> None:
    music, noise = sparse(1_000, seed), sparse(1_000, seed + 1)
    expected = [
        round(signal.snr_db(music[i : i + 300], noise[i : i + 300]), 3) for i in (0, 300, 600)
    ]
    assert signal.chunk_snrs_db(music, noise, 300) == pytest.approx(expected, abs=0.0011)
