"""Pitch shift: sines within 5 cents, level within 1 dB, memory below 20 times the batch."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
import torch
from torchaudio.functional import phase_vocoder

from manifests.errors import ManifestError
from trainer.augment import pitch, vocoder
from trainer.augment.pitch import PitchDraws, PitchShift, shift_pitch

RATE = 22_050
N_SAMPLES = 59_049
CENTS = torch.tensor([-700, -453, -101, -1, 1, 50, 200, 399, 700])


def sine(frequency_hz: float, n_samples: int = N_SAMPLES) -> torch.Tensor:
    time_s = torch.arange(n_samples, dtype=torch.float64) / RATE
    return torch.sin(2 * math.pi * frequency_hz * time_s).float()


def peak_hz(audio: torch.Tensor) -> float:
    """Frequency of the largest peak: parabola through the log magnitudes of a padded FFT."""
    middle = audio[4096:-4096].double()
    n_fft = 8 * len(middle)
    window = torch.hann_window(len(middle), periodic=False, dtype=torch.float64)
    magnitude = torch.fft.rfft(middle * window, n=n_fft).abs()
    peak = int(magnitude.argmax())
    left, top, right = torch.log(magnitude[peak - 1 : peak + 2]).tolist()
    return (peak + 0.5 * (left - right) / (left - 2 * top + right)) * RATE / n_fft


def level_db(audio: torch.Tensor) -> torch.Tensor:
    """RMS of overlapping frames of 0.1 s, dB."""
    return 10 * torch.log10(audio.unfold(0, 2205, 1000).square().mean(dim=1))


@pytest.mark.parametrize("frequency_hz", [110.0, 233.1, 440.0, 1000.0, 2017.0, 4000.0])
def test_sines_within_5_cents_and_1_db(frequency_hz: float) -> None:
    audio = sine(frequency_hz).expand(len(CENTS), -1)
    shifted = shift_pitch(audio, CENTS)
    for row, cents in enumerate(CENTS.tolist()):
        expected_hz = frequency_hz * 2 ** (cents / 1200)
        error_cents = 1200 * math.log2(peak_hz(shifted[row]) / expected_hz)
        assert abs(error_cents) < 1, (cents, error_cents)
        change_db = level_db(shifted[row]) - level_db(audio[row]).mean()
        assert change_db.abs().max() < 1, (cents, change_db)


@pytest.mark.parametrize("cents", [-700, -5, 333, 700])
def test_a_tone_that_begins_late_keeps_its_level(cents: int) -> None:
    """The case in which a vocoder without phase locking loses up to 7 dB."""
    noise = 0.1 * torch.randn(N_SAMPLES, generator=torch.Generator().manual_seed(0))
    late = torch.arange(N_SAMPLES) > 20_000
    audio = torch.stack([torch.where(late, sine(f), noise) for f in (220.0, 440.0, 1000.0)])
    shifted = shift_pitch(audio, torch.full((3,), cents))
    for row in range(3):
        before, after = (level_db(x[row, 28_000:50_000]).mean() for x in (audio, shifted))
        assert abs(float(after - before)) < 1


def test_tones_of_a_chord_move_together() -> None:
    chord = sine(220.0) + 0.5 * sine(554.4) + 0.25 * sine(1318.5)
    shifted = shift_pitch(chord[None], torch.tensor([500]))[0, 4096:-4096].double()
    spectrum = torch.fft.rfft(shifted * torch.hann_window(len(shifted), dtype=torch.float64)).abs()
    factor = 2 ** (500 / 1200)
    peaks = []
    for frequency_hz in (220.0, 554.4, 1318.5):
        centre = round(frequency_hz * factor * len(shifted) / RATE)
        peaks.append(float(spectrum[centre - 5 : centre + 6].square().sum()))
    assert 10 * math.log10(peaks[1] / peaks[0]) == pytest.approx(-6.02, abs=1)
    assert 10 * math.log10(peaks[2] / peaks[0]) == pytest.approx(-12.04, abs=1)
    assert sum(peaks) > 0.95 * float(spectrum.square().sum())


def test_duration_stays() -> None:
    """Two clicks come out where they were, whatever the shift."""
    audio = 1e-4 * torch.randn(3, N_SAMPLES, generator=torch.Generator().manual_seed(1))
    for place in (15_000, 45_000):
        audio[:, place : place + 64] += torch.hann_window(64)
    shifted = shift_pitch(audio, torch.tensor([-700, 300, 700]))
    for row in shifted:
        energy = row.square()
        for place in (15_000, 45_000):
            near = energy[place - 3000 : place + 3000]
            centre = float((near * torch.arange(-3000, 3000)).sum() / near.sum())
            assert abs(centre - 32) < 400  # 18 ms, less than a frame


def test_nothing_folds_back() -> None:
    """A tone that would leave the band disappears instead of coming back as an alias."""
    audio = (sine(500.0) + sine(9000.0))[None]
    shifted = shift_pitch(audio, torch.tensor([700]))[0, 4096:-4096]
    spectrum = torch.fft.rfft(shifted * torch.hann_window(len(shifted))).abs()
    kept = int(749.2 * len(shifted) / RATE)
    spectrum[kept - 40 : kept + 40] = 0
    assert 20 * math.log10(spectrum.max() / (len(shifted) / 4)) < -45


@pytest.mark.parametrize("step", [1367, 2048, 2600, 3068])
def test_stretching_without_locking_is_torchaudios(
    step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocoder, "_lock", torch.polar)
    audio = torch.randn(1, 20_000, generator=torch.Generator().manual_seed(3))
    n_fft, hop, speed = 1024, 256, pitch.GRID / step
    n_out = 20_000 * step // pitch.GRID
    stretched = vocoder.play_at_speed(audio, torch.tensor([speed]), n_out, n_fft=n_fft)
    stretched = stretched[:, n_fft // 2 :]
    window = torch.hann_window(n_fft)
    spectrum = torch.stft(audio, n_fft, hop, window=window, return_complex=True)
    advance = torch.linspace(0, math.pi * hop, n_fft // 2 + 1)[:, None]
    vocoded = phase_vocoder(spectrum.to(torch.complex128), speed, advance.double())
    expected = torch.istft(vocoded, n_fft, hop, window=window.double()).float()
    # torchaudio has no frames past the end, so its last ones differ.
    kept = n_out - 3 * n_fft
    torch.testing.assert_close(stretched[:, :kept], expected[:, :kept], rtol=0, atol=5e-3)


def test_rms_is_kept_even_for_noise_and_silence() -> None:
    audio = torch.randn(3, N_SAMPLES, generator=torch.Generator().manual_seed(2))
    audio[1] *= 1e-3
    audio[2] = 0
    shifted = shift_pitch(audio, torch.tensor([-300, 650, 40]))
    torch.testing.assert_close(shifted.std(1)[:2], audio.std(1)[:2], rtol=1e-3, atol=0)
    assert torch.equal(shifted[2], audio[2])


def test_only_the_selected_move_and_each_on_its_own() -> None:
    audio = torch.stack([sine(f, 12_000) for f in (200.0, 300.0, 400.0, 500.0, 600.0)])[:, None]
    selected = torch.tensor([True, False, True, True, True])
    cents = torch.tensor([-700, 300, 0, 12, 700])
    effect = PitchShift(0.6, (-700, 700))
    shifted = effect.apply(audio, PitchDraws(selected, cents))
    assert torch.equal(shifted[[1, 2]], audio[[1, 2]]), "not selected, or by 0 cents"
    for row in (0, 3, 4):
        alone = shift_pitch(audio[row], cents[row : row + 1])
        torch.testing.assert_close(shifted[row], alone, rtol=1e-4, atol=1e-5)


def test_draws_are_integers_of_the_whole_range() -> None:
    draws = PitchShift(0.6, (-700, 700)).draw(50_000, torch.Generator().manual_seed(0))
    assert float(draws.selected.double().mean()) == pytest.approx(0.6, abs=0.01)
    assert (int(draws.cents.min()), int(draws.cents.max())) == (-700, 700)
    assert len(draws.cents.unique()) == 1401
    assert abs(float(draws.cents.double().mean())) < 8


def test_rounding_of_the_factor_is_below_a_cent() -> None:
    cents = torch.arange(-700, 701).double()
    exact = 2 ** (cents / 1200)
    rounded = (pitch.GRID * exact).round() / pitch.GRID
    assert (1200 * torch.log2(rounded / exact)).abs().max() < 0.65


def test_too_short() -> None:
    with pytest.raises(ManifestError, match="audio: expected more than 1792 samples, got 1792"):
        shift_pitch(torch.zeros(1, 1792), torch.tensor([100]))


MEMORY = """
import sys, torch
from pathlib import Path
from trainer.augment import pitch, vocoder
torch.set_num_threads(1)
pitch.CPU_PART = int(sys.argv[1]) or pitch.CPU_PART
batch = torch.rand(48, 1, 59049)
effect = pitch.PitchShift(1.0, (-700, 700))
def apply(n):
    effect.apply(batch[:n], effect.draw(n, torch.Generator().manual_seed(0)))
apply(1)
def status_bytes(name):  # of /proc, since ru_maxrss starts at the size of the parent process
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])
before = status_bytes("VmRSS")
apply(48)
print((status_bytes("VmHWM") - before) / (4 * batch.numel()))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
@pytest.mark.parametrize("part", [0, 48 // pitch.BATCH_PARTS])
def test_peak_memory(part: int) -> None:
    """All of a batch of 48 shifted, in the parts of a CPU (0) and of a GPU."""
    command = [sys.executable, "-c", MEMORY, str(part)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert 1 < float(said) < 20
