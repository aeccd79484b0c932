"""Map of embeddings: every clip clean and noisy, joined by a line.

Where an encoder is robust the lines are short and the two colours mix; where noise is all that it
sees, the noisy points lie apart. A map shows this at a glance, the probe's AUC measures it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure as Canvas
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from manifests.errors import ManifestError, UsageError
from manifests.keys import CLEAN
from trainer.evaluation.embedding_sample import MIN_CLIPS, EmbeddingSample
from trainer.plots import COLOURS, Floats, legend_below, panels, style

Projection: TypeAlias = Literal["pca", "tsne"]

_PERPLEXITY: Final = 30.0
_PREFIX: Final = "noisy.snr_"


def plot_embeddings(
    samples: Mapping[str, EmbeddingSample], projection: Projection = "pca", *, seed: int = 0
) -> Canvas:
    """Plot clean and noisy clips, one row of panels per run and one column per SNR.

    All panels of a row share one projection, so that they can be compared; the highest, the middle
    and the lowest SNR are shown.

    Args:
        samples: embeddings by name of the run.
        projection: ``pca`` (linear, keeps distances) or ``tsne`` (keeps neighbours).
        seed: seed of t-SNE.

    Raises:
        UsageError: no run.
        ManifestError: a run without clean and noisy members, with other SNRs than the first, or
            with fewer than 5 clips.
    """
    if not samples:
        raise UsageError("map: expected embeddings of at least one run, got none; evaluate one")
    members = _members(next(iter(samples.values())))
    for name, sample in samples.items():
        held = sample.embeddings
        n_clips = len(held.get(CLEAN, ()))
        if not members or CLEAN not in held or not set(members) <= held.keys():
            raise ManifestError(
                f"{name}: expected embeddings of {CLEAN} and {members or 'noisy members'}, got "
                f"{sorted(held)}; evaluate all runs on one set with noise"
            )
        if n_clips < MIN_CLIPS:
            raise ManifestError(f"{name}: expected at least {MIN_CLIPS} clips, got {n_clips}")
    with style():
        canvas, axes = panels(
            0.8 + 3.7 * len(members), 0.9 + 3.6 * len(samples), len(samples), len(members)
        )
        for row, (name, sample) in enumerate(samples.items()):
            _row(axes[row], sample, members, name, projection, seed)
            if not row:
                for column, member in enumerate(members):
                    axes[0, column].set_title(
                        f"SNR {member.removeprefix(_PREFIX)} dB".replace("-", "−")
                    )
        legend_below(canvas, axes[0, 0])
    return canvas


def _members(sample: EmbeddingSample) -> list[str]:
    """Return the noisy members of the highest, the middle and the lowest SNR."""
    noisy = sorted(
        (name for name in sample.embeddings if name.startswith(_PREFIX)),
        key=lambda name: -float(name.removeprefix(_PREFIX)),
    )
    return [noisy[n] for n in sorted({0, len(noisy) // 2, len(noisy) - 1})] if noisy else []


def _row(
    axes: Sequence[Any],
    sample: EmbeddingSample,
    members: Sequence[str],
    name: str,
    projection: Projection,
    seed: int,
) -> None:
    names = [CLEAN, *members]
    stacked = np.concatenate([sample.embeddings[member] for member in names]).astype(np.float64)
    points, labels = _project(stacked, projection, seed)
    clean, *noisy = np.split(points, len(names))
    margin = 0.05 * np.ptp(points, axis=0) + 1e-12
    low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
    for panel, moved in zip(axes, noisy, strict=True):
        twins = np.stack([clean, moved], axis=1)  # (n, 2, 2)
        panel.add_collection(
            LineCollection(list(twins), colors="#999999", linewidths=0.5, alpha=0.6, zorder=1)
        )
        for spots, number, marker, label in ((clean, 0, "o", "clean"), (moved, 1, "^", "noisy")):
            panel.scatter(
                spots[:, 0], spots[:, 1], s=16, color=COLOURS[number], marker=marker, alpha=0.75,
                linewidths=0, label=label, zorder=2,
            )  # fmt: skip
        panel.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel=labels[0])
        panel.grid(visible=False)
        panel.set_xticks([])
        panel.set_yticks([])
    axes[0].set_ylabel(f"{name}\n{labels[1]}")


def _project(stacked: Floats, projection: Projection, seed: int) -> tuple[Floats, tuple[str, str]]:
    """Return points (n, 2) and the labels of the axes."""
    if projection == "tsne":
        perplexity = min(_PERPLEXITY, (len(stacked) - 1) / 3)
        tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
        with threadpool_limits(1):  # threads that wait for each other take 40 times as long
            points = tsne.fit_transform(stacked)
        return points, ("t-SNE 1 (no unit)", "t-SNE 2 (no unit)")
    pca = PCA(2, svd_solver="full").fit(stacked)
    shares = pca.explained_variance_ratio_
    return pca.transform(stacked), (
        f"Component 1 ({shares[0]:.0%} of variance)",
        f"Component 2 ({shares[1]:.0%} of variance)",
    )
