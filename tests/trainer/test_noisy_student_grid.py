"""Noisy students in ``train grid``: which baseline teaches them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from tiny_students import NOISY, QUICK
from tiny_suite import (
    run_well,
)

from trainer.config import Method, ModelConfig
from trainer.grid import teacher_path
from trainer.grid_cells import Axes, cells
from trainer.presets import preset_config
from trainer.tagger import load_tagger


def test_which_baseline_of_a_grid_teaches() -> None:
    """That of the same k, seed and options; with none, the student trains its own."""
    base = {method: preset_config("thesis", method) for method in get_args(Method)}
    found = cells(Axes(("baseline", "noisy-student"), noises=(1, 2), seeds=(0, 1)), base)
    others = [cell for cell in found if cell.config.method == "baseline"]
    students = [cell for cell in found if cell.config.method == "noisy-student"]
    taught = [teacher_path(Path("out"), cell, others) for cell in students]
    assert [path and path.name for path in taught] == [cell.name for cell in others]
    assert len({cell.name for cell in others}) == 4
    assert teacher_path(Path("out"), others[0], others) is None
    narrow = replace(students[0].config, model=ModelConfig(width=0.5))
    assert teacher_path(Path("out"), replace(students[0], config=narrow), others) is None


@pytest.mark.slow
def test_a_grid_shares_the_baseline_with_its_student(suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "grid"
    few = ("--methods", "noisy-student,baseline", "--encoder-epochs", "1", "--epochs", "1")
    run_well("grid", "--shards", suite, "--out", out, *QUICK, *NOISY, *few)
    student, baseline = (out / f"{name}-k1-s0" for name in ("noisy-student", "baseline"))
    assert not (student / "teacher").exists(), "the baseline's run teaches"
    assert load_tagger(student).card["teacher_sha256"] == load_tagger(baseline).sha256
    assert (student / "evaluation").is_dir()
    alone = ("--methods", "noisy-student", *few[2:])
    grid = ("grid", "--shards", suite, *QUICK, *NOISY)
    assert "noisy-student" in run_well(*grid, "--out", out, *alone).output, "it needs no teacher"
    run_well(*grid, "--out", tmp_path / "other", *alone)
    student, baseline = (tmp_path / "other" / path.name for path in (student, baseline))
    before = load_tagger(student).sha256
    run_well(*grid, "--out", tmp_path / "other", *few, "--precision", "bfloat16")
    assert load_tagger(student).sha256 == before, "its own teacher stays its teacher"
    assert load_tagger(baseline).sha256 != load_tagger(student / "teacher").sha256
