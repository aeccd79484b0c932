"""``--batch-size 1``: refused before anything is written where BatchNorm would hear one crop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_backbones import ALL, sound, tiny
from tiny_suite import COMPARISON, run, run_well

from manifests.errors import UsageError
from trainer.config import BackboneName, StepConfig
from trainer.preflight import _check_crops
from trainer.presets import preset_config
from trainer.runs.distributed import World

ONE = (*COMPARISON, "--batch-size", "1", "--epochs", "1", "--validations", "1")


@pytest.mark.parametrize("backbone", ALL)
def test_every_backbone_says_how_many_crops_it_needs(backbone: BackboneName) -> None:
    encoder = tiny(backbone).train()
    encoder(sound(encoder, n_chunks=encoder.fewest_crops))
    if encoder.fewest_crops > 1:
        with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
            encoder(sound(encoder, n_chunks=1))


@pytest.mark.parametrize("method", ["baseline", "labelled-noise", "adabn", "noisy-student"])
def test_one_crop_is_refused(suite: Path, tmp_path: Path, method: str) -> None:
    """Also where the baseline of another method would hear it."""
    out = tmp_path / "run"
    result = run(method, "--shards", suite, "--out", out, *ONE)
    assert result.exit_code == 2, result.output
    assert "--batch-size 1: expected at least 2 crops at once for the BatchNorm" in result.output
    assert "samplecnn, got 1 with " in result.output and not out.exists()


def test_a_grid_refuses_it_before_training(suite: Path, tmp_path: Path) -> None:
    methods = ("--methods", "supervised,baseline")
    result = run("grid", "--shards", suite, "--out", tmp_path / "grid", *methods, *ONE)
    assert result.exit_code == 2 and "got 1 with baseline; use --batch-size 2" in result.output
    assert not (tmp_path / "grid").exists()


@pytest.mark.parametrize("method", ["supervised", "consistency", "noisy-student"])
def test_two_crops_of_one_example_are_enough(
    suite: Path, dat_run: Path, tmp_path: Path, method: str
) -> None:
    more = ("--teacher", dat_run) if method == "noisy-student" else ()
    shared = ("--shards", suite, "--encoder", dat_run, *more)
    run_well(method, *shared, "--out", tmp_path / "run", *ONE)


def test_the_transformer_takes_one_crop(suite: Path, tmp_path: Path) -> None:
    model = ("--backbone", "transformer", "--chunk-s", "1", "--encoder", "random")
    run_well("baseline", "--shards", suite, "--out", tmp_path / "run", *ONE, *model)


def test_ranks_count_where_they_share_their_statistics() -> None:
    config = preset_config("thesis", "baseline")
    one = replace(config, tagger=replace(config.tagger, batch_size=1))
    with pytest.raises(UsageError, match="got 1 with baseline"):
        _check_crops(one, World(0, 2))
    _check_crops(replace(one, step=StepConfig(sync_batchnorm="on")), World(0, 2))
