"""The validation of stage 3 and of the comparisons: macro AUC on clean and at every stored SNR."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import nn

from manifests.errors import ManifestError
from manifests.shardset import ShardSet
from trainer.compute import Compute
from trainer.config import TrainConfig
from trainer.data import clip_refs, iter_clips
from trainer.data.lengths import check_chunks
from trainer.data.shard_cache import ShardCacheConfig
from trainer.evaluation.clip_scores import Clip, Floats, score_clips
from trainer.evaluation.model import TorchPredict
from trainer.evaluation.set_clips import members_snr_db
from trainer.metrics import Labels, macro_metrics
from trainer.models.backbone import Backbone
from trainer.roles import Roles
from trainer.runs.distributed import World


class TagValidation:
    """Scores a tagger on the validation set.

    Args:
        shard_set: the validation set.
        tags: the model's vocabulary.
        limit: clips to score, the first N of the set; 0 takes all.
        workers: decoding processes of each rank.
        world: the processes that train together; each scores its share of the clips.
        band_hz: upper edge of the band of the training set, Hz: a wider set is limited to it.
        cache: local folder for shards of object stores; None reads byte ranges alone.

    Attributes:
        tags: the model's vocabulary.
        members: SNR of each member, in dB; None for clean.
        refs: the clips, each with all these members.
        labels: (n_clips, n_tags).

    Raises:
        ManifestError: the set's vocabulary is not the model's, it holds real recordings, or no tag
            can be scored.
    """

    def __init__(
        self,
        shard_set: ShardSet,
        tags: tuple[str, ...],
        *,
        limit: int = 0,
        workers: int = 0,
        world: World | None = None,
        band_hz: float | None = None,
        cache: ShardCacheConfig | None = None,
    ) -> None:
        name, found = shard_set.index.name, shard_set.index.tags
        if set(found) != set(tags):
            lacking, extra = sorted(set(tags) - set(found)), sorted(set(found) - set(tags))
            raise ManifestError(
                f"{name}: expected the {len(tags)} tags of the training set, got {len(found)}: "
                f"lacks {lacking[:5]}, adds {extra[:5]}; build both with one tags.json"
            )
        if not shard_set.index.snrs_db:
            raise ManifestError(
                f"{name}: expected clean and noisy members, got real recordings; give the role "
                "valid to a set with noise"
            )
        self.tags, self.workers, self.world = tags, workers, world or World()
        self.band_hz, self.cache = band_hz, cache
        self.members = members_snr_db(shard_set.index)
        refs = clip_refs(shard_set, tuple(self.members), chunk_samples=1)
        self.refs = refs[:limit] if limit else refs
        counts = Counter(tag for ref in self.refs for tag in ref.tags)
        if not any(0 < n < len(self.refs) for n in counts.values()):
            raise ManifestError(
                f"{name}: expected a tag that some of {len(self.refs)} validation clips have and "
                "others lack, got none; use a larger validation set or --valid-limit"
            )
        self.labels: Labels = np.array([[tag in ref.tags for tag in tags] for ref in self.refs])

    def check_lengths(self, chunk_samples: int) -> None:
        """Check that every clip holds a chunk, before a run begins.

        Raises:
            ManifestError: one is shorter.
        """
        check_chunks(self.refs, chunk_samples)

    def __call__(
        self,
        encoder: Backbone,
        label_predictor: nn.Module,
        *,
        device: torch.device,
        prepare: Callable[[torch.Tensor], torch.Tensor],
        autocast: Callable[[], AbstractContextManager[object]],
    ) -> dict[str, float]:
        """Return the macro AUC of each member, ``auc_clean``, ``auc_snr_0`` ..., and ``auc_mean``.

        Every rank takes part and gets the same figures. Both networks are put back into training
        mode.

        Raises:
            ManifestError: a clip is shorter than the encoder's chunk, or damaged.
        """
        self.check_lengths(encoder.chunk_samples)
        predict = TorchPredict(
            encoder, label_predictor, device=device, prepare=prepare, autocast=autocast
        )
        own = self._own_scores(predict, encoder.chunk_samples)
        encoder.train()
        label_predictor.train()
        rows = self.world.gather_rows(torch.from_numpy(own)).numpy()
        scores = {member: rows[:, place] for place, member in enumerate(self.members)}
        return self.figures(scores)

    def _own_scores(self, predict: TorchPredict, chunk_samples: int) -> Floats:
        """Score this rank's share of the clips: (n_clips, n_members, n_tags)."""
        rank, size = self.world.rank, self.world.size
        if len(self.refs) * rank // size == len(self.refs) * (rank + 1) // size:
            return np.empty((0, len(self.members), len(self.tags)))  # fewer clips than ranks
        clips = (
            Clip(c.ref.key, c.ref.song, c.ref.tags, {m: x.numpy() for m, x in c.chunks.items()})
            for c in iter_clips(
                self.refs,
                chunk_samples=chunk_samples,
                rank=rank,
                world_size=size,
                n_workers=self.workers,
                band_hz=self.band_hz,
                cache=self.cache,
            )
        )
        found = score_clips(clips, predict, tags=self.tags, members=tuple(self.members))
        return np.stack([found.scores[member] for member in self.members], axis=1)

    def figures(self, scores: Mapping[str, Floats]) -> dict[str, float]:
        """Return the figures of the clips' scores.

        Args:
            scores: by member, (n_clips, n_tags).
        """
        figures = {}
        for member in self.members:
            macro = macro_metrics(scores[member], self.labels, self.tags)
            # never None: __init__ saw to it that a tag can be scored
            auc = math.nan if macro.auc is None else macro.auc
            figures[f"auc_{member.removeprefix('noisy.')}"] = auc
        return figures | {"auc_mean": statistics.fmean(figures.values())}


def open_validation(roles: Roles, config: TrainConfig, compute: Compute) -> TagValidation:
    """Return the validation of a stage that trains a tagger; see ``TagValidation`` for errors."""
    return TagValidation(
        roles.open("valid"),
        roles.open("train").index.tags,
        limit=config.tagger.valid_limit,
        workers=compute.system.workers,
        world=compute.world,
        band_hz=roles.band_hz(),
        cache=compute.shard_cache,
    )
