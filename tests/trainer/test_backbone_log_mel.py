"""The mel front end against formulas written out: triangles, decibels, frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from trainer.models import musicnn, shortchunk, transformer
from trainer.models.log_mel import LogMel, MelSettings, mel_filters

FRONT_ENDS = {
    "transformer": transformer.FRONT_END,
    "shortchunk": shortchunk.FRONT_END,
    "musicnn": musicnn.FRONT_END,
}
RATE = 22_050
Floats = NDArray[np.float64]


def mel_of(hz: Floats | float) -> Floats:
    """O'Shaughnessy's scale, as HTK has it."""
    return np.asarray(2595 * np.log10(1 + np.asarray(hz) / 700))


def triangles(settings: MelSettings) -> Floats:
    """Filters (bins, bands): each rises from its neighbour's centre to 1 and falls to the next."""
    mels = np.linspace(0, mel_of(settings.high_hz), settings.n_mels + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    bins = np.arange(settings.n_fft // 2 + 1) * RATE / settings.n_fft
    columns = [
        np.interp(bins, edges[band : band + 3], [0.0, 1.0, 0.0], left=0, right=0)
        for band in range(settings.n_mels)
    ]
    return np.stack(columns, axis=1)


def frame_db(audio: Floats, settings: MelSettings, number: int) -> Floats:
    """One frame by hand: the window in the middle of the transform, its centre on the hop."""
    n = settings.window_samples
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    left = (settings.n_fft - n) // 2
    window = np.zeros(settings.n_fft)
    window[left : left + n] = hann
    start = number * settings.hop_samples - settings.n_fft // 2
    power = np.abs(np.fft.rfft(audio[start : start + settings.n_fft] * window)) ** 2
    decibels: Floats = 10 * np.log10(np.maximum(power @ triangles(settings), 1e-10))
    return decibels


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_filters_are_the_formulas(name: str) -> None:
    settings = FRONT_ENDS[name]
    filters = mel_filters(settings).numpy()
    assert filters.shape == (513, settings.n_mels)
    np.testing.assert_allclose(filters, triangles(settings), atol=2e-5)
    assert (filters.max(axis=0) > 0).all(), "no band without a bin"


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_frames_are_the_formulas(name: str) -> None:
    settings = FRONT_ENDS[name]
    audio = np.random.default_rng(3).standard_normal(22_050) * 0.1
    found = LogMel(settings).decibels(torch.from_numpy(audio)[None, None])[0, 0].numpy()
    assert found.shape == (settings.n_mels, settings.n_frames(22_050))
    for number in (3, 20, 40):
        np.testing.assert_allclose(found[:, number], frame_db(audio, settings, number), atol=2e-3)


@pytest.mark.parametrize("hz_bin", [20, 93, 300])
def test_a_tone_lands_in_its_band(hz_bin: int) -> None:
    """A tone on bin k has |X_k| = A N / 4 under a periodic Hann window, its neighbours half."""
    settings, amplitude = transformer.FRONT_END, 0.5
    hz = hz_bin * RATE / 1024
    audio = amplitude * np.sin(2 * np.pi * hz * np.arange(22_050) / RATE)
    found = LogMel(settings).decibels(torch.from_numpy(audio)[None, None])[0, 0, :, 20].numpy()
    centres = np.linspace(0, mel_of(11_025), 130)[1:-1]
    assert int(found.argmax()) == int(np.abs(centres - mel_of(hz)).argmin())
    power = np.zeros(513)
    power[hz_bin] = (amplitude * 1024 / 4) ** 2
    power[[hz_bin - 1, hz_bin + 1]] = (amplitude * 1024 / 8) ** 2
    expected = 10 * np.log10(np.maximum(power @ triangles(settings), 1e-10))
    loud = expected > 0
    assert 1 <= loud.sum() <= 6
    np.testing.assert_allclose(found[loud], expected[loud], atol=1e-3)
    assert found[~loud].max() < -30


def test_twice_the_amplitude_is_six_decibels() -> None:
    front_end = LogMel(musicnn.FRONT_END)
    audio = 0.05 * torch.randn(2, 1, 22_050, generator=torch.Generator().manual_seed(0))
    louder = front_end.decibels(2 * audio) - front_end.decibels(audio)
    torch.testing.assert_close(louder, torch.full_like(louder, 20 * np.log10(2)), atol=1e-3, rtol=0)


def test_frames_are_those_of_the_publications() -> None:
    """At 22,050 Hz as many as the published front ends have of the same seconds."""
    assert transformer.FRONT_END.n_frames(220_500) == 431
    assert transformer.FRONT_END.n_frames(81_365) == 159
    assert shortchunk.FRONT_END.n_frames(81_365) == 231 == 1 + 59_049 // 256  # 3.69 s at 16 kHz
    assert musicnn.FRONT_END.n_frames(66_150) == 188 == 1 + 3 * 16_000 // 256


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_silence_has_a_value_and_a_finite_gradient(name: str) -> None:
    front_end = LogMel(FRONT_ENDS[name])
    audio = torch.zeros(2, 1, 22_050, requires_grad=True)
    decibels = front_end.decibels(audio)
    assert (decibels == -100).all()
    decibels.sum().backward()
    assert audio.grad is not None and (audio.grad == 0).all()
    quiet = (1e-7 * torch.randn(2, 1, 22_050)).requires_grad_()
    front_end(quiet).square().sum().backward()
    assert quiet.grad is not None and torch.isfinite(quiet.grad).all()


def test_it_computes_in_float32_under_autocast() -> None:
    front_end = LogMel(shortchunk.FRONT_END)
    audio = 0.1 * torch.randn(3, 1, 22_050)
    exact = front_end.eval()(audio)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = front_end(audio)
        rough = front_end(audio.bfloat16())
    assert (found.dtype, rough.dtype) == (torch.float32, torch.float32)
    assert torch.equal(found, exact)


def test_the_mean_is_taken_over_batch_bands_and_frames() -> None:
    front_end = LogMel(musicnn.FRONT_END).train()
    audio = 0.1 * torch.randn(3, 1, 22_050)
    with torch.no_grad():
        normalised = front_end(audio)
    assert normalised.shape == (3, 1, 96, 63)
    assert abs(float(normalised.mean())) < 1e-4 and abs(float(normalised.std()) - 1) < 1e-3
    assert sum(parameter.numel() for parameter in front_end.parameters()) == 2
