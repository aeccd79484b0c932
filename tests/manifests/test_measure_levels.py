"""Levels, peak, mean and bandwidth that a scan measures, against direct computation."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_sounds import tone, white, write

from manifests.measure import Measurement, measure
from manifests.running_sums import RunningSums

RATES = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000)


def measured(folder: Path, signal: np.ndarray, rate: int, subtype: str = "FLOAT") -> Measurement:
    path = write(folder / "a.wav", signal, rate, subtype)
    return measure(str(path), "a.wav")


def levels(measurement: Measurement) -> np.ndarray:
    return np.frombuffer(measurement.rms_db, dtype=np.int8)


def direct_levels(mono: np.ndarray, rate: int) -> np.ndarray:
    """Level of each 0.1 s, sample n belonging to frame floor(10 n / rate), in exact integers."""
    frame = np.array([10 * n // rate for n in range(mono.size)])
    power = [np.var(mono[frame == j]) for j in range(frame[-1] + 1)]
    with np.errstate(divide="ignore"):
        return np.maximum(10.0 * np.log10(power), -128.0)


@pytest.mark.parametrize("rate", RATES)
def test_a_full_scale_sine_is_at_minus_3_dbfs_in_every_frame(tmp_path: Path, rate: int) -> None:
    found = measured(tmp_path, tone(400.0, 3 * rate, rate), rate)
    assert levels(found).tolist() == [-3] * 30
    assert found.peak == pytest.approx(1.0, abs=0.005)
    assert found.mean == 0.0


@pytest.mark.parametrize("dbfs", [-10, -37, -59])
def test_levels_are_db_re_full_scale(tmp_path: Path, dbfs: int) -> None:
    signal = white(8_000, rms=1.0)
    signal *= 10 ** (dbfs / 20) / np.sqrt(np.var(signal))
    assert np.abs(levels(measured(tmp_path, signal, 8_000)) - dbfs).max() <= 1


@pytest.mark.parametrize("extra", [-1, 0, 1, 777, 65_536])
@pytest.mark.parametrize("rate", RATES)
def test_levels_do_not_see_the_decoder_s_blocks(tmp_path: Path, rate: int, extra: int) -> None:
    signal = white(2 * 65_536 + extra, seed=rate + extra)
    signal *= 10 ** np.linspace(-2.5, 0, signal.size)  # every frame has a level of its own
    signal = signal.astype(np.float32).astype(np.float64)
    expected = direct_levels(signal, rate)
    found = levels(measured(tmp_path, signal, rate))
    assert found.shape == expected.shape == (-(-signal.size * 10 // rate),)
    assert np.abs(found - expected).max() <= 0.5 + 1e-6


@given(st.sampled_from(RATES), st.lists(st.integers(1, 3_000), min_size=1, max_size=12))
@settings(deadline=None, max_examples=40)
def test_levels_do_not_depend_on_how_the_file_is_cut(rate: int, cuts: list[int]) -> None:
    signal = white(sum(cuts), seed=len(cuts))
    pieces, whole = RunningSums(rate), RunningSums(rate)
    for piece in np.split(signal, np.cumsum(cuts)[:-1]):
        pieces.add(piece, float(np.max(np.abs(piece))))
    whole.add(signal, float(np.max(np.abs(signal))))
    assert np.array_equal(
        np.frombuffer(pieces.rms_db(), np.int8), np.frombuffer(whole.rms_db(), np.int8)
    )
    assert (pieces.n_samples, pieces.peak) == (whole.n_samples, whole.peak)
    assert pieces.total == pytest.approx(whole.total, abs=1e-9)


@pytest.mark.parametrize("off", [-1, 0, 1])
@pytest.mark.parametrize("rate", RATES)
def test_levels_do_not_see_a_cut_at_the_edge_of_a_frame(rate: int, off: int) -> None:
    signal = white(rate, seed=rate) * np.linspace(0.01, 1.0, rate)
    sums = RunningSums(rate)
    for piece in np.split(signal, [-(-j * rate // 10) + off for j in (1, 2, 5, 7)]):
        sums.add(piece, 1.0)
    found = np.frombuffer(sums.rms_db(), np.int8)
    assert found.shape == (10,)
    assert np.abs(found - direct_levels(signal, rate)).max() <= 0.5 + 1e-6


def test_stereo_is_measured_as_its_average(tmp_path: Path) -> None:
    left = tone(400.0, 16_000, 16_000, peak=0.5)
    found = measured(tmp_path, np.stack([left, np.zeros_like(left)], axis=1), 16_000)
    assert found.channels == 2
    assert found.peak == 0.25
    assert levels(found).tolist() == [round(10 * np.log10(0.25**2 / 2))] * 10


def test_dc_is_no_level_but_is_reported(tmp_path: Path) -> None:
    signal = tone(400.0, 16_000, 16_000, peak=0.1)
    plain, shifted = (measured(tmp_path, signal + dc, 16_000) for dc in (0.0, 0.5))
    assert shifted.rms_db == plain.rms_db
    assert shifted.mean == pytest.approx(0.5, abs=1e-6)
    assert shifted.peak == pytest.approx(0.6, abs=1e-6)
    assert shifted.bandwidth_hz == plain.bandwidth_hz


def test_silence_and_steady_dc_are_at_the_floor_whatever_the_rest_of_the_file_has(
    tmp_path: Path,
) -> None:
    """A span drawn from either would be silent once its mean is taken away."""
    dc = np.full(8_000, 0.2)
    signal = np.concatenate([np.zeros(8_000), dc, tone(400.0, 8_000, 8_000, peak=0.1)])
    found = levels(measured(tmp_path, signal, 8_000))
    assert (found[:20] <= -120).all()
    assert (found[20:] == -23).all()


@pytest.mark.parametrize("cutoff_hz", [2_000.0, 5_000.0, 8_000.0])
def test_bandwidth_of_noise_below_a_steep_filter(tmp_path: Path, cutoff_hz: float) -> None:
    taps = scipy.signal.firwin(2_001, cutoff_hz, window=("kaiser", 12.0), fs=44_100)
    signal = scipy.signal.oaconvolve(white(132_300), taps, mode="same")
    found = measured(tmp_path, signal, 44_100, "DOUBLE").bandwidth_hz
    assert found == pytest.approx(cutoff_hz, abs=60.0)


def test_bandwidth_of_a_tone_white_noise_and_a_click(tmp_path: Path) -> None:
    assert measured(tmp_path, tone(1_000.0, 22_050), 22_050).bandwidth_hz == pytest.approx(
        1_000.0, abs=50.0
    )
    assert measured(tmp_path, white(22_050), 22_050).bandwidth_hz == 11_025.0
    click = np.zeros(1_000)
    click[500] = 1.0
    assert measured(tmp_path, click, 8_000).bandwidth_hz == pytest.approx(4_000.0, abs=3.0)


def test_little_noise_on_much_dc_keeps_its_bandwidth(tmp_path: Path) -> None:
    """The DC is 60 dB above the noise: counted in, it would hide all of it."""
    found = measured(tmp_path, 0.5 + white(80_000, rms=0.002), 8_000, "DOUBLE")
    assert found.bandwidth_hz == 4_000.0


def test_a_file_shorter_than_a_frame_is_measured(tmp_path: Path) -> None:
    found = measured(tmp_path, np.array([0.5, -0.5, 0.5]), 8_000)
    assert found.source_samples == 3
    assert levels(found).tolist() == [round(10 * np.log10(np.var([0.5, -0.5, 0.5])))]
    assert 0.0 < found.bandwidth_hz <= 4_000.0


def test_the_facts_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", white(40_000).reshape(-1, 2), 32_000)
    found = measure(str(path), "a.flac")
    assert found.source_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.source_bytes == path.stat().st_size
    assert found.source_format == "FLAC/PCM_16"
    assert (found.source_rate, found.channels, found.source_samples) == (32_000, 2, 20_000)


def test_a_file_in_an_object_store_measures_the_same(tmp_path: Path) -> None:
    import fsspec

    path = write(tmp_path / "a.flac", white(150_000), 44_100)
    fsspec.filesystem("memory").pipe("/measure-test/a.flac", path.read_bytes())
    assert measure("memory://measure-test/a.flac", "a.flac") == measure(str(path), "a.flac")
    fsspec.filesystem("memory").rm("/measure-test", recursive=True)
