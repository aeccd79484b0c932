"""The table: rows are runs, columns are clean, each SNR and their mean, for every set.

Runs that share everything but the seed become one row with their mean and spread. Figures of
different sets, subsets or definitions never meet in one column. ``trainer.compare_text`` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from manifests.errors import ManifestError, UsageError
from trainer.bootstrap import n_artists
from trainer.compare_cells import Entry, cells_of, merge_cells
from trainer.compare_notes import band_notes, perturbation_notes
from trainer.compare_rows import group_runs, set_name, told_apart
from trainer.cost import RowCost
from trainer.evaluation.figures import MEAN, RunLabel
from trainer.evaluation.paired import PairedDifference, compare_draws, draw_runs
from trainer.evaluation.score_file import ScoreFile
from trainer.evaluation.scored import Scored, check_comparable

BASELINE: Final = "baseline"
"""Method whose first row the others are subtracted from; without it the first row is."""


@dataclass(frozen=True)
class SetNote:
    """What a set's figures rest on.

    Attributes:
        set: name of the set in the table.
        recipe_id: id of its frozen recipe; None where it was never frozen.
        subset_id: id of the subset; None for the whole set.
        n_clips: clips scored.
        n_clusters: what is drawn: artists, and clips whose artist is unknown.
        n_artists: the artists among them.
        n_tags: tags in the means.
        n_left_out: tags without a positive or without a negative clip.
        n_draws: bootstrap draws.
        level: share of the draws within an interval.
    """

    set: str
    recipe_id: str | None
    subset_id: str | None
    n_clips: int
    n_clusters: int
    n_artists: int
    n_tags: int
    n_left_out: int
    n_draws: int
    level: float


@dataclass(frozen=True)
class RowDifference:
    """A row less another one on one set, paired: see ``trainer.evaluation.paired``."""

    set: str
    row: str
    reference: str
    differences: tuple[PairedDifference, ...]


@dataclass(frozen=True)
class Comparison:
    """The table as data.

    Attributes:
        rows: names of the rows, in order.
        sets: one note per set, in order.
        entries: all cells of the rows.
        runs: the cells of every single run that is part of a row of several seeds.
        differences: every other row minus the baseline (else the first row), by set, paired.
        costs: what the rows cost whose runs are at hand; empty where only scores are.
        notes: what the reader must know of rows that were not scored alike.
    """

    rows: tuple[str, ...]
    sets: tuple[SetNote, ...]
    entries: tuple[Entry, ...]
    runs: tuple[Entry, ...]
    differences: tuple[RowDifference, ...]
    costs: tuple[RowCost, ...] = ()
    notes: tuple[str, ...] = ()


def compare_runs(scored: Sequence[Scored], *, paired: bool = True) -> Comparison:
    """Build the table.

    Args:
        scored: score files of any runs and sets, in the order of the rows.
        paired: whether to add paired differences with the baseline (a second per run, set and SNR
            on the MTAT test set).

    Raises:
        UsageError: no score file, or one run twice on one set.
        ManifestError: score files of one set name that are not comparable, runs that were scored on
            other subsets of a set each, or no set on which all seeds of a row were evaluated.
    """
    if not scored:
        raise UsageError("compare: expected score files, got none; evaluate a run first")
    scored = told_apart(scored)
    by_set: dict[str, list[Scored]] = {}
    for item in scored:
        by_set.setdefault(set_name(item.file), []).append(item)
    _check_subsets([item.file for item in scored])
    for items in by_set.values():
        _check_set(items)
    groups = group_runs([item.file.run for item in scored])
    sets, entries, single = list[SetNote](), list[Entry](), list[Entry]()
    differences, notes = list[RowDifference](), list[str]()
    for name, items in by_set.items():
        lacking = list(_lacking(name, items, groups))
        notes += [note for _, note in lacking]
        kept = [item for item in items if not any(item.file.run in own for own, _ in lacking)]
        if not kept:
            continue
        sets.append(_note(name, kept[0]))
        files = {
            row: [item.file for item in kept if item.file.run in labels]
            for row, labels in groups.items()
        }
        for row, own in files.items():
            cells = [list(cells_of(name, file.run.shown, file)) for file in own]
            entries += merge_cells(row, cells)
            single += [cell for one in cells if len(own) > 1 for cell in one]
        notes += [*band_notes(name, files), *perturbation_notes(name, files)]
        if paired:
            differences += _differences(name, kept, groups)
    if not sets:
        raise ManifestError(f"compare: expected a set that all seeds have; {'; '.join(notes)}")
    return Comparison(
        rows=tuple(groups),
        sets=tuple(sets),
        entries=tuple(entries),
        runs=tuple(single),
        differences=tuple(differences),
        notes=tuple(notes),
    )


def _lacking(
    name: str, items: Sequence[Scored], groups: Mapping[str, tuple[RunLabel, ...]]
) -> Iterator[tuple[tuple[RunLabel, ...], str]]:
    """Yield the rows some seeds of which were not evaluated on a set, and a note on each."""
    here = {item.file.run for item in items}
    for row, labels in groups.items():
        n_here = sum(label in here for label in labels)
        if 0 < n_here < len(labels):
            yield (
                labels,
                f"{name}: {row}: left out, for {n_here} of {len(labels)} seeds were evaluated on "
                "it; evaluate the others on it too",
            )


def _check_subsets(files: Sequence[ScoreFile]) -> None:
    """Refuse runs that never meet: each on a subset of its own, of one set."""
    for name in {file.set.name for file in files}:
        runs: dict[str, set[RunLabel]] = {}
        for file in files:
            if file.set.name == name:
                runs.setdefault(file.set.subset_id or "whole set", set()).add(file.run)
        if len(runs) > 1 and len(set.union(*runs.values())) > 1 == max(map(len, runs.values())):
            raise ManifestError(
                f"{name}: expected runs scored on one subset, got {', '.join(sorted(runs))}; "
                "evaluate them on the common subset (prep subset)"
            )


def _check_set(items: Sequence[Scored]) -> None:
    seen: set[tuple[str, str, int]] = set()
    for number, item in enumerate(items):
        for earlier in items[:number]:  # each may have perturbations that the others lack
            check_comparable(earlier.file, item.file)
        run = item.file.run
        identity = (run.method, run.config_sha256, run.seed)
        if identity in seen:
            raise UsageError(
                f"{run.shown}: expected each run once on {item.file.set.name}, got {run.method} "
                f"with seed {run.seed} twice; name it once"
            )
        seen.add(identity)


def _differences(
    name: str, items: Sequence[Scored], groups: dict[str, tuple[RunLabel, ...]]
) -> Iterator[RowDifference]:
    """Yield every other row minus the reference row."""
    if len(items) < 2 or not items[0].file.figures.n_tags:
        return
    drawn = draw_runs(items)
    sides = {
        row: side
        for row, labels in groups.items()
        if (side := [run for run in drawn if run.file.run in labels])
    }
    baselines = (row for row, side in sides.items() if _is_baseline(side[0].file.run))
    reference = next(baselines, next(iter(sides)))
    for row, side in sides.items():
        if row != reference:
            paired = compare_draws(sides[reference], side)
            yield RowDifference(name, row, reference, paired.differences)


def _is_baseline(run: RunLabel) -> bool:
    return run.method == BASELINE and run.aggregate == MEAN


def _note(name: str, item: Scored) -> SetNote:
    file = item.file
    figures, metric = file.figures, file.metric
    return SetNote(
        set=name,
        recipe_id=file.set.recipe_id,
        subset_id=file.set.subset_id,
        n_clips=figures.n_clips,
        n_clusters=figures.n_clusters,
        n_artists=n_artists(item.table.clusters),
        n_tags=figures.n_tags,
        n_left_out=figures.n_left_out,
        n_draws=metric.n_draws,
        level=metric.level,
    )
