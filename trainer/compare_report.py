"""What ``train compare`` writes: tables, scores against SNR, training over time, embedding maps."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from manifests import store
from manifests.errors import ManifestError
from manifests.keys import slug
from trainer.compare import Comparison, compare_runs
from trainer.compare_rows import group_runs, set_name, told_apart
from trainer.compare_text import write_comparison
from trainer.cost import RowCost, row_costs
from trainer.evaluation.checkpoint import weights_to_score
from trainer.evaluation.embedding_sample import MIN_CLIPS, load_sample
from trainer.evaluation.evaluate import EMBEDDINGS, EVALUATION_FOLDER
from trainer.evaluation.figures import ATTENTION
from trainer.evaluation.score_file import SUFFIX, ScoreFile
from trainer.evaluation.scored import Scored, load_scores
from trainer.plot_embeddings import Projection, plot_embeddings
from trainer.plot_training import has_curves, plot_training
from trainer.plots import plot_scores, save_plot
from trainer.runs.folder import METRICS
from trainer.runs.metrics_log import read_records
from trainer.tagger import run_name
from trainer.weights import holds_checkpoint

EARLIER: Final = ("encoder", "domain", "baseline", "teacher")
ROUND: Final = "round-"
LATER: Final = ("pooling",)
"""Folders of a run's other stages, in order (``trainer.experiment``); rounds are numbered."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Compared:
    """Runs or score files, and their comparison."""

    urls: tuple[str, ...]
    scored: tuple[Scored, ...]
    comparison: Comparison


def compare_scores(
    urls: Sequence[str], out: str, *, paired: bool = True, only: Collection[str] | None = None
) -> Compared:
    """Compare runs or score files.

    Args:
        urls: run folders and ``NAME.scores`` files, in the order of the rows.
        out: folder that the report will go to; tried before the work.
        paired: whether to add paired differences.
        only: names of the sets that are compared, whole; None takes all scores that are there.

    Raises:
        UsageError: see ``compare_runs``.
        ManifestError: see ``load_scores`` and ``compare_runs``; or ``out`` cannot be written.
    """
    loaded = [item for item in load_scores(urls) if only is None or _is_whole(item, only)]
    store.make_folder(out)
    scored = told_apart(loaded)
    comparison = compare_runs(scored, paired=paired)
    notes = (*comparison.notes, *_of_other_weights(scored))
    comparison = replace(comparison, costs=_costs(scored), notes=notes)
    return Compared(tuple(urls), tuple(scored), comparison)


def write_report(found: Compared, out: str, *, projection: Projection = "pca") -> list[str]:
    """Write tables and plots of a comparison; what cannot be drawn is left out with a warning.

    Args:
        found: what ``compare_scores`` returned.
        out: folder to write to.
        projection: how the embedding maps are drawn.

    Returns:
        The URLs of the files written.

    Raises:
        ManifestError: a file cannot be written.
    """
    written = write_comparison(out, found.comparison)
    noisy = [item for item in found.scored if item.file.figures.noise]
    if any(item.file.figures.noisy_mean_auc for item in noisy):
        written += save_plot(out, "scores", plot_scores(found.comparison))
    written += _training_plots(found.urls, out)
    for name in dict.fromkeys(set_name(item.file) for item in noisy):
        own = [item for item in noisy if set_name(item.file) == name]
        written += _map(own, f"map-{slug(name)}", out, projection)
    return written


def _is_whole(item: Scored, names: Collection[str]) -> bool:
    return item.file.set.name in names and item.file.set.subset_id is None


def _costs(scored: Sequence[Scored]) -> tuple[RowCost, ...]:
    """Return what the rows cost; scores lie in a folder of the run's (``RUN/evaluation``)."""
    folders = {item.file.run: Path(item.url).parents[1] for item in scored if _in_run(item.url)}
    rows = group_runs([item.file.run for item in scored])
    return row_costs(
        {
            row: [folders[label] for label in labels]
            for row, labels in rows.items()
            if all(label in folders for label in labels)
        },
        attending=[row for row, labels in rows.items() if labels[0].aggregate == ATTENTION],
    )


def _of_other_weights(scored: Sequence[Scored]) -> list[str]:
    """Say which scores beside a run are not those of its best checkpoint, or not any more."""
    return [
        f"{item.file.run.shown} on {set_name(item.file)}: scored with other weights than those of "
        "the run's best checkpoint; run train evaluate again"
        for item in scored
        if _in_run(item.url)
        and holds_checkpoint(run := Path(item.url).parents[1])
        and item.file.checkpoint_sha256 != _best_weights(run, item.file)
    ]


def _best_weights(run: Path, file: ScoreFile) -> str:
    """Return the hash of the weights to score; where they are damaged, ``_costs`` has said so."""
    try:
        return weights_to_score(run, file.run.aggregate)
    except ManifestError:
        return file.checkpoint_sha256


def _in_run(url: str) -> bool:
    return store.is_local(url) and Path(url).parent.name == EVALUATION_FOLDER


def _training_plots(urls: Sequence[str], out: str) -> list[str]:
    written: dict[str, list[str]] = {}
    for url in urls:
        name = run_name(Path(url))
        try:
            records = [] if url.endswith(SUFFIX) else _records(Path(url))
        except ManifestError as error:
            _LOG.warning("%s; no training curves of %s are drawn", error, name)
            continue
        if has_curves(records):
            file = f"training-{slug(name)}"
            file = f"{file}-{len(written)}" if file in written else file
            written[file] = save_plot(out, file, plot_training(records, name))
    return [one for files in written.values() for one in files]


def _records(run: Path) -> list[dict[str, Any]]:
    """Return what a run's stages measured: each stage keeps a folder of its own below the run."""
    rounds = [folder for folder in run.glob(f"{ROUND}*") if folder.name[len(ROUND) :].isdecimal()]
    rounds.sort(key=lambda folder: int(folder.name[len(ROUND) :]))
    earlier, later = ([run / stage for stage in stages] for stages in (EARLIER, LATER))
    folders = [*earlier, *rounds, run, *later]
    paths = [folder / METRICS for folder in folders]
    return [record for path in paths if path.is_file() for record in read_records(path)]


def _map(items: Sequence[Scored], name: str, out: str, projection: Projection) -> list[str]:
    """Draw the map of one set, with the first run of every row that has a sample beside it."""
    by_run = {item.file.run: item for item in items}
    samples = {}
    for row, labels in group_runs([item.file.run for item in items]).items():
        item = by_run[labels[0]]
        url = item.url.removesuffix(SUFFIX) + EMBEDDINGS
        if not store.exists(url) or item.file.figures.n_clips < MIN_CLIPS:
            _LOG.warning("%s: no embedding sample beside its scores, left out of the map", row)
            continue
        try:
            samples[row] = load_sample(url)
        except ManifestError as error:
            _LOG.warning("%s; %s is left out of the map", error, row)
    return save_plot(out, name, plot_embeddings(samples, projection)) if samples else []
