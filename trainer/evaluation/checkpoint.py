"""What ``train evaluate`` does: the best checkpoint of a run, scored on sets on disk."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from manifests import store
from manifests.errors import UsageError
from manifests.records import parse_json
from manifests.shardset import ShardSet, load_set
from manifests.subset import load_subset
from trainer.attention import POOLING
from trainer.config import Aggregation
from trainer.evaluation.domain_probe import Probe
from trainer.evaluation.evaluate import EVALUATION_FOLDER, EvaluationSet, evaluate_run
from trainer.evaluation.figures import ATTENTION, MEAN, Evaluation, MetricDefinition
from trainer.evaluation.run_label import run_label
from trainer.evaluation.set_clips import evaluation_set
from trainer.perturb.perturbation import Perturbation
from trainer.tagger import Tagger, load_tagger, random_tagger
from trainer.weights import find_checkpoint, run_folder, unfinished_step, weights_sha256

RECIPE: Final = "recipe.json"
"""File of a set that was thawed or frozen, which says its recipe."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class SetRequest:
    """A set to evaluate on.

    Attributes:
        url: path or URL of the set.
        recipe_id: id of its frozen recipe; None where it was never frozen.
    """

    url: str
    recipe_id: str | None = None


def set_request(shard_set: ShardSet) -> SetRequest:
    """Return the request of a set, with the id of the recipe it was thawed from or frozen as.

    Raises:
        ManifestError: its recipe is no JSON.
    """
    path = store.join(shard_set.url, RECIPE)
    record = parse_json(store.read_bytes(path), path) if store.exists(path) else None
    value = record.get("recipe_id") if isinstance(record, dict) else None
    return SetRequest(shard_set.url, value if isinstance(value, str) else None)


def evaluate_checkpoint(
    path: Path,
    requests: Sequence[SetRequest],
    *,
    device: torch.device,
    aggregate: Aggregation = "mean",
    subset_url: str | None = None,
    metric: MetricDefinition | None = None,
    probe: Probe = "linear",
    n_workers: int = 0,
    out: str | None = None,
    perturbations: Sequence[Perturbation] = (),
) -> Evaluation:
    """Evaluate the best checkpoint of a run; its score files go to ``RUN/evaluation``.

    Args:
        path: the run's folder, or a checkpoint's folder in it.
        requests: the sets.
        device: where the model computes.
        aggregate: how scores of chunks become those of a clip.
        subset_url: subset file, for one set only.
        metric: how figures are made; None takes the defaults.
        probe: kind of the fresh domain classifier, ``linear`` or ``mlp``.
        n_workers: decoding processes.
        out: another folder to write to.
        perturbations: what is done to the clean member of every clip besides.

    Raises:
        UsageError: there is no checkpoint, none with attention where it is asked for, or a subset
            with several sets.
        ManifestError: a set, the subset or the checkpoint is not what it says.
    """
    tagger = load_tagger(path, aggregate)
    if step := unfinished_step(path / "checkpoints" / "last"):
        _LOG.warning(
            "%s: not finished, at step %d: its best checkpoint so far is scored", path, step
        )
    sets = _open_sets(tagger, requests, subset_url, n_workers, perturbations)
    return evaluate_run(
        run_label(path, tagger),
        tagger.sha256,
        tagger.predict(device),
        sets,
        aggregate=tagger.aggregate,
        out=scores_folder(path, out),
        metric=metric,
        probe=probe,
    )


def weights_to_score(path: Path, aggregate: str = MEAN) -> str:
    """Return the hash of the weights that ``evaluate_checkpoint`` would score.

    Raises:
        UsageError: there is no checkpoint.
        ManifestError: it is not what it says.
    """
    return weights_sha256(find_checkpoint(path, *([POOLING] if aggregate == ATTENTION else [])))


def evaluate_random(
    like: Path,
    requests: Sequence[SetRequest],
    *,
    device: torch.device,
    out: str,
    seed: int = 0,
    subset_url: str | None = None,
    metric: MetricDefinition | None = None,
    n_workers: int = 0,
    perturbations: Sequence[Perturbation] = (),
) -> Evaluation:
    """Evaluate an untrained tagger of a run's shape: the row that all others must beat.

    Args:
        like: a run's folder.
        requests: the sets.
        device: where the model computes.
        out: folder of the random row; score files go to ``OUT/evaluation``.
        seed: seed of its weights.
        subset_url: subset file, for one set only.
        metric: how figures are made; None takes the defaults.
        n_workers: decoding processes.
        perturbations: what is done to the clean member of every clip besides.

    Raises:
        UsageError: there is no checkpoint, or a subset with several sets.
        ManifestError: a set, the subset or the checkpoint is not what it says.
    """
    tagger = random_tagger(load_tagger(like), seed)
    return evaluate_run(
        run_label(like, tagger),
        tagger.sha256,
        tagger.predict(device),
        _open_sets(tagger, requests, subset_url, n_workers, perturbations),
        out=scores_folder(like, out, random=True),
        metric=metric,
    )


def scores_folder(path: Path, out: str | None, *, random: bool = False) -> str:
    """Return where the score files of a run, or of a random tagger of its shape, go.

    Args:
        path: the run's folder, or a checkpoint's folder in it.
        out: what was asked for instead; the random tagger's stands for a run's folder.
        random: whether the random tagger is scored.
    """
    if out and not random:
        return out
    return store.join(out or str(run_folder(path)), EVALUATION_FOLDER)


def _open_sets(
    tagger: Tagger,
    requests: Sequence[SetRequest],
    subset_url: str | None,
    n_workers: int,
    perturbations: Sequence[Perturbation],
) -> list[EvaluationSet]:
    if subset_url and len(requests) != 1:
        raise UsageError(
            f"--subset: expected one set, got {len(requests)}; a subset belongs to one recipe"
        )
    subset = load_subset(subset_url) if subset_url else None
    return [
        evaluation_set(
            load_set(request.url),
            tagger.tags,
            recipe_id=request.recipe_id,
            subset=subset,
            chunk_samples=tagger.encoder.chunk_samples,
            n_workers=n_workers,
            perturbations=perturbations,
            band_hz=tagger.band_hz,
        )
        for request in requests
    ]
