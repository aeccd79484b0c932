"""Plots: what they show is what was measured, and the files are reproducible."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from score_cases import LABEL, scores_of, write_scores

from manifests.errors import ManifestError, UsageError
from trainer.compare import Comparison, compare_runs
from trainer.compare_report import compare_scores, write_report
from trainer.evaluation.embedding_sample import EmbeddingSample, sample_embeddings
from trainer.evaluation.scored import load_scores
from trainer.plot_embeddings import plot_embeddings
from trainer.plot_training import has_curves, plot_training
from trainer.plots import COLOURS, MARKERS, look, plot_scores, save_plot
from trainer.runs.checkpoint import TrainingState, save_checkpoint
from trainer.runs.folder import RunFolder
from trainer.runs.metrics_log import MetricsLog


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


def records(n: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"stage": "domain", "step": 10, "train/loss": 0.7, "train/domain_accuracy": 0.5},
        {"stage": "domain", "step": 20, "train/loss": None, "train/domain_accuracy": 0.9},
    ]
    found += [{"stage": "dat", "step": step, "train/loss": 1 / (1 + step)} for step in range(n)]
    return [*found, {"stage": "dat", "step": n, "valid/auc_snr_-10": 0.6, "valid/auc_clean": 0.9}]


def lines_of(axes: Any) -> dict[str, Sequence[Any]]:
    return {
        line.get_label(): line.get_data()
        for line in axes.get_lines()
        if not line.get_label().startswith("_")
    }


def test_training_shows_each_figure_in_its_panel() -> None:
    canvas = plot_training(records(5), "dat-run")
    axes = np.array(canvas.axes).reshape(3, 2)
    x, y = lines_of(axes[1, 0])["train domain accuracy"]
    assert (list(x), list(y)) == ([10, 20], [0.5, 0.9])
    x, _ = lines_of(axes[0, 0])["train loss"]
    assert list(x) == [10]  # what was not finite is left out, not drawn as zero
    assert set(lines_of(axes[2, 1])) == {"valid auc, −10 dB", "valid auc clean"}
    assert "chance" in lines_of(axes[1, 0])
    assert not axes[1, 1].axison  # stage dat logged no accuracy here
    assert [a.get_title() for a in axes[0]] == ["Stage domain", "Stage dat"]
    assert axes[0, 0].get_xlabel() == "Training steps"


def test_long_curves_are_smoothed_at_their_true_place() -> None:
    canvas = plot_training(records(400), "x")
    axes = np.array(canvas.axes).reshape(3, 2)
    x, y = lines_of(axes[0, 1])["train loss"]
    assert len(x) == 400 - 20 + 1
    assert x[0] == pytest.approx(np.mean(range(20)))
    assert y[0] == pytest.approx(np.mean([1 / (1 + step) for step in range(20)]))


def test_nothing_to_plot_is_said() -> None:
    bare = [{"stage": "dat", "step": 1, "train/lr": 0.1}]
    assert not has_curves(bare)
    with pytest.raises(UsageError, match="x: expected losses or accuracies"):
        plot_training(bare, "x")


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


def report(urls: list[str], out: Path) -> tuple[Comparison, list[str]]:
    found = compare_scores(urls, str(out))
    return found.comparison, write_report(found, str(out))


def test_the_report_writes_tables_and_every_plot(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "my run"
    write_scores(str(run / "evaluation"), name="mine")
    with MetricsLog(RunFolder(run), "dat") as log:
        log.write(10, {"train/loss": 0.5})
    domain = run / "domain"
    domain.mkdir()
    with MetricsLog(RunFolder(domain), "domain") as log:
        log.write(10, {"train/domain_accuracy": 0.5})
    theirs = write_scores(str(tmp_path / "got"), scores_of(1), name="theirs", config="t" * 64)
    (tmp_path / "got" / "test-musan.embeddings.safetensors").unlink()
    comparison, written = report([str(run), theirs], tmp_path / "out")
    assert comparison.rows == ("mine", "theirs")
    names = {Path(url).name for url in written}
    assert names == {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= {"table.md", "scores.png", "training-my_run.svg", "map-test_musan.png"}
    assert "theirs: no embedding sample beside its scores" in caplog.text
    svg = (tmp_path / "out" / "training-my_run.svg").read_text()
    assert "Stage domain" in svg
    assert "Stage dat" in svg


def test_a_noisy_set_without_tags_is_in_the_table_and_on_no_plot_of_scores(tmp_path: Path) -> None:
    """As ``extra-target`` is: its clips have an agreement under noise, and no tag to score."""
    run, clips = tmp_path / "run", scores_of()
    bare = replace(clips, labels=np.zeros_like(clips.labels))
    write_scores(str(run / "evaluation"), bare, label=replace(LABEL, name="extra"))
    write_scores(str(run / "evaluation"), clips)
    comparison, written = report([str(run)], tmp_path / "out")
    assert [note.set for note in comparison.sets] == ["extra", "test-musan"]
    assert [a.get_title() for a in plot_scores(comparison).axes[:1]] == ["test-musan"]
    table = (tmp_path / "out" / "table.md").read_text()
    assert "extra: agreement of noisy clips with their clean versions" in table
    names = {Path(url).name for url in written}
    assert names >= {"scores.png", "map-extra.png", "map-test_musan.png"}
    alone = write_scores(str(tmp_path / "alone"), bare)
    assert not any("scores" in url for url in report([alone], tmp_path / "b")[1])


def test_the_curves_of_a_run_show_all_its_stages_in_order(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_scores(str(run / "evaluation"))
    stages = {"teacher": "baseline", **{f"round-{n}": f"round-{n}" for n in (10, 2, 1)}}
    for folder, stage in {**stages, "round-off": "none", ".": "noisy-student"}.items():
        (run / folder).mkdir(exist_ok=True)
        with MetricsLog(RunFolder(run / folder), stage) as log:
            log.write(10, {"train/loss": 0.5})
    report([str(run)], tmp_path / "out")
    svg = (tmp_path / "out" / "training-run.svg").read_text()
    assert re.findall(r"Stage ([\w-]+)<", svg) == [
        "baseline", "round-1", "round-2", "round-10", "noisy-student",
    ]  # fmt: skip


def test_a_report_on_real_recordings_has_no_plot_of_snrs(tmp_path: Path) -> None:
    url = write_scores(str(tmp_path / "a"), scores_of(members=["audio"]))
    _, written = report([url], tmp_path / "out")
    assert {Path(one).suffix for one in written} == {".txt", ".md", ".json", ".csv"}


def test_damaged_files_beside_the_scores_take_no_table_with_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs = [tmp_path / name for name in ("a", "b")]
    for number, run in enumerate(runs):
        write_scores(str(run / "evaluation"), name=run.name, config=f"{number}" * 64)
    sample = runs[0] / "evaluation/test-musan.embeddings.safetensors"
    sample.write_bytes(sample.read_bytes()[:-9])
    (runs[0] / "metrics.jsonl").write_text("{}\n{\n{}\n")
    for place in ("best", "last"):
        one = TrainingState({"encoder": torch.nn.Linear(1, 1)}, {})
        save_checkpoint(runs[0] / "checkpoints" / place, one, {})
    (runs[0] / "checkpoints/best/weights.safetensors").unlink()
    comparison, written = report([str(run) for run in runs], tmp_path / "out")
    assert comparison.rows == ("a", "b") and not comparison.costs
    assert {Path(url).name for url in written} >= {"table.txt", "map-test_musan.png"}
    for said in ("a: cost left out: ", "a is left out of the map", "no training curves of a"):
        assert said in caplog.text
    assert "remove" not in caplog.text, "the last checkpoint is whole"
