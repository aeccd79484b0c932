"""High-pass and low-pass: tones of known gain, and scipy's design as the oracle."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal
import torch

from trainer.augment.filters import HighLowPass, HighLowPassDraws, lowpass_kernels

RATE = 22_050
EFFECT = HighLowPass(0.8, highpass_hz=(200.0, 1200.0), lowpass_hz=(2200.0, 4000.0))


def tones(frequencies_hz: list[float], n_samples: int = 30_000) -> torch.Tensor:
    time_s = torch.arange(n_samples, dtype=torch.float64) / RATE
    return torch.stack([torch.sin(2 * math.pi * f * time_s) for f in frequencies_hz])[:, None]


def gains_db(cutoff_hz: float, high_pass: bool, frequencies_hz: list[float]) -> list[float]:
    audio = tones(frequencies_hz)
    n_tones = len(frequencies_hz)
    draws = HighLowPassDraws(
        torch.ones(n_tones, dtype=torch.bool),
        torch.full((n_tones,), high_pass),
        torch.full((n_tones,), cutoff_hz),
    )
    middle = EFFECT.apply(audio, draws)[..., 2000:-2000]
    power = middle.square().mean((1, 2)) / audio[..., 2000:-2000].square().mean((1, 2))
    return (10 * torch.log10(power)).tolist()


@pytest.mark.parametrize("cutoff_hz", [2200.0, 3000.0, 4000.0])
def test_lowpass_tones(cutoff_hz: float) -> None:
    kept, half, stopped, far = gains_db(
        cutoff_hz, False, [0.7 * cutoff_hz, cutoff_hz, 1.4 * cutoff_hz, 2.5 * cutoff_hz]
    )
    assert kept == pytest.approx(0, abs=0.1)
    assert half == pytest.approx(-6.02, abs=0.1)
    assert stopped < -40
    assert far < -60


@pytest.mark.parametrize("cutoff_hz", [200.0, 700.0, 1200.0])
def test_highpass_tones(cutoff_hz: float) -> None:
    far, stopped, half, kept = gains_db(
        cutoff_hz, True, [0.2 * cutoff_hz, 0.6 * cutoff_hz, cutoff_hz, 1.4 * cutoff_hz]
    )
    assert kept == pytest.approx(0, abs=0.1)
    assert half == pytest.approx(-6.02, abs=0.1)
    assert stopped < -40
    assert far < -40


def test_kernel_is_scipys() -> None:
    half = 100
    cutoff_hz = 8 * RATE / (2 * half)  # so that the eighth zero falls on a sample
    expected = scipy.signal.firwin(2 * half + 1, cutoff_hz, window="hann", fs=RATE)
    found = lowpass_kernels(torch.tensor([cutoff_hz / RATE], dtype=torch.float64), half)[0]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_batched_fft_equals_direct_convolution(rng: np.random.Generator) -> None:
    audio = rng.standard_normal((3, 1, 4001))
    cutoff_hz = torch.tensor([400.0, 2200.0, 3555.0], dtype=torch.float64)
    high_pass = torch.tensor([True, False, False])
    draws = HighLowPassDraws(torch.ones(3, dtype=torch.bool), high_pass, cutoff_hz)
    filtered = EFFECT.apply(torch.from_numpy(audio), draws)
    kernels = lowpass_kernels(cutoff_hz / RATE, 441).numpy()
    for row in range(3):
        extended = np.pad(audio[row, 0], 441, mode="edge")
        expected = np.convolve(extended, kernels[row], mode="valid")
        if high_pass[row]:
            expected = audio[row, 0] - expected
        np.testing.assert_allclose(filtered[row, 0].numpy(), expected, atol=1e-12)


def test_a_constant_passes_low_and_not_high() -> None:
    audio = torch.full((2, 1, 3000), 0.25)
    draws = HighLowPassDraws(
        torch.ones(2, dtype=torch.bool), torch.tensor([False, True]), torch.tensor([3000.0, 300.0])
    )
    filtered = EFFECT.apply(audio, draws)
    torch.testing.assert_close(filtered[0], audio[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(filtered[1], torch.zeros(1, 3000), rtol=0, atol=1e-6)


def test_draws() -> None:
    draws = EFFECT.draw(40_000, torch.Generator().manual_seed(0))
    assert float(draws.selected.double().mean()) == pytest.approx(0.8, abs=0.01)
    assert float(draws.high_pass.double().mean()) == pytest.approx(0.5, abs=0.011)
    high, low = draws.cutoff_hz[draws.high_pass], draws.cutoff_hz[~draws.high_pass]
    assert 200 <= high.min() < 202 and 1198 < high.max() <= 1200
    assert 2200 <= low.min() < 2203 and 3997 < low.max() <= 4000
