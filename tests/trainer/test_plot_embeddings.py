"""Maps of embeddings: twins are joined, planes stay plane, and every map is reproducible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from score_cases import scores_of

from manifests.errors import ManifestError, UsageError
from trainer.evaluation.embedding_sample import EmbeddingSample, sample_embeddings
from trainer.plot_embeddings import plot_embeddings
from trainer.plots import save_plot


@pytest.mark.parametrize("projection", ["pca", "tsne"])
def test_the_map_joins_twins(projection: Any) -> None:
    sample = sample_embeddings(scores_of())
    canvas = plot_embeddings({"dat": sample}, projection)
    assert [a.get_title() for a in canvas.axes] == ["SNR 10 dB", "SNR −10 dB"]
    for axes in canvas.axes:
        lines, clean, noisy = axes.collections
        twins = np.array(lines.get_segments())
        np.testing.assert_array_equal(twins[:, 0], clean.get_offsets())
        np.testing.assert_array_equal(twins[:, 1], noisy.get_offsets())
        assert len(twins) == 60
    np.testing.assert_array_equal(
        canvas.axes[0].collections[1].get_offsets(), canvas.axes[1].collections[1].get_offsets()
    )


def test_pca_keeps_what_is_planar() -> None:
    """Points of a plane keep their distances on the map."""
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(2, 9))
    flat = {
        name: (rng.normal(size=(12, 2)) @ plane).astype(np.float32)
        for name in ("clean", "noisy.snr_0")
    }
    canvas = plot_embeddings({"x": EmbeddingSample(flat)})
    (lines, *_) = canvas.axes[0].collections
    length = [np.linalg.norm(a - b) for a, b in lines.get_segments()]
    expected = np.linalg.norm(flat["clean"] - flat["noisy.snr_0"], axis=1)
    np.testing.assert_allclose(length, expected, rtol=1e-4)
    assert canvas.axes[0].get_xlabel().endswith("% of variance)")


def test_the_map_is_the_same_every_time(tmp_path: Path) -> None:
    sample = sample_embeddings(scores_of())
    files = [
        Path(save_plot(str(tmp_path / name), "map", plot_embeddings({"a": sample}, "tsne"))[1])
        for name in ("a", "b")
    ]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        ({}, UsageError, "expected embeddings of at least one run"),
        (
            {"x": sample_embeddings(scores_of(members=["audio"]))},
            ManifestError,
            "x: expected embeddings of clean and noisy members",
        ),
        (
            {
                "x": sample_embeddings(scores_of()),
                "y": sample_embeddings(scores_of(members=["clean"])),
            },
            ManifestError,
            r"y: expected embeddings of clean and .*evaluate all runs on one set",
        ),
        (
            {"x": sample_embeddings(scores_of(), 4)},
            ManifestError,
            "x: expected at least 5 clips, got 4",
        ),
    ],
)
def test_what_makes_no_map_is_refused(
    samples: dict[str, EmbeddingSample], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        plot_embeddings(samples)
