"""The SNR range of every step, constant or from easy to hard by epochs, and what it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from trainer.config import SnrConfig
from trainer.data.reading import Reading
from trainer.data.snr import ConstantSnr, SnrAt, SnrRange
from trainer.schedule import Easy, snr_range

E2H_RATIO: Final = 10.0
"""How much faster the domain classifier's range grows: 1/3 against 1/30 dB an epoch (thesis)."""


@dataclass(frozen=True)
class EasyToHard:
    """The range of a step; travels to the loader's workers, so it is a dataclass."""

    config: SnrConfig
    steps_per_epoch: int
    easy: Easy
    db_per_epoch: float

    def __call__(self, step: int) -> SnrRange:
        """Return the range of the step's epoch."""
        low_db, high_db = snr_range(
            step // self.steps_per_epoch,
            easy=self.easy,
            step_db_per_epoch=self.db_per_epoch,
            low=self.config.low_db,
            high=self.config.high_db,
            mode=self.config.e2h_mode,
        )
        return SnrRange(low_db, high_db)


def easy_to_hard(config: SnrConfig, steps_per_epoch: int, *, easy: Easy) -> SnrAt:
    """Return the SNR range by step: the whole range where the schedule is off.

    Args:
        config: range and step in dB an epoch.
        steps_per_epoch: steps of one pass over the source half.
        easy: the end where the schedule starts: ``low`` for the domain classifier, ``high`` for
            tagging (METHOD.md section 6, row 12).
    """
    db_per_epoch = config.e2h_db_per_epoch
    if easy == "low":
        own = config.e2h_domain_db_per_epoch
        db_per_epoch = E2H_RATIO * db_per_epoch if own is None else own
    if db_per_epoch <= 0:
        return constant(config)
    return EasyToHard(config, steps_per_epoch, easy, db_per_epoch)


def constant(config: SnrConfig) -> SnrAt:
    """Return the whole range at every step."""
    return ConstantSnr(whole_range(config))


def whole_range(config: SnrConfig) -> SnrRange:
    """Return the range of a stage without a schedule."""
    return SnrRange(config.low_db, config.high_db)


def bounds_db(snr: SnrRange) -> dict[str, float]:
    """Return the figures of the log for a range."""
    return {"snr_low_db": snr.low_db, "snr_high_db": snr.high_db}


def heard_as(reading: Reading, config: SnrConfig, snrs_db: Sequence[float]) -> Reading:
    """Return a reading of the target half, mixed from what the config allows.

    Args:
        reading: one whose noisy views are mixed from rungs.
        config: the run's SNRs.
        snrs_db: rungs of the set. One alone spans no mixes, so there the clean member becomes an
            ingredient unless ``--snr-relevel rungs`` forbids it.
    """
    if config.relevel != "auto":
        return replace(reading, relevel=config.relevel)
    return replace(reading, relevel="clean" if len(snrs_db) == 1 else "rungs")
