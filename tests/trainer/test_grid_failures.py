"""A grid whose cells fail: they are named, and the others are trained and tabulated."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_suite import DAT, run

from manifests.errors import ManifestError, UsageError
from trainer import grid
from trainer.config import SystemConfig
from trainer.grid import encoder_path, run_grid
from trainer.grid_cells import Cell, row_cells
from trainer.grid_suite import Suite
from trainer.presets import preset_config


def test_a_cell_that_diverges_leaves_the_others_be(
    suite: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows, out = tmp_path / "rows.toml", tmp_path / "grid"
    rows.write_text('[bad]\nmethod = "baseline"\nlr = 1e30\n[good]\nmethod = "baseline"\n')
    command = ("grid", "--shards", suite, "--out", out, *DAT, "--rows", rows)
    for _ in range(2):
        result = run(*command)
        assert result.exit_code == 1 and "bad-s0: loss is not finite (nan) at step 2" in caplog.text
        caplog.clear()
        assert "grid: 1 of 2 cells failed, as said above, and are in no table: bad-s0; mend" in (
            result.stderr
        )
        assert "good-s0" in result.stdout and "files in" in result.stdout
    rows.write_text('[bad]\nmethod = "baseline"\nlr = 1e-4\n[good]\nmethod = "baseline"\n')
    mended = run(*command, "--overwrite")
    assert mended.exit_code == 0 and "bad-s0" in mended.stdout


ROWS = {
    "baseline": preset_config("demo", "baseline"),
    "student": preset_config("demo", "noisy-student"),
    "alone": preset_config("demo", "supervised"),
}


def grid_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cells: list[Cell], *lost: str
) -> tuple[grid.GridRuns, list[str]]:
    """Run a grid that trains nothing, in which some names fail."""
    tried = list[str]()

    def train(cell: Cell, suite: Suite, out: Path, *_: object, **__: object) -> None:
        tried.append(cell.name)
        if cell.name in lost:
            raise ManifestError("loss is not finite")

    def shared(cell: Cell, suite: Suite, out: Path, system: SystemConfig) -> None:
        if encoder_path(out, cell).name in lost:
            raise ManifestError("encoder is lost")

    monkeypatch.setattr(grid, "_check", lambda *_: None)
    monkeypatch.setattr(grid, "train_cell", train)
    monkeypatch.setattr(grid, "train_shared", shared)
    monkeypatch.setattr(Suite, "requests", lambda *_: [])
    return run_grid(cells, Suite("none"), tmp_path, SystemConfig()), tried


def test_a_student_whose_teacher_failed_is_not_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        found, tried = grid_of(monkeypatch, tmp_path, row_cells(ROWS, (1,), (0,)), "baseline-s0")
    assert tried == ["baseline-s0", "alone-s0"]
    assert found.runs == [str(tmp_path / "alone-s0")]
    assert found.failed == {
        "baseline-s0": "loss is not finite", "student-s0": "its teacher: loss is not finite",
    }  # fmt: skip
    assert "baseline-s0: failed: loss is not finite" in caplog.text


def test_cells_whose_stage_1_failed_are_not_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But those of another seed are, and one that begins with random weights."""
    random = replace(ROWS["baseline"], encoder_init="random")
    cells = row_cells({"alone": ROWS["alone"], "random": random}, (1,), (0, 1))
    lost = encoder_path(tmp_path, cells[0]).name
    found, tried = grid_of(monkeypatch, tmp_path, cells, lost)
    assert sorted(tried) == ["alone-s1", "random-s0", "random-s1"]
    assert found.failed == {"alone-s0": "stage 1: encoder is lost"}


def test_options_that_do_not_fit_end_the_grid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise UsageError("has 2, asked for 3")

    monkeypatch.setattr(grid, "_check", lambda *_: None)
    monkeypatch.setattr(grid, "train_shared", refuse)
    with pytest.raises(UsageError, match="has 2, asked for 3"):
        run_grid(row_cells(ROWS, (1,), (0,)), Suite("none"), tmp_path, SystemConfig())
