"""What an evaluation found, as frozen rows that go through JSON without loss."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from trainer.bootstrap import LEVEL, N_DRAWS, Figure
from trainer.evaluation.consistency import Consistency
from trainer.metrics import TagMetrics

MEAN: Final = "mean"
ATTENTION: Final = "attention"
CLIP_SCORE: Final = {
    MEAN: "mean of sigmoids over all whole chunks, tail dropped",
    ATTENTION: "mean of sigmoids over all whole chunks, weighted by attention, tail dropped",
}
"""How the scores of a clip follow from those of its chunks, in words."""

_LIMITED: Final = re.compile(r", of audio limited to ([0-9]+(?:\.[0-9]+)?) Hz\Z")


def clip_score(aggregate: str, limit_hz: float | None) -> str:
    """Return what the scores of clips are, in words: the band of the audio is part of it.

    Args:
        aggregate: ``mean`` or ``attention``.
        limit_hz: upper edge that clips of a wider band were limited to, Hz; None where none was.
    """
    limited = "" if limit_hz is None else f", of audio limited to {limit_hz:g} Hz"
    return CLIP_SCORE[aggregate] + limited


def split_limit(said: str) -> tuple[str, str | None]:
    """Return what scores are as if no band was limited, and the limit's digits, Hz, else None."""
    found = _LIMITED.search(said)
    return (said[: found.start()], found[1]) if found else (said, None)


@dataclass(frozen=True)
class RunLabel:
    """Which run was evaluated.

    Attributes:
        name: name of the run, e.g. its folder's.
        method: ``baseline``, ``dat``, ..., ``random-encoder``; the row of the table.
        seed: seed of the run.
        config_sha256: SHA-256 over the run's config without the seed: runs that share it differ
            by the seed alone.
        backbone: network of the encoder.
        chunk_samples: samples of one of its inputs, at 22,050 Hz.
        aggregate: ``mean`` or ``attention``: how the scores of chunks become those of a clip. It is
            part of the run, as a layer of its network would be, so that runs with one and the
            other are compared.
    """

    name: str
    method: str
    seed: int
    config_sha256: str
    backbone: str
    chunk_samples: int
    aggregate: str = MEAN

    @property
    def shown(self) -> str:
        """The run's name, and how it aggregates where that is not by the mean."""
        return self.name if self.aggregate == MEAN else f"{self.name} ({self.aggregate})"


@dataclass(frozen=True)
class SetLabel:
    """Which set was evaluated, and what part of it.

    Attributes:
        name: name of the set.
        recipe_id: id of the frozen recipe; None where the set was never frozen.
        plan_id: hash of the set's plan and identity config (``set_label``).
        subset_id: id of the subset that was evaluated; None for the whole set.
    """

    name: str
    recipe_id: str | None
    plan_id: str
    subset_id: str | None


@dataclass(frozen=True)
class MetricDefinition:
    """How the figures were made; figures of different definitions are never compared.

    Attributes:
        clip_score: what the score of a clip and tag is (``clip_score``).
        average: what the mean runs over.
        n_draws: bootstrap draws.
        draws_over: what a draw draws.
        draw_seed: seed of the draws.
        interval: how an interval follows from the draws.
        level: share of the draws within an interval.
    """

    clip_score: str = CLIP_SCORE[MEAN]
    average: str = "macro over tags with a positive and a negative clip"
    n_draws: int = N_DRAWS
    draws_over: str = "artists; clips where the artist is unknown"
    draw_seed: int = 0
    interval: str = "percentiles of the draws, centred on the figure"
    level: float = LEVEL


@dataclass(frozen=True)
class MemberFigures:
    """Scores of one member of a set.

    Attributes:
        member: ``clean``, ``noisy.snr_0`` ..., ``audio``, or the name of a perturbation.
        snr_db: the SNR of a noisy member; None for all others.
        auc: macro ROC-AUC with its interval; None where the set has no tag to score.
        ap: macro average precision; None likewise.
        tags: the table per tag.
    """

    member: str
    snr_db: float | None
    auc: Figure | None
    ap: Figure | None
    tags: tuple[TagMetrics, ...]


@dataclass(frozen=True)
class NoiseFigures:
    """Agreement of one noisy member with the clean one.

    Attributes:
        member: the noisy member.
        snr_db: its SNR.
        consistency: cosine, retrieval and change of tags; None for a set of one clip.
        probe_auc: AUC of a fresh domain classifier, clean against this SNR; None where there are
            too few artists to validate it.
    """

    member: str
    snr_db: float
    consistency: Consistency | None
    probe_auc: float | None


@dataclass(frozen=True)
class MemberChange:
    """One member less the unchanged one, ``clean`` or ``audio``, paired over the draws.

    Attributes:
        member: the noisy or perturbed member.
        auc: change of the macro ROC-AUC; an interval without 0 means that it moves the tagger. None
            where the set has no tag to score.
        ap: change of the macro average precision; None likewise.
    """

    member: str
    auc: Figure | None
    ap: Figure | None


@dataclass(frozen=True)
class SnrFigures:
    """SNR over the clips of a set, dB: mean, lowest and highest."""

    mean_db: float
    lowest_db: float
    highest_db: float


@dataclass(frozen=True)
class PerturbedFigures:
    """What belongs to one perturbation beside its scores.

    Attributes:
        member: its name, e.g. ``white-noise:0.1``.
        definition: how it was done; figures of different definitions are never compared.
        consistency: agreement with the unchanged clips; None for a set of one clip.
        snr: SNR that it came to; None where no noise was added.
    """

    member: str
    definition: str
    consistency: Consistency | None
    snr: SnrFigures | None


@dataclass(frozen=True)
class SetFigures:
    """Everything measured on one set.

    Attributes:
        n_clips: clips scored.
        n_clusters: artists (clusters) that the draws run over.
        n_tags: tags in the means.
        n_left_out: tags without a positive or without a negative clip.
        members: figures of each member, in the set's order, then of each perturbation.
        noisy_mean_auc: mean of the noisy members' macro AUC; None without noisy members or tags.
        noisy_mean_ap: the same of the AP.
        noise: agreement with the clean member by SNR; empty for real recordings.
        changes: every other member less the clean one (or ``audio``).
        perturbed: one entry per perturbation.
    """

    n_clips: int
    n_clusters: int
    n_tags: int
    n_left_out: int
    members: tuple[MemberFigures, ...]
    noisy_mean_auc: Figure | None
    noisy_mean_ap: Figure | None
    noise: tuple[NoiseFigures, ...]
    changes: tuple[MemberChange, ...]
    perturbed: tuple[PerturbedFigures, ...]


@dataclass(frozen=True)
class SetEvaluation:
    """One set's label and figures.

    Attributes:
        label: the set.
        figures: what was measured.
        metric: how: the band of the audio may differ from set to set. None in files from before it
            was kept.
    """

    label: SetLabel
    figures: SetFigures
    metric: MetricDefinition | None = None


@dataclass(frozen=True)
class Evaluation:
    """One run on all sets that it was evaluated on.

    Attributes:
        run: the run.
        checkpoint_sha256: hash of the weights.
        metric: how the figures were made, less what a set's own ``metric`` says.
        probe: kind of the fresh domain classifier.
        sets: one entry per set.
    """

    run: RunLabel
    checkpoint_sha256: str
    metric: MetricDefinition
    probe: str
    sets: tuple[SetEvaluation, ...]
