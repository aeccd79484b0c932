"""The figures of the tables: macro ROC-AUC and average precision, and balanced domain accuracy.

As CLMR's ``clmr/evaluation.py`` and minzwon/sota-music-tagging-models ``evaluation.py`` score:
scikit-learn's ``roc_auc_score`` and ``average_precision_score`` of every tag over all clips, then
the plain mean over tags. A tag without a positive (or without a negative) clip has no AUC; it is
left out of the mean and counted. Never averaged over batches: a mean of per-batch AUCs is another
figure (METHOD.md 2.5, version 1 of CLMR).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

from manifests.errors import ManifestError

Scores: TypeAlias = NDArray[np.floating[Any]]
Labels: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class TagMetrics:
    """Scores of one tag.

    Attributes:
        tag: name of the tag.
        n_positive: clips that carry it.
        auc: ROC-AUC; None where all clips carry the tag or none does.
        ap: average precision; None likewise.
    """

    tag: str
    n_positive: int
    auc: float | None
    ap: float | None


@dataclass(frozen=True)
class MacroMetrics:
    """Means over tags, and the table behind them.

    Attributes:
        auc: mean ROC-AUC; None where no tag has both positives and negatives.
        ap: mean average precision; None likewise.
        n_tags: tags in the means.
        n_left_out: tags without a positive or without a negative clip.
        tags: one entry per tag, in the order of the vocabulary, those left out included.
    """

    auc: float | None
    ap: float | None
    n_tags: int
    n_left_out: int
    tags: tuple[TagMetrics, ...]


def macro_metrics(scores: Scores, labels: Labels, tags: Sequence[str]) -> MacroMetrics:
    """Score tag probabilities.

    Args:
        scores: (n_clips, n_tags), any monotone function of the probability.
        labels: (n_clips, n_tags), whether the clip carries the tag.
        tags: names of the columns.

    Raises:
        ManifestError: other shapes, no clip, or a score that is not finite.
    """
    check_scores(scores, labels, tags)
    table = tuple(_tag_metrics(scores[:, i], labels[:, i], tag) for i, tag in enumerate(tags))
    aucs = [row.auc for row in table if row.auc is not None]
    aps = [row.ap for row in table if row.ap is not None]
    return MacroMetrics(
        auc=float(np.mean(aucs)) if aucs else None,
        ap=float(np.mean(aps)) if aps else None,
        n_tags=len(aucs),
        n_left_out=len(table) - len(aucs),
        tags=table,
    )


def _tag_metrics(scores: Scores, positive: Labels, tag: str) -> TagMetrics:
    n_positive = int(positive.sum())
    if n_positive in (0, len(positive)):
        return TagMetrics(tag, n_positive, None, None)
    auc = float(roc_auc_score(positive, scores))
    return TagMetrics(tag, n_positive, auc, float(average_precision_score(positive, scores)))


def check_scores(scores: Scores, labels: Labels, tags: Sequence[str]) -> None:
    """Check shapes and values of scores and labels.

    Raises:
        ManifestError: as ``macro_metrics``.
    """
    if scores.ndim != 2 or scores.shape != labels.shape or scores.shape[1] != len(tags):
        raise ManifestError(
            f"scores: expected (n_clips, {len(tags)}) scores and labels, got {scores.shape} "
            f"and {labels.shape}; score every clip on every tag of the set"
        )
    if not len(scores):
        raise ManifestError("scores: expected at least one clip, got none; check the set")
    broken = ~np.isfinite(scores).all(axis=1)
    if broken.any():
        raise ManifestError(
            f"scores: expected finite numbers, got others in {broken.sum()} of {len(scores)} "
            f"clips, the first is row {int(np.argmax(broken))}; check the checkpoint"
        )


def balanced_domain_accuracy(noisy_probability: Scores, is_noisy: Labels) -> float:
    """Return the mean of the accuracies on clean and on noisy examples; chance is 0.5.

    Plain accuracy rewards a classifier that always says the more frequent domain.

    Args:
        noisy_probability: the domain classifier's probability of "noisy", (n,); 0.5 is "noisy".
        is_noisy: the truth, (n,).

    Raises:
        ManifestError: other shapes, values that are no probabilities, or one domain only.
    """
    if noisy_probability.ndim != 1 or noisy_probability.shape != is_noisy.shape:
        raise ManifestError(
            "domain accuracy: expected two arrays (n,), got "
            f"{noisy_probability.shape} and {is_noisy.shape}; give one value per example"
        )
    if not ((noisy_probability >= 0) & (noisy_probability <= 1)).all():
        raise ManifestError(
            "domain accuracy: expected probabilities in [0, 1], got others; apply the sigmoid"
        )
    n_noisy = int(is_noisy.sum())
    if n_noisy in (0, len(is_noisy)):
        raise ManifestError(
            f"domain accuracy: expected clean and noisy examples, got {n_noisy} noisy of "
            f"{len(is_noisy)}; give both domains"
        )
    return float(balanced_accuracy_score(is_noisy, noisy_probability >= 0.5))
