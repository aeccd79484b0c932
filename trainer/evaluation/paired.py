"""Runs on one set: the difference per SNR, with paired bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from manifests.errors import ManifestError
from trainer.bootstrap import (
    Figure,
    MacroDraws,
    bootstrap_draws,
    macro_draws,
    mean_draws,
    with_interval,
)
from trainer.evaluation.clip_scores import ScoreTable
from trainer.evaluation.figures import RunLabel, SetLabel
from trainer.evaluation.score_file import ScoreFile
from trainer.evaluation.scored import Scored, check_comparable
from trainer.perturb.names import is_perturbation

NOISY_MEAN: Final = "noisy mean"


@dataclass(frozen=True)
class PairedDifference:
    """Second minus first on one member.

    Attributes:
        member: ``clean``, ``noisy.snr_0`` ..., ``audio``, a perturbation, or ``noisy mean``.
        snr_db: its SNR; None for all but noisy members.
        auc: difference of the macro ROC-AUC; an interval without 0 means that the runs differ.
        ap: difference of the macro average precision.
    """

    member: str
    snr_db: float | None
    auc: Figure
    ap: Figure


@dataclass(frozen=True)
class PairedComparison:
    """Second minus first on one set; each side is one run, or the mean of several seeds.

    Attributes:
        first: the runs that are subtracted.
        second: the runs that they are subtracted from.
        set: the set and subset.
        n_clips: clips that all scored.
        differences: one per member, and the noisy mean last where there are noisy members;
            perturbations that not all the runs were scored on are left out.
    """

    first: tuple[RunLabel, ...]
    second: tuple[RunLabel, ...]
    set: SetLabel
    n_clips: int
    differences: tuple[PairedDifference, ...]


@dataclass(frozen=True)
class MemberDraws:
    """One run, or the mean of several, on one member: on the whole set and in every draw."""

    auc: float
    ap: float
    draws: MacroDraws


@dataclass(frozen=True)
class RunDraws:
    """One run's figures on every member, as the differences need them."""

    file: ScoreFile
    members: dict[str, MemberDraws]


def draw_runs(scored: Sequence[Scored]) -> list[RunDraws]:
    """Score runs on one set under the same draws.

    Args:
        scored: score files on one set, at least one; the first gives the order of the clips.

    Raises:
        ManifestError: they are not comparable, see ``check_comparable``; their tables hold other
            clips, labels, artists or members; or the set has no tag to score.
    """
    like, metric = scored[0].table, scored[0].file.metric
    draws = bootstrap_draws(like.clusters, metric.n_draws, metric.draw_seed)
    drawn = []
    for item in scored:
        check_comparable(scored[0].file, item.file)
        table = aligned(item.table, like, item.file.run.name)
        members = {}
        for figures in item.file.figures.members:
            if figures.auc is None or figures.ap is None:
                raise ManifestError(
                    f"{item.file.set.name}: expected a tag with positive and negative clips, got "
                    "none; compare on a set with tags"
                )
            spread = macro_draws(table.scores[figures.member], table.labels, draws)
            members[figures.member] = MemberDraws(figures.auc.value, figures.ap.value, spread)
        drawn.append(RunDraws(item.file, members))
    return drawn


def compare_draws(first: Sequence[RunDraws], second: Sequence[RunDraws]) -> PairedComparison:
    """Return the paired differences of two sides, second minus first.

    Several runs on a side (seeds) are averaged draw by draw: the interval then tells how the *mean*
    depends on the artists, not how the seeds scatter.

    Args:
        first: runs of ``draw_runs``, one or more.
        second: runs of the same call.
    """
    file = first[0].file
    level = file.metric.level
    rows, noisy = [], list[MemberDraws]()
    for figures in file.figures.members:
        if not all(figures.member in run.members for run in (*first, *second)):
            continue  # a perturbation: of the others all runs have the same, see ``aligned``
        sides = [_mean([run.members[figures.member] for run in side]) for side in (first, second)]
        found = _minus(sides[1], sides[0])
        if figures.snr_db is not None:
            noisy.append(found)
        rows.append(_row(found, figures.member, figures.snr_db, level))
    if noisy:
        rows.append(_row(_mean(noisy), NOISY_MEAN, None, level))
    return PairedComparison(
        first=tuple(run.file.run for run in first),
        second=tuple(run.file.run for run in second),
        set=file.set,
        n_clips=file.figures.n_clips,
        differences=tuple(rows),
    )


def compare_pair(first: Scored, second: Scored) -> PairedComparison:
    """Return the paired differences of two score files, second minus first.

    Raises:
        ManifestError: as ``draw_runs``.
    """
    one, other = draw_runs([first, second])
    return compare_draws([one], [other])


def aligned(table: ScoreTable, like: ScoreTable, name: str) -> ScoreTable:
    """Return a table with its clips and tags in the order of another of the same vocabulary.

    Raises:
        ManifestError: other clips, members (perturbations may differ), artists or labels.
    """
    place = {key: row for row, key in enumerate(table.keys)}
    held, wanted = (
        [member for member in one.scores if not is_perturbation(member)] for one in (table, like)
    )
    if place.keys() != set(like.keys) or set(held) != set(wanted):
        raise ManifestError(
            f"{name}: expected the {len(like.keys)} clips and members {wanted} of the other run, "
            f"got {len(table.keys)} clips and {held}; evaluate both on the same set"
        )
    order = np.array([place[key] for key in like.keys])
    columns = np.array([table.tags.index(tag) for tag in like.tags], dtype=np.intp)
    clusters = tuple(table.clusters[row] for row in order)
    labels = table.labels[order][:, columns]
    if clusters != like.clusters or (labels != like.labels).any():
        raise ManifestError(
            f"{name}: expected the artists and tags of the other run for every clip, got others; "
            "evaluate both on the same set"
        )
    scores = {member: values[order][:, columns] for member, values in table.scores.items()}
    return replace(
        table, keys=like.keys, clusters=clusters, tags=like.tags, labels=labels, scores=scores
    )


def _mean(items: Sequence[MemberDraws]) -> MemberDraws:
    return MemberDraws(
        auc=float(np.mean([item.auc for item in items])),
        ap=float(np.mean([item.ap for item in items])),
        draws=mean_draws([item.draws for item in items]),
    )


def _minus(second: MemberDraws, first: MemberDraws) -> MemberDraws:
    draws = MacroDraws(second.draws.auc - first.draws.auc, second.draws.ap - first.draws.ap)
    return MemberDraws(second.auc - first.auc, second.ap - first.ap, draws)


def _row(found: MemberDraws, member: str, snr_db: float | None, level: float) -> PairedDifference:
    return PairedDifference(
        member=member,
        snr_db=snr_db,
        auc=with_interval(found.auc, found.draws.auc, level),
        ap=with_interval(found.ap, found.draws.ap, level),
    )
