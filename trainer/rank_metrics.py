"""ROC-AUC and average precision of one ranking under many weightings at once.

A bootstrap draw only changes how often each clip counts, not the order of the scores. So each tag
is sorted once, and every draw is a sparse matrix product. Let v_1 > v_2 > ... > v_m be the distinct
scores of the positives, and for one weighting

    P_j  weight of the positives at v_j,         N_j  weight of the negatives above v_j,
    E_j  weight of the negatives at v_j (ties),  P, N the totals.

Then, with a tie counted half and all ties taken at one threshold, as scikit-learn does,

    AUC = sum_j P_j (N - N_j - E_j / 2) / (P N)
    AP  = sum_j (P_j / P) (P_1 + ... + P_j) / (P_1 + ... + P_j + N_j + E_j).

Negatives matter only by the gap between two v's that they lie in, so one matrix with a row per
threshold, tie and gap and a column per cluster (artist) holds the ranking: its product with the
clusters' counts gives all P_j, E_j and gaps of all draws. Counts are integers, hence exact in
float64 in whatever order they are summed: the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from trainer.metrics import Labels, Scores

Floats: TypeAlias = NDArray[np.float64]

BLOCK_VALUES: Final = 4_000_000
"""Values per block of draws (32 MB in float64): bounds memory for sets of any size."""


@dataclass(frozen=True)
class TagRanking:
    """The order of one tag's scores.

    Attributes:
        n_thresholds: m, distinct scores of positives; 0 where there is no positive.
        incidence: clips by row (m positives, m ties, m + 1 gaps) and cluster, sparse,
            (3 m + 1, n_clusters).
    """

    n_thresholds: int
    incidence: Any

    def auc_ap(self, counts: Floats) -> tuple[Floats, Floats]:
        """Return the AUC and the AP of every weighting.

        Args:
            counts: weight of each cluster in each weighting, (n_clusters, n_weightings), not
                negative.

        Returns:
            Two arrays (n_weightings,); NaN where positives or negatives have no weight.
        """
        n_draws = counts.shape[1]
        block = max(1, BLOCK_VALUES // (3 * self.n_thresholds + 1))
        parts = [
            self._block(np.ascontiguousarray(counts[:, start : start + block]))
            for start in range(0, n_draws, block)
        ]
        aucs, aps = zip(*parts, strict=True)
        return np.concatenate(aucs), np.concatenate(aps)

    def _block(self, counts: Floats) -> tuple[Floats, Floats]:
        m = self.n_thresholds
        weights = self.incidence @ counts  # (3 m + 1, n_weightings)
        positives, ties, gaps = weights[:m], weights[m : 2 * m], weights[2 * m :]
        n_positive = positives.sum(axis=0)
        n_negative = ties.sum(axis=0) + gaps.sum(axis=0)
        # Above v_j: the gaps 0 .. j (a gap lies above the threshold of its number), the ties < j.
        above = np.cumsum(gaps[:m], axis=0) + np.cumsum(ties, axis=0) - ties
        found = np.cumsum(positives, axis=0)
        won = (positives * (n_negative - above - ties / 2)).sum(axis=0)
        retrieved = found + above + ties
        precision = np.divide(found, retrieved, out=np.zeros_like(found), where=retrieved > 0)
        precisions = (positives * precision).sum(axis=0)
        scored = (n_positive > 0) & (n_negative > 0)
        auc, ap = np.full(counts.shape[1], np.nan), np.full(counts.shape[1], np.nan)
        np.divide(won, n_positive * n_negative, out=auc, where=scored)
        np.divide(precisions, n_positive, out=ap, where=scored)
        return auc, ap


def rank_tag(
    scores: Scores, positive: Labels, clusters: NDArray[np.intp], n_clusters: int
) -> TagRanking:
    """Sort one tag's scores.

    Args:
        scores: (n_clips,).
        positive: whether the clip carries the tag, (n_clips,).
        clusters: cluster of each clip, 0 to ``n_clusters`` - 1; ``arange(n_clips)`` gives every
            clip its own weight.
        n_clusters: number of clusters.
    """
    thresholds = np.unique(scores[positive])  # ascending
    m = len(thresholds)
    below = np.searchsorted(thresholds, scores, side="left")  # thresholds < score
    above = m - np.searchsorted(thresholds, scores, side="right")  # thresholds > score
    tied = below + above < m
    rows = np.where(positive, above, np.where(tied, m + above, 2 * m + above))
    incidence = sparse.csr_array(
        (np.ones(len(scores)), (rows, clusters)), shape=(3 * m + 1, n_clusters)
    )
    return TagRanking(m, incidence)
