"""Perturbations in the table of runs: one table per backbone, and what was not scored is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from score_cases import LABEL, MEMBERS, PERTURBED, SNRS_DB, scores_of, write_scores

from manifests.errors import ManifestError
from trainer.compare import Comparison, compare_runs
from trainer.compare_grid import Cell, Grid
from trainer.compare_text import grids, markdown_table, text_table, write_comparison
from trainer.evaluation.scored import Scored, load_scores
from trainer.plots import plot_scores


def run_of(
    folder: Path, name: str, members: tuple[str, ...] = MEMBERS, *, seed: int = 0, **options: Any
) -> Scored:
    method = options.setdefault("method", name)
    options.setdefault("config", f"{method:c<64}")
    url = write_scores(
        str(folder / name), scores_of(seed, members=members), name=name, seed=seed, **options
    )
    return load_scores([url])[0]


def robustness(comparison: Comparison) -> list[Grid]:
    return [grid for grid in grids(comparison) if ": robustness of " in grid.title]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Scored]:
    folder = tmp_path_factory.mktemp("compared")
    ladder = ("clean", *SNRS_DB)
    return [
        run_of(folder, "baseline"),
        run_of(folder, "plain", ladder),
        run_of(folder, "some", (*ladder, "drc:speech", "pitch-shift:+1")),
        run_of(folder, "large", backbone="transformer"),
        run_of(folder, "other", ladder, backbone="musicnn"),
    ]


def test_one_table_per_backbone_with_the_ladder_behind(runs: list[Scored]) -> None:
    comparison = compare_runs(runs)
    first, second = robustness(comparison)
    assert first.title == "test-musan: robustness of samplecnn"
    assert second.title == "test-musan: robustness of transformer"
    assert first.columns == (
        "clean", "drc:speech", "white-noise:0.1", "pitch-shift:+1", "10 dB", "-10 dB",
    )  # fmt: skip
    assert second.columns == ("clean", *PERTURBED, "10 dB", "-10 dB")
    titles = [title for title, _ in first.sections]
    assert titles[:2] == ["ROC-AUC", "Average precision"]
    assert titles[2].startswith("Change of ROC-AUC to the unchanged clips")
    rows = dict(first.sections[0][1])
    assert list(rows) == ["baseline", "plain", "some"]
    assert [cell == Cell() for cell in rows["plain"]] == [False, True, True, True, False, False]
    assert [cell == Cell() for cell in rows["some"]] == [False, False, True, False, False, False]
    own = {member.member: member for member in runs[0].file.figures.members}
    figures = (own[name].auc for name in ("clean", *PERTURBED))
    found = [rows["baseline"][place].figure for place in (0, 1, 2)]
    assert found == [f"{figure.value:.3f}" for figure in figures if figure]
    changes = dict(first.sections[2][1])["baseline"]
    change = runs[0].file.figures.changes[2].auc
    assert change is not None and changes[1].figure.rstrip("*") == f"{change.value:+.3f}"
    assert changes[0] == Cell(), "clean does not change against itself"


def test_what_was_not_scored_is_said(runs: list[Scored]) -> None:
    comparison = compare_runs(runs, paired=False)
    evaluate = "scored; evaluate it with --perturb too"
    assert comparison.notes == (
        f"test-musan: baseline: no pitch-shift:+1 {evaluate}",
        f"test-musan: plain: no perturbation {evaluate}",
        f"test-musan: some: no white-noise:0.1 {evaluate}",
        f"test-musan: large: no pitch-shift:+1 {evaluate}",
        f"test-musan: other: no perturbation {evaluate}",
        "test-musan: white-noise:0.1 is 20.0 dB SNR on average, clips have 10.0 to 30.0 dB",
    )
    for text in (text_table(comparison), markdown_table(comparison)):
        assert all(note in text for note in comparison.notes)
    assert compare_runs([runs[1], runs[4]], paired=False).notes == ()


def test_the_other_tables_stay_as_they_were(runs: list[Scored], tmp_path: Path) -> None:
    comparison = compare_runs(runs)
    scores = grids(comparison)[0]
    assert scores.columns == ("clean", "10 dB", "-10 dB", "noisy mean")
    (differences,) = [grid for grid in grids(comparison) if ": paired difference" in grid.title]
    assert differences.columns == ("clean", "10 dB", "-10 dB", "noisy mean", *PERTURBED)
    rows = dict(differences.sections[0][1])
    place = differences.columns.index("white-noise:0.1")
    assert rows["large"][place] != Cell() and rows["some"][place] == rows["plain"][place] == Cell()
    assert plot_scores(comparison).axes[0].get_title() == "test-musan"
    write_comparison(str(tmp_path), comparison)
    frame = pd.read_csv(tmp_path / "table.csv")
    own = frame[(frame.column == "drc:speech") & (frame.row == "large")]
    assert set(own.metric) == {"auc", "ap", "auc_change", "ap_change"}
    assert set(own.backbone) == {"transformer"}


def test_seeds_are_averaged_where_all_of_them_were_perturbed(tmp_path: Path) -> None:
    shared: dict[str, Any] = {"method": "dat", "config": "d" * 64}
    both = [run_of(tmp_path, f"dat{seed}", seed=seed, **shared) for seed in (0, 1)]
    comparison = compare_runs(both)
    cells = {(e.column, e.metric): e for e in comparison.entries}
    values = [item.file.figures.changes[2].auc for item in both]
    assert None not in values
    mean = np.mean([figure.value for figure in values if figure])
    cell = cells["drc:speech", "auc_change"]
    assert cell.value == pytest.approx(mean) and cell.spread is not None and cell.low is None
    (grid,) = robustness(comparison)
    assert dict(grid.sections[2][1])["dat ×2"][1].below.startswith("±")
    third = run_of(tmp_path, "dat2", ("clean", *SNRS_DB, "drc:speech"), seed=2, **shared)
    comparison = compare_runs([*both, third])
    assert comparison.notes[0] == (
        "test-musan: dat ×3: white-noise:0.1 left out, for not all 3 seeds were scored on it; "
        "evaluate the others with --perturb too"
    )
    columns = {entry.column for entry in comparison.entries}
    assert "white-noise:0.1" not in columns and "drc:speech" in columns


def test_perturbations_done_otherwise_are_not_compared(tmp_path: Path, runs: list[Scored]) -> None:
    other = run_of(tmp_path, "theirs", definition="another way")
    with pytest.raises(
        ManifestError, match="baseline and theirs: expected one drc:speech, got as said and another"
    ):
        compare_runs([runs[0], other])
    compare_runs([runs[1], other], paired=False)


def test_real_recordings_have_a_table_of_their_own(tmp_path: Path) -> None:
    label = replace(LABEL, name="videos", recipe_id="v" * 64)
    run = run_of(tmp_path, "dat", ("audio", *PERTURBED), label=label)
    (grid,) = robustness(compare_runs([run]))
    assert (grid.title, grid.columns) == ("videos: robustness of samplecnn", ("real", *PERTURBED))
