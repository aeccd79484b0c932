"""Labels of a run's taggers: which of them share a row of the table, and under what name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_sets import TAGS

from trainer.compare import group_runs
from trainer.config import Method, ModelConfig, StudentConfig, TrainConfig
from trainer.evaluation.figures import RunLabel
from trainer.evaluation.run_label import run_label
from trainer.models.heads import LabelPredictor
from trainer.models.registry import new_encoder
from trainer.runs.checkpoint import TrainingState, save_checkpoint
from trainer.runs.folder import RunFolder, open_run
from trainer.stage1_encoder import encoder_card
from trainer.tagger import load_tagger, random_tagger

STAGES = {"teacher": "baseline", "round-1": "round-1", "round-2": "round-2", ".": "noisy-student"}


def save_student(path: Path, seed: int = 0, weight: float = 1.0) -> Path:
    """A noisy student's run with the checkpoints of its teacher and its rounds."""
    config = TrainConfig(
        method="noisy-student", seed=seed, model=ModelConfig(width=0.03),
        student=StudentConfig(rounds=3, pseudo_weight=weight),
    )  # fmt: skip
    open_run(path, config.record())
    encoder = new_encoder(config.model)
    state = {"encoder": encoder, "predictor": LabelPredictor(encoder.n_features, len(TAGS))}
    for folder, stage in STAGES.items():
        method: Method = "baseline" if folder == "teacher" else "noisy-student"
        card = {**encoder_card(replace(config, method=method)), "method": method}
        card |= {"tags": list(TAGS), "stage": stage}
        save_checkpoint(RunFolder(path / folder).best, TrainingState(state), card)
    return path


def label_of(path: Path) -> RunLabel:
    return run_label(path, load_tagger(path))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    return save_student(tmp_path / "a-s0")


def test_every_tagger_of_a_run_is_a_row_of_its_own(run: Path) -> None:
    labels = [label_of(run / folder) for folder in STAGES]
    assert [label.name for label in labels] == [
        "a-s0/teacher",
        "a-s0/round-1",
        "a-s0/round-2",
        "a-s0",
    ]
    assert len({label.config_sha256 for label in labels}) == 4
    assert list(group_runs(labels)) == [label.name for label in labels]
    assert label_of(run / "round-1/checkpoints/best") == labels[1]
    assert label_of(run).config_sha256 != label_of(run / "teacher").config_sha256


def test_rounds_share_a_row_where_their_runs_do(run: Path) -> None:
    """Seeds of one experiment are one row; another experiment's rounds never join it."""
    again = save_student(run.with_name("a-s1"), seed=1)
    other = save_student(run.with_name("b-s1"), seed=1, weight=0.5)
    labels = [label_of(one / folder) for one in (run, again, other) for folder in STAGES]
    assert {name: len(own) for name, own in group_runs(labels).items()} == {
        "a/teacher ×2": 2, "a/round-1 ×2": 2, "a/round-2 ×2": 2, "a ×2": 2,
        "b-s1/teacher": 1, "b-s1/round-1": 1, "b-s1/round-2": 1, "b-s1": 1,
    }  # fmt: skip
    renamed = [replace(labels[1], name="x/round-1"), replace(labels[5], name="y/round-1")]
    assert list(group_runs(renamed)) == ["noisy-student/round-1 ×2"]


def test_a_random_tagger_and_a_copied_checkpoint_keep_their_names(
    run: Path, tmp_path: Path
) -> None:
    random = run_label(run / "round-1", random_tagger(load_tagger(run / "round-1")))
    assert (random.name, random.method) == ("random", "random-encoder")
    copied = tmp_path / "elsewhere" / "mine"
    (run / "round-1").rename(copied.parent.mkdir() or copied)
    assert label_of(copied).name == "mine"
