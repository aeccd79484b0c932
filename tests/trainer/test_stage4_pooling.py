"""The stage of ``--aggregate attention``: it learns behind the same tagger, and may be stopped."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from test_resume import plain
from tiny_attention import CPU, POOLING, config_of
from tiny_interrupt import KilledError, interrupt
from tiny_ranks import run_ranks
from tiny_sets import TAGS
from tiny_suite import assert_same_weights, run, run_well, values, weights

import trainer.keeper
from manifests.shardset import load_set
from trainer.keeper import Keeper
from trainer.models.pooling import AttentionPooling
from trainer.roles import open_roles
from trainer.runs.checkpoint import load_checkpoint
from trainer.runs.folder import read_config
from trainer.runs.metrics_log import read_records
from trainer.stage4_pooling import BagValidation
from trainer.tagger import load_tagger
from trainer.validation import TagValidation

N_STEPS = 3 * (4 // 3)
"""Four source clips of the baseline are four bags: one step an epoch."""


@pytest.fixture
def save_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer.keeper, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(trainer.keeper, "LOG_EVERY", 1)


def test_a_stage_of_its_own_behind_the_same_tagger(
    shared: tuple[object, ...], attending: Path, tmp_path: Path
) -> None:
    out = tmp_path / "attending"
    run_well(*shared, "--out", out)
    for name in ("best", "last"):
        assert_same_weights(attending / "checkpoints" / name, out / "checkpoints" / name)
    assert (attending / "config.json").read_bytes() == (out / "config.json").read_bytes()
    assert plain(attending) == plain(out)
    stage = attending / "pooling"
    assert read_config(stage) == read_config(out) | {
        "pooling": {"aggregate": "attention", "epochs": 3, "batch_size": 3, "lr": 1e-3,
                    "hidden": 7, "limit": 0, "validations": 2},
    }  # fmt: skip
    last, best = (load_checkpoint(stage / "checkpoints" / name) for name in ("last", "best"))
    assert last.progress["done"] and last.progress["n_steps"] == N_STEPS
    assert last.progress["begins_with"] == load_tagger(out).sha256
    assert last.progress["method"] == "baseline" and last.progress["tags"] == list(TAGS)
    assert not best.optimizer
    assert any((stage / "tensorboard" / "pooling").iterdir())


def test_encoder_and_predictor_stay_and_the_attention_learns(attending: Path) -> None:
    before = weights(attending / "checkpoints/best")
    after = weights(attending / "pooling/checkpoints/last")
    assert any("running_mean" in name for name in before)
    for name, value in before.items():
        assert torch.equal(after[name], value), name
    own = {name: after[name] for name in after.keys() - before.keys()}
    assert {name.split("/")[0] for name in own} == {"pooling"}
    assert own["pooling/score.weight"].any()


def test_the_mean_is_validated_first_and_the_best_is_no_worse(attending: Path) -> None:
    records = read_records(attending / "pooling/metrics.jsonl")
    scored = [r["step"] for r in records if "valid/score" in r]
    assert scored == [0, 2, 3] and {r["stage"] for r in records} == {"pooling"}
    assert {"train/loss", "train/lr", "train/examples_per_s"} <= records[-2].keys()
    scores = values(attending / "pooling", "valid/score")
    found = load_checkpoint(attending / "pooling/checkpoints/best").progress["best"]
    assert found == max(scores)


def test_validation_of_bags_is_that_of_the_tagger(clips: Path, partial: Path) -> None:
    """At the mean, the figures of the tagger's own stage."""
    tagger, config = load_tagger(partial), config_of("baseline")
    validation = BagValidation(open_roles(str(clips)), config, tagger, CPU)
    found = validation(AttentionPooling(tagger.encoder.n_features, len(TAGS)), CPU.device)
    expected = TagValidation(load_set(str(clips / "valid")), TAGS)(
        tagger.encoder, tagger.predictor, device=CPU.device, prepare=tagger.prepare,
        autocast=nullcontext,
    )  # fmt: skip
    assert found == pytest.approx(expected, abs=1e-12)
    assert found.keys() == {f"auc_{n}" for n in ("clean", "snr_10", "snr_0", "snr_-10", "mean")}
    attention = load_tagger(partial, "attention").pooling
    assert attention is not None and validation(attention, CPU.device) != found


def test_it_may_be_added_to_a_finished_run(
    shared: tuple[object, ...], attending: Path, tmp_path: Path
) -> None:
    out = tmp_path / "attending"
    run_well(*shared, "--out", out)
    result = run_well(*shared, *POOLING, "--out", out)
    assert "baseline: step" not in result.output and "pooling: step 3/3" in result.output
    for name in ("best", "last"):
        checkpoint = Path("pooling/checkpoints") / name
        assert_same_weights(out / checkpoint, attending / checkpoint)
    again = run_well(*shared, *POOLING, "--out", out)
    assert "step" not in again.output, "a finished run trains nothing"
    run_well(*shared, "--out", out)
    other = (*shared, *POOLING, "--pooling-lr", "0.1", "--out", out)
    refused = run(*other)
    assert refused.exit_code == 2 and "pooling.lr: has 0.001, asked for 0.1" in refused.output
    saved = (out / "checkpoints/last/state.json").stat().st_mtime_ns
    run_well(*other, "--overwrite")
    assert (out / "checkpoints/last/state.json").stat().st_mtime_ns == saved, "the tagger stays"
    assert read_config(out / "pooling")["pooling"]["lr"] == 0.1


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.usefixtures("save_often")
def test_a_stopped_run_ends_with_the_same_bits(
    shared: tuple[object, ...], attending: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:  # fmt: skip
    shutil.copytree(attending, tmp_path / "whole")
    shutil.rmtree(tmp_path / "whole/pooling")
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    run_well(*shared, *POOLING, "--out", tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        interrupt(patch, "pooling", step)
        run(*shared, *POOLING, "--out", tmp_path / "cut")
    run_well(*shared, *POOLING, "--out", tmp_path / "cut", "--resume")
    whole, cut = tmp_path / "whole/pooling", tmp_path / "cut/pooling"
    for name in ("best", "last"):
        assert_same_weights(cut / "checkpoints" / name, whole / "checkpoints" / name)
    assert plain(cut) == plain(whole)


@pytest.mark.usefixtures("save_often")
def test_a_kill_before_the_first_checkpoint_leaves_no_record_twice(
    shared: tuple[object, ...], attending: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    shutil.copytree(attending, out)
    shutil.rmtree(out / "pooling")

    def save(self: Keeper, step: int) -> None:
        raise KilledError

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(Keeper, "save", save)
        run(*shared, *POOLING, "--out", out)
    assert [r["step"] for r in read_records(out / "pooling/metrics.jsonl")] == [0]
    run_well(*shared, *POOLING, "--out", out)
    assert [r["step"] for r in read_records(out / "pooling/metrics.jsonl")].count(0) == 1
    assert_same_weights(out / "pooling/checkpoints/last", attending / "pooling/checkpoints/last")


@pytest.mark.slow
def test_two_ranks_train_as_one(
    shared: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ranks encode half of the clips each, and take half of a step's bags of one process."""
    one, two = tmp_path / "one", tmp_path / "two"
    command = [*shared, "--batch-size", "2", *POOLING, "--pooling-batch-size"]
    run_ranks([*command, "2", "--out", two])
    shutil.copytree(two, one)
    shutil.rmtree(one / "pooling")
    monkeypatch.setattr("trainer.experiment.train_comparison", lambda *_: None)
    run_well(*command, "4", "--out", one)
    ours, theirs = (weights(out / "pooling/checkpoints/last") for out in (two, one))
    assert theirs["pooling/score.weight"].any()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-3, atol=1e-5)
    for name in ("valid/score", "valid/auc_clean"):
        assert len(values(two / "pooling", name)) == len(values(one / "pooling", name)) == 3
