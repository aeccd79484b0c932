"""Plots of scores: what they show is what was measured, and the files are reproducible."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from score_cases import LABEL, scores_of, write_scores

from manifests.errors import UsageError
from trainer.compare import Comparison, compare_runs
from trainer.evaluation.scored import load_scores
from trainer.plots import COLOURS, MARKERS, look, plot_scores, save_plot


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("runs")
    urls = []
    for number, label in enumerate((LABEL, replace(LABEL, name="test-audioset"))):
        for seed, (name, method) in enumerate(
            (("base0", "baseline"), ("base1", "baseline"), ("dat", "dat"))
        ):
            out = str(folder / f"{name}-{number}")
            clips = scores_of(seed, set_seed=number)
            config = f"{method:c<64}"
            urls.append(
                write_scores(
                    out, clips, name=name, method=method, seed=seed, config=config, label=label
                )
            )
    return compare_runs(load_scores(urls), paired=False)


def points(axes: Any, row: str) -> list[tuple[float, float]]:
    """All points that a row's markers stand at."""
    found = []
    for container in axes.containers:
        if container.get_label() == row:
            x, y = container.lines[0].get_data()
            found += list(zip(x, y, strict=True))
    return found


def test_scores_stand_where_the_table_says(table: Comparison) -> None:
    canvas = plot_scores(table)
    axes = np.array(canvas.axes).reshape(2, 2)
    assert [a.get_title() for a in axes[0]] == [note.set for note in table.sets]
    for column, note in enumerate(table.sets):
        for row, metric in enumerate(("auc", "ap")):
            for name in table.rows:
                values = {
                    e.column: e.value
                    for e in table.entries
                    if (e.row, e.set, e.metric) == (name, note.set, metric)
                }
                found = points(axes[row, column], name)
                assert [y for _, y in found] == [values[c] for c in ("-10", "10", "clean")]
                assert [round(x) for x, _ in found] == [-10, 10, 17]


def test_axes_say_what_they_show_and_in_what_unit(table: Comparison) -> None:
    canvas = plot_scores(table)
    axes = np.array(canvas.axes).reshape(2, 2)
    assert axes[1, 0].get_xlabel() == "SNR of music to noise (dB)"
    assert [a.get_ylabel() for a in axes[:, 0]] == ["ROC-AUC (macro)", "Average precision (macro)"]
    assert [t.get_text() for t in axes[1, 0].get_xticklabels()] == ["−10", "10", "clean"]
    (legend,) = canvas.legends
    assert [text.get_text() for text in legend.get_texts()] == list(table.rows)


def extent(canvas: Figure, artist: Any) -> Any:
    return artist.get_window_extent(FigureCanvasAgg(canvas).get_renderer())


def test_the_legend_covers_no_panel(table: Comparison) -> None:
    canvas = plot_scores(table)
    canvas.draw_without_rendering()
    (legend,) = canvas.legends
    box = extent(canvas, legend)
    assert not any(box.overlaps(extent(canvas, axes)) for axes in canvas.axes)


def test_bars_are_the_intervals_or_the_spread(table: Comparison) -> None:
    canvas = plot_scores(table)
    axes = canvas.axes[0]
    for name in table.rows:
        (line, _) = [c for c in axes.containers if c.get_label() == name]
        segments = line.lines[2][0].get_segments()
        cell = next(
            e
            for e in table.entries
            if (e.row, e.set, e.column, e.metric) == (name, table.sets[0].set, "-10", "auc")
        )
        low, high = segments[0][:, 1]
        if cell.spread is not None:
            assert (high - low) / 2 == pytest.approx(cell.spread)
        else:
            assert (low, high) == (pytest.approx(cell.low), pytest.approx(cell.high))


def test_no_two_of_many_runs_look_alike() -> None:
    looks = [(look(n)["color"], look(n)["marker"]) for n in range(len(COLOURS) * len(MARKERS))]
    assert len(set(looks)) == len(looks)


def test_colours_differ_in_lightness_or_hue_for_every_eye() -> None:
    """Simulated deuteranopia and protanopia (Machado et al. 2009, severity 1) keep them apart."""
    deuteranopia = np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.01182, 0.04294, 0.968881],
        ]
    )
    protanopia = np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    )
    srgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in COLOURS])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    for eye in (np.eye(3), deuteranopia, protanopia):
        seen = np.clip(linear @ eye.T, 0, 1) ** (1 / 2.2)
        for a in range(len(seen)):
            for b in range(a):
                assert np.linalg.norm(seen[a] - seen[b]) > 0.1, (COLOURS[a], COLOURS[b])


def test_scores_without_noise_cannot_be_plotted(tmp_path: Path) -> None:
    url = write_scores(str(tmp_path), scores_of(members=["audio"]))
    with pytest.raises(UsageError, match="expected scores on a set with noise"):
        plot_scores(compare_runs(load_scores([url])))


def test_files_are_whole_and_the_same_every_time(table: Comparison, tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        png, svg = (Path(url) for url in save_plot(str(tmp_path / name), "x", plot_scores(table)))
        with Image.open(png) as image:
            assert image.size[0] > 1_000
            assert len(np.unique(np.asarray(image.convert("L")))) > 20
        assert ET.parse(svg).getroot().tag.endswith("svg")
        contents.append((png.read_bytes(), svg.read_bytes()))
    assert contents[0] == contents[1]
    assert b"<dc:date>" not in contents[0][1]
