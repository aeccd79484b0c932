"""Noisy students of a grid that are given a teacher or unlabelled examples."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from tiny_suite import COMPARISON, run, run_well

from trainer.config import Method
from trainer.grid import teacher_path
from trainer.grid_cells import Axes, Given, cells, row_cells
from trainer.presets import preset_config
from trainer.runs.folder import read_config
from trainer.tagger import load_tagger

BASE = {method: preset_config("demo", method) for method in get_args(Method)}
GIVEN = Given("runs/large", "sets/wild")


def test_what_is_given_is_the_students_alone() -> None:
    baseline, student = cells(Axes(("baseline", "noisy-student")), BASE, GIVEN)
    assert (baseline.given, student.given) == (Given(), GIVEN)
    assert teacher_path(Path("out"), student, [baseline]) == Path("runs/large")
    (own,) = cells(Axes(("noisy-student",)), BASE, Given(unlabelled="sets/wild"))
    assert teacher_path(Path("out"), own, [baseline]) == Path("out/baseline-k1-s0")


def test_rows_may_differ_by_what_is_given() -> None:
    rows = {name: BASE["noisy-student"] for name in ("a", "b", "c")}
    given = {"a": GIVEN, "b": Given("runs/large")}
    found = row_cells(rows, (1,), (0, 1), given)
    assert [cell.given for cell in found[::2]] == [GIVEN, Given("runs/large"), Given()]


def test_a_teacher_and_unlabelled_shards_from_a_file(
    suite: Path, dat_run: Path, tmp_path: Path
) -> None:
    """As options of the command and of a row, which wins."""
    (tmp_path / "run.toml").write_text(f'teacher = "{dat_run}"\nunlabelled-shards = "no set"')
    (tmp_path / "rows.toml").write_text(
        f'[student]\nmethod = "noisy-student"\nunlabelled-shards = "{suite}"\nepochs = 1\n'
    )
    files = ("--config", tmp_path / "run.toml", "--rows", tmp_path / "rows.toml")
    shared = ("grid", "--shards", suite, *COMPARISON, *files, "--encoder-epochs", 1)
    run_well(*shared, "--out", tmp_path / "grid")
    student = tmp_path / "grid" / "student-s0"
    assert read_config(student)["unlabelled"].startswith("extra-target ")
    assert read_config(student)["teacher"]["method"] == "dat"
    assert load_tagger(student).card["teacher_sha256"] == load_tagger(dat_run).sha256
    assert not (student / "teacher").exists(), "no baseline is trained"


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("--teacher", "gone", "gone: expected a run or checkpoint, found none"),
        ("--unlabelled-shards", "gone", "gone: expected a suite"),
    ],
)
def test_what_cannot_be_given_is_refused_before_training(
    suite: Path, tmp_path: Path, option: str, value: str, text: str
) -> None:
    out, methods = tmp_path / "grid", ("--methods", "baseline,noisy-student")
    given = (option, tmp_path / value)
    result = run("grid", "--shards", suite, "--out", out, *COMPARISON, *methods, *given)
    assert result.exit_code in (1, 2) and text in result.output, result.output
    assert not out.exists()


def test_a_row_of_another_method_is_given_nothing(suite: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.toml").write_text('[a]\nmethod = "baseline"\nteacher = "x"')
    shared = ("grid", "--shards", suite, "--out", tmp_path / "grid")
    result = run(*shared, "--rows", tmp_path / "rows.toml")
    assert result.exit_code == 2 and "that baseline uses, got --teacher" in result.output
