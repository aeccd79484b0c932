"""A run that was stopped, however and whenever, ends as one that never was: bit for bit."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from tiny_interrupt import KilledError, interrupt
from tiny_suite import COMPARISON, DAT, TIMES, assert_same_weights, run, run_well, start

from trainer import keeper
from trainer.keeper import Keeper
from trainer.runs.checkpoint import load_checkpoint
from trainer.runs.metrics_log import read_records

SAVE_OFTEN = "import trainer.keeper as k; k.SAVE_EVERY_S, k.LOG_EVERY = 0.0, 1"
KILL_9 = f"""{SAVE_OFTEN}
import os
real = k.Keeper.stepped
def stepped(self, step, figures):
    if f"{{self.stage}} {{step}}" == os.environ["DIES_AT"]:
        os.kill(os.getpid(), 9)
    real(self, step, figures)
k.Keeper.stepped = stepped
"""


@pytest.fixture
def save_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(keeper, "LOG_EVERY", 1)


def plain(run_folder: Path) -> list[dict[str, object]]:
    """The log without what the clock decides."""
    records = read_records(run_folder / "metrics.jsonl")
    return [{k: v for k, v in record.items() if k not in TIMES} for record in records]


@pytest.mark.parametrize(
    ("stage", "step", "options"),
    [
        ("encoder", 1, ()),  # before there is any checkpoint
        ("encoder", 3, ()),  # within an epoch of four steps
        ("domain", 4, ("--classifier-dropout", "0.3")),
        ("dat", 2, ("--refresh-domain-classifier", "3", "--refresh-steps", "2")),
        ("dat", 4, ("--finetune", "--classifier-dropout", "0.3")),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("save_often")
def test_dat_goes_on_from_any_stage(
    suite: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    step: int,
    options: tuple[str, ...],
) -> None:
    shared = ("dat", "--shards", suite, *DAT, *options)
    run_well(*shared, "--out", tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        interrupt(patch, stage, step)
        run(*shared, "--out", tmp_path / "cut")
    result = run_well(*shared, "--out", tmp_path / "cut", "--resume")
    lines = [line.split(":")[0] for line in result.output.splitlines() if "step" in line]
    assert lines == ["encoder", "domain", "dat"][["encoder", "domain", "dat"].index(stage) :]
    for folder in ("", "encoder", "domain"):
        whole, cut = tmp_path / "whole" / folder, tmp_path / "cut" / folder
        for name in ("last", "best"):
            assert_same_weights(cut / "checkpoints" / name, whole / "checkpoints" / name)
        assert plain(cut) == plain(whole)


@pytest.mark.usefixtures("save_often")
def test_adabn_goes_on_with_the_mean_that_it_had(
    suite: Path, dat_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = ("adabn", "--shards", suite, "--encoder", dat_run, *COMPARISON, "--batch-size", "2")
    run_well(*shared, "--out", tmp_path / "whole")
    real = Keeper._save_by_clock

    def save(self: Keeper, step: int) -> None:
        real(self, step)
        if self.run.path == tmp_path / "cut" and step == 3:
            raise KilledError

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(Keeper, "_save_by_clock", save)
        run(*shared, "--out", tmp_path / "cut")
    assert load_checkpoint(tmp_path / "cut/checkpoints/last").progress["step"] == 3
    run_well(*shared, "--out", tmp_path / "cut")
    assert_same_weights(tmp_path / "cut/checkpoints/last", tmp_path / "whole/checkpoints/last")
    assert plain(tmp_path / "cut") == plain(tmp_path / "whole")


@pytest.mark.usefixtures("save_often")
def test_a_kill_between_the_renames_of_a_save_loses_nothing(
    suite: Path, dat_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = ("baseline", "--shards", suite, "--encoder", dat_run, *COMPARISON)
    run_well(*shared, "--out", tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        interrupt(patch, "baseline", 4)
        run(*shared, "--out", tmp_path / "cut")
    last = tmp_path / "cut" / "checkpoints" / "last"
    shutil.copytree(last, last.with_name(".last.partial"))
    last.rename(last.with_name(".last.old"))
    seen = []
    real = Keeper._resume

    def resume(self: Keeper) -> None:
        real(self)
        seen.append(self.first_step)

    monkeypatch.setattr(Keeper, "_resume", resume)
    run_well(*shared, "--out", tmp_path / "cut")
    assert seen == [3]
    assert_same_weights(last, tmp_path / "whole/checkpoints/last")


DEATHS = {
    "dat": (("encoder 3", "encoder"), ("domain 4", "domain"), ("dat 4", ".")),
    "adabn": (("encoder 3", "encoder"), ("baseline 4", "baseline"), ("adabn 2", ".")),
}
"""Stage and step in which a process dies, and the stage's folder."""


@pytest.mark.usefixtures("save_often")
@pytest.mark.parametrize("method", ["dat", pytest.param("adabn", marks=pytest.mark.slow)])
def test_kill_9_within_an_epoch_of_each_stage(suite: Path, tmp_path: Path, method: str) -> None:
    """One run, killed once in every stage: no process that trained it lives to the end."""
    shared = (method, "--shards", suite, *(DAT if method == "dat" else COMPARISON))
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run_well(*shared, "--out", whole)
    for death, folder in DEATHS[method]:
        process = start((*shared, "--out", cut), KILL_9, DIES_AT=death)
        output = process.communicate(timeout=300)[0]
        assert process.returncode == -signal.SIGKILL, output
        saved = load_checkpoint(cut / folder / "checkpoints/last").progress["step"]
        assert saved == int(death.split()[1]) - 1
    run_well(*shared, "--out", cut, "--resume")
    for _, folder in DEATHS[method]:
        for name in ("last", "best"):
            checkpoint = Path(folder) / "checkpoints" / name
            if (whole / checkpoint).is_dir():
                assert_same_weights(cut / checkpoint, whole / checkpoint)
    assert plain(cut) == plain(whole)


def kill_at_random(arguments: tuple[object, ...], log: Path, rng: np.random.Generator) -> int:
    """Start ``train``, kill -9 it a moment after some step; return the records it left."""
    process = start(arguments, SAVE_OFTEN)
    try:
        n_before = len(read_records(log)) if log.is_file() else 0
        deadline = time.monotonic() + 120
        while not log.is_file() or len(read_records(log)) < n_before + 3:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(float(rng.uniform(0, 0.3)))
        assert process.poll() is None, "it ended before it could be killed: give it more steps"
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    return len(read_records(log))


@pytest.mark.usefixtures("save_often")
@pytest.mark.parametrize(
    ("n_kills", "epochs"), [(1, 20), pytest.param(6, 60, marks=pytest.mark.slow)]
)
def test_kill_9_at_random_moments(
    suite: Path, dat_run: Path, tmp_path: Path, n_kills: int, epochs: int
) -> None:
    arguments = (
        "labelled-noise", "--shards", suite, "--encoder", dat_run, *COMPARISON, "--epochs", epochs,
    )  # fmt: skip
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run_well(*arguments, "--out", whole)
    rng = np.random.default_rng(n_kills)
    for _ in range(n_kills):
        left = kill_at_random((*arguments, "--out", cut), cut / "metrics.jsonl", rng)
        assert left < len(read_records(whole / "metrics.jsonl"))
    run_well(*arguments, "--out", cut)
    for name in ("last", "best"):
        assert_same_weights(cut / "checkpoints" / name, whole / "checkpoints" / name)
    assert plain(cut) == plain(whole)
