"""The validation of stage 3 and of the comparisons: macro AUC on clean and at every stored SNR."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import nn

from manifests.errors import ManifestError
from manifests.keys import CLEAN
from manifests.shardset import ShardSet
from trainer.data import clip_refs, iter_clips
from trainer.evaluation.clip_scores import Clip, score_clips
from trainer.evaluation.model import TorchPredict
from trainer.evaluation.set_clips import members_snr_db
from trainer.metrics import macro_metrics


class TagValidation:
    """Scores a tagger on the validation set.

    Args:
        shard_set: the validation set.
        tags: the model's vocabulary.
        limit: clips to score, the first N of the set; 0 takes all.
        workers: decoding processes.

    Raises:
        ManifestError: the set's vocabulary is not the model's.
    """

    def __init__(
        self, shard_set: ShardSet, tags: tuple[str, ...], *, limit: int = 0, workers: int = 0
    ) -> None:
        if set(shard_set.index.tags) != set(tags):
            raise ManifestError(
                f"{shard_set.index.name}: expected the {len(tags)} tags of the training set, got "
                f"{len(shard_set.index.tags)} others; build both with one tags.json"
            )
        self.tags, self.workers = tags, workers
        self.members = members_snr_db(shard_set.index)
        refs = clip_refs(shard_set, tuple(self.members))
        self._refs = refs[:limit] if limit else refs

    def __call__(
        self,
        encoder: nn.Module,
        label_predictor: nn.Module,
        *,
        device: torch.device,
        prepare: Callable[[torch.Tensor], torch.Tensor],
        autocast: Callable[[], AbstractContextManager[object]],
    ) -> dict[str, float]:
        """Return the macro AUC of each member, ``auc_clean``, ``auc_snr_0`` ..., and ``auc_mean``.

        Both networks are put back into training mode.
        """
        predict = TorchPredict(
            encoder, label_predictor, device=device, prepare=prepare, autocast=autocast
        )
        clips = (
            Clip(c.ref.key, c.ref.song, c.ref.tags, {m: x.numpy() for m, x in c.chunks.items()})
            for c in iter_clips(self._refs, n_workers=self.workers)
        )
        scores = score_clips(clips, predict, tags=self.tags, members=tuple(self.members))
        encoder.train()
        label_predictor.train()
        figures = {}
        for member in self.members:
            macro = macro_metrics(scores.scores[member], scores.labels, self.tags)
            if macro.auc is None:
                raise ManifestError(
                    "validation: expected a tag with a positive and a negative clip, got none; "
                    "use a larger validation set or --valid-limit 0"
                )
            name = CLEAN if member == CLEAN else member.removeprefix("noisy.")
            figures[f"auc_{name}"] = macro.auc
        return figures | {"auc_mean": statistics.fmean(figures.values())}
