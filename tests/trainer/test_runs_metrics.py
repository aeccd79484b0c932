"""The log of a run, and its progress line."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from manifests.errors import ManifestError
from trainer.runs.folder import RunFolder, open_run
from trainer.runs.lock import locked
from trainer.runs.metrics_log import MetricsLog, read_records, rewind
from trainer.runs.progress import clock_text, show_progress


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return open_run(tmp_path / "run", {"seed": 1})


def scalars(run: RunFolder, stage: str, name: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(run.tensorboard / stage))
    events.Reload()
    return [(event.step, pytest.approx(event.value)) for event in events.Scalars(name)]


def test_records_go_to_both_logs(run: RunFolder) -> None:
    with MetricsLog(run, "dat") as log:
        log.write(10, {"train/loss": 0.5, "valid/auc_snr_-10": 0.61})
        log.write(20, {"train/loss": 0.25})
    assert read_records(run.metrics) == [
        {"stage": "dat", "step": 10, "train/loss": 0.5, "valid/auc_snr_-10": 0.61},
        {"stage": "dat", "step": 20, "train/loss": 0.25},
    ]
    assert scalars(run, "dat", "train/loss") == [(10, 0.5), (20, 0.25)]
    assert scalars(run, "dat", "valid/auc_snr_-10") == [(10, 0.61)]


def test_a_line_is_on_disk_at_once(run: RunFolder) -> None:
    with MetricsLog(run, "dat") as log:
        log.write(1, {"train/loss": 0.5})
        assert len(run.metrics.read_text().splitlines()) == 1


def test_a_full_disk_is_said(run: RunFolder) -> None:
    run.metrics.symlink_to("/dev/full")
    said = (
        r"metrics\.jsonl: cannot be written: No space left on device; name another --out, or make "
        "room there and run the same command again to go on"
    )
    with pytest.raises(ManifestError, match=said), MetricsLog(run, "dat") as log:
        log.write(1, {"train/loss": 0.5})


def test_a_place_that_takes_no_files_is_said(run: RunFolder) -> None:
    run.tensorboard.write_text("a file")
    with pytest.raises(ManifestError, match=r"run: cannot be written: (Not a dir|File exists)"):
        MetricsLog(run, "dat")
    (run.path / ".lock").mkdir()
    with (
        pytest.raises(ManifestError, match="run: cannot be written: Is a directory"),
        locked(run.path),
    ):
        pass


def test_after_a_resume_no_step_stands_twice(run: RunFolder) -> None:
    with MetricsLog(run, "encoder") as log:
        log.write(30, {"train/loss": 9.0})
    with MetricsLog(run, "dat") as log:
        for step in (5, 10, 15, 20):
            log.write(step, {"train/loss": float(step)})
    with run.metrics.open("a") as file:
        file.write('{"stage": "dat", "st')
    with MetricsLog(run, "dat", step=10) as log:
        log.write(15, {"train/loss": 1.5})
        log.write(20, {"train/loss": 2.0})
    steps = [(r["stage"], r["step"], r["train/loss"]) for r in read_records(run.metrics)]
    assert steps == [
        ("encoder", 30, 9.0), ("dat", 5, 5.0), ("dat", 10, 10.0), ("dat", 15, 1.5),
        ("dat", 20, 2.0),
    ]  # fmt: skip
    assert scalars(run, "dat", "train/loss") == [(5, 5.0), (10, 10.0), (15, 1.5), (20, 2.0)]
    assert scalars(run, "encoder", "train/loss") == [(30, 9.0)]


def test_a_stage_begun_again_starts_from_nothing(run: RunFolder) -> None:
    with MetricsLog(run, "dat") as log:
        log.write(5, {"train/loss": 1.0})
    with MetricsLog(run, "dat"):
        pass
    assert read_records(run.metrics) == []


def test_figures_that_are_not_finite_are_null_and_warned_of(
    run: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    with MetricsLog(run, "dat") as log:
        log.write(3, {"train/loss": float("nan"), "train/lr": 1e-4})
    assert json.loads(run.metrics.read_text())["train/loss"] is None
    assert "dat step 3: not finite: train/loss" in caplog.text


def test_a_broken_line_inside_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"stage": "a", "step": 1}\nbroken\n{"stage": "a", "step": 2}\n')
    with pytest.raises(ManifestError, match="line 2: expected JSON"):
        rewind(path, "a", 5)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_plain_lines_say_loss_rate_and_remaining_time() -> None:
    out, clock = io.StringIO(), Clock()
    with show_progress("stage 3 dat", 1_000, first_step=400, stream=out, clock=clock) as advance:
        for step in range(401, 421):
            clock.now += 1.0
            advance(step, loss=0.51234, n_examples=48)
    assert out.getvalue().splitlines() == [
        "stage 3 dat: step 410/1,000, loss 0.5123, 48.0 examples/s, 0:09:50 left",
        "stage 3 dat: step 420/1,000, loss 0.5123, 48.0 examples/s, 0:09:40 left",
    ]


def test_work_without_a_loss_shows_none() -> None:
    out = io.StringIO()
    with show_progress("evaluate x", 1, stream=out, clock=Clock()) as advance:
        advance(1, n_examples=1)
    assert out.getvalue().startswith("evaluate x: step 1/1, 1,000,000,000.0 examples/s, ")
    terminal = Terminal()
    with show_progress("evaluate x", 1, stream=terminal) as advance:
        advance(1, n_examples=1)
    assert "evaluate x" in terminal.getvalue() and "loss" not in terminal.getvalue()


def test_the_last_step_is_always_shown_and_quiet_shows_nothing() -> None:
    for quiet, expected in ((False, 1), (True, 0)):
        out, clock = io.StringIO(), Clock()
        with show_progress("s", 2, quiet=quiet, stream=out, clock=clock) as advance:
            clock.now += 0.5
            advance(1, loss=1.0, n_examples=1)
            advance(2, loss=1.0, n_examples=1)
        assert len(out.getvalue().splitlines()) == expected


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    out = Terminal()
    with show_progress("stage 1", 10, stream=out) as advance:
        advance(10, loss=0.25, n_examples=480)
    text = out.getvalue()
    assert "stage 1" in text and "10/10" in text and "loss 0.2500" in text and "examples/s" in text


def test_work_within_a_stage_is_a_line_below_its_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """One display: two would write over each other, each on the line that the cursor is on."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    out = Terminal()
    with show_progress("stage", 4, stream=out) as outer:
        with show_progress("clips", 3, stream=out) as inner:
            inner(3, loss=0.0, n_examples=3)
        outer(4, loss=0.5, n_examples=8)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out.getvalue())
    assert re.search(r"stage [^\n]* 4/4 [^\n]*\nclips [^\n]* 3/3 ", text)
    alone = Terminal()
    with show_progress("next", 2, stream=alone) as advance:
        advance(2, loss=0.5, n_examples=8)
    assert "2/2" in alone.getvalue() and "stage" not in alone.getvalue()


def test_clock_text() -> None:
    assert [clock_text(s) for s in (0, 59.6, 3_599, 90_061)] == [
        "0:00:00", "0:01:00", "0:59:59", "25:01:01",
    ]  # fmt: skip
