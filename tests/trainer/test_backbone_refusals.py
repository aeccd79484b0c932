"""Backbones, encoders and checkpoints that do not fit are refused, and nothing is written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tiny_backbones import edit_card, options
from tiny_suite import COMPARISON, DAT, run

from trainer.tagger import load_tagger


def test_an_encoder_of_another_backbone_is_refused(
    suite: Path, dat_run: Path, tmp_path: Path
) -> None:
    shared = ("--shards", suite, "--out", tmp_path / "x", *DAT, *options("musicnn"))
    for command in (
        ("baseline", *shared[:3], shared[3], *COMPARISON, *options("musicnn"), "--encoder"),
        ("dat", *shared, "--stage", 2, "--init"),
        ("dat", *shared, "--stage", 3, "--init"),
    ):
        result = run(*command, dat_run)
        assert result.exit_code == 2
        words = " ".join(result.output.split())
        assert "expected an encoder as this run's, got another: " in words
        assert 'backbone: has "samplecnn", asked for "musicnn"' in words
        assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        (
            ("--backbone", "transformer"), 1,
            "expected at least one chunk of 81365 samples, got 66150; build the set with longer "
            "excerpts (--min-duration-s 3.691)",
        ),
        (
            ("--backbone", "transformer", "--stage", "1"), 1,
            "expected at least 81,365 samples, got 66,150 (so have 16 of 16 examples); build the "
            "set with --min-duration-s 3.691 or larger",
        ),
        (("--chunk-s", "3"), 2, "--chunk-s: expected 59,049 samples (2.678 s) for --backbone sam"),
        (("--backbone", "musicnn", "--chunk-s", "0.9"), 2, "--chunk-s: expected 22,050 to 1,323,0"),
        (("--backbone", "transformer", "--chunk-s", "1", "--attention-dim", "12"), 2, "of 8, got"),
        (("--attention-dim", "64"), 2, "--attention-dim: expected with --backbone transformer, "),
        (("--backbone", "musicnn", "--last-kernel", "1"), 2, "--last-kernel: expected with --back"),
        (("--backbone", "vgg"), 2, "'vgg' is not one of 'samplecnn', 'transformer', 'shortchunk'"),
        (("--chunk-s", "61"), 2, "61.0 is not in the range 0<=x<=60"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_before_anything_is_written(
    suite: Path, tmp_path: Path, given: tuple[str, ...], status: int, message: str
) -> None:
    pretrain = ("--set", f"pretrain-train={suite / 'train'}")
    result = run("dat", "--shards", suite, *pretrain, "--out", tmp_path / "x", *DAT, *given)
    assert result.exit_code == status, result.output
    assert message in " ".join(result.output.split())
    assert not (tmp_path / "x").exists()


def test_a_run_goes_on_with_its_own_backbone_only(suite: Path, dat_run: Path) -> None:
    result = run("dat", "--shards", suite, "--out", dat_run, *DAT, *options("transformer"))
    assert result.exit_code == 2
    assert 'model.backbone: has "samplecnn", asked for "transformer"' in result.output
    assert load_tagger(dat_run).encoder.name == "samplecnn"


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "vgg"}, {"backbone": 3}, {"chunk_s": 1e300}, {"chunk_s": "long"},
        {"attention_dim": 10**9}, {"backbone": "transformer", "attention_dim": 12},
        {"chunk_s": 3.0}, {"surprise": 1},
    ],
)  # fmt: skip
def test_cards_that_claim_anything_are_refused(
    dat_run: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    out = tmp_path / "run"
    shutil.copytree(dat_run / "checkpoints" / "best", out)
    edit_card(out, change)
    result = run("tag", "a.wav", "--checkpoint", out)
    assert result.exit_code in (1, 2) and "Traceback" not in result.output
    assert result.output.startswith("train: ") and "expected" in result.output
