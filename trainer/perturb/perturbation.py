"""What a perturbation is: a change to a whole clip under which its tags stay what they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from manifests.signal import Signal


@dataclass(frozen=True)
class Perturbed:
    """A perturbed clip.

    Attributes:
        signal: (n_samples,), full scale = 1.
        added: the part of it that is noise, (n_samples,); None where nothing was added.
    """

    signal: Signal
    added: Signal | None = None


class Perturbation(Protocol):
    """A change to a whole clip that depends on the clip and its key alone."""

    @property
    def name(self) -> str:
        """As ``--perturb`` takes it, e.g. ``white-noise:0.1``; the member's name in scores."""
        ...

    @property
    def definition(self) -> str:
        """How it is done; figures of different definitions are never compared."""
        ...

    def n_samples(self, n_samples: int) -> int:
        """Return the length of a clip of ``n_samples`` once perturbed."""
        ...

    def perturb(self, signal: Signal, *, key: str, gain_db: float) -> Perturbed:
        """Perturb a clip.

        Args:
            signal: (n_samples,), float64, full scale = 1, not silent.
            key: key of the example; decides what is random.
            gain_db: gain that the signal has over its source file, for what depends on level.

        Raises:
            ManifestError: the clip is too short.
        """
        ...
