"""Which run a checkpoint belongs to, for the rows of the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from manifests.canonical import canonical_json, sha256_text
from trainer.attention import POOLING
from trainer.evaluation.figures import ATTENTION, MEAN, RunLabel
from trainer.runs.folder import CONFIG, read_config
from trainer.tagger import Tagger
from trainer.weights import run_folder, whole_run


def run_label(path: Path, tagger: Tagger) -> RunLabel:
    """Return the label of a trained (or random) tagger.

    Args:
        path: the run's folder, or a checkpoint's folder in it.
        tagger: the tagger that was loaded from it.

    Raises:
        ManifestError: the run's config is no JSON object.
    """
    card = tagger.card
    method, seed = str(card["method"]), int(card.get("seed", 0))
    config = {**_config(path, tagger), "trained_on": card.get("trained_on"), "model": card["model"]}
    config["method"] = method  # a random encoder carries the config of the run that it is like
    config.pop("seed", None)
    return RunLabel(
        tagger.name,
        method,
        seed,
        sha256_text(canonical_json(config)),
        tagger.encoder.name,
        tagger.encoder.chunk_samples,
        MEAN if tagger.pooling is None else ATTENTION,
    )


def _config(path: Path, tagger: Tagger) -> dict[str, Any]:
    """Return the config of the run, that of stage 4 in it only where it counts.

    A run that trained attention has the tagger of one that did not, and the same mean scores. An
    earlier tagger in a run (``RUN/teacher``, ``RUN/round-1``) was trained by the run's config; the
    stage tells it from the others.
    """
    folder = run_folder(path)
    run = whole_run(folder)
    config = read_config(run) if (run / CONFIG).is_file() else {}
    if tagger.pooling is None:
        config.pop(POOLING, None)
    elif (folder / POOLING / CONFIG).is_file():
        config = read_config(folder / POOLING)
    return config if run == folder else {**config, "stage": tagger.card.get("stage")}
