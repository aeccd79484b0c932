"""From clip scores to figures: AUC and AP with intervals, consistency, domain probe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from manifests.keys import AUDIO, CLEAN
from trainer.bootstrap import (
    Figure,
    MacroDraws,
    bootstrap_draws,
    macro_draws,
    mean_draws,
    with_interval,
    within_unit,
)
from trainer.evaluation.clip_scores import ClipScores, Floats
from trainer.evaluation.consistency import Consistency, consistency
from trainer.evaluation.domain_probe import Probe, domain_probe_auc
from trainer.evaluation.figures import (
    MemberChange,
    MemberFigures,
    MetricDefinition,
    NoiseFigures,
    PerturbedFigures,
    SetFigures,
    SnrFigures,
)
from trainer.metrics import MacroMetrics, macro_metrics


def measure_set(
    clips: ClipScores,
    snrs_db: Mapping[str, float],
    metric: MetricDefinition,
    probe: Probe = "linear",
    definitions: Mapping[str, str] | None = None,
) -> SetFigures:
    """Return everything that is measured on one set.

    Args:
        clips: scores of all clips.
        snrs_db: SNR of each noisy member, by name; ``clean`` and ``audio`` are not in it.
        metric: how figures are made.
        probe: kind of the fresh domain classifier.
        definitions: how each perturbation was done, by member.
    """
    draws = bootstrap_draws(clips.clusters, metric.n_draws, metric.draw_seed)
    macros = {
        member: macro_metrics(scores, clips.labels, clips.tags)
        for member, scores in clips.scores.items()
    }
    spreads = {
        member: macro_draws(scores, clips.labels, draws) for member, scores in clips.scores.items()
    }
    members = tuple(
        _member(name, snrs_db.get(name), macro, spreads[name], metric.level)
        for name, macro in macros.items()
    )
    noisy = [name for name in macros if name in snrs_db]
    base = CLEAN if CLEAN in macros else AUDIO
    others = [name for name in macros if name != base and base in macros]
    mean_auc, mean_ap = _noisy_mean(
        [macros[name] for name in noisy], [spreads[name] for name in noisy], metric.level
    )
    any_macro = next(iter(macros.values()))  # the same for all members: labels decide it
    return SetFigures(
        n_clips=len(clips.keys),
        n_clusters=len(draws.clusters),
        n_tags=any_macro.n_tags,
        n_left_out=any_macro.n_left_out,
        members=members,
        noisy_mean_auc=mean_auc,
        noisy_mean_ap=mean_ap,
        noise=tuple(
            _noise(clips, name, snrs_db[name], probe) for name in noisy if CLEAN in clips.embeddings
        ),
        changes=tuple(
            _change(
                name, (macros[base], macros[name]), (spreads[base], spreads[name]), metric.level
            )
            for name in others
        ),
        perturbed=tuple(
            _perturbed(clips, base, name, definition)
            for name, definition in (definitions or {}).items()
        ),
    )


def _member(
    name: str, snr_db: float | None, macro: MacroMetrics, spread: MacroDraws, level: float
) -> MemberFigures:
    return MemberFigures(
        member=name,
        snr_db=snr_db,
        auc=_figure(macro.auc, spread.auc, level),
        ap=_figure(macro.ap, spread.ap, level),
        tags=macro.tags,
    )


def _figure(value: float | None, draws: Floats, level: float) -> Figure | None:
    return None if value is None else within_unit(with_interval(value, draws, level))


def noisy_means(macros: Sequence[MacroMetrics]) -> tuple[float, float] | None:
    """Return the mean AUC and AP over noisy members; None without members or tags to score."""
    aucs = [macro.auc for macro in macros if macro.auc is not None]
    aps = [macro.ap for macro in macros if macro.ap is not None]
    return (sum(aucs) / len(aucs), sum(aps) / len(aps)) if aucs else None


def _noisy_mean(
    macros: Sequence[MacroMetrics], spreads: Sequence[MacroDraws], level: float
) -> tuple[Figure | None, Figure | None]:
    means = noisy_means(macros)
    if means is None:
        return None, None
    spread = mean_draws(spreads)
    return _figure(means[0], spread.auc, level), _figure(means[1], spread.ap, level)


def _noise(clips: ClipScores, member: str, snr_db: float, probe: Probe) -> NoiseFigures:
    clean, noisy = clips.embeddings[CLEAN], clips.embeddings[member]
    return NoiseFigures(
        member=member,
        snr_db=snr_db,
        consistency=_agreement(clips, CLEAN, member),
        probe_auc=domain_probe_auc(clean, noisy, clips.clusters, probe=probe),
    )


def _agreement(clips: ClipScores, base: str, member: str) -> Consistency | None:
    if len(clips.keys) < 2:
        return None
    embeddings, scores = clips.embeddings, clips.scores
    return consistency(embeddings[base], embeddings[member], scores[base], scores[member])


def _change(
    name: str,
    macros: tuple[MacroMetrics, MacroMetrics],
    spreads: tuple[MacroDraws, MacroDraws],
    level: float,
) -> MemberChange:
    """Return a member less the unchanged one, both given the unchanged one first."""
    (before, after), (first, second) = macros, spreads
    if before.auc is None or after.auc is None or before.ap is None or after.ap is None:
        return MemberChange(name, None, None)
    return MemberChange(
        member=name,
        auc=with_interval(after.auc - before.auc, second.auc - first.auc, level),
        ap=with_interval(after.ap - before.ap, second.ap - first.ap, level),
    )


def _perturbed(clips: ClipScores, base: str, member: str, definition: str) -> PerturbedFigures:
    snrs_db = clips.snr_db.get(member)
    snr = None
    if snrs_db is not None:
        snr = SnrFigures(float(snrs_db.mean()), float(snrs_db.min()), float(snrs_db.max()))
    return PerturbedFigures(member, definition, _agreement(clips, base, member), snr)
