"""The noisy student's chain: each effect at its own settings, on signals known by hand."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import pytest
import torch

from manifests.rows import SAMPLE_RATE
from trainer.augment import STRONG, AugmentationChain
from trainer.augment.delay import DelayDraws
from trainer.augment.filters import HighLowPassDraws
from trainer.augment.pitch import PitchDraws
from trainer.augment.reverb import ReverbDraws
from trainer.augment.simple import GainDraws, NoiseDraws, PolarityDraws

N_SAMPLES = 8_192
ON = torch.tensor([True, False])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sine(frequency_hz: float, n_samples: int = N_SAMPLES) -> torch.Tensor:
    """The same sine twice, (2, 1, n_samples), amplitude 0.5."""
    time = torch.arange(n_samples, dtype=torch.float64) / SAMPLE_RATE
    wave = 0.5 * torch.sin(2 * math.pi * frequency_hz * time)
    return wave.float().expand(2, 1, n_samples).clone()


def rms(audio: torch.Tensor) -> float:
    """RMS of the first example away from its edges."""
    return float(audio[0, 0, 1_000:-1_000].square().mean().sqrt())


def applied(effect: Any, audio: torch.Tensor, draws: Any) -> torch.Tensor:
    """Apply an effect to the first of two examples; the second must stay as it is."""
    heard: torch.Tensor = effect.apply(audio, draws)
    assert torch.equal(heard[1], audio[1]), "not selected"
    assert not torch.equal(heard[0], audio[0])
    return heard


def test_polarity() -> None:
    audio = sine(440)
    assert torch.equal(applied(STRONG.polarity, audio, PolarityDraws(ON))[0], -audio[0])


@pytest.mark.parametrize(("ratio", "snr_db"), [(0.3, 10.46), (0.5, 6.02)])
def test_white_noise_is_10_to_6_db_below(ratio: float, snr_db: float) -> None:
    audio = sine(440, 60_000)
    draws = NoiseDraws(ON, torch.full((2,), ratio), torch.tensor([7, 8]))
    noise = applied(STRONG.noise, audio, draws)[0] - audio[0]
    assert 20 * math.log10(float(audio[0].std() / noise.std())) == pytest.approx(snr_db, abs=0.05)
    power = torch.fft.rfft(noise[0]).abs().square()[1:]
    low, high = power[:15_000].mean(), power[15_000:].mean()
    assert float(low / high) == pytest.approx(1, abs=0.05), "white"


def test_gain() -> None:
    audio = sine(440)
    heard = applied(STRONG.gain, audio, GainDraws(ON, torch.tensor([-20.0, -3.0])))
    torch.testing.assert_close(heard[0], audio[0] / 10)


@pytest.mark.parametrize(
    ("frequency_hz", "high_pass", "cutoff_hz", "gain"),
    [
        (60, True, 1_200, 0.0),
        (4_000, True, 1_200, 1.0),
        (8_000, False, 2_200, 0.0),
        (500, False, 2_200, 1.0),
        (1_200, True, 1_200, 0.5),
        (4_000, False, 4_000, 0.5),
    ],
)
def test_high_and_low_pass(
    frequency_hz: float, high_pass: bool, cutoff_hz: float, gain: float
) -> None:
    audio = sine(frequency_hz)
    draws = HighLowPassDraws(ON, torch.tensor([high_pass] * 2), torch.full((2,), cutoff_hz))
    heard = applied(STRONG.high_low_pass, audio, draws)
    assert rms(heard) / rms(audio) == pytest.approx(gain, abs=0.02)


def test_delay() -> None:
    """y = (x + x later / 2) / 2: a click of 1 becomes 1/2, and 1/4 after 200 ms."""
    audio = torch.zeros(2, 1, N_SAMPLES)
    audio[:, 0, 100] = 1.0
    heard = applied(STRONG.delay, audio, DelayDraws(ON, torch.tensor([200, 450])))
    expected = torch.zeros(N_SAMPLES)
    expected[100], expected[100 + 4_410] = 0.5, 0.25
    assert torch.equal(heard[0, 0], expected)


@pytest.mark.parametrize("cents", [-700, 700])
def test_pitch(cents: int) -> None:
    """A fifth down or up: 440 Hz become 293.7 or 659.3 Hz, as loud as before."""
    audio = sine(440)
    heard = applied(STRONG.pitch, audio, PitchDraws(ON, torch.tensor([cents, 100])))
    spectrum = torch.fft.rfft(heard[0, 0] * torch.hann_window(N_SAMPLES)).abs()
    peak_hz = float(spectrum.argmax()) * SAMPLE_RATE / N_SAMPLES
    assert peak_hz == pytest.approx(440 * 2 ** (cents / 1200), abs=SAMPLE_RATE / N_SAMPLES)
    assert heard.shape == audio.shape
    assert rms(heard) == pytest.approx(rms(audio), rel=0.1)


def test_reverb_keeps_the_dry_sound_and_adds_a_tail() -> None:
    audio = torch.zeros(2, 1, N_SAMPLES)
    audio[:, 0, 0] = 1.0
    effect = replace(STRONG.reverb, n_responses=2)
    heard = applied(effect, audio, ReverbDraws(ON, torch.tensor([1, 0])))[0, 0]
    assert float(heard[0]) == pytest.approx(1.0, abs=0.02)
    assert float(heard[1:400].abs().max()) < 1e-4, "the shortest comb takes 558 samples or so"
    assert float(heard[400:].abs().max()) > 1e-3
    half = applied(effect, audio / 2, ReverbDraws(ON, torch.tensor([1, 0])))[0, 0]
    torch.testing.assert_close(half, heard / 2, atol=1e-6, rtol=1e-4)


def test_the_ranges_that_are_drawn() -> None:
    draws = AugmentationChain(STRONG).draw(40_000, seeded())
    shares = {f.name: float(getattr(draws, f.name).selected.float().mean()) for f in fields(draws)}
    expected = {
        "polarity": 0.8, "noise": 0.3, "gain": 0.2, "high_low_pass": 0.8, "delay": 0.5,
        "pitch": 0.4, "reverb": 0.3,
    }  # fmt: skip
    assert list(shares) == list(expected), "in the order of METHOD.md 3.2"
    assert shares == pytest.approx(expected, abs=0.012)
    ratio = draws.noise.ratio
    assert 0.3 <= float(ratio.min()) < 0.301 and 0.499 < float(ratio.max()) <= 0.5
    assert float(ratio.mean()) == pytest.approx(0.4, abs=0.002), "uniform"
    assert set(draws.delay.delay_ms.tolist()) == {200, 250, 300, 350, 400, 450}
    cents = draws.pitch.cents.tolist()
    assert (min(cents), max(cents)) == (-700, 700)
    gain_db = draws.gain.gain_db
    assert float(gain_db.min()) >= -20.0 and float(gain_db.max()) <= -1.0


def test_the_whole_chain_is_batched_and_reproducible() -> None:
    chain = AugmentationChain(replace(STRONG, reverb=replace(STRONG.reverb, n_responses=2)))
    audio = sine(440).repeat(8, 1, 1)
    heard = chain(audio, seeded(3))
    assert heard.shape == audio.shape and bool(torch.isfinite(heard).all())
    assert torch.equal(heard, chain(audio, seeded(3)))
    assert not torch.equal(heard, chain(audio, seeded(4)))
    assert len({tuple(row[0, :50].tolist()) for row in heard}) > 8, "examples differ"
