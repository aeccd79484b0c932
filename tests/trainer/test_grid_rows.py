"""Rows of a grid from a file: their configs, their cells, one stage 1 per encoder, their table."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from score_cases import run_label
from tiny_suite import DAT, run, run_well

from manifests.errors import UsageError
from trainer.compare_rows import group_runs
from trainer.config import PoolingConfig
from trainer.evaluation.figures import RunLabel
from trainer.grid import encoder_path
from trainer.grid_cells import Cell, row_cells
from trainer.presets import preset_config

ROWS = """
["Baseline"]
method = "baseline"

["Random encoder"]
method = "baseline"
encoder = "random"
encoder-lr-scale = 0

["DAT, confusion"]
method = "dat"
domain-loss = "confusion"
lambda = 0.25
freeze = false
"""


def listed(tmp_path: Path, suite: Path, text: str, *more: object) -> str:
    (tmp_path / "rows.toml").write_text(text)
    shared = ("grid", "--shards", suite, "--out", tmp_path / "grid", *DAT)
    return run_well(*shared, "--rows", tmp_path / "rows.toml", "--list", *more).output


def refused(tmp_path: Path, suite: Path, text: str, message: str, *more: object) -> None:
    (tmp_path / "rows.toml").write_text(text)
    shared = ("grid", "--shards", suite, "--out", tmp_path / "grid", *more)
    result = run(*shared, "--rows", tmp_path / "rows.toml")
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())
    assert not (tmp_path / "grid").exists()


def test_cells_are_named_after_their_rows(tmp_path: Path, suite: Path) -> None:
    assert listed(tmp_path, suite, ROWS, "--seeds", "0,2").split() == [
        "baseline-s0", "baseline-s2", "random-encoder-s0", "random-encoder-s2",
        "dat-confusion-s0", "dat-confusion-s2",
    ]  # fmt: skip
    config = preset_config("demo", "baseline")
    found = row_cells({"A b": config, "C": replace(config, encoder_init="random")}, (1, 4), (3,))
    assert [(cell.name, cell.k, cell.config.seed) for cell in found] == [
        ("a-b-k1-s3", 1, 3), ("a-b-k4-s3", 4, 3), ("c-k1-s3", 1, 3), ("c-k4-s3", 4, 3),
    ]  # fmt: skip


def test_rows_that_train_one_tagger_are_refused_before_training() -> None:
    """Their scores could not stand in one table; with attention and without is one row's work."""
    config = preset_config("demo", "baseline")
    attends = replace(config, pooling=PoolingConfig("attention"))
    with pytest.raises(UsageError, match=r"got \[A\] and \[B\] with the same tagger; one of them"):
        row_cells({"A": config, "B": attends}, (1,), (0,))


def test_names_that_no_folder_can_tell_apart() -> None:
    config = preset_config("demo", "baseline")
    with pytest.raises(UsageError, match=r"--rows: expected names that differ .* got A b, a-B"):
        row_cells({"A b": config, "a-B": config}, (1,), (0,))
    with pytest.raises(UsageError, match="--rows: expected names"):
        row_cells({"!": config}, (1,), (0,))
    with pytest.raises(UsageError, match="at least one number of noises and seed"):
        row_cells({"a": config}, (1,), ())


def cells_of(tmp_path: Path, text: str, *more: object) -> list[Cell]:
    """Return what a grid of these rows would train."""
    found: list[Cell] = []

    def take(grid: list[Cell], *_: object, **__: object) -> None:
        found.extend(grid)
        raise UsageError("enough")

    (tmp_path / "rows.toml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.cli.grid.run_grid", take)
        run("grid", "--shards", "x", "--out", "y", "--rows", tmp_path / "rows.toml", *more)
    return found


def test_options_of_a_backbone_that_the_grid_lacks(tmp_path: Path, suite: Path) -> None:
    large = '[a]\nmethod = "dat"\nattention-dim = 64\n'
    message = "[a]: --attention-dim: expected with --backbone transformer, got samplecnn; leave it"
    refused(tmp_path, suite, large, message)
    refused(tmp_path, suite, '[b]\nmethod = "dat"', message[5:], "--attention-dim", 64)
    own = large + 'backbone = "transformer"\n[b]\nmethod = "dat"'
    found = cells_of(tmp_path, own, "--last-kernel", 1)
    assert [cell.config.model.attention_dim for cell in found] == [64, 256]
    assert len(cells_of(tmp_path, large, "--backbones", "samplecnn,transformer")) == 2
    axis = ("grid", "--shards", "x", "--out", "y", "--attention-dim", 64, "--list", "--backbones")
    assert run(*axis, "samplecnn,musicnn").exit_code == 2
    run_well(*axis, "samplecnn,transformer")


def test_backbones_multiply_rows(tmp_path: Path, suite: Path) -> None:
    found = cells_of(tmp_path, '[a]\nmethod = "dat"', "--backbones", "samplecnn,musicnn")
    assert {cell.name: cell.config.model.backbone for cell in found} == {
        "a-samplecnn-s0": "samplecnn", "a-musicnn-s0": "musicnn",
    }  # fmt: skip
    own = '[a]\nmethod = "dat"\nbackbone = "transformer"'
    message = "[a]: expected no backbone with --backbones, got transformer; leave one out"
    refused(tmp_path, suite, own, message, "--backbones", "musicnn")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a table per row, got none"),
        ("[", "expected a TOML file"),
        ("a = 1", "[a]: expected a table with method = …, got 1"),
        ("[a]\nlambda = 1", "expected a table with method"),
        ('[a]\nmethod = "dta"', "[a]: expected a method of baseline"),
        ('[a]\nmethod = "dat"\nlamda = 1', "[a]: unknown option 'lamda'"),
        ('[a]\nmethod = "dat"\nlambda = -1', "[a]: "),
        ('[a]\nmethod = "dat"\nencoder = "random"', "'random' for another method than dat"),
        ('[a]\nmethod = "baseline"\nencoder = "other"', "expected encoder = 'pretrained'"),
        (
            '[a]\nmethod = "baseline"\nlabelled-noise = true\nconsistency = "embedding"',
            "[a]: expected options that baseline uses, got --labelled-noise, --consistency; leave",
        ),
        ('[a]\nmethod = "robust"\nextra-target = true', "that robust uses, got --extra-target;"),
        (
            '[a]\nmethod = "dat"\nseeds = "3,4"\nworkers = 7\nshards = "x"\nlambda = 1',
            "[a]: expected options of one row, got --seeds, --workers, --shards, which the whole",
        ),
        ('[a]\nmethod = "dat"\nmethods = "dat"', "got --methods, which the whole grid shares;"),
        ('[a]\nmethod = "dat"\nfreeze = true\nfinetune = true', "expected freeze or finetune, g"),
    ],
)
def test_rows_that_are_none(tmp_path: Path, suite: Path, text: str, message: str) -> None:
    refused(tmp_path, suite, text, message)


def test_the_rows_of_our_results_are_options_that_are_used() -> None:
    documented = sorted((Path(__file__).parents[2] / "docs" / "results").glob("*.toml"))
    assert len(documented) == 3
    for path in documented:
        result = run_well("grid", "--shards", "x", "--out", "y", "--rows", path, "--list")
        assert len(result.output.split()) == len(tomllib.loads(path.read_text()))


def test_encoders_are_shared_by_what_decides_them() -> None:
    same = preset_config("demo", "baseline"), preset_config("demo", "dat")
    other = preset_config("thesis", "dat")
    found = row_cells({"a": same[0], "b": same[1], "c": other}, (1,), (0,))
    paths = [encoder_path(Path("grid"), cell).name for cell in found]
    assert paths[0] == paths[1] != paths[2]
    assert all(name.startswith("k1-") and name.endswith("-s0") for name in paths)


def test_a_row_of_several_seeds_keeps_its_name() -> None:
    def label(name: str, seed: int, config: str) -> RunLabel:
        return run_label(name, "dat", seed, config)

    rows = group_runs(
        [label("mine-s0", 0, "x"), label("mine-s1", 1, "x"), label("a", 0, "y"), label("b", 1, "y")]
    )
    assert list(rows) == ["mine ×2", "dat ×2"]
    assert list(group_runs([label("alone-s0", 0, "x")])) == ["alone-s0"]


def test_a_table_of_rows(tmp_path: Path, suite: Path) -> None:
    """Trains; the random encoder stays as it was drawn, and every cell is scored on both sets."""
    (tmp_path / "rows.toml").write_text(ROWS.partition('["DAT')[0])
    other = suite / "k1" / "valid" if (suite / "k1").is_dir() else suite / "valid"
    result = run_well(
        "grid", "--shards", suite, "--out", tmp_path / "grid", *DAT,
        "--rows", tmp_path / "rows.toml", "--evaluate", other,
    )  # fmt: skip
    assert "baseline-s0" in result.output and "random-encoder-s0" in result.output
    for name in ("baseline-s0", "random-encoder-s0"):
        found = json.loads((tmp_path / "grid" / name / "evaluation/evaluation.json").read_text())
        assert len(found["sets"]) >= 2
    config = json.loads((tmp_path / "grid/random-encoder-s0/config.json").read_text())
    assert config["encoder_init"] == "random" and config["tagger"]["encoder_lr_scale"] == 0.0
    assert len(list((tmp_path / "grid/encoders").iterdir())) == 1
