"""What ``train noisy-student`` refuses, and the teacher that a run goes on with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tiny_sets import write_set
from tiny_students import NOISY, QUICK
from tiny_suite import (
    SET,
    run,
    run_well,
)


@pytest.fixture
def shared(suite: Path, dat_run: Path) -> tuple[object, ...]:
    """A student with stage 1 and teacher given, so that it alone is trained."""
    given = ("--encoder", dat_run, "--teacher", dat_run)
    return ("noisy-student", "--shards", suite, *QUICK, *given)


def test_wrong_use(
    shared: tuple[object, ...], suite: Path, dat_run: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr("tiny_sets.TAGS", ("guitar", "piano", "drums", "kazoo"))
        for role in ("train", "valid"):
            write_set(str(tmp_path / role), n_songs=8, halves=role == "train", **SET)
    other_tags = [v for r in ("train", "valid") for v in ("--set", f"{r}={tmp_path / r}")]
    write_set(str(tmp_path / "none"), n_songs=0, halves=False, name="none")
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "suite.json").write_text('{"train": "train"}')
    cut = tmp_path / "cut"
    shutil.copytree(dat_run, cut)
    state = cut / "checkpoints/last/state.json"
    record = json.loads(state.read_text())
    record["progress"]["done"] = False
    del record["sha256"]
    state.write_text(json.dumps(record))
    out = ("--out", tmp_path / "run")
    for options, status, text in (
        (("--teacher", tmp_path / "gone"), 2, "gone: expected a run or checkpoint, found none"),
        (("--teacher", dat_run / "encoder"), 1, "expected a tagger, got a checkpoint of stage"),
        (("--teacher", cut), 2, "expected a finished run, got one at step 4 of 4; run it to its"),
        (
            other_tags, 2,
            f"--teacher {dat_run}: expected a tagger of the 4 tags of the training set, got 4: "
            "lacks ['kazoo'], adds ['voice']; train both on sets of one tags.json",
        ),
        (
            ("--unlabelled-shards", tmp_path / "none"), 2,
            "none: expected unlabelled examples, got a set without any; name another",
        ),
        (("--unlabelled-shards", bare), 2, "expected a set, or a suite with the role extra-target"),
        (("--unlabelled-shards", tmp_path / "gone"), 1, "gone: expected a suite"),
        ((*NOISY, "--teacher-hears", "noisy"), 2, "--student-hears noisy: expected both with"),
        (("--teacher-cache", "--teacher-hears", "noisy"), 2, "--teacher-cache: expected with"),
        (("--rounds", "0"), 2, "0 is not in the range 1<=x<=100"),
        (("--stage", "3"), 2, "No such option"),
    ):  # fmt: skip
        result = run(*shared, *out, *options)
        assert result.exit_code == status, (options, result.output)
        assert text in " ".join(result.output.split()), (options, result.output)
        assert not (tmp_path / "run").exists(), "nothing is written"


def test_a_run_goes_on_with_the_teacher_that_it_began_with(
    shared: tuple[object, ...], dat_run: Path, tmp_path: Path
) -> None:
    base, out, once = tmp_path / "base", tmp_path / "run", ("--epochs", "1")
    run_well("baseline", *shared[1:-2], "--out", base, *once)
    run_well(*shared, "--teacher", base, "--out", out, *NOISY, *once)
    run_well(*shared[:-2], "--out", out, *NOISY, *once)  # finished, it needs no teacher any more
    state = out / "checkpoints/last/state.json"
    record = json.loads(state.read_text())
    record["progress"]["done"] = False
    del record["sha256"]
    state.write_text(json.dumps(record))
    for teacher, text in (
        ((), f"{out}: expected --teacher RUN as the run began with, got none"),
        (("--teacher", dat_run), 'teacher.method: has "baseline", asked for "dat"'),
        (("--teacher", base), ""),
    ):
        result = run(*shared[:-2], "--out", out, *NOISY, *once, *teacher)
        assert result.exit_code == (2 if text else 0), result.output
        assert text in " ".join(result.output.split())
