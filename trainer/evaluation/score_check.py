"""What a score file says, checked against its table: nothing is believed that it does not give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from manifests.errors import ManifestError, UsageError
from manifests.keys import AUDIO, CLEAN, noisy_name
from trainer.bootstrap import Figure
from trainer.evaluation.clip_scores import ScoreTable
from trainer.evaluation.figures import MemberFigures, SetFigures
from trainer.evaluation.measure import noisy_means
from trainer.metrics import MacroMetrics, TagMetrics, macro_metrics
from trainer.perturb.names import is_perturbation, parse_perturbations

TOLERANCE: Final = 1e-9
"""Between stored figures and those of the table: scikit-learn versions sum in other orders."""


def check_members(url: str, figures: SetFigures) -> None:
    """Check that members are those of a set, and perturbations that can be named.

    Raises:
        ManifestError: another member, or other perturbations than are described.
    """
    members = figures.members
    perturbed = [member.member for member in members if is_perturbation(member.member)]
    others = [member for member in members if not is_perturbation(member.member)]
    legal = all(
        member.member in (CLEAN, AUDIO)
        if member.snr_db is None
        else member.member == noisy_name(member.snr_db)
        for member in others
    )
    if not legal or any(m.snr_db is not None for m in members if is_perturbation(m.member)):
        raise ManifestError(
            f"{url}: expected members {CLEAN}, noisy.snr_…, {AUDIO} and perturbations, got "
            f"{[member.member for member in members]!r:.200}"
        )
    for name in perturbed:
        if not _is_name(name):
            raise ManifestError(
                f"{url}: expected perturbations as train evaluate names them, got {name!r:.80}"
            )
    described = [item.member for item in figures.perturbed]
    if described != perturbed:
        raise ManifestError(
            f"{url}: expected the perturbations {perturbed} to be described, got {described!r:.200}"
        )


def _is_name(member: str) -> bool:
    try:
        return [item.name for item in parse_perturbations([member])] == [member]
    except UsageError:
        return False


def check_figures(url: str, figures: SetFigures, scores: ScoreTable) -> None:
    """Check that figures are those that a score table gives; intervals are not drawn again.

    Raises:
        ManifestError: one is not; the message names it.
    """
    for name, stored, computed in _figures(figures, scores):
        if stored is None or computed is None:
            same = stored is computed
        else:
            same = abs(stored - computed) <= TOLERANCE
        if not same:
            raise ManifestError(
                f"{url}: {name}: expected {computed}, which the table gives, got {stored}; "
                "the file was edited, evaluate again"
            )


_Check = tuple[str, float | None, float | None]
"""What is checked, the figure as stored, and as the table gives it."""


def _figures(figures: SetFigures, scores: ScoreTable) -> Iterator[_Check]:
    yield "n_clusters", figures.n_clusters, len(set(scores.clusters))
    noisy = []
    for member in figures.members:
        macro = macro_metrics(scores.scores[member.member], scores.labels, scores.tags)
        if member.snr_db is not None:
            noisy.append(macro)
        yield "n_tags", figures.n_tags, macro.n_tags
        yield "n_left_out", figures.n_left_out, macro.n_left_out
        yield f"{member.member} auc", _value(member.auc), macro.auc
        yield f"{member.member} ap", _value(member.ap), macro.ap
        yield from _tag_figures(member, macro)
    yield from _change_figures(figures)
    auc, ap = noisy_means(noisy) or (None, None)
    yield "noisy mean auc", _value(figures.noisy_mean_auc), auc
    yield "noisy mean ap", _value(figures.noisy_mean_ap), ap


def _tag_figures(member: MemberFigures, macro: MacroMetrics) -> Iterator[_Check]:
    stored = {row.tag: row for row in member.tags}
    yield f"{member.member} tags", len(member.tags), len(macro.tags)
    for row in macro.tags:
        said = stored.get(row.tag, TagMetrics(row.tag, -1, None, None))
        yield f"{member.member} {row.tag} n_positive", said.n_positive, row.n_positive
        yield f"{member.member} {row.tag} auc", said.auc, row.auc
        yield f"{member.member} {row.tag} ap", said.ap, row.ap


def _change_figures(figures: SetFigures) -> Iterator[_Check]:
    """Yield the changes against what the members' own figures give."""
    own = {member.member: member for member in figures.members}
    base = own.get(CLEAN) or own.get(AUDIO)
    for change in figures.changes:
        member = own.get(change.member)
        for metric in ("auc", "ap"):
            before, after = (_value(getattr(m, metric, None)) for m in (base, member))
            given = None if before is None or after is None else after - before
            yield f"change of {change.member} {metric}", _value(getattr(change, metric)), given


def _value(figure: Figure | None) -> float | None:
    return figure.value if figure else None
