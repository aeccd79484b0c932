"""Dynamic range compression as the sox program's ``compand`` does it, in float64.

Won et al. 2020 take two presets of muda (McFee et al. 2015), which calls sox. Here is the effect
itself, so that no program is needed: tests compare it with sox where that is installed.

1. A level v follows |x| like a leaky pump: v += c·(|x| - v), where c = 1 - exp(-1/(rate·T)), T the
   attack time while the signal is above the level and the decay time while it is below.
2. A curve of straight lines in dB maps v to the level wanted; their difference is the gain. Outside
   its points the gain stays that of the nearest one.
3. The signal is delayed against its gain, which therefore begins to fall before a loud passage. The
   last samples take the last gain.

What sox rounds off is left out: each corner of the curve within 0.01 dB, and its 32-bit samples.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from manifests.rows import SAMPLE_RATE
from manifests.signal import Signal, amplitude
from trainer.perturb.perturbation import Perturbed

_SILENCE: Final = 1e-10
"""Level of -200 dB, so that silence has a logarithm."""


@dataclass(frozen=True)
class Compander:
    """Parameters of ``compand``.

    Attributes:
        points_db: the curve, level in and level wanted, dB of full scale, rising.
        attack_s: time constant of a rising level.
        decay_s: time constant of a falling level.
        initial_db: level before the first sample.
        delay_s: how far the gain runs ahead of the signal.
    """

    points_db: tuple[tuple[float, float], ...]
    attack_s: float = 0.1
    decay_s: float = 0.3
    initial_db: float = 0.0
    delay_s: float = 0.1


PRESETS: Final = {
    "music-standard": Compander(
        ((-90, -90), (-70, -58), (-55, -43), (-31, -31), (-21, -21), (0, -20))
    ),
    "speech": Compander(((-90, -90), (-70, -55), (-50, -35), (-31, -31), (-21, -21), (0, -20))),
}
"""Those of muda's presets that Won et al. take (minzwon/sota-music-tagging-models @ffd45d0,
``training/robustness.py``: "0.1,0.3", the curve, gain 0, initial level 0, delay 0.1)."""


@dataclass(frozen=True)
class DynamicRange:
    """Compress the dynamic range of a clip, at the level that its source file has.

    The common gain of a set makes clean members up to some 10 dB quieter than their source; the
    curve is made for files, so the gain is taken back before it and put on again behind it.

    Attributes:
        preset: one of ``PRESETS``.
    """

    preset: str
    definition: ClassVar[str] = "sox compand at the level of the source file, clipped to full scale"

    @property
    def name(self) -> str:
        """``drc:speech``."""
        return f"drc:{self.preset}"

    def n_samples(self, n_samples: int) -> int:
        """Return ``n_samples``: the duration stays."""
        return n_samples

    def perturb(self, signal: Signal, *, key: str, gain_db: float) -> Perturbed:
        """Return the compressed clip; see ``Perturbation``."""
        source = np.clip(signal / amplitude(gain_db), -1.0, 1.0)
        return Perturbed(compand(source, PRESETS[self.preset]) * amplitude(gain_db))


def compand(signal: Signal, compander: Compander, sample_rate: int = SAMPLE_RATE) -> Signal:
    """Compress or expand a signal.

    Args:
        signal: (n_samples,), full scale = 1.
        compander: parameters.
        sample_rate: Hz.

    Returns:
        (n_samples,), clipped to full scale as sox does.
    """
    level = envelope(
        np.abs(signal),
        rise=_smoothing(compander.attack_s, sample_rate),
        fall=_smoothing(compander.decay_s, sample_rate),
        initial=amplitude(compander.initial_db),
    )
    delay = int(compander.delay_s * sample_rate)
    ahead = np.concatenate([level[delay:], np.full(min(delay, len(level)), level[-1:])])
    return np.clip(signal * gain_at(ahead, compander), -1.0, 1.0)


def gain_at(level: Signal, compander: Compander) -> Signal:
    """Return the gain (a factor) at each level (full scale = 1)."""
    level_db, wanted_db = np.array(compander.points_db, dtype=np.float64).T
    now_db = 20.0 * np.log10(np.maximum(level, _SILENCE))
    gain: Signal = 10.0 ** (np.interp(now_db, level_db, wanted_db - level_db) / 20.0)
    return gain


def envelope(rectified: Signal, *, rise: float, fall: float, initial: float) -> Signal:
    """Return the level after each sample, (n_samples,).

    Which of the two coefficients holds depends on the level before, so no linear filter does this,
    and no block can begin before the one ahead of it has ended. Python's own loop takes 0.1 s for a
    clip of 30 s, about as much as one clip through the network.
    """

    def follow(level: float, sample: float) -> float:
        return level + (sample - level) * (rise if sample > level else fall)

    levels = itertools.accumulate(rectified.tolist(), follow, initial=initial)
    return np.fromiter(itertools.islice(levels, 1, None), np.float64, len(rectified))


def _smoothing(time_s: float, sample_rate: int) -> float:
    """Return the coefficient of a time constant; one of a sample or less follows at once."""
    return 1.0 - math.exp(-1.0 / (sample_rate * time_s)) if time_s * sample_rate > 1 else 1.0
