"""What a run reads of an example: which members, cut how, with or without tags.

DESIGN's table "the half says which member training may use", as data. A part of a run carries one
``Reading``, and its references are restricted to the members that the reading may open.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from manifests.errors import UsageError
from manifests.keys import AUDIO, CLEAN, noisy_name

Relevel = Literal["clean", "rungs"]


class View(Enum):
    """One waveform that the model hears of an example.

    ``EITHER`` is clean or noisy by the toss of a coin; ``RECORDING`` is the only member of a set
    without noise (real recordings), which counts as noisy, at no known SNR.
    """

    CLEAN = "clean"
    NOISY = "noisy"
    EITHER = "either"
    RECORDING = "recording"


@dataclass(frozen=True)
class Reading:
    """What is read of each example of a part.

    Attributes:
        views: the waveforms of an example, in order; all noisy ones have one SNR.
        tags: whether the tags are read.
        same_crop: whether all views are cut at one place, or each at its own.
        relevel: what a noisy view at an SNR that is not stored is made of. ``rungs``: of the
            stored noisy members with the lowest and the highest SNR, so that the clean member is
            never opened. ``clean``: of the clean member and the lowest rung, which serves sets
            that store one rung only; the clean member is then an ingredient, not heard.
    """

    views: tuple[View, ...]
    tags: bool = False
    same_crop: bool = True
    relevel: Relevel = "clean"

    def members(self, snrs_db: tuple[float, ...]) -> tuple[str, ...]:
        """Return the members that may be opened in a set with these rungs.

        Raises:
            UsageError: a noisy view of a set without noise, or a recording of a set with noise.
        """
        recording = View.RECORDING in self.views
        if recording != (not snrs_db):
            raise UsageError(
                "views: expected recordings of sets without noise and clean or noisy views of "
                f"the others, got {[view.value for view in self.views]} with rungs {snrs_db} dB"
            )
        if recording:
            return (AUDIO,)
        noisy = View.NOISY in self.views or View.EITHER in self.views
        clean = View.CLEAN in self.views or View.EITHER in self.views
        names = [CLEAN] if clean or (noisy and self.relevel == "clean") else []
        return (*names, *(noisy_name(snr_db) for snr_db in snrs_db if noisy))


LABELLED_CLEAN: Final = Reading((View.CLEAN,), tags=True)
"""Source half of baseline, dat, adabn, supervised and noisy-student; target half of full-clean."""

LABELLED_NOISY: Final = Reading((View.NOISY,), tags=True, relevel="rungs")
"""Target half of supervised: it opens no clean member either."""

LABELLED_EITHER: Final = Reading((View.EITHER,), tags=True)
"""Source half of labelled-noise."""

LABELLED_PAIR: Final = Reading((View.CLEAN, View.NOISY), tags=True)
"""Source half of consistency: clean and noisy of the same crop."""

UNLABELLED_PAIR: Final = Reading((View.CLEAN, View.NOISY))
"""Target half of consistency with ``--pairs all`` and of noisy-student (clean for the teacher,
noisy for the student), and the cross-domain pairs of stage 1."""

UNLABELLED_NOISY: Final = Reading((View.NOISY,), relevel="rungs")
"""Target half of dat and adabn: tags never read, clean never opened."""

STUDENT_LABELLED: Final = Reading((View.NOISY,), tags=True)
"""Source half of noisy-student where labelled examples are heard as the student hears the others:
unlike ``LABELLED_NOISY``, the clean member may be an ingredient."""

STUDENT_NOISY: Final = Reading((View.NOISY,))
"""Target half of noisy-student where the teacher's predictions on clean are there already: the
clean member is an ingredient, not heard."""

UNLABELLED_CLEAN: Final = Reading((View.CLEAN,))
"""Source half of stage 2, which learns the domain alone; target half of noisy-student where the
student hears augmented clean audio."""

UNLABELLED_RECORDING: Final = Reading((View.RECORDING,))
"""Extra target or unlabelled examples from real recordings."""

CONTRASTIVE_CLEAN: Final = Reading((View.CLEAN, View.CLEAN), same_crop=False)
"""Source songs of stage 1: two crops of one excerpt."""

CONTRASTIVE_NOISY: Final = Reading((View.NOISY, View.NOISY), same_crop=False, relevel="rungs")
"""Target songs of stage 1: two crops of one excerpt at one SNR."""
