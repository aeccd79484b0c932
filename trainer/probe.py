"""A linear probe: how well tags can be read off a frozen encoder (CLMR's linear evaluation).

Features of each clip are the mean of its chunks' embeddings on clean audio; a logistic regression
per tag is fitted on the training clips and scored on the test clips (METHOD.md 2.5).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from manifests.errors import ManifestError
from manifests.keys import CLEAN
from manifests.shardset import ShardSet
from trainer.data import clip_refs, iter_clips
from trainer.metrics import macro_metrics
from trainer.models.backbone import Backbone

Floats = NDArray[np.float64]


@torch.inference_mode()
def clip_embeddings(
    encoder: Backbone,
    shard_set: ShardSet,
    tags: tuple[str, ...],
    *,
    device: torch.device,
    prepare: Callable[[torch.Tensor], torch.Tensor],
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return features (n_clips, D) and labels (n_clips, n_tags) of the clean members of a set."""
    encoder.eval()
    features, labels = [], []
    length = encoder.chunk_samples
    refs = clip_refs(shard_set, (CLEAN,), chunk_samples=length)
    for clip in iter_clips(refs, chunk_samples=length):
        embedding = encoder(prepare(clip.chunks[CLEAN].to(device)))
        features.append(embedding.mean(dim=0).cpu().numpy().astype(np.float64))
        labels.append([tag in clip.ref.tags for tag in tags])
    return np.stack(features), np.array(labels, dtype=np.bool_)


def probe_auc(
    train: tuple[Floats, NDArray[np.bool_]],
    test: tuple[Floats, NDArray[np.bool_]],
    tags: tuple[str, ...],
) -> float:
    """Return the macro ROC-AUC on ``test`` of logistic regressions fitted on ``train``.

    Tags without both classes in training score every test clip alike (0.5).

    Raises:
        ManifestError: no tag has both classes in the test set.
    """
    scores = np.full(test[1].shape, 0.5)
    for column in range(len(tags)):
        positives = train[1][:, column]
        if positives.any() and not positives.all():
            model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(train[0], positives)
            scores[:, column] = model.predict_proba(test[0])[:, 1]
    auc = macro_metrics(scores, test[1], tags).auc
    if auc is None:
        raise ManifestError("probe: expected a tag with both classes in the test set, got none")
    return auc
