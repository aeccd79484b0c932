"""Reverberation with SoX's ``reverb``, as a convolution with impulse responses made in advance.

SoX's effect is Freeverb (Jezar at Dreampoint, public domain): eight parallel combs with a one-pole
low-pass in each feedback path, then four allpasses in series. CLMR applies it through WavAugment
as ``reverb reverberance damping room`` with ``channels 1``: a mono input becomes stereo (the right
channel's delays differ by 12 samples at 44.1 kHz), and the two are averaged. Wet gain 0 dB, dry
signal kept, no pre-delay.

The network is linear, so an impulse response holds all of it. Running its recursions sample by
sample has no place in a training step; a bank of responses for random settings is made once, from
a seed, and each example draws one of them. SoX clips its output at full scale; this does not.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.fft
import torch
from numpy.typing import NDArray

from manifests.errors import UsageError
from manifests.rows import SAMPLE_RATE
from trainer.augment.selection import draw_selected, transform_selected

COMB_DELAYS: Final = (1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617)
ALLPASS_DELAYS: Final = (225, 341, 441, 556)
"""Delays of the left channel, samples at 44.1 kHz (Freeverb ``tuning.h``)."""

STEREO_SPREAD: Final = 12
"""The right channel's delays differ by this, with alternating sign, samples at 44.1 kHz (SoX)."""

WET_GAIN: Final = 0.015
"""Amplitude of the reverberation at 0 dB wet gain (Freeverb's ``fixedgain``)."""

ALLPASS_FEEDBACK: Final = 0.5

ALIAS_DAMPING: Final = 1e-8
"""How far an impulse response is damped over one transform; see ``wet_response``."""


@dataclass(frozen=True)
class ReverbSetting:
    """SoX's parameters, each 0 to 100 (%).

    Attributes:
        reverberance: sets the feedback: how long the sound rings.
        damping: sets how fast high frequencies die away.
        room: scales the combs' delays: size of the room.
    """

    reverberance: float
    damping: float
    room: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= 100:
                raise UsageError(f"reverb {name}: expected 0 to 100 %, got {value}; see sox(1)")

    @property
    def feedback(self) -> float:
        """Feedback of the combs: 0.3 at reverberance 0, 0.98 at 100, exponential between."""
        return float(1 - 0.7 * (0.02 / 0.7) ** (self.reverberance / 100))

    @property
    def pole(self) -> float:
        """Pole of the low-pass in the combs: 0.2 at damping 0, 0.5 at 100."""
        return 0.2 + 0.3 * self.damping / 100


def wet_response(
    setting: ReverbSetting, n_samples: int, sample_rate: int = SAMPLE_RATE
) -> NDArray[np.float64]:
    """Impulse response of the reverberation without the dry sound.

    Evaluated from the transfer function. With z^-1 the delay by a sample, g the feedback, d the
    pole of the low-pass (1-d)/(1-d·z^-1), and D a delay:

        comb     z^-D / (1 - g·(1-d)/(1-d·z^-1)·z^-D)
        allpass  (1.5·z^-D - 1) / (1 - 0.5·z^-D)

    Sampled on the unit circle, a response longer than the transform would fold onto its own start.
    On a circle of radius e^σ the transform sees h[n]·e^(-σn) instead: what folds is smaller by
    ``ALIAS_DAMPING``, and multiplying by e^(σn) afterwards gives h; float64 has digits to spare.

    Args:
        setting: SoX's parameters.
        n_samples: length wanted; what rings on after it is cut off.
        sample_rate: Hz.

    Returns:
        (n_samples,).
    """
    n_fft = int(scipy.fft.next_fast_len(n_samples, real=True))
    log_z = _log_z(n_fft)
    lowpass = (1 - setting.pole) / (1 - setting.pole * np.exp(-log_z))
    wet = np.zeros(len(log_z), dtype=np.complex128)
    for spread in (0, STEREO_SPREAD):
        channel = np.zeros_like(wet)
        for delay in comb_delays(setting, spread, sample_rate):
            late = np.exp(-delay * log_z)
            channel += late / (1 - setting.feedback * lowpass * late)
        wet += channel * _allpasses(n_fft, spread, sample_rate) * (WET_GAIN / 2)  # mean of two
    damped: NDArray[np.float64] = scipy.fft.irfft(wet, n=n_fft)[:n_samples]
    damped *= np.exp(log_z[0].real * np.arange(n_samples))
    return damped


def _log_z(n_fft: int) -> NDArray[np.complex128]:
    """Return σ + jω at the frequencies of a transform; σ damps by ``ALIAS_DAMPING`` over it."""
    log_z = np.empty(n_fft // 2 + 1, dtype=np.complex128)
    log_z.real = -math.log(ALIAS_DAMPING) / n_fft
    log_z.imag = 2 * math.pi / n_fft * np.arange(n_fft // 2 + 1)
    return log_z


@functools.lru_cache(maxsize=4)
def _allpasses(n_fft: int, spread: int, sample_rate: int) -> NDArray[np.complex128]:
    """Transfer function of one channel's allpasses, the same for all settings."""
    log_z = _log_z(n_fft)
    response = np.ones_like(log_z)
    for delay in _spread_delays(ALLPASS_DELAYS, spread, sample_rate / 44_100):
        late = np.exp(-delay * log_z)
        response *= ((1 + ALLPASS_FEEDBACK) * late - 1) / (1 - ALLPASS_FEEDBACK * late)
    return response


def comb_delays(setting: ReverbSetting, spread: int, sample_rate: int) -> list[int]:
    """Delays of the combs of one channel, samples; the room scales them from 0.1 to 1.

    Args:
        setting: SoX's parameters.
        spread: 0 for the left channel, ``STEREO_SPREAD`` for the right.
        sample_rate: Hz.
    """
    scale = 0.1 + 0.9 * setting.room / 100
    return _spread_delays(COMB_DELAYS, spread, scale * sample_rate / 44_100)


def _spread_delays(delays: tuple[int, ...], spread: int, scale: float) -> list[int]:
    """Scale delays of 44.1 kHz, each second one spread the other way."""
    return [int(scale * (delay + spread * (-1) ** i) + 0.5) for i, delay in enumerate(delays)]


@functools.lru_cache(maxsize=2)
def response_bank(
    n_responses: int, seed: int, n_samples: int, sample_rate: int, device: torch.device
) -> torch.Tensor:
    """Transfer functions, dry sound included, for random settings; made once per process.

    Args:
        n_responses: how many settings; each parameter is uniform over the integers 0 to 99.
        seed: of the settings.
        n_samples: length of the audio.
        sample_rate: Hz.
        device: where they will be used.

    Returns:
        (n_responses, n_fft/2 + 1), complex64; n_fft leaves room for a linear convolution.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(100, (n_responses, 3), generator=generator).tolist()
    n_fft = convolution_length(n_samples)
    spectra = []
    for reverberance, damping, room in drawn:
        response = wet_response(ReverbSetting(reverberance, damping, room), n_samples, sample_rate)
        response[0] += 1.0
        spectra.append(torch.from_numpy(scipy.fft.rfft(response.astype(np.float32), n=n_fft)))
    return torch.stack(spectra).to(device)


def convolution_length(n_samples: int) -> int:
    """Transform length for the linear convolution of two signals of ``n_samples``."""
    return int(scipy.fft.next_fast_len(2 * n_samples - 1, real=True))


@dataclass(frozen=True)
class ReverbDraws:
    """Decisions of ``Reverb``: ``selected`` (B,), bool; ``response`` (B,), index into the bank."""

    selected: torch.Tensor
    response: torch.Tensor


@dataclass(frozen=True)
class Reverb:
    """Let the waveform sound in a room drawn from a bank.

    Attributes:
        probability: of each example.
        n_responses: size of the bank; 0.5 MB each at 59,049 samples.
        seed: of the bank's settings.
        sample_rate: of the audio, Hz.
    """

    probability: float
    n_responses: int = 128
    seed: int = 0
    sample_rate: int = SAMPLE_RATE

    def draw(self, n_examples: int, generator: torch.Generator) -> ReverbDraws:
        """Draw for a batch."""
        selected = draw_selected(self.probability, n_examples, generator)
        response = torch.randint(self.n_responses, (n_examples,), generator=generator)
        return ReverbDraws(selected, response)

    def apply(self, audio: torch.Tensor, draws: ReverbDraws) -> torch.Tensor:
        """Apply to audio (B, 1, T); same shape, so the tail is cut off."""

        def convolve(chosen: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
            n_samples = chosen.shape[1]
            bank = response_bank(
                self.n_responses, self.seed, n_samples, self.sample_rate, chosen.device
            )
            n_fft = convolution_length(n_samples)
            spectrum = torch.fft.rfft(chosen, n=n_fft)
            spectrum *= bank[draws.response[indices].to(chosen.device)]
            wet: torch.Tensor = torch.fft.irfft(spectrum, n=n_fft)
            return wet[:, :n_samples]

        return transform_selected(audio, draws.selected, convolve)
