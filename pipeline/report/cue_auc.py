"""How well each cue alone tells clean from noisy: cross-validated AUC of a small classifier.

Logistic regression on the cue and its square (so that a cue may be telling at both ends), folds by
song, so that no song is trained and tested on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from threadpoolctl import threadpool_limits

from manifests.keys import format_snr
from pipeline.report.cues import CUES, ChunkCues
from pipeline.report.spread import Spread, spread

FOLDS: Final = 5
FEWEST_SONGS: Final = 4
"""With fewer, a fold is trained on one or two songs and says nothing about others."""
ALL_CUES: Final = "all cues"
ALL_SNRS: Final = "all"


@dataclass(frozen=True)
class CueScore:
    """AUC of one cue, mean over folds, and the standard error of that mean."""

    auc: float
    error: float


@dataclass(frozen=True)
class CueTable:
    """Scores by cue, then by SNR as text; ``all cues`` and ``all`` SNRs come last."""

    scores: Mapping[str, Mapping[str, CueScore]]

    def strongest(self) -> tuple[str, str, float]:
        """Return cue, SNR and AUC of the single cue that tells most."""
        cells = [
            (cue, snr, score.auc)
            for cue, by_snr in self.scores.items()
            if cue != ALL_CUES
            for snr, score in by_snr.items()
            if snr != ALL_SNRS
        ]
        return max(cells, key=lambda cell: cell[2])

    def best(self, cue: str) -> float:
        """Return the highest AUC of a cue over the SNRs."""
        return max(score.auc for snr, score in self.scores[cue].items() if snr != ALL_SNRS)


@dataclass(frozen=True)
class CueReport:
    """What the cues tell of the domains.

    Attributes:
        reason: why there is nothing to tell; empty where there is.
        n_examples: examples measured.
        n_songs: their songs, the groups of the cross-validation.
        n_chunks: chunks of each member.
        folds: folds of the cross-validation.
        stored: members as stored; None where ``reason`` says why.
        heard: the same, scaled to -20 dBFS RMS.
        spreads: spread of each cue by ``stored`` or ``heard``, cue, and member (``clean`` or SNR).
    """

    reason: str
    n_examples: int = 0
    n_songs: int = 0
    n_chunks: int = 0
    folds: int = 0
    stored: CueTable | None = None
    heard: CueTable | None = None
    spreads: Mapping[str, Mapping[str, Mapping[str, Spread]]] | None = None


def cue_report(cues: Sequence[ChunkCues], n_examples: int) -> CueReport:
    """Score every cue on measured chunks of clean and noisy members."""
    songs = {chunk.song for chunk in cues}
    n_chunks = sum(chunk.target_db is None for chunk in cues)
    spreads = {"stored": _spreads(cues, "stored"), "heard": _spreads(cues, "heard")}
    if len(songs) < FEWEST_SONGS:
        reason = (
            f"the sample holds {len(songs)} song{'s' if len(songs) > 1 else ''}, and "
            f"cross-validation by song needs at least {FEWEST_SONGS}"
        )
        return CueReport(reason, n_examples, len(songs), n_chunks, spreads=spreads)
    with threadpool_limits(limits=1):  # some hundred tiny fits: threads would only wait
        stored, heard = _table(cues, "stored"), _table(cues, "heard")
    return CueReport(
        reason="",
        n_examples=n_examples,
        n_songs=len(songs),
        n_chunks=n_chunks,
        folds=min(FOLDS, len(songs)),
        stored=stored,
        heard=heard,
        spreads=spreads,
    )


def _snrs(cues: Sequence[ChunkCues]) -> list[float]:
    return sorted({c.target_db for c in cues if c.target_db is not None}, reverse=True)


def _spreads(cues: Sequence[ChunkCues], version: str) -> dict[str, dict[str, Spread]]:
    members: list[float | None] = [None, *_snrs(cues)]
    return {
        cue: {
            "clean" if member is None else format_snr(member): spread(
                [getattr(c, version)[column] for c in cues if c.target_db == member]
            )
            for member in members
        }
        for column, cue in enumerate(CUES)
    }


def _table(cues: Sequence[ChunkCues], version: str) -> CueTable:
    snrs = _snrs(cues)
    features = np.array([getattr(c, version) for c in cues], dtype=np.float64)
    targets = np.array([np.nan if c.target_db is None else c.target_db for c in cues])
    groups = np.array([c.song for c in cues])
    columns = {**{cue: [i] for i, cue in enumerate(CUES)}, ALL_CUES: list(range(len(CUES)))}
    chosen = {format_snr(snr): np.isnan(targets) | (targets == snr) for snr in snrs}
    if len(snrs) > 1:
        chosen[ALL_SNRS] = np.ones(len(cues), dtype=bool)
    return CueTable(
        {
            cue: {
                snr: cross_validated_auc(
                    features[rows][:, places], ~np.isnan(targets[rows]), groups[rows]
                )
                for snr, rows in chosen.items()
            }
            for cue, places in columns.items()
        }
    )


def cross_validated_auc(
    features: NDArray[np.float64], noisy: NDArray[np.bool_], groups: NDArray[Any]
) -> CueScore:
    """Return the AUC of noisy against clean on held-out songs.

    Args:
        features: ``(n, n_cues)``.
        noisy: ``(n,)``, the label.
        groups: ``(n,)``, the song; every song has chunks of both labels.
    """
    if np.ptp(features, axis=0).max() == 0.0:
        return CueScore(0.5, 0.0)
    folds = GroupKFold(min(FOLDS, np.unique(groups).size))
    areas = []
    for train, test in folds.split(features, noisy, groups):
        model = make_pipeline(
            StandardScaler(),
            PolynomialFeatures(degree=2, include_bias=False),
            LogisticRegression(class_weight="balanced", max_iter=2000),
        )
        model.fit(features[train], noisy[train])
        areas.append(roc_auc_score(noisy[test], model.decision_function(features[test])))
    error = float(np.std(areas, ddof=1)) / len(areas) ** 0.5
    return CueScore(round(float(np.mean(areas)), 4), round(error, 4))
