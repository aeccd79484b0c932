"""Spans of files: the same samples however much is read around them, in the band asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_sounds import mp3_bytes, tone, uneven_music, white, write

from manifests import reading
from manifests.audio import AudioError
from manifests.errors import UsageError
from manifests.reading import (
    ReadOptions,
    read_file,
    read_pieces,
    read_span,
    resampled_length,
)
from manifests.rows import SAMPLE_RATE

RATES = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000)
SPAN = 22_050


def whole_file(path: Path, options: ReadOptions) -> np.ndarray:
    return read_file(str(path), options=options)


def span(
    path: Path, rate: int, start: int, options: ReadOptions, n_samples: int = SPAN
) -> np.ndarray:
    return read_span(
        str(path), path.name, source_rate=rate, start=start, n_samples=n_samples, options=options
    )


@pytest.mark.parametrize("band_hz", [None, 3_600.0])
@pytest.mark.parametrize("engine", ["soxr", "sox", "torchaudio"])
@pytest.mark.parametrize("rate", RATES)
def test_a_span_is_the_crop_of_the_whole_file(
    tmp_path: Path, rate: int, engine: str, band_hz: float | None
) -> None:
    """To 1e-9, -180 dBFS: 0.25 s of context is more than the filters ring."""
    if engine == "sox" and shutil.which("sox") is None:
        pytest.skip("the sox program is missing")
    path = write(tmp_path / "a.wav", white(8 * rate).reshape(-1, 2), rate, "DOUBLE")
    options = ReadOptions(resampler=engine, band_hz=band_hz, keep_dc=True)
    whole = whole_file(path, options)
    for start in (0, 1, 5_513, 44_099, whole.size - SPAN):
        found = span(path, rate, start, options)
        assert np.abs(found - whole[start : start + SPAN]).max() < 1.1e-9


@pytest.mark.parametrize("band_hz", [None, 3_600.0])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("n_samples", [9_999, 22_050, 10**9])
def test_pieces_follow_each_other_without_a_seam(
    tmp_path: Path, rate: int, band_hz: float | None, n_samples: int
) -> None:
    path = write(tmp_path / "a.wav", white(9 * rate).reshape(-1, 3), rate, "DOUBLE")
    options = ReadOptions(band_hz=band_hz)
    whole = whole_file(path, options)
    pieces = list(read_pieces(str(path), n_samples, options=options))
    assert all(len(piece) == n_samples for piece in pieces[:-1]) and len(pieces[-1]) <= n_samples
    found = np.concatenate(pieces)
    assert abs(found.size - whole.size) <= 1, "a resampler rounds the length of the end"
    shared = min(found.size, whole.size)
    assert np.abs(found[:shared] - whole[:shared]).max() < 1.1e-9


@pytest.mark.parametrize("n_samples", [1, 22_049, 22_050, 22_051, 44_100])
def test_pieces_of_files_that_end_at_or_beside_one(tmp_path: Path, n_samples: int) -> None:
    path = write(tmp_path / "a.wav", white(n_samples), SAMPLE_RATE, "DOUBLE")
    pieces = list(read_pieces(str(path), 22_050))
    assert [len(piece) for piece in pieces] == [
        min(22_050, n_samples - start) for start in range(0, n_samples, 22_050)
    ]
    np.testing.assert_array_equal(np.concatenate(pieces), whole_file(path, ReadOptions()))


def test_pieces_of_a_file_without_samples(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.zeros(0), SAMPLE_RATE, "PCM_16")
    assert list(read_pieces(str(path), 100)) == []
    with pytest.raises(AudioError):
        list(read_pieces(str(tmp_path / "b.wav"), 100))


@pytest.mark.parametrize("rate", RATES)
def test_a_longer_span_from_the_same_start_begins_with_the_shorter_one(
    tmp_path: Path, rate: int
) -> None:
    """Bit for bit away from the shorter one's end: resampling starts at the same source sample."""
    path = write(tmp_path / "a.wav", white(4 * rate), rate, "DOUBLE")
    options = ReadOptions(keep_dc=True)
    long = span(path, rate, 30_000, options, 40_000)
    assert np.array_equal(span(path, rate, 30_000, options, 10_000), long[:10_000])


def test_overlapping_spans_agree_at_the_file_s_own_rate_bit_for_bit(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", white(5 * SAMPLE_RATE), SAMPLE_RATE, "DOUBLE")
    options = ReadOptions(keep_dc=True)
    first, second = (span(path, SAMPLE_RATE, start, options) for start in (10_000, 12_345))
    assert np.array_equal(first[2_345:], second[:-2_345])


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_a_span_of_an_mp3_is_where_a_linear_decode_has_it(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(mp3_bytes(uneven_music(441_000, 44_100), 44_100, mode))
    options = ReadOptions(keep_dc=True)
    whole = whole_file(path, options)
    for start in (20_000, 70_001, 150_000):
        found = span(path, 44_100, start, options)
        assert np.abs(found - whole[start : start + SPAN]).max() < 1e-9


def test_stereo_is_averaged_before_it_is_resampled(tmp_path: Path) -> None:
    stereo = white(88_200).reshape(-1, 2)
    path = write(tmp_path / "a.wav", stereo, SAMPLE_RATE, "DOUBLE")
    assert np.array_equal(whole_file(path, ReadOptions()), stereo.sum(axis=1) / 2)


def test_bytes_in_memory_are_read_like_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", white(50_000), 16_000)
    found = read_span(
        "/nowhere",
        "a.flac",
        source_rate=16_000,
        start=1_000,
        n_samples=5_000,
        options=ReadOptions(),
        data=path.read_bytes(),
    )
    assert np.array_equal(found, span(path, 16_000, 1_000, ReadOptions(), 5_000))


def test_an_object_store_is_read_like_a_disk(tmp_path: Path) -> None:
    import fsspec

    path = write(tmp_path / "a.flac", white(50_000), 44_100)
    fsspec.filesystem("memory").pipe("/reading-test/a.flac", path.read_bytes())
    url = "memory://reading-test/a.flac"
    found = read_span(
        url, "a", source_rate=44_100, start=10, n_samples=9_000, options=ReadOptions()
    )
    assert np.array_equal(found, span(path, 44_100, 10, ReadOptions(), 9_000))
    assert np.array_equal(read_file(url), read_file(str(path)))
    fsspec.filesystem("memory").rm("/reading-test", recursive=True)


def test_the_mean_of_the_span_is_removed_unless_kept(tmp_path: Path) -> None:
    signal = tone(300.0, 60_000, SAMPLE_RATE, 0.2) + np.linspace(0.1, 0.3, 60_000)
    path = write(tmp_path / "a.wav", signal, SAMPLE_RATE, "DOUBLE")
    kept = span(path, SAMPLE_RATE, 20_000, ReadOptions(keep_dc=True))
    found = span(path, SAMPLE_RATE, 20_000, ReadOptions())
    assert np.mean(kept) == pytest.approx(0.2, abs=0.03)
    assert abs(np.mean(found)) < 1e-16
    assert np.allclose(found, kept - np.mean(kept), rtol=0, atol=1e-15)


@pytest.mark.parametrize("band_hz", [501.0, 1_000.0, 3_600.0, 7_200.0, 8_000.0, 10_900.0, 11_025.0])
def test_the_band_filter_keeps_below_and_stops_from_the_edge_on(band_hz: float) -> None:
    taps = reading.band_filter(band_hz)
    assert taps.size % 2 == 1
    assert np.allclose(taps, taps[::-1], rtol=0, atol=1e-17)  # linear phase
    f, response = scipy.signal.freqz(taps, worN=1 << 15, fs=SAMPLE_RATE)
    level_db = 20 * np.log10(np.abs(response) + 1e-12)
    assert np.abs(level_db[f <= band_hz - reading.TRANSITION_HZ]).max() < 0.01
    if band_hz < SAMPLE_RATE / 2:
        assert level_db[f >= band_hz].max() <= -80.0


def test_the_band_filter_has_no_delay_and_keeps_the_length() -> None:
    impulse = np.zeros(2_001)
    impulse[1_000] = 1.0
    filtered = reading.limit_band(impulse, 7_200.0)
    assert filtered.size == 2_001
    assert int(np.argmax(filtered)) == 1_000
    assert np.allclose(filtered, filtered[::-1], rtol=0, atol=1e-12)
    for n_samples in (0, 1, 50):
        assert reading.limit_band(np.ones(n_samples), 7_200.0).size == n_samples


@pytest.mark.parametrize("band_hz", [0.0, 500.0, 11_026.0, -1.0])
def test_an_impossible_band_is_a_usage_error(band_hz: float) -> None:
    with pytest.raises(UsageError, match=r"--band-limit: expected above 500 to 11025 Hz, got"):
        reading.band_filter(band_hz)


@given(st.integers(1, 10_000_000), st.sampled_from(RATES))
@settings(deadline=None)
def test_resampled_length_rounds_down_in_whole_numbers(source_samples: int, rate: int) -> None:
    found = resampled_length(source_samples, rate)
    assert found * rate <= source_samples * SAMPLE_RATE < (found + 1) * rate


@pytest.mark.parametrize("engine", ["soxr", "torchaudio"])
@pytest.mark.parametrize("rate", RATES)
def test_all_of_a_file_can_be_read(tmp_path: Path, rate: int, engine: str) -> None:
    """Looped noise is read from end to end: no engine may fall short of the promised length."""
    for n_samples in (rate, rate + 1, rate + 13):
        path = write(tmp_path / "a.wav", white(n_samples), rate)
        wanted = resampled_length(n_samples, rate)
        assert span(path, rate, 0, ReadOptions(resampler=engine), wanted).size == wanted


def test_a_file_of_another_rate_has_changed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", white(50_000), 44_100)
    with pytest.raises(AudioError, match=r"^a.wav: expected 48000 Hz, got 44100 Hz$") as caught:
        span(path, 48_000, 0, ReadOptions())
    assert caught.value.reason == "changed"


def test_a_file_that_became_shorter_has_changed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", white(SPAN + 5_000), SAMPLE_RATE)
    with pytest.raises(
        AudioError, match=rf"^a.wav: expected {SPAN} samples from 6000, got {SPAN - 1_000}; "
    ) as caught:
        span(path, SAMPLE_RATE, 6_000, ReadOptions())
    assert caught.value.reason == "changed"
    with pytest.raises(AudioError, match="got 0; the file changed since it was scanned"):
        span(path, SAMPLE_RATE, 200_000, ReadOptions())


def test_one_sample_short_is_an_engine_s_rounding(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", white(SPAN), SAMPLE_RATE)
    found = span(path, SAMPLE_RATE, 0, ReadOptions(keep_dc=True), SPAN + 1)
    assert found.size == SPAN + 1
    assert found[-1] == 0.0


def test_a_missing_file_is_named() -> None:
    with pytest.raises(AudioError, match=r"^/nowhere/a.wav: "):
        read_file("/nowhere/a.wav")
