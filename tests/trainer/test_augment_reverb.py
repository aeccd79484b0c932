"""Reverb: the network sample by sample and the sox program as oracles, and decay curves."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from manifests.errors import UsageError
from trainer.augment.reverb import (
    Reverb,
    ReverbDraws,
    ReverbSetting,
    comb_delays,
    convolution_length,
    response_bank,
    wet_response,
)

RATE = 22_050
CPU = torch.device("cpu")


def slow_freeverb(setting: ReverbSetting, n_samples: int, spread: int) -> NDArray[np.float64]:
    """One channel of Freeverb as the recursions say, fed with an impulse."""
    impulse = [1.0] + [0.0] * (n_samples - 1)
    output = np.zeros(n_samples)
    for delay in comb_delays(setting, spread, RATE):
        line, store = [0.0] * delay, 0.0
        for n, value in enumerate(impulse):
            out = line[n % delay]
            store = out * (1 - setting.pole) + store * setting.pole
            line[n % delay] = value + store * setting.feedback
            output[n] += out
    for index, tuning in enumerate((225, 341, 441, 556)):
        delay = int((tuning + spread * (-1) ** index) / 2 + 0.5)
        line = [0.0] * delay
        for n in range(n_samples):
            out = line[n % delay]
            line[n % delay] = output[n] + out * 0.5
            output[n] = out - output[n]
    return 0.015 * output


@pytest.mark.parametrize("setting", [(0, 0, 0), (99, 0, 3), (50, 99, 99)])
def test_transfer_function_equals_the_recursions(setting: tuple[int, int, int]) -> None:
    chosen = ReverbSetting(*setting)
    expected = (slow_freeverb(chosen, 6000, 0) + slow_freeverb(chosen, 6000, 12)) / 2
    found = wet_response(chosen, 6000, RATE)
    assert np.abs(expected).max() > 1e-3
    # What rings on after the end, at reverberance 99, must not fold onto the start.
    np.testing.assert_allclose(found, expected, atol=1e-8)


@pytest.mark.skipif(shutil.which("sox") is None, reason="the sox program is not installed")
@pytest.mark.parametrize("setting", [(50, 50, 100), (99, 0, 99), (0, 99, 0)])
def test_equals_sox(setting: tuple[int, int, int], tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    audio = (0.05 * rng.standard_normal(30_000)).astype("<f4")
    given, written = tmp_path / "given.f32", tmp_path / "written.f32"
    audio.tofile(given)
    raw = ["-t", "f32", "-r", str(RATE), "-c", "1"]
    effect = ["reverb", *map(str, setting), "channels", "1"]
    subprocess.run(["sox", *raw, str(given), *raw, str(written), *effect], check=True)
    expected = np.fromfile(written, dtype="<f4")
    response = wet_response(ReverbSetting(*setting), 30_000, RATE)
    response[0] += 1
    found = np.convolve(audio, response)[:30_000]
    np.testing.assert_allclose(found, expected[:30_000], atol=2e-6)


def decay_time_s(response: NDArray[np.float64]) -> float:
    """T60 from the slope of Schroeder's energy-decay curve between -5 and -25 dB."""
    energy = np.cumsum(response[::-1] ** 2)[::-1]
    curve = 10 * np.log10(energy / energy[0])
    first, last = int(np.argmax(curve < -5)), int(np.argmax(curve < -25))
    assert 0 < first < last
    return 60 / 20 * (last - first) / RATE


def test_decay_time_grows_with_reverberance_and_room() -> None:
    by_reverberance = [
        decay_time_s(wet_response(ReverbSetting(value, 50, 50), 4 * RATE))
        for value in (0, 30, 60, 90)
    ]
    assert by_reverberance == sorted(by_reverberance)
    assert by_reverberance[-1] > 4 * by_reverberance[0]
    by_room = [
        decay_time_s(wet_response(ReverbSetting(50, 50, value), 4 * RATE)) for value in (0, 40, 99)
    ]
    assert by_room == sorted(by_room)
    assert decay_time_s(wet_response(ReverbSetting(80, 99, 50), 4 * RATE)) < decay_time_s(
        wet_response(ReverbSetting(80, 0, 50), 4 * RATE)
    )


def test_decay_time_of_low_frequencies_is_the_combs() -> None:
    """A comb of feedback g and delay D loses 20·log10(1/g) dB every D samples at low frequency."""
    setting = ReverbSetting(80, 0, 100)
    response = wet_response(setting, 8 * RATE)
    smooth = np.convolve(response, np.hanning(200))[: len(response)]  # below about 200 Hz
    delays = comb_delays(setting, 0, RATE)
    slowest, fastest = (
        3 * delay / RATE / -np.log10(setting.feedback) for delay in (max(delays), min(delays))
    )
    assert 0.9 * fastest < decay_time_s(smooth) < 1.05 * slowest


def test_ends_of_the_parameters() -> None:
    low, high = ReverbSetting(0, 0, 0), ReverbSetting(100, 100, 100)
    assert (low.feedback, low.pole) == pytest.approx((0.3, 0.2))
    assert (high.feedback, high.pole) == pytest.approx((0.98, 0.5))
    assert comb_delays(high, 0, 44_100) == [1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617]
    assert comb_delays(high, 12, 44_100)[:2] == [1128, 1176]
    assert comb_delays(low, 0, 44_100)[0] == 112


def test_apply_is_a_linear_convolution_with_the_bank() -> None:
    n_samples = 3000
    effect = Reverb(0.6, n_responses=4, seed=3)
    audio = torch.randn(5, 1, n_samples, generator=torch.Generator().manual_seed(0))
    draws = ReverbDraws(
        torch.tensor([True, False, True, True, True]), torch.tensor([0, 1, 3, 2, 0])
    )
    heard = effect.apply(audio, draws)
    assert heard.shape == audio.shape
    assert torch.equal(heard[1], audio[1])
    bank = response_bank(4, 3, n_samples, RATE, CPU)
    responses = torch.fft.irfft(bank, n=convolution_length(n_samples))[:, :n_samples]
    for row in (0, 2, 3, 4):
        response = responses[draws.response[row]].double().numpy()
        expected = np.convolve(audio[row, 0].double().numpy(), response)[:n_samples]
        np.testing.assert_allclose(heard[row, 0].numpy(), expected, atol=1e-4)
        assert response[0] == pytest.approx(1.0, abs=1e-5), "the dry sound stays"


def test_bank_is_its_settings() -> None:
    bank = response_bank(2, 7, 2000, RATE, CPU)
    drawn = torch.randint(100, (2, 3), generator=torch.Generator().manual_seed(7)).tolist()
    for row, setting in enumerate(drawn):
        expected = wet_response(ReverbSetting(*setting), 2000, RATE)
        expected[0] += 1
        found = torch.fft.irfft(bank[row], n=convolution_length(2000))[:2000]
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    assert response_bank(2, 7, 2000, RATE, CPU) is bank


def test_draws() -> None:
    draws = Reverb(0.6, n_responses=8).draw(20_000, torch.Generator().manual_seed(0))
    assert float(draws.selected.double().mean()) == pytest.approx(0.6, abs=0.015)
    assert draws.response.unique().tolist() == list(range(8))


def test_bad_setting() -> None:
    with pytest.raises(UsageError, match="reverb damping: expected 0 to 100 %, got 101"):
        ReverbSetting(50, 101, 50)
