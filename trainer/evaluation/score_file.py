"""Score files: scores that travel with a frozen set, and can be checked by whoever gets them.

``NAME.scores`` is canonical JSON: ids of recipe and subset, hash of the weights, definition of the
metric, figures per SNR, and the hash of ``NAME.scores.parquet`` beside it, which holds the scores
of every example. Reading one trusts nothing: the text must be canonical, the table must have the
hash, and the figures must be those that the table gives.
"""

from __future__ import annotations

import hashlib
import posixpath
from dataclasses import dataclass, replace
from typing import Final

from manifests import store
from manifests.canonical import canonical_json
from manifests.errors import ManifestError
from manifests.keys import check_file_name
from manifests.records import row_from_json
from trainer.evaluation.clip_scores import ScoreTable
from trainer.evaluation.figures import (
    CLIP_SCORE,
    MEAN,
    MetricDefinition,
    RunLabel,
    SetEvaluation,
    SetFigures,
    SetLabel,
)
from trainer.evaluation.score_check import check_figures, check_members
from trainer.evaluation.score_table import decode_scores, encode_scores

FORMAT_VERSION: Final = 1
SUFFIX: Final = ".scores"
TABLE_SUFFIX: Final = ".parquet"
MAX_BYTES: Final = 32 << 20
"""Largest score file that is read; 1,000 tags × 10 members take about 1 MB."""

MAX_DRAWS: Final = 100_000
"""Most bootstrap draws that a score file may ask for."""

MAX_NAME: Final = 200
"""Longest name of a run, method or tag, or definition of a perturbation; they are printed."""


@dataclass(frozen=True)
class ScoreFile:
    """One run on one set.

    Attributes:
        format_version: version of this format.
        run: the run.
        checkpoint_sha256: hash of the weights.
        set: the set and subset.
        metric: how the figures were made.
        probe: kind of the fresh domain classifier.
        tags: vocabulary, in the order of the table's columns.
        figures: the figures.
        table: file name of the Parquet table, beside this file.
        table_sha256: its hash.
    """

    format_version: int
    run: RunLabel
    checkpoint_sha256: str
    set: SetLabel
    metric: MetricDefinition
    probe: str
    tags: tuple[str, ...]
    figures: SetFigures
    table: str
    table_sha256: str

    @classmethod
    def of(
        cls,
        run: RunLabel,
        checkpoint_sha256: str,
        metric: MetricDefinition,
        probe: str,
        found: SetEvaluation,
        tags: tuple[str, ...],
    ) -> ScoreFile:
        """Return the score file of one evaluated set; its table is named but not hashed yet.

        It is named after the set, after the subset where there is one, and after the aggregate
        where it is not the mean.

        Raises:
            ManifestError: the set's name makes no file name.
        """
        table = check_file_name(f"{score_name(found.label, run.aggregate)}{TABLE_SUFFIX}")
        return cls(
            format_version=FORMAT_VERSION,
            run=run,
            checkpoint_sha256=checkpoint_sha256,
            set=found.label,
            metric=metric,
            probe=probe,
            tags=tags,
            figures=found.figures,
            table=table,
            table_sha256="",
        )


def score_name(label: SetLabel, aggregate: str) -> str:
    """Return the file name of the scores of a set, or of a subset, by one aggregate."""
    parts = [label.name, label.subset_id[:12] if label.subset_id else ""]
    parts.append(aggregate if aggregate != MEAN else "")
    return ".".join(part for part in parts if part) + SUFFIX


def check_place(folder: str, label: SetLabel, aggregate: str) -> None:
    """Check that a score file replaces none of another set that has the same name.

    Scores of the same set are replaced, and what cannot be read.

    Raises:
        ManifestError: there are scores of another set.
    """
    url = store.join(folder, check_file_name(score_name(label, aggregate)))
    if not store.exists(url):
        return
    try:
        found = _load_row(url).set
    except ManifestError:
        return
    both_frozen = found.recipe_id and label.recipe_id
    what = "recipe" if both_frozen else "plan"
    theirs, own = (
        (found.recipe_id, label.recipe_id) if both_frozen else (found.plan_id, label.plan_id)
    )
    if theirs != own:
        raise ManifestError(
            f"{url}: expected scores of this {label.name} ({what} {own!s:.12}…), got those of "
            f"another set of that name ({what} {theirs!s:.12}…); keep them apart with another "
            "--out DIR, or remove those first"
        )


def write_score_file(folder: str, file: ScoreFile, scores: ScoreTable) -> str:
    """Write a score file and its table; returns the URL of the score file.

    The table is written first, so that a score file is never without it.

    Args:
        folder: path or URL of the folder.
        file: the score file; the hash of its table is filled in.
        scores: the table.

    Raises:
        ManifestError: it cannot be written.
    """
    data = encode_scores(scores)
    row = replace(file, table_sha256=hashlib.sha256(data).hexdigest())
    # Through the reader once: an SNR given as 10 is then written as 10.0, as it will be read.
    text = canonical_json(row_from_json(canonical_json(row), ScoreFile, file.table))
    url = store.join(folder, file.table.removesuffix(TABLE_SUFFIX))
    store.write_bytes(store.join(folder, file.table), data)
    store.write_text(url, text)
    return url


def load_score_file(url: str) -> tuple[ScoreFile, ScoreTable]:
    """Load a score file and its table, and check them against each other.

    Raises:
        ManifestError: too large, not canonical JSON, of another version or shape, with numbers that
            are not finite, or with members that no set has; a table that is missing, elsewhere, or
            of another hash; or figures that the table does not give.
    """
    row = _load_row(url)
    table_url = store.join(posixpath.dirname(url), check_file_name(row.table))
    data = store.read_bytes(table_url)
    found = hashlib.sha256(data).hexdigest()
    if found != row.table_sha256:
        raise ManifestError(
            f"{table_url}: expected SHA-256 {row.table_sha256[:12]}…, got {found[:12]}…; it is not "
            "the table of this score file, fetch both again"
        )
    members = [member.member for member in row.figures.members]
    scores = decode_scores(data, table_url, row.tags, members, row.figures.n_clips)
    check_figures(url, row.figures, scores)
    return row, scores


def _load_row(url: str) -> ScoreFile:
    size = store.size_bytes(url)
    if size is not None and size > MAX_BYTES:
        raise ManifestError(f"{url}: expected at most {MAX_BYTES} bytes, got {size}")
    data = store.read_bytes(url)
    row = row_from_json(data, ScoreFile, url)
    if row.format_version != FORMAT_VERSION:
        raise ManifestError(
            f"{url}: expected score file version {FORMAT_VERSION}, got {row.format_version}; "
            "evaluate again"
        )
    check_file_name(row.set.name)
    definitions = (item.definition for item in row.figures.perturbed)
    for name in (row.run.name, row.run.method, row.run.backbone, *row.tags, *definitions):
        if not name.isprintable() or not 0 < len(name) <= MAX_NAME:
            raise ManifestError(
                f"{url}: expected printable names of 1 to {MAX_NAME} characters, got {name!r:.80}"
            )
    if row.run.aggregate not in CLIP_SCORE:
        raise ManifestError(
            f"{url}: expected an aggregate of {', '.join(CLIP_SCORE)}, got "
            f"{row.run.aggregate!r:.80}"
        )
    check_members(url, row.figures)
    if not 1 <= row.metric.n_draws <= MAX_DRAWS or not 0 < row.metric.level < 1:
        raise ManifestError(
            f"{url}: expected 1 to {MAX_DRAWS} draws and a level between 0 and 1, got "
            f"{row.metric.n_draws} and {row.metric.level}"
        )
    if canonical_json(row).encode() != data:
        raise ManifestError(
            f"{url}: expected canonical JSON, got another spelling of it; the file was edited, "
            "fetch it again"
        )
    return row
