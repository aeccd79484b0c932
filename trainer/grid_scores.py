"""Scores of a grid's cell: made once, and again where sets or perturbations were added."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import torch

from manifests.shardset import load_set
from trainer.config import Aggregation
from trainer.evaluation.checkpoint import SetRequest, evaluate_checkpoint, weights_to_score
from trainer.evaluation.evaluate import EVALUATION_FOLDER, evaluation_name, load_evaluation
from trainer.evaluation.figures import Evaluation, SetLabel
from trainer.evaluation.set_clips import plan_id
from trainer.perturb.names import parse_perturbations
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

    Perturbations that were scored before stay in: they are scored again with the others.

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
        found = load_evaluation(path) if path.is_file() else None
        weights = weights_to_score(run, aggregate)
        if found is None or not _is_scored(found, weights, requests, perturbations):
            evaluate_checkpoint(
                run,
                requests,
                device=device,
                aggregate=aggregate,
                perturbations=_with_earlier(found, perturbations),
            )


def _with_earlier(
    found: Evaluation | None, perturbations: Sequence[Perturbation]
) -> tuple[Perturbation, ...]:
    """Return what is asked for and what an evaluation has already."""
    sets = found.sets if found else ()
    names = [item.member for one in sets for item in one.figures.perturbed]
    earlier = parse_perturbations(names) if names else ()
    return tuple({item.name: item for item in (*earlier, *perturbations)}.values())


def _is_scored(
    found: Evaluation,
    weights_sha256: str,
    requests: Sequence[SetRequest],
    perturbations: Sequence[Perturbation],
) -> bool:
    """Tell whether scores of these very weights on these very sets, so perturbed, are there."""
    if found.checkpoint_sha256 != weights_sha256:
        return False  # scored by hand before its end, or its attention was trained anew
    scored = {
        one.label: {(item.member, item.definition) for item in one.figures.perturbed}
        for one in found.sets
    }
    wanted = {(item.name, item.definition) for item in perturbations}
    places = [_whole(request) for request in requests]
    return all(place in scored and wanted <= scored[place] for place in places)


def _whole(request: SetRequest) -> SetLabel:
    """Return the label of a whole set: scores of a part of it by hand are others."""
    index = load_set(request.url).index
    return SetLabel(index.name, request.recipe_id, plan_id(index), None)
