"""Resampling engines: tones stay tones, lengths and DC stay, errors say what to do."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tiny_sounds import tone, white

from manifests import resample as module
from manifests.errors import ManifestError, UsageError
from manifests.resample import RESAMPLERS, resample, resampler_refusal, resampler_version

OUT = 22_050
EDGE = 2_205
"""Samples left out at both ends, where the signal begins and ends abruptly."""
RATES = (8_000, 11_025, 16_000, 44_100, 48_000, 96_000)
needs_sox = pytest.mark.skipif(shutil.which("sox") is None, reason="the sox program is missing")
engines = pytest.mark.parametrize(
    "engine", [pytest.param(name, marks=needs_sox if name == "sox" else ()) for name in RESAMPLERS]
)


def inner(signal: np.ndarray) -> np.ndarray:
    return signal[EDGE:-EDGE]


@engines
@pytest.mark.parametrize("rate", RATES)
def test_a_tone_comes_out_as_the_same_tone_without_delay(engine: str, rate: int) -> None:
    found = resample(tone(997.0, 2 * rate, rate, peak=0.5), rate, OUT, engine)
    expected = tone(997.0, found.size, OUT, peak=0.5)
    assert found.dtype == np.float64
    assert np.abs(inner(found - expected)).max() < 2e-8  # -154 dBFS


@engines
@pytest.mark.parametrize("rate", RATES)
def test_length_is_that_of_the_same_time(engine: str, rate: int) -> None:
    for n_samples in (rate, rate + 1, 2 * rate + 37):
        found = resample(white(n_samples), rate, OUT, engine).size
        assert 0 <= found - n_samples * OUT // rate <= 1


@engines
@pytest.mark.parametrize("rate", RATES)
def test_dc_keeps_its_level(engine: str, rate: int) -> None:
    found = resample(np.full(2 * rate, 0.25), rate, OUT, engine)
    assert np.abs(inner(found) - 0.25).max() < 1e-8


@engines
def test_what_lies_above_the_new_half_rate_is_gone(engine: str) -> None:
    found = resample(tone(12_000.0, 2 * 48_000, 48_000), 48_000, OUT, engine)
    assert np.abs(inner(found)).max() < 1e-6  # -120 dB: no alias at 22050 - 12000 Hz


@engines
def test_the_same_input_gives_the_same_bits(engine: str) -> None:
    signal = white(30_000)
    first, second = (resample(signal, 44_100, OUT, engine) for _ in range(2))
    assert np.array_equal(first, second)


@engines
def test_equal_rates_and_empty_signals_pass_through(engine: str) -> None:
    signal = white(100)
    assert resample(signal, OUT, OUT, engine) is signal
    assert resample(np.zeros(0), 44_100, OUT, engine).size == 0


@engines
def test_read_only_and_strided_input_is_read(engine: str) -> None:
    signal = white(8_820)
    strided = np.stack([signal, -signal], axis=1)[:, 0]
    signal.flags.writeable = False
    expected = resample(signal.copy(), 44_100, OUT, engine)
    assert np.array_equal(resample(signal, 44_100, OUT, engine), expected)
    assert np.array_equal(resample(strided, 44_100, OUT, engine), expected)


def test_engines_agree(shared_dir: Path) -> None:
    """Three independent filters on real music: alike to -120 dBFS below the edge of each."""
    from manifests.reading import ReadOptions, limit_band, read_file

    path = str(shared_dir / "audio" / "odd" / "test1_44100.wav")
    names = [name for name in RESAMPLERS if name != "sox" or shutil.which("sox")]
    found = [
        limit_band(read_file(path, options=ReadOptions(resampler=name)), 9_000.0) for name in names
    ]
    n = min(signal.size for signal in found)
    for other in found[1:]:
        assert np.abs(inner(other[:n] - found[0][:n])).max() < 1e-6


def test_unknown_engine_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="resampler 'fft': expected one of soxr, sox, torchaudio"):
        resample(white(10), 44_100, OUT, "fft")


def test_missing_sox_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="the sox program is not found; install it or use soxr"):
        resample(white(10), 44_100, OUT, "sox")
    assert resampler_version("sox") == "sox not found"


@needs_sox
def test_sox_that_clips_is_an_error() -> None:
    """Its bus is 32-bit integers and the input is halved: beyond 2 of full scale it clips."""
    loud = tone(997.0, 44_100, 44_100, peak=2.5)
    with pytest.raises(ManifestError, match="sox clipped while resampling 44100 Hz") as caught:
        resample(loud, 44_100, OUT, "sox")
    assert "/" not in str(caught.value) and "\n" not in str(caught.value)
    assert resampler_refusal("sox", 44_100, OUT, 2.5).startswith("sox: expected a peak of at most")
    assert resample(0.7 * loud, 44_100, OUT, "sox").size == OUT


@needs_sox
def test_sox_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import sox

    def fail(*_: object, **__: object) -> None:
        raise sox.SoxError("no space left")

    monkeypatch.setattr(sox.Transformer, "build", fail)
    with pytest.raises(ManifestError, match="sox: no space left"):
        resample(white(10), 44_100, OUT, "sox")


def test_torchaudio_refuses_a_kernel_of_gigabytes() -> None:
    with pytest.raises(ManifestError, match=r"44101 Hz to 22050 Hz: .*; use --resampler soxr"):
        resample(white(10), 44_101, OUT, "torchaudio")
    assert resample(white(44_101), 44_101, OUT, "soxr").size == OUT


def test_versions_name_engine_and_version() -> None:
    import soxr
    import torchaudio

    assert resampler_version("soxr").startswith(f"soxr {soxr.__version__} (libsoxr ")
    assert resampler_version("torchaudio").startswith(f"torchaudio {torchaudio.__version__} ")


@needs_sox
def test_version_of_sox_is_that_of_the_program() -> None:
    banner = subprocess.run(["sox", "--version"], capture_output=True, text=True, check=True)
    assert resampler_version("sox") == f"{banner.stdout.split(':')[-1].strip()} rate -v, no dither"


def test_the_kernel_limit_lets_real_rates_pass() -> None:
    for rate in (*RATES, 11_024, 12_000, 24_000, 32_000, 192_000):
        common = np.gcd(rate, OUT)
        assert (rate // common) * (OUT // common) <= module.MAX_KERNEL
