"""What every stage keeps: records, checkpoints by the clock, the best one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_interrupt import KilledError
from tiny_keeper import keep
from tiny_suite import COMPARISON, assert_same_weights, run, run_well, values
from tiny_training import OPTIMIZERS, Training

from manifests.errors import ManifestError, UsageError
from trainer import keeper
from trainer.keeper import Keeper
from trainer.runs.checkpoint import load_checkpoint
from trainer.runs.metrics_log import MetricsLog, read_records


@pytest.fixture
def one() -> Training:
    return Training(OPTIMIZERS["adam"])


@pytest.mark.parametrize(
    ("n_steps", "validations", "expected"),
    [(10, 1, [10]), (10, 2, [5, 10]), (7, 3, [3, 5, 7]), (3, 8, [1, 2, 3]), (4, 0, [4])],
)
def test_validations_are_evenly_spaced_and_the_last_step_is_one(
    tmp_path: Path, one: Training, n_steps: int, validations: int, expected: list[int]
) -> None:
    kept = keep(tmp_path, one, n_steps=n_steps, validations=validations)
    assert [step for step in range(1, n_steps + 1) if kept.validates(step)] == expected


def test_records_are_means_since_the_one_before(tmp_path: Path, one: Training) -> None:
    with keep(tmp_path, one).open() as kept:
        for step in range(1, 26):
            kept.heard({"loss": torch.tensor(float(step))}, 4)
            kept.stepped(step, {"lr": 0.5})
            if kept.validates(step):
                with kept.validation(step):
                    pass
                kept.validated(step, 0.5, {"auc": 0.5})
    records = read_records(tmp_path / "metrics.jsonl")
    trained = {r["step"]: r["train/loss"] for r in records if "train/loss" in r}
    assert trained == {10: 5.5, 13: 12.0, 20: 17.0, 25: 23.0}, "13 is a validation"
    assert [r["step"] for r in records if "valid/auc" in r] == [13, 25]
    assert values(tmp_path, "train/lr") == [0.5] * 4


def test_examples_per_second_leave_validations_out(
    tmp_path: Path, one: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(keeper.time, "monotonic", lambda: now[0])
    with keep(tmp_path, one, n_steps=4).open() as kept:
        for step in range(1, 5):
            now[0] += 2.0
            kept.heard({"loss": 1.0}, 10)
            kept.stepped(step, {})
            if kept.validates(step):
                with kept.validation(step):
                    now[0] += 100.0
                kept.validated(step, 0.5, {})
    assert values(tmp_path, "train/examples_per_s") == [5.0, 5.0]


def test_the_share_of_waiting_for_batches(
    tmp_path: Path, one: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(keeper.time, "monotonic", lambda: now[0])

    def batches() -> Iterator[int]:
        for number in range(20):
            now[0] += 3.0 if number < 10 else 0.0
            yield number

    with keep(tmp_path, one, n_steps=20).open() as kept:
        for number in kept.awaited(batches()):
            now[0] += 1.0
            kept.heard({"loss": 1.0}, 8)
            kept.stepped(number + 1, {})
    assert values(tmp_path, "train/data_wait") == [0.75, 0.0]
    assert values(tmp_path, "train/examples_per_s") == [2.0, 8.0]


def test_records_leave_no_time_out(
    tmp_path: Path, one: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(keeper.time, "monotonic", lambda: now[0])
    real = MetricsLog.write

    def slow(self: MetricsLog, step: int, figures: dict[str, float]) -> None:
        now[0] += 0.5
        real(self, step, figures)

    monkeypatch.setattr(MetricsLog, "write", slow)
    with keep(tmp_path, one, n_steps=20, validations=0).open() as kept:
        for number in range(20):
            now[0] += 1.0
            kept.heard({"loss": 1.0}, 8)
            kept.stepped(number + 1, {})
    assert values(tmp_path, "train/seconds") == [10.0, 10.5], "the first record is written in it"


def test_checkpoints_by_the_clock(
    tmp_path: Path, one: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, saved = [0.0], list[int]()
    monkeypatch.setattr(keeper.time, "monotonic", lambda: now[0])
    real = Keeper.save
    monkeypatch.setattr(Keeper, "save", lambda self, step: saved.append(step) or real(self, step))
    with keep(tmp_path, one, n_steps=100, validations=1).open() as kept:
        for step in range(1, 100):
            now[0] += 2.5
            kept.heard({"loss": 1.0}, 1)
            kept.stepped(step, {})
    assert saved == [30, 60, 90], "the first record after a minute"
    assert load_checkpoint(tmp_path / "checkpoints" / "last").progress["step"] == 90


def test_a_kill_during_a_validation_repeats_it(
    suite: Path, dat_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "SAVE_EVERY_S", -1.0)
    monkeypatch.setattr(keeper, "LOG_EVERY", 1)
    shared = ("baseline", "--shards", suite, "--encoder", dat_run, *COMPARISON, "--lr", "3e-3")
    run_well(*shared, "--out", tmp_path / "whole")
    steps = [
        record["step"]
        for record in read_records(tmp_path / "whole" / "metrics.jsonl")
        if "valid/score" in record
    ]
    real = Keeper.validated
    for killed_at in steps:

        def validated(
            self: Keeper, step: int, *rest: Any, killed_at: int = killed_at, **named: Any
        ) -> None:
            if step == killed_at:
                raise KilledError
            real(self, step, *rest, **named)

        with monkeypatch.context() as patch:
            patch.setattr(Keeper, "validated", validated)
            with pytest.raises(KilledError):
                run(*shared, "--out", tmp_path / str(killed_at))
        run_well(*shared, "--out", tmp_path / str(killed_at))
        for name in ("best", "last"):
            found, whole = (
                tmp_path / run_name / "checkpoints" / name for run_name in (str(killed_at), "whole")
            )
            assert_same_weights(found, whole)
        scores = values(tmp_path / str(killed_at), "valid/score")
        assert scores == values(tmp_path / "whole", "valid/score")


def test_the_best_is_kept(tmp_path: Path, one: Training) -> None:
    best = tmp_path / "checkpoints" / "best"
    with keep(tmp_path, one, n_steps=4, validations=4).open() as kept:
        for step, score in enumerate((0.5, 0.4, 0.6, 0.6), 1):
            kept.validated(step, score, {"auc": score})
            expected = {1: 1, 2: 1, 3: 3, 4: 3}[step]
            assert load_checkpoint(best).progress["step"] == expected
    assert load_checkpoint(best).progress["best"] == 0.6
    assert not load_checkpoint(best).optimizer
    sizes = [
        sum(p.stat().st_size for p in (best.parent / name).glob("*.safetensors"))
        for name in ("best", "last")
    ]
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"loaders": {"source": "b"}}, "sets"),
        ({"begins_with": "other"}, r"initial weights \(or teacher\)"),
        ({"n_steps": 26}, "number of steps"),
    ],
)
def test_other_data_weights_or_steps_are_refused(
    tmp_path: Path, one: Training, changed: dict[str, Any], what: str
) -> None:
    with keep(tmp_path, one).open() as kept:
        kept.save(10)
    with keep(tmp_path, one).open() as again:
        assert (again.first_step, again.done) == (10, False)
    with pytest.raises(UsageError, match=f"expected the {what} that the run began with"):
        keep(tmp_path, one, **changed).open().__enter__()


def test_a_checkpoint_without_a_stage_is_refused(tmp_path: Path, one: Training) -> None:
    with keep(tmp_path, one).open() as kept:
        kept.save(10)
    path = tmp_path / "checkpoints" / "last" / "state.json"
    record = json.loads(path.read_text())
    del record["progress"]["loaders"], record["progress"]["done"], record["sha256"]
    path.write_text(json.dumps(record))
    with pytest.raises(ManifestError, match="state of a stage, got none of done, loaders"):
        keep(tmp_path, one).open().__enter__()
