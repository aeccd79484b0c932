"""White noise: y = (1 - r) x + r n, the noise's largest sample as large as the clip's.

Won et al. 2020, after muda (McFee et al. 2015). r is no SNR: it refers to peaks, and music whose
peaks stand far above its RMS is drowned by far more noise than dense music. The SNR that comes out
is therefore measured beside (``trainer.perturb.apply``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import ndtri

from manifests.canonical import hash64
from manifests.signal import Signal, peak
from trainer.perturb.perturbation import Perturbed


@dataclass(frozen=True)
class WhiteNoise:
    """Mix white noise into a clip.

    Attributes:
        share: r, above 0 and below 1; Won et al. take 0.1 and 0.4.
    """

    share: float
    definition: ClassVar[str] = (
        "(1-r)·x + r·n, Gaussian n scaled to a peak of max(x), one n for all r"
    )

    @property
    def name(self) -> str:
        """``white-noise:0.1``."""
        return f"white-noise:{self.share:.12g}"

    def n_samples(self, n_samples: int) -> int:
        """Return ``n_samples``: the duration stays."""
        return n_samples

    def perturb(self, signal: Signal, *, key: str, gain_db: float) -> Perturbed:
        """Return the clip with noise that its key decides; see ``Perturbation``."""
        noise = white_noise(len(signal), key)
        added = noise * (self.share * float(signal.max()) / peak(noise))
        return Perturbed((1.0 - self.share) * signal + added, added)


def white_noise(n_samples: int, key: str) -> Signal:
    """Return Gaussian noise of variance 1 that depends on a key alone, (n_samples,).

    The generator's raw bits are stable between numpy versions, its distributions are not: 53 of
    them make a number in (0, 1), and the inverse of the normal distribution makes that Gaussian.
    """
    bits = np.random.PCG64(hash64("white-noise", key)).random_raw(n_samples)
    noise: Signal = ndtri(((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53)
    return noise
