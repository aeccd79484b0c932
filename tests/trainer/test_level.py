"""SNR, level and band of model inputs, against numpy and the mixer's own filter."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests import reading, signal
from manifests.errors import UsageError
from trainer.level import band_limit, relevel, scale_to_rms

RATE = 22_050


def rms_dbfs(audio: torch.Tensor) -> torch.Tensor:
    return 10 * torch.log10(audio.double().square().mean(dim=(1, 2)))


def tone(frequency_hz: float, n_samples: int = RATE) -> torch.Tensor:
    time_s = torch.arange(n_samples, dtype=torch.float64) / RATE
    return torch.sin(2 * math.pi * frequency_hz * time_s).float()[None, None]


@settings(deadline=None, max_examples=25)
@given(gains_db=st.lists(st.floats(-60, 20), min_size=1, max_size=4), target=st.floats(-40, 0))
def test_every_chunk_gets_the_level(gains_db: list[float], target: float) -> None:
    generator = torch.Generator().manual_seed(len(gains_db))
    audio = torch.randn(len(gains_db), 1, 500, generator=generator)
    audio *= 10 ** (torch.tensor(gains_db)[:, None, None] / 20)
    scaled = scale_to_rms(audio, target)
    assert rms_dbfs(scaled).tolist() == pytest.approx([target] * len(gains_db), abs=1e-3)
    torch.testing.assert_close(scale_to_rms(3 * audio, target), scaled)


def test_default_level_and_silence() -> None:
    audio = torch.stack([0.5 * torch.ones(1, 100), torch.zeros(1, 100), torch.full((1, 100), 9e-6)])
    scaled = scale_to_rms(audio)
    torch.testing.assert_close(scaled[0], torch.full((1, 100), 0.1))
    assert torch.equal(scaled[1:], audio[1:])
    quiet = torch.full((1, 1, 100), 1.1e-5)  # just above -100 dBFS
    assert rms_dbfs(scale_to_rms(quiet)).item() == pytest.approx(-20, abs=1e-3)


def test_relevel_equals_the_mixers(rng: np.random.Generator) -> None:
    clean, noise = rng.standard_normal((2, 3, 1, 400)).astype(np.float32)
    lowest = clean + noise
    snrs_db = [-10.0, 0.0, 7.0]
    mixed = relevel(torch.from_numpy(clean), torch.from_numpy(lowest), -10.0, torch.tensor(snrs_db))
    for row, snr_db in enumerate(snrs_db):
        expected = signal.relevel(clean[row], lowest[row], -10.0, snr_db)
        torch.testing.assert_close(mixed[row], torch.from_numpy(expected), rtol=1e-6, atol=1e-6)
    assert mixed.dtype == torch.float32
    alone = relevel(torch.from_numpy(clean), torch.from_numpy(lowest), -10.0, 7.0)
    torch.testing.assert_close(alone[2], mixed[2])


def test_relevel_gives_the_snr_asked_for() -> None:
    generator = torch.Generator().manual_seed(8)
    clean, noise = torch.randn(2, 4, 1, 2000, generator=generator)
    noise *= (clean.square().mean(2) / noise.square().mean(2) * 10).sqrt()[..., None]  # -10 dB
    snrs_db = torch.tensor([-10.0, -3.0, 0.0, 10.0])
    mixed = relevel(clean, clean + noise, -10.0, snrs_db)
    measured = rms_dbfs(clean) - rms_dbfs(mixed - clean)
    torch.testing.assert_close(measured.float(), snrs_db, rtol=0, atol=1e-3)


def test_band_limit_is_the_mixers_filter(rng: np.random.Generator) -> None:
    audio = rng.standard_normal((2, 1, 5000))
    limited = band_limit(torch.from_numpy(audio), 7200.0, RATE)
    assert limited.shape == (2, 1, 5000)
    for row in range(2):
        expected = reading.limit_band(audio[row, 0], 7200.0)
        np.testing.assert_allclose(limited[row, 0].numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("rate", [16_000, 22_050])
def test_band_limit_keeps_and_stops(rate: int) -> None:
    def gain_db(frequency_hz: float) -> float:
        time_s = torch.arange(rate, dtype=torch.float64) / rate
        given = torch.sin(2 * math.pi * frequency_hz * time_s)[None, None]
        middle = band_limit(given, 6000.0, rate)[..., 1000:-1000]
        return 10 * math.log10(middle.square().mean() / given[..., 1000:-1000].square().mean())

    assert gain_db(440.0) == pytest.approx(0, abs=0.01)
    assert gain_db(5500.0) == pytest.approx(0, abs=0.01)
    assert gain_db(5750.0) == pytest.approx(-6.02, abs=0.1)
    assert gain_db(6000.0) < -79
    assert gain_db(7500.0) < -79


def test_band_limit_has_no_delay() -> None:
    impulse = torch.zeros(1, 1, 3001)
    impulse[..., 1500] = 1.0
    limited = band_limit(impulse, 8000.0, RATE)
    assert int(limited.argmax()) == 1500
    torch.testing.assert_close(limited, limited.flip(2), rtol=0, atol=1e-6)


@pytest.mark.parametrize("cutoff_hz", [0.0, 500.0, 11_026.0])
def test_band_outside_the_spectrum(cutoff_hz: float) -> None:
    with pytest.raises(UsageError, match=f"expected 500 to 11025 Hz, got {cutoff_hz:g}"):
        band_limit(tone(100.0), cutoff_hz, RATE)
