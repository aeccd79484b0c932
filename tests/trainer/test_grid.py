"""The grid: its cells, one stage 1 for all of a seed, and going on where it stopped."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_suite import DAT, assert_same_weights, run, run_well, values

import trainer.grid_scores
from manifests.errors import ManifestError, UsageError
from trainer.cli.grid import read_list
from trainer.config import METHODS, SystemConfig, TrainConfig
from trainer.grid import _crops_heard, _train_all
from trainer.grid_cells import Axes, cells
from trainer.grid_suite import Suite
from trainer.presets import preset_config
from trainer.runs.folder import read_config

BASE: dict[str, TrainConfig] = {m: preset_config("thesis", m) for m in METHODS}  # type: ignore[arg-type]
GRID = (*DAT, "--methods", "baseline,dat", "--seeds", "0,1")


# ---- cells ----------------------------------------------------------------------------


def test_the_thesis_table() -> None:
    axes = Axes(
        methods=("baseline", "dat", "supervised"), noises=(1, 2, 4), freeze=(True, False),
        e2h=(0.0, 1 / 30), alpha=("dann", "constant"), seeds=(0, 1, 2),
    )  # fmt: skip
    found = cells(axes, BASE)
    assert len(found) == 3 * 3 * (1 + 8 + 1)
    assert len({cell.name for cell in found}) == len(found)
    names = [cell.name for cell in found]
    assert names[0] == "baseline-k1-s0"
    assert "dat-k2-finetune-e2h0.0333333-constant-l0.05-s1" in names
    assert "supervised-k4-s2" in names
    assert all(cell.config.seed == int(cell.name.rsplit("-s", 1)[1]) for cell in found)


def test_axes_multiply_dat_only_and_keep_their_values() -> None:
    axes = Axes(("baseline", "dat"), e2h=(0.1, 0.2), weights=(None, 0.3), freeze=(False,))
    found = {cell.name: cell.config for cell in cells(axes, BASE)}
    assert list(found) == [
        "baseline-k1-s0",
        "dat-k1-finetune-e2h0.1-dann-l0.05-s0",
        "dat-k1-finetune-e2h0.1-dann-l0.3-s0",
        "dat-k1-finetune-e2h0.2-dann-l0.05-s0",
        "dat-k1-finetune-e2h0.2-dann-l0.3-s0",
    ]
    last = found["dat-k1-finetune-e2h0.2-dann-l0.3-s0"]
    assert (last.snr.e2h_db_per_epoch, last.tagger.lambda_dom, last.tagger.freeze) == (
        0.2,
        0.3,
        False,
    )
    assert found["baseline-k1-s0"].snr.e2h_db_per_epoch == 0.0


def test_an_axis_that_is_not_given_is_that_of_the_options() -> None:
    dat = BASE["dat"]
    tagger = replace(dat.tagger, lambda_dom=0.7, alpha="constant", freeze=False)
    (cell,) = cells(Axes(("dat",)), BASE | {"dat": replace(dat, tagger=tagger)})
    assert cell.config.tagger == tagger and cell.name == "dat-k1-finetune-full-constant-l0.7-s0"


def test_backbones_multiply_every_method_and_are_named() -> None:
    axes = Axes(("baseline", "dat"), backbones=("samplecnn", "musicnn"), weights=(0.1, 0.2))
    found = {cell.name: cell.config.model.backbone for cell in cells(axes, BASE)}
    assert found == {
        "baseline-samplecnn-k1-s0": "samplecnn",
        "baseline-musicnn-k1-s0": "musicnn",
        "dat-samplecnn-k1-freeze-full-dann-l0.1-s0": "samplecnn",
        "dat-samplecnn-k1-freeze-full-dann-l0.2-s0": "samplecnn",
        "dat-musicnn-k1-freeze-full-dann-l0.1-s0": "musicnn",
        "dat-musicnn-k1-freeze-full-dann-l0.2-s0": "musicnn",
    }


def test_cells_that_are_the_same_are_one() -> None:
    assert len(cells(Axes(("dat",), weights=(None, 0.05)), BASE)) == 1


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        (Axes(("baseline", "cnn")), "--methods: expected some of baseline, .* got cnn"),  # type: ignore[arg-type]
        (Axes(()), "expected at least one method, number of noises and seed, got none"),
        (Axes(("dat",), seeds=()), "expected at least one method"),
    ],
)
def test_axes_without_sense(axes: Axes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        cells(axes, BASE)


def test_lists_of_the_command_line() -> None:
    assert read_list("1, 2,1,", "--seeds", "numbers", int) == (1, 2)
    assert read_list(None, "--seeds", "numbers", int) == ()
    with pytest.raises(UsageError, match="--seeds: expected a list of numbers, got '1,x'"):
        read_list("1,x", "--seeds", "numbers", int)


# ---- the command ----------------------------------------------------------------------


def test_the_list_trains_nothing(suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "grid"
    axes = ("--freeze-axis", "yes,no", "--alpha-axis", "dann,constant", "--lambda-axis", "auto,0.1")
    result = run_well("grid", "--shards", suite, "--out", out, "--list", *GRID[:-2], *axes)
    lines = result.output.split()
    assert len(lines) == 1 + 8 and lines[0] == "baseline-k1-s0" and not out.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--methods", "x"), "--methods: expected some of"),
        (("--backbones", "vgg"), "--backbones: expected a list of samplecnn, transformer,"),
        (("--noises", "3"), "--noises: expected a list of 1, 2 and 4, got '3'"),
        (("--freeze-axis", "perhaps"), "--freeze-axis: expected a list of yes and no"),
        (("--alpha-axis", "up"), "--alpha-axis: expected a list of dann and constant"),
        (("--lambda-axis", "-1"), "--lambda-axis: expected a list of weights of at least 0"),
        (("--e2h-axis", "nan"), "--e2h-axis: expected a list of steps in dB"),
        (("--seeds", "-1"), "--seeds: expected a list of whole numbers of at least 0"),
        (("--seeds", "0.5"), "--seeds: expected a list of whole numbers of at least 0"),
        (("--noises", "2"), "expected k2/suite.json or a training set of 2 noises"),
        (("--encoder", "x"), "No such option"),
    ],
)
def test_wrong_lists(suite: Path, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    result = run("grid", "--shards", suite, "--out", tmp_path / "grid", *DAT, *options)
    assert result.exit_code == 2 and message in result.output, result.output
    assert not (tmp_path / "grid").exists()


def test_a_suite_without_a_test_set_is_refused_before_training(suite: Path, tmp_path: Path) -> None:
    (tmp_path / "suite.json").write_text("{}")
    sets = [v for r in ("train", "valid") for v in ("--set", f"{r}={suite / r}")]
    result = run("grid", "--shards", tmp_path, "--out", tmp_path / "grid", *sets, *GRID)
    assert result.exit_code == 2
    assert "expected a set to evaluate on with the role test-audioset or" in result.output


def test_a_cell_that_cannot_be_is_refused_before_training(suite: Path, tmp_path: Path) -> None:
    out, methods = tmp_path / "grid", ("--methods", "baseline,consistency")
    result = run("grid", "--shards", suite, "--out", out, *DAT, *methods, "--consistency", "none")
    assert result.exit_code == 2 and "--consistency none: expected a consis" in result.output
    assert not out.exists(), "neither stage 1 nor the baseline is trained"


def test_torchrun_is_refused(suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "0")):
        monkeypatch.setenv(name, value)
    result = run("grid", "--shards", suite, "--out", tmp_path / "grid", *GRID)
    assert result.exit_code == 2 and "use --cell-jobs instead" in result.output


def test_a_grid_trains_stage_1_once_a_seed_and_goes_on(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, trained = tmp_path / "grid", list[str]()
    real = trainer.grid_scores.evaluate_checkpoint

    def evaluate(run_folder: Path, *arguments: object, **options: object) -> object:
        if run_folder.name == "dat-k1-freeze-full-dann-l0.05-s0" and not trained.count("stop"):
            trained.append("stop")
            raise KeyboardInterrupt
        trained.append(run_folder.name)
        return real(run_folder, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(trainer.grid_scores, "evaluate_checkpoint", evaluate)
    command = ("grid", "--shards", suite, "--out", out, *GRID)
    assert run(*command).exit_code == 130
    before = values(out / "baseline-k1-s0", "train/loss")
    result = run_well(*command)
    assert trained == [
        "baseline-k1-s0",
        "baseline-k1-s1",
        "stop",
        "dat-k1-freeze-full-dann-l0.05-s0",
        "dat-k1-freeze-full-dann-l0.05-s1",
    ]
    assert values(out / "baseline-k1-s0", "train/loss") == before
    assert sorted(p.name[-3:] for p in (out / "encoders").iterdir()) == ["-s0", "-s1"]
    assert not list(out.glob("*/encoder")), "no cell trains a stage 1 of its own"
    names = [cell["name"] for cell in json.loads((out / "grid.json").read_text())]
    assert names == sorted(names) and len(names) == 4
    rows = [line for line in result.output.splitlines() if "baseline" in line or " dat" in line]
    assert any("2" in row for row in rows), "two seeds are one row"
    assert (out / "table").is_dir() and "files in" in result.output
    assert read_config(next((out / "encoders").iterdir()))["snr"] == {
        "low_db": -10.0, "high_db": 10.0, "draw": "integer", "over": "clip", "relevel": "auto",
    }  # fmt: skip
    assert len(trained) == 5
    run_well(*command)
    assert len(trained) == 5, "a finished grid trains and scores nothing"
    perturbed = run_well(*command, "--perturb", "white-noise:0.4").output
    assert trained[5:] == sorted({*trained} - {"stop"}), "it scores what was asked for since"
    assert "test-musan: robustness of samplecnn" in perturbed
    run_well(*command, "--perturb", "white-noise:0.4")
    run_well(*command)
    assert len(trained) == 9
    more = run_well(*command, "--perturb", "drc:speech").output
    assert len(trained) == 13 and "white-noise:0.4" in more, "what was scored before stays in"
    for name, status, text in (
        ("reverb", 2, "--perturb: expected all, or names of"),
        ("time-stretch:4", 1, "time-stretch:4: expected at least one chunk of"),
    ):
        refused = run("grid", "--shards", suite, "--out", tmp_path / "x", *GRID, "--perturb", name)
        assert (refused.exit_code, text in refused.output) == (status, True), refused.output
    assert not (tmp_path / "x").exists(), "refused before anything is trained"
    changed = run(*command, "--encoder-epochs", 3)
    assert changed.exit_code == 2 and "encoder.epochs: has 2, asked for 3" in changed.output


@pytest.mark.slow
def test_cells_side_by_side_give_the_same(suite: Path, tmp_path: Path) -> None:
    for name, jobs in (("one", 1), ("two", 2)):
        run_well(
            "grid", "--shards", suite, "--out", tmp_path / name, *GRID,
            "--cell-jobs", jobs, "--workers", 1,
        )  # fmt: skip
    cell_runs = list((tmp_path / "one").glob("*-s?"))
    assert len(cell_runs) == 4
    for run_folder in cell_runs:
        other = tmp_path / "two" / run_folder.name
        assert_same_weights(other / "checkpoints/best", run_folder / "checkpoints/best")


def test_a_lost_process_is_named(tmp_path: Path) -> None:
    grid = cells(Axes(("baseline",), seeds=(0, 1)), BASE)
    with pytest.raises(ManifestError, match="all 2 processes of --cell-jobs to the end, lost one"):
        _train_all(
            lambda *_: os._exit(9), grid, Suite("none"), tmp_path, SystemConfig(threads=1), jobs=2
        )


def test_what_a_method_hears_decides_who_begins() -> None:
    methods = ("baseline", "dat", "supervised", "robust", "consistency", "noisy-student")
    grid = cells(Axes(methods), BASE)  # type: ignore[arg-type]
    crops = {cell.config.method: _crops_heard(cell.config) / 800 for cell in grid}
    assert crops == {
        "baseline": 1, "dat": 2, "supervised": 2, "robust": 4, "consistency": 2, "noisy-student": 2,
    }  # fmt: skip
