"""Evaluate one run on sets: scores, consistency, probe, score files."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

from manifests import store
from manifests.canonical import pretty_json
from manifests.errors import UsageError
from manifests.records import parse_json, row_from_json
from trainer.evaluation.clip_scores import (
    BATCH_CHUNKS,
    Aggregate,
    Clip,
    Predict,
    mean_of_chunks,
    score_clips,
)
from trainer.evaluation.domain_probe import Probe
from trainer.evaluation.embedding_sample import sample_embeddings, write_sample
from trainer.evaluation.figures import (
    MEAN,
    Evaluation,
    MetricDefinition,
    RunLabel,
    SetEvaluation,
    SetLabel,
    clip_score,
)
from trainer.evaluation.measure import measure_set
from trainer.evaluation.score_file import SUFFIX, ScoreFile, check_place, write_score_file

EVALUATION_FOLDER: Final = "evaluation"
"""Folder of a run that its score files are written to."""

EMBEDDINGS: Final = ".embeddings.safetensors"

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluationSet:
    """A set to evaluate on.

    Attributes:
        label: which set, and what part of it.
        tags: its vocabulary, in order; the model's outputs are these.
        snrs_db: SNR of every member in the set's order; None for ``clean`` and ``audio``.
        clips: opens the clips, each with all members and perturbations; called once.
        definitions: how each perturbation is done, by name.
        limit_hz: upper edge that its audio was limited to, Hz; None where nothing was taken away.
    """

    label: SetLabel
    tags: tuple[str, ...]
    snrs_db: Mapping[str, float | None]
    clips: Callable[[], Iterable[Clip]]
    definitions: Mapping[str, str] = field(default_factory=dict)
    limit_hz: float | None = None


def evaluate_run(
    run: RunLabel,
    checkpoint_sha256: str,
    predict: Predict,
    sets: Sequence[EvaluationSet],
    *,
    aggregate: Aggregate = mean_of_chunks,
    out: str | None = None,
    metric: MetricDefinition | None = None,
    probe: Probe = "linear",
    batch_chunks: int = BATCH_CHUNKS,
) -> Evaluation:
    """Evaluate a model on sets.

    Args:
        run: the run, for tables.
        checkpoint_sha256: hash of the weights.
        predict: the model.
        sets: the sets; their names must differ.
        aggregate: makes a clip's scores of its chunks', as ``run.aggregate`` says.
        out: folder for ``SET.scores`` with its table and embedding sample, and for
            ``evaluation.json``; with another aggregate than the mean ``SET.attention.scores`` and
            so on. None writes nothing.
        metric: how figures are made; None takes the defaults.
        probe: kind of the fresh domain classifier, ``linear`` or ``mlp``.
        batch_chunks: most chunks given to the model at once.

    Raises:
        UsageError: no set, or two of one name.
        ManifestError: a set is not whole or does not fit the model; ``out`` cannot be written, or
            holds scores of another set of the same name.
    """
    metric = replace(metric or MetricDefinition(), clip_score=clip_score(run.aggregate, None))
    check_sets(sets)
    if out is not None:
        store.make_folder(out)
        for item in sets:
            check_place(out, item.label, run.aggregate)
    found = []
    for item in sets:
        own = replace(metric, clip_score=clip_score(run.aggregate, item.limit_hz))
        _LOG.info("%s: scoring %s, %s", run.shown, item.label.name, own.clip_score)
        clips = score_clips(
            item.clips(),
            predict,
            tags=item.tags,
            members=(*item.snrs_db, *item.definitions),
            batch_chunks=batch_chunks,
            aggregate=aggregate,
        )
        snrs_db = {name: snr_db for name, snr_db in item.snrs_db.items() if snr_db is not None}
        figures = measure_set(clips, snrs_db, own, probe, item.definitions)
        found.append(SetEvaluation(item.label, figures, own))
        if out is not None:
            file = ScoreFile.of(run, checkpoint_sha256, own, probe, found[-1], clips.tags)
            url = write_score_file(out, file, clips)
            write_sample(url.removesuffix(SUFFIX) + EMBEDDINGS, sample_embeddings(clips))
    evaluation = Evaluation(run, checkpoint_sha256, metric, probe, tuple(found))
    if out is not None:
        store.write_text(
            store.join(out, evaluation_name(run.aggregate)), pretty_json(asdict(evaluation))
        )
    return evaluation


def evaluation_name(aggregate: str) -> str:
    """Return the name of the file with an evaluation's figures."""
    return "evaluation.json" if aggregate == MEAN else f"evaluation.{aggregate}.json"


def load_evaluation(path: Path) -> Evaluation:
    """Read what ``evaluate_run`` wrote, also before sets had a metric of their own.

    Raises:
        ManifestError: it is no evaluation.
    """
    record = parse_json(path.read_bytes(), str(path))
    sets = record.get("sets") if isinstance(record, dict) else None
    for one in sets if isinstance(sets, list) else ():
        if isinstance(one, dict):
            one.setdefault("metric", None)
    return row_from_json(json.dumps(record), Evaluation, str(path))


def check_sets(sets: Sequence[EvaluationSet]) -> None:
    """Check that sets can be told apart: score files and columns bear their names.

    Raises:
        UsageError: no set, or two of one name.
    """
    twice = [name for name, n in Counter(item.label.name for item in sets).items() if n > 1]
    if twice or not sets:
        raise UsageError(
            f"sets: expected one or more sets of different names, got {twice or 'none'}; "
            "evaluate sets of one name by a command each, with another --out"
        )
