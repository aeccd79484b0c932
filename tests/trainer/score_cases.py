"""Score tables and files of made-up taggers whose strength is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from manifests.rows import CHUNK_SAMPLES
from trainer.evaluation.clip_scores import ClipScores
from trainer.evaluation.embedding_sample import sample_embeddings, write_sample
from trainer.evaluation.evaluate import EMBEDDINGS
from trainer.evaluation.figures import (
    MEAN,
    MetricDefinition,
    RunLabel,
    SetEvaluation,
    SetLabel,
)
from trainer.evaluation.measure import measure_set
from trainer.evaluation.score_file import SUFFIX, ScoreFile, write_score_file
from trainer.perturb.names import is_perturbation

TAGS = ("guitar", "piano", "drums", "female voice", "never")
SNRS_DB = {"noisy.snr_10": 10.0, "noisy.snr_-10": -10.0}
PERTURBED = ("drc:speech", "white-noise:0.1")
MEMBERS = ("clean", *SNRS_DB, *PERTURBED)
LABEL = SetLabel("test-musan", "r" * 64, "p" * 64, None)
OTHER = replace(LABEL, name="test-audioset", recipe_id="o" * 64)
REAL = replace(LABEL, name="videos", recipe_id="v" * 64)
METRIC = MetricDefinition(n_draws=100)


def scores_of(
    seed: int = 0,
    *,
    skill: float = 2.0,
    n_clips: int = 60,
    members: Sequence[str] = ("clean", *SNRS_DB),
    set_seed: int = 0,
) -> ClipScores:
    """Scores of a tagger of some skill; clips, artists and labels depend on ``set_seed`` alone."""
    rng = np.random.default_rng(set_seed)
    labels = rng.random((n_clips, len(TAGS))) < 0.3
    labels[:, -1] = False
    hard = rng.normal(size=labels.shape)  # the same clips are hard for every run
    own = np.random.default_rng(1_000 + seed)
    scores, embeddings = {}, {}
    base = own.normal(size=(n_clips, 8))
    for member in members:
        noise = {"clean": 0.1, "noisy.snr_10": 0.5, "audio": 0.5}.get(member, 2.0)
        logits = skill * labels + hard + noise * own.normal(size=labels.shape)
        scores[member] = 1 / (1 + np.exp(-logits))
        moved = base + noise * own.normal(size=base.shape)
        embeddings[member] = moved.astype(np.float32)
    noises = [member for member in members if member.startswith("white-noise")]
    return ClipScores(
        keys=tuple(f"clip-{n}" for n in range(n_clips)),
        clusters=tuple(f"artist {n % 12}" for n in range(n_clips)),
        tags=TAGS,
        labels=labels,
        scores=scores,
        embeddings=embeddings,
        snr_db={member: np.linspace(10.0, 30.0, n_clips) for member in noises},
    )


def run_label(name: str, method: str, seed: int, config: str, aggregate: str = MEAN) -> RunLabel:
    """The label of a run with SampleCNN."""
    return RunLabel(name, method, seed, config, "samplecnn", CHUNK_SAMPLES, aggregate)


def write_scores(
    folder: str,
    clips: ClipScores | None = None,
    *,
    name: str = "dat",
    method: str = "dat",
    seed: int = 0,
    config: str = "c" * 64,
    label: SetLabel = LABEL,
    metric: MetricDefinition = METRIC,
    aggregate: str = MEAN,
    backbone: str = "samplecnn",
    definition: str = "as said",
) -> str:
    """Measure a tagger and write its score file and embedding sample; returns the URL."""
    clips = clips or scores_of()
    snrs_db = {member: SNRS_DB[member] for member in clips.scores if member in SNRS_DB}
    definitions = {member: definition for member in clips.scores if is_perturbation(member)}
    found = SetEvaluation(label, measure_set(clips, snrs_db, metric, definitions=definitions))
    run = replace(run_label(name, method, seed, config, aggregate), backbone=backbone)
    file = ScoreFile.of(run, "w" * 64, metric, "linear", found, clips.tags)
    url = write_score_file(folder, file, clips)
    write_sample(url.removesuffix(SUFFIX) + EMBEDDINGS, sample_embeddings(clips))
    return url


def write_run(folder: Path, name: str, method: str, seed: int = 0, *, skill: float = 2.0) -> str:
    """A run evaluated on two noise sets and on real recordings; returns its folder."""
    out = str(folder / name / "evaluation")
    config = f"{method:c<64}"
    for number, label in enumerate((LABEL, OTHER, REAL)):
        members = ("audio",) if label is REAL else ("clean", "noisy.snr_10", "noisy.snr_-10")
        clips = scores_of(seed + 10 * number, skill=skill, members=members, set_seed=number)
        write_scores(out, clips, name=name, method=method, seed=seed, config=config, label=label)
    return str(folder / name)


def reordered(clips: ClipScores, order: Sequence[int]) -> ClipScores:
    """The same scores with the clips in another order."""
    rows = np.asarray(order)
    return replace(
        clips,
        keys=tuple(clips.keys[row] for row in rows),
        clusters=tuple(clips.clusters[row] for row in rows),
        labels=clips.labels[rows],
        scores={name: values[rows] for name, values in clips.scores.items()},
        embeddings={name: values[rows] for name, values in clips.embeddings.items()},
    )
