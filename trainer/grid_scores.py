"""Scores of a grid's cell: made once, and again where sets or perturbations were added."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import torch

from manifests.records import row_from_json
from manifests.shardset import load_set
from trainer.config import Aggregation
from trainer.evaluation.checkpoint import SetRequest, evaluate_checkpoint
from trainer.evaluation.evaluate import EVALUATION_FOLDER, evaluation_name
from trainer.evaluation.figures import Evaluation
from trainer.evaluation.set_clips import plan_id
from trainer.perturb.perturbation import Perturbation


def score_cell(
    run: Path,
    requests: Sequence[SetRequest],
    *,
    device: torch.device,
    aggregates: Collection[Aggregation],
    perturbations: Sequence[Perturbation] = (),
) -> None:
    """Evaluate a finished run in every way that is not there yet.

    Args:
        run: the run's folder.
        requests: the sets.
        device: where the model computes.
        aggregates: how scores of chunks become a clip's; an evaluation each.
        perturbations: what is done to the clean member of every clip besides.

    Raises:
        ManifestError: a set or the run is damaged.
    """
    for aggregate in aggregates:
        path = run / EVALUATION_FOLDER / evaluation_name(aggregate)
        if not _is_scored(path, requests, perturbations):
            evaluate_checkpoint(
                run, requests, device=device, aggregate=aggregate, perturbations=perturbations
            )


def _is_scored(
    path: Path, requests: Sequence[SetRequest], perturbations: Sequence[Perturbation]
) -> bool:
    """Tell whether a run's scores on these very sets, so perturbed, are there."""
    if not path.is_file():
        return False
    found = row_from_json(path.read_bytes(), Evaluation, str(path))
    scored = {
        (one.label.name, one.label.plan_id): {
            (item.member, item.definition) for item in one.figures.perturbed
        }
        for one in found.sets
    }
    wanted = {(item.name, item.definition) for item in perturbations}
    places = [(index.name, plan_id(index)) for index in (load_set(r.url).index for r in requests)]
    return all(place in scored and wanted <= scored[place] for place in places)
