"""The sets of a grid's cells, by number of noises."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tiny_suite import DAT, run, run_well

from manifests.errors import UsageError
from trainer.grid_suite import Suite


def with_noises(suite: Path, folder: Path, number: int) -> str:
    """Copy a suite, as one whose training set has so many noises in each mix."""
    shutil.copytree(suite, folder)
    path = folder / "train" / "index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"noises_per_example": number}))
    return str(folder)


def test_roles_of_a_number_of_noises(suite: Path, tmp_path: Path) -> None:
    own = with_noises(suite, tmp_path / "k2", 2)
    train = f"{own}/train"
    assert Suite(str(tmp_path)).roles(2).urls["train"] == train
    assert Suite(own).roles(2).urls["train"] == train == Suite(train).roles(2).urls["train"]
    assert Suite(str(suite), (f"train={train}",)).roles(2).urls["train"] == train
    for k in (1, 4):
        message = rf"expected k{k}/suite\.json, found k2; name the --noises that are there, or bu"
        with pytest.raises(UsageError, match=message):
            Suite(str(tmp_path)).roles(k)


def test_a_suite_is_not_taken_for_one_of_another_number(suite: Path, tmp_path: Path) -> None:
    """Not by its place either: what its training set says counts."""
    for folder in (tmp_path / "k1", tmp_path / "mine"):
        own = with_noises(suite, folder, 4)
        assert "train" in Suite(own).roles(4)
        message = (
            r"expected k1/suite\.json or a training set of 1 noise, got one of 4 noises; name "
            "--noises 4, or the folder that holds k1"
        )
        with pytest.raises(UsageError, match=message):
            Suite(own).roles(1)


def test_a_grid_of_two_numbers_on_one_suite_is_refused(suite: Path, tmp_path: Path) -> None:
    own = with_noises(suite, tmp_path / "k4", 4)
    shared = ("grid", "--shards", own, "--out", tmp_path / "grid", *DAT, "--noises")
    result = run(*shared, "1,4")
    assert result.exit_code == 2 and "got one of 4 noises; name --noises 4" in result.output
    assert not (tmp_path / "grid").exists()
    assert "baseline-k4-s0" in run_well(*shared, "4", "--list").output
