"""Time stretch and pitch shift of whole clips, by phase vocoder.

Won et al. take librosa's with its default frames of 2,048 samples and hops of 512; these have the
same, and lock the phases within a peak besides, without which tones lose up to 7 dB. The RMS of the
clip is kept. Both also move nothing (speed 1, 0 semitones): that shows what the vocoder costs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final

import torch

from manifests.signal import Signal, power
from trainer.augment.pitch import shift_pitch
from trainer.augment.vocoder import play_at_speed
from trainer.perturb.perturbation import Perturbed

N_FFT: Final = 2048
"""Frames of 93 ms at 22,050 Hz: twice those of the augmentation, which hears crops of seconds."""

_VOCODER: Final = "phase vocoder, frames of 2,048 samples, peaks locked, RMS kept"


@dataclass(frozen=True)
class TimeStretch:
    """Play a clip faster or slower at equal pitch.

    Attributes:
        speed: 2 plays in half the time; Won et al. take 2^0.5 and 2^-0.5.
    """

    speed: float
    definition: ClassVar[str] = _VOCODER

    @property
    def name(self) -> str:
        """``time-stretch:1.414``."""
        return f"time-stretch:{self.speed:.12g}"

    def n_samples(self, n_samples: int) -> int:
        """Return ``n_samples`` over the speed, rounded."""
        return round(n_samples / self.speed)

    def perturb(self, signal: Signal, *, key: str, gain_db: float) -> Perturbed:
        """Return the clip at another speed; see ``Perturbation``."""
        n_out = self.n_samples(len(signal))
        speed = torch.tensor([self.speed], dtype=torch.float64)
        audio = torch.from_numpy(signal)[None]
        stretched = play_at_speed(audio, speed, n_out, n_fft=N_FFT)[0].numpy()
        return Perturbed(_at_level(stretched[N_FFT // 2 : N_FFT // 2 + n_out], signal))


@dataclass(frozen=True)
class PitchShift:
    """Move the pitch of a clip at equal duration.

    Attributes:
        semitones: upwards; Won et al. take 1 and -1.
    """

    semitones: float
    definition: ClassVar[str] = _VOCODER

    @property
    def name(self) -> str:
        """``pitch-shift:+1``."""
        return f"pitch-shift:{self.semitones + 0.0:+.12g}"

    def n_samples(self, n_samples: int) -> int:
        """Return ``n_samples``: the duration stays."""
        return n_samples

    def perturb(self, signal: Signal, *, key: str, gain_db: float) -> Perturbed:
        """Return the clip at another pitch; see ``Perturbation``."""
        cents = torch.tensor([100.0 * self.semitones], dtype=torch.float64)
        shifted = shift_pitch(torch.from_numpy(signal)[None], cents, n_fft=N_FFT)[0].numpy()
        return Perturbed(_at_level(shifted, signal))


def _at_level(signal: Signal, like: Signal) -> Signal:
    """Scale a signal to the RMS of another; silence stays silent."""
    now = power(signal)
    return signal * math.sqrt(power(like) / now) if now > 0 else signal
