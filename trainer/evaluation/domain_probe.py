"""How well a *fresh* classifier tells clean from noisy embeddings: what the adversary left behind.

The accuracy of the domain classifier that training fought says nothing: an encoder that fools one
fixed classifier may have moved the cue elsewhere (METHOD.md section 4, pitfalls 3 and 9). So a new
one is trained on frozen embeddings and scored on artists that it has not seen; Elazar & Goldberg
2018 (arXiv:1808.06640) found attributes recoverable in this way after adversarial removal.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from manifests.errors import ManifestError
from trainer.evaluation.clip_scores import Embeddings

Probe: TypeAlias = Literal["linear", "mlp"]

FOLDS: Final = 5


def domain_probe_auc(
    clean: Embeddings,
    noisy: Embeddings,
    clusters: Sequence[str],
    *,
    probe: Probe = "linear",
    folds: int = FOLDS,
    seed: int = 0,
) -> float | None:
    """Return the cross-validated AUC of a fresh domain classifier; 0.5 = no cue left.

    Both versions of a clip, and all clips of an artist, fall into one fold, so that the probe
    cannot learn which music came with noise. The mean of the folds' AUCs: outputs of different
    folds are not on one scale.

    Args:
        clean: embeddings of clean clips, (n_clips, D).
        noisy: embeddings of their noisy twins, (n_clips, D).
        clusters: artist (cluster) of each clip.
        probe: ``linear`` is a logistic regression; ``mlp`` has one hidden layer of 100, the size
            of DAT's own domain classifier, and finds cues that no line separates.
        folds: number of folds, fewer where there are fewer clusters.
        seed: seed of the MLP's weights.

    Returns:
        The AUC, or None with fewer than two clusters: nothing to validate on.

    Raises:
        ManifestError: arrays of other shapes.
    """
    if clean.ndim != 2 or clean.shape != noisy.shape or len(clusters) != len(clean):
        raise ManifestError(
            f"domain probe: expected clean and noisy embeddings of {len(clusters)} clips, got "
            f"{clean.shape} and {noisy.shape}; score both members of every clip"
        )
    n_folds = min(folds, len(set(clusters)))
    if n_folds < 2:
        return None
    features = np.concatenate([clean, noisy]).astype(np.float64)
    is_noisy = np.repeat([False, True], len(clean))
    groups = np.concatenate([np.asarray(clusters)] * 2)
    aucs = [
        _fold_auc(features, is_noisy, train, test, probe, seed)
        for train, test in GroupKFold(n_folds).split(features, is_noisy, groups)
    ]
    return float(np.mean(aucs))


def _fold_auc(
    features: NDArray[np.float64],
    is_noisy: NDArray[np.bool_],
    train: NDArray[np.intp],
    test: NDArray[np.intp],
    probe: Probe,
    seed: int,
) -> float:
    classifier = make_pipeline(StandardScaler(), _classifier(probe, seed))
    # One thread: the sums are then the same on machines with other numbers of cores.
    with warnings.catch_warnings(), threadpool_limits(1):
        # A probe that stops at its iteration limit is still a probe; its AUC is what counts.
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(features[train], is_noisy[train])
    probability = classifier.predict_proba(features[test])[:, 1]
    return float(roc_auc_score(is_noisy[test], probability))


def _classifier(probe: Probe, seed: int) -> Any:
    if probe == "mlp":
        return MLPClassifier((100,), max_iter=100, early_stopping=True, random_state=seed)
    return LogisticRegression(C=0.1, max_iter=200)
