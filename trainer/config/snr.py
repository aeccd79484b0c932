"""The SNRs of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SnrConfig:
    """The SNRs that noisy crops are heard at.

    Attributes:
        low_db: lowest SNR, dB.
        high_db: highest SNR, dB.
        draw: ``integer`` draws whole dB, ``stored`` the rungs of the set.
        over: ``clip``: as stored; ``crop``: the crop itself has the SNR.
        relevel: what noisy crops of the target half at an SNR that is not stored are mixed from:
            ``rungs``, so that their clean member is never opened; ``clean`` makes it an ingredient
            (never heard); ``auto`` is ``clean`` for sets that store one rung only, else ``rungs``.
        e2h_db_per_epoch: step of the tagger's easy-to-hard schedule, dB an epoch; 0 turns it off.
        e2h_domain_db_per_epoch: that of the domain classifier, which begins at the other end;
            without it ten times the tagger's (thesis: 1/3 and 1/30).
        e2h_mode: ``expand`` widens the range, ``slide`` moves it.
    """

    low_db: float = -10.0
    high_db: float = 10.0
    draw: Literal["integer", "stored"] = "integer"
    over: Literal["clip", "crop"] = "clip"
    relevel: Literal["auto", "rungs", "clean"] = "auto"
    e2h_db_per_epoch: float = 0.0
    e2h_domain_db_per_epoch: float | None = None
    e2h_mode: Literal["expand", "slide"] = "expand"
