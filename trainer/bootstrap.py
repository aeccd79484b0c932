"""Bootstrap intervals over artists, paired between runs.

Clips of one artist resemble each other, so resampling clips would make intervals too narrow: whole
artists are drawn (cluster bootstrap; Field & Welsh 2007, J. R. Stat. Soc. B 69). The draws depend
on the artists' names and the seed alone, so all runs on one set share them, and the difference of
two runs is taken draw by draw: what both find hard cancels (paired bootstrap; Koehn 2004).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from manifests.canonical import hash64
from manifests.errors import ManifestError, UsageError
from trainer.metrics import Labels, Scores
from trainer.rank_metrics import rank_tag

Floats: TypeAlias = NDArray[np.float64]

N_DRAWS: Final = 1_000
LEVEL: Final = 0.95
_ARTIST: Final = "artist "
MIN_CLUSTERS: Final = 2
"""Fewest clusters that give an interval."""


@dataclass(frozen=True)
class Figure:
    """A figure with its interval; the bounds are None where no draw gave the figure.

    One cluster alone has no interval either: all draws are alike and say nothing of others.
    """

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Draws:
    """Which clusters each draw holds, and how often.

    Attributes:
        clusters: the clusters' names, sorted.
        of_clip: index of each clip's cluster, (n_clips,).
        counts: how often a draw holds a cluster, (n_clusters, n_draws); columns sum to n_clusters.
    """

    clusters: tuple[str, ...]
    of_clip: NDArray[np.intp]
    counts: Floats


@dataclass(frozen=True)
class MacroDraws:
    """Macro AUC and AP of every draw, each (n_draws,); NaN where a draw has no tag to score.

    All are NaN where there is but one cluster to draw.
    """

    auc: Floats
    ap: Floats


def artist_clusters(artists: Sequence[str], clips: Sequence[str]) -> tuple[str, ...]:
    """Return the cluster of each clip: its artist, or the clip itself where that is unknown.

    Args:
        artists: artist of each clip, empty where unknown.
        clips: id of each clip; excerpts of one recording share it.
    """
    return tuple(
        f"{_ARTIST}{artist}" if artist else f"clip {clip}"
        for artist, clip in zip(artists, clips, strict=True)
    )


def n_artists(clusters: Sequence[str]) -> int:
    """Return how many of the clusters are artists; the others are clips whose artist is unknown."""
    return sum(cluster.startswith(_ARTIST) for cluster in set(clusters))


def bootstrap_draws(clusters: Sequence[str], n_draws: int = N_DRAWS, seed: int = 0) -> Draws:
    """Draw clusters with replacement.

    The generator's raw bits are used, which numpy keeps stable between versions, unlike the
    distributions on top of them. The remainder's bias is below 2**-40.

    Args:
        clusters: cluster of each clip, (n_clips,).
        n_draws: number of draws.
        seed: seed of the draws.

    Raises:
        ManifestError: no clip.
        UsageError: fewer than one draw.
    """
    if not clusters:
        raise ManifestError("bootstrap: expected at least one clip, got none; check the set")
    if n_draws < 1:
        raise UsageError(f"bootstrap: expected at least 1 draw, got {n_draws}; 1,000 is usual")
    names, of_clip = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
    n = len(names)
    bits = np.random.PCG64(hash64("bootstrap", seed)).random_raw(n_draws * n)
    drawn = (bits % np.uint64(n)).astype(np.intp).reshape(n_draws, n)
    flat = (drawn + n * np.arange(n_draws)[:, None]).ravel()
    counts = np.bincount(flat, minlength=n_draws * n).reshape(n_draws, n).T
    return Draws(tuple(map(str, names)), of_clip, np.ascontiguousarray(counts, dtype=np.float64))


def macro_draws(scores: Scores, labels: Labels, draws: Draws) -> MacroDraws:
    """Return macro AUC and AP of every draw.

    A draw can lose all positives of a rare tag; that draw's mean then runs over the other tags.
    Which tags those are depends on the labels alone, so it is the same for all runs on a set.

    Args:
        scores: (n_clips, n_tags).
        labels: (n_clips, n_tags).
        draws: draws over the same clips.

    Raises:
        ManifestError: the draws are of another number of clips.
    """
    if len(scores) != len(draws.of_clip) or scores.shape != labels.shape:
        raise ManifestError(
            f"bootstrap: expected scores and labels of {len(draws.of_clip)} clips, got "
            f"{scores.shape} and {labels.shape}; draw over the clips that are scored"
        )
    n_draws = draws.counts.shape[1]
    auc_sum, ap_sum, n_scored = np.zeros(n_draws), np.zeros(n_draws), np.zeros(n_draws)
    several = len(draws.clusters) >= MIN_CLUSTERS
    for tag in range(scores.shape[1]) if several else ():
        positive = labels[:, tag]
        if not positive.any() or positive.all():
            continue
        ranking = rank_tag(scores[:, tag], positive, draws.of_clip, len(draws.clusters))
        auc, ap = ranking.auc_ap(draws.counts)
        scored = ~np.isnan(auc)
        auc_sum[scored] += auc[scored]
        ap_sum[scored] += ap[scored]
        n_scored += scored
    blank = np.full(n_draws, np.nan)
    return MacroDraws(
        np.divide(auc_sum, n_scored, out=blank.copy(), where=n_scored > 0),
        np.divide(ap_sum, n_scored, out=blank, where=n_scored > 0),
    )


def mean_draws(draws: Sequence[MacroDraws]) -> MacroDraws:
    """Return the mean over several members (SNRs) draw by draw, e.g. the noisy mean.

    Raises:
        ManifestError: nothing to average.
    """
    if not draws:
        raise ManifestError("bootstrap: expected members to average, got none; check the set")
    return MacroDraws(
        np.mean([item.auc for item in draws], axis=0), np.mean([item.ap for item in draws], axis=0)
    )


def with_interval(value: float, draws: Floats, level: float = LEVEL) -> Figure:
    """Return a figure with the percentile interval of its draws, centred on the figure.

    The draws' mean is first shifted to the figure. AP needs it: an artist drawn twice puts copies
    of its positives side by side in the ranking, which raises AP in nearly every draw, so plain
    percentiles lie above the figure. Measured on 300 simulated sets each of 25, 60 and 150 artists
    (``tests/trainer/test_bootstrap.py``), 95 % intervals held the true AP in 69, 80 and 87 %
    plain, in 80, 89 and 91 % centred; the true AUC in 91 to 93 % both ways: few artists make any
    bootstrap a little too narrow. In a difference of two runs most of the shift cancels.

    Args:
        value: the figure on the whole set.
        draws: the figure, or the difference of two runs, in every draw, (n_draws,); NaN = none.
        level: share of the draws within the interval.

    Raises:
        UsageError: a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise UsageError(f"interval: expected a level between 0 and 1, got {level}; e.g. 0.95")
    kept = draws[~np.isnan(draws)]
    if not len(kept):
        return Figure(value, None, None)
    low, high = np.quantile(kept - kept.mean(), [(1 - level) / 2, (1 + level) / 2])
    return Figure(value, value + float(low), value + float(high))


def within_unit(figure: Figure) -> Figure:
    """Return a figure with its bounds cut to [0, 1], the range of AUC and AP."""
    if figure.low is None or figure.high is None:
        return figure
    return Figure(figure.value, max(0.0, figure.low), min(1.0, figure.high))
