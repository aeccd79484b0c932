"""Several processes that lose one, hang, are started again, or are started by torchrun itself."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from tiny_ranks import free_port, run_ranks, start_ranks
from tiny_sets import write_set
from tiny_suite import COMPARISON, DAT, RUNGS_DB, SAMPLES, assert_same_weights, start, values

from trainer.runs.checkpoint import load_checkpoint

pytestmark = pytest.mark.slow

OFTEN = "import trainer.keeper as k; k.SAVE_EVERY_S, k.LOG_EVERY = 0.0, 1"
AT_STEP_10 = f"""{OFTEN}
import os
real = k.Keeper.stepped
def stepped(self, step, figures):
    if step == 10 and str(self.world.rank) == os.environ.get("VICTIM"):
        os.kill(os.getpid(), int(os.environ["SIGNAL"]))
    real(self, step, figures)
k.Keeper.stepped = stepped
"""
DEADLINE_S = 120.0
START_S = 600.0
HANG_S = 45.0
"""More than the ranks' start-up differs by on a busy machine."""

OPTIONS: dict[str, tuple[object, ...]] = {
    "encoder": (
        "--stage", "1", *DAT, "--encoder-batch-size", "2", "--encoder-epochs", "7",
        "--accumulate", "2",
    ),
    "dat": (
        "--stage", "3", *DAT, "--batch-size", "2", "--epochs", "10",
        "--refresh-domain-classifier", "7", "--refresh-steps", "3",
    ),
}  # fmt: skip
"""Stage 1 hears its negatives from both ranks and both batches of a step."""


@dataclass(frozen=True)
class Case:
    """A stage of two ranks, and what it ends with where nobody disturbs it."""

    stage: str
    command: tuple[object, ...]
    whole: Path

    def checkpoint(self, out: Path, name: str) -> Path:
        return out / ("encoder" if self.stage == "encoder" else "") / "checkpoints" / name

    def goes_on(self, out: Path) -> None:
        """The same command ends with the bits of the undisturbed run."""
        run_ranks((*self.command, "--out", out), OFTEN)
        for name in ("last", "best"):
            assert_same_weights(self.checkpoint(out, name), self.checkpoint(self.whole, name))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set with 11 songs in each half."""
    folder = tmp_path_factory.mktemp("large")
    write_set(str(folder), n_songs=22, excerpts=1, n_samples=SAMPLES, snrs_db=RUNGS_DB, codec="wav")
    return folder


@pytest.fixture(scope="module", params=list(OPTIONS))
def case(
    request: pytest.FixtureRequest,
    suite: Path,
    large: Path,
    dat_run: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Case:
    stage: str = request.param
    given = ("--set", f"pretrain-train={large}") if stage == "encoder" else ("--init", dat_run)
    command = ("dat", "--shards", suite, *OPTIONS[stage], *given)
    out = tmp_path_factory.mktemp(f"whole-{stage}") / "run"
    run_ranks((*command, "--out", out), OFTEN)
    return Case(stage, command, out)


@contextmanager
def disturbed(
    case: Case, out: Path, victim: int, kind: signal.Signals, *options: str
) -> Iterator[list[subprocess.Popen[str]]]:
    """Two ranks, one of which gets a signal in its tenth step."""
    command = (*case.command, "--out", out, *options)
    ranks = start_ranks(command, AT_STEP_10, VICTIM=str(victim), SIGNAL=str(int(kind)))
    try:
        yield ranks
    finally:
        for rank in ranks:
            rank.kill()
            rank.communicate()


@pytest.mark.parametrize("victim", [0, 1])
def test_a_rank_killed_ends_the_other_with_a_message_and_the_run_goes_on_to_the_same_bits(
    case: Case, tmp_path: Path, victim: int
) -> None:
    out = tmp_path / "cut"
    with disturbed(case, out, victim, signal.SIGKILL) as ranks:
        assert ranks[victim].wait(timeout=START_S) == -signal.SIGKILL
        output = ranks[1 - victim].communicate(timeout=DEADLINE_S)[0]
    assert ranks[1 - victim].returncode == 1
    assert "train: ranks: expected all 2 processes to the end of the run, lost one: " in output
    assert "run the same command again to go on" in output and "Traceback" not in output
    assert load_checkpoint(case.checkpoint(out, "last")).progress["step"] == 9
    case.goes_on(out)


def test_a_rank_that_hangs_ends_the_other_after_the_time_asked_for(
    case: Case, tmp_path: Path
) -> None:
    out, victim = tmp_path / "cut", {"encoder": 0, "dat": 1}[case.stage]
    with disturbed(case, out, victim, signal.SIGSTOP, "--rank-timeout-s", str(HANG_S)) as ranks:
        process = psutil.Process(ranks[victim].pid)
        until = time.monotonic() + START_S
        while process.status() != psutil.STATUS_STOPPED:
            assert time.monotonic() < until and ranks[victim].poll() is None
            time.sleep(0.1)
        begin = time.monotonic()
        output = ranks[1 - victim].communicate(timeout=HANG_S + DEADLINE_S)[0]
        assert ranks[1 - victim].returncode == 1
        assert time.monotonic() - begin > HANG_S - 5
        said = f"expected an answer of all 2 processes within {HANG_S:g} s (--rank-timeout-s)"
        assert said in output and "Traceback" not in output
        assert "end those that hang, then run the same command again to go on" in output
        ranks[victim].send_signal(signal.SIGCONT)
        woken = ranks[victim].communicate(timeout=DEADLINE_S)[0]
        assert ranks[victim].returncode == 1 and "expected all 2 processes to the end" in woken
    case.goes_on(out)


def test_three_ranks_take_uneven_data_in_equal_steps(
    suite: Path, large: Path, dat_run: Path, tmp_path: Path
) -> None:
    """11 songs a half for three ranks: 3 examples each, 2 left over; every rank takes 3 steps."""
    command = (
        "robust", "--shards", suite, "--set", f"train={large}", "--encoder", dat_run, *COMPARISON,
        "--batch-size", "1", "--out", tmp_path / "run",
    )  # fmt: skip
    outputs = run_ranks(command, OFTEN, n_ranks=3)
    assert [f": {tmp_path / 'run'}" in output for output in outputs] == [True, False, False]
    progress = load_checkpoint(tmp_path / "run/checkpoints/last").progress
    assert (progress["step"], progress["done"]) == (6, True)
    assert len(values(tmp_path / "run", "train/loss")) == 6
    for rank in start_ranks((*command, "--batch-size", "4", "--overwrite"), n_ranks=3):
        output = rank.communicate(timeout=START_S)[0]
        assert rank.returncode == 2
        assert (
            "expected at least 12 examples for one batch of 4 different songs on each of 3 "
            "processes, got 11 examples of 11 songs; a batch size of 2 to 3 on each of 3 "
            "processes or batch size 4 on each of 2 processes or fewer would work" in output
        )


def torchrun(command: tuple[object, ...], **options: Any) -> subprocess.Popen[str]:
    """Start ``train`` as a user does."""
    folder = Path(sys.executable).parent
    train = shutil.which("train", path=str(folder))
    assert train is not None
    words = (
        folder / "torchrun", "--nproc-per-node", "2", "--master-port", free_port(), "--no-python",
        train, *command,
    )  # fmt: skip
    return subprocess.Popen(
        list(map(str, words)), env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options,
    )  # fmt: skip


def wait_for(stage: str, run: Path, job: subprocess.Popen[str]) -> None:
    """Wait until a stage has logged something."""
    until = time.monotonic() + START_S
    while not (run / stage / "metrics.jsonl").is_file():
        assert time.monotonic() < until and job.poll() is None
        time.sleep(0.1)


def test_torchrun_takes_the_same_command_and_goes_on_after_a_kill(
    suite: Path, tmp_path: Path
) -> None:
    """All three stages; rank 0 is killed in the first one, rank 1 in the second one."""
    command = ("dat", "--shards", suite, *DAT, "--batch-size", "2", "--encoder-batch-size", "2",
               "--classifier-batch-size", "2", "--encoder-epochs", "12", "--epochs", "12",
               "--out")  # fmt: skip
    whole = torchrun((*command, tmp_path / "whole"))
    output = whole.communicate(timeout=START_S)[0]
    assert whole.returncode == 0 and output.count(f"dat: {tmp_path / 'whole'}") == 1, output
    for victim in (0, 1):
        job = torchrun((*command, tmp_path / "cut"))
        wait_for(("encoder", "domain")[victim], tmp_path / "cut", job)
        ranks = sorted(psutil.Process(job.pid).children(), key=lambda child: child.pid)
        ranks[victim].kill()
        output = job.communicate(timeout=DEADLINE_S)[0]
        assert job.returncode == 1 and "Signal 9 (SIGKILL)" in output, output
    job = torchrun((*command, tmp_path / "cut", "--resume"))
    output = job.communicate(timeout=START_S)[0]
    assert job.returncode == 0, output
    for stage in ("", "encoder", "domain"):
        for name in ("last", "best"):
            cut, undisturbed = (
                tmp_path / run / stage / "checkpoints" / name for run in ("cut", "whole")
            )
            assert_same_weights(cut, undisturbed)
    alone = start((*command, tmp_path / "cut"))
    output = alone.communicate(timeout=START_S)[0]
    assert alone.returncode == 2 and "another number of ranks" in output
