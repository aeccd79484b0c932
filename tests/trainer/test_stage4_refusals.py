"""Wrong use of ``--aggregate attention``, and attention of strangers that is not believed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_attention import CPU, LONG, POOLING, config_of
from tiny_sets import write_set
from tiny_suite import DAT, run, run_well

from manifests.errors import ManifestError, UsageError
from trainer.experiment import train_run
from trainer.roles import Roles
from trainer.tagger import load_tagger


def test_wrong_use(
    shared: tuple[object, ...], clips: Path, dat_run: Path, attending: Path, tmp_path: Path
) -> None:
    attention, out = ("--aggregate", "attention"), ("--out", tmp_path / "out")
    on_set = ("--shards", clips / "test-musan")
    without = f"expected a run with trained attention, got {dat_run} without; run its command again"
    for command, text in (
        (("evaluate", "--checkpoint", dat_run, *on_set, *attention), without),
        (("tag", "x.wav", "--checkpoint", dat_run, *attention), without),
        (("export", "--checkpoint", dat_run, "-o", tmp_path / "x", *attention), without),
        (
            ("evaluate", "--checkpoint", attending / "checkpoints/best", *on_set, *attention),
            "expected a run with trained attention",
        ),
        (
            ("evaluate", "--checkpoint", attending, *on_set, *attention, "--random-encoder", *out),
            "--random-encoder: expected --aggregate mean; it has no attention",
        ),
        (("tag", "x.wav", "--checkpoint", attending, "--aggregate", "max"), "'max' is not one of"),
        ((*shared, *POOLING, "--pooling-batch-size", "5", *out), "expected at most 4 for 4 bags"),
        ((*shared, *POOLING, "--pooling-hidden", "0", *out), "0 is not in the range 1<=x<=4096"),
        (
            ("dat", "--shards", clips, *DAT, *attention, "--stage", "2", *out),
            "--aggregate attention: expected --stage 3, which trains the tagger, got --stage 2",
        ),
    ):
        result = run(*command)
        assert result.exit_code == 2 and text in result.output, (command, result.output)
        assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists(), "said before anything is written"


def test_a_set_without_the_half_is_refused_first(dat_run: Path, tmp_path: Path) -> None:
    config = replace(config_of("baseline"), encoder_init="random")
    with pytest.raises(UsageError, match="expected a set with the role train, got none"):
        train_run(config, Roles({}), tmp_path / "run", CPU)


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (
            {"hidden": 10**9},
            "expected an attention with a hidden layer of 1 to 4,096, got {'hidden",
        ),
        ({"hidden": True}, "a hidden layer of 1 to 4,096, got {'hidden': True}"),
        ({"hidden": "7"}, "a hidden layer of 1 to 4,096, got {'hidden': '7'}"),
        ({}, "a hidden layer of 1 to 4,096, got {}"),
        (7, "a hidden layer of 1 to 4,096, got 7"),
        ({"hidden": 8}, "pooling"),
    ],
)
def test_cards_of_strangers(attending: Path, tmp_path: Path, card: object, message: str) -> None:
    copy = tmp_path / "run"
    shutil.copytree(attending / "pooling", copy)
    state = copy / "checkpoints/best/state.json"
    record = json.loads(state.read_text())
    record["progress"]["pooling"] = card
    del record["sha256"]
    state.write_text(json.dumps(record))
    with pytest.raises(ManifestError, match=message):
        load_tagger(copy, "attention")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("pooling/score.weight"), r"1 missing \(score.weight\)"),
        (lambda w: w.update({"pooling/evil": torch.zeros(1)}), r"1 others \(evil\)"),
        (lambda w: w.update({"pooling/score.weight": torch.zeros(5, 7)}), r"got \(5, 7\)"),
        (
            lambda w: [w.pop(name) for name in list(w) if name.startswith("pooling/")],
            "expected the weights of pooling, got encoder, predictor",
        ),
    ],
)
def test_weights_of_strangers(attending: Path, tmp_path: Path, change: Any, message: str) -> None:
    copy = tmp_path / "run"
    shutil.copytree(attending / "pooling", copy)
    rewrite(copy / "checkpoints/best", change)
    with pytest.raises(ManifestError, match=message):
        load_tagger(copy, "attention")


def rewrite(checkpoint: Path, change: Any) -> None:
    """Change the tensors of a checkpoint, its hash with them."""
    import hashlib

    path, state = checkpoint / "weights.safetensors", checkpoint / "state.json"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    record = json.loads(state.read_text())
    record["files"]["weights.safetensors"] = hashlib.sha256(path.read_bytes()).hexdigest()
    del record["sha256"]
    state.write_text(json.dumps(record))


def test_weights_that_are_no_numbers(attending: Path, clips: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(attending, copy)

    def poison(tensors: dict[str, torch.Tensor]) -> None:
        tensors["pooling/score.weight"][0, 0] = torch.nan

    rewrite(copy / "pooling/checkpoints/best", poison)
    write_set(str(tmp_path / "real"), name="real", **{**LONG, "n_songs": 2, "halves": False})
    command = ("evaluate", "--checkpoint", copy, "--shards", tmp_path / "real")
    result = run(*command, "--aggregate", "attention")
    assert result.exit_code == 1
    assert "expected finite weights of the chunks, got others" in result.output
    run_well(*command)
