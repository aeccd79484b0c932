"""The report of a comparison: its tables, and every plot that its runs have data for."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from score_cases import LABEL, scores_of, write_scores

from trainer.compare import Comparison
from trainer.compare_report import compare_scores, write_report
from trainer.plots import plot_scores
from trainer.runs.checkpoint import TrainingState, save_checkpoint
from trainer.runs.folder import RunFolder
from trainer.runs.metrics_log import MetricsLog


def report(urls: list[str], out: Path) -> tuple[Comparison, list[str]]:
    found = compare_scores(urls, str(out))
    return found.comparison, write_report(found, str(out))


def test_the_report_writes_tables_and_every_plot(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "my run"
    write_scores(str(run / "evaluation"), name="mine")
    with MetricsLog(RunFolder(run), "dat") as log:
        log.write(10, {"train/loss": 0.5})
    domain = run / "domain"
    domain.mkdir()
    with MetricsLog(RunFolder(domain), "domain") as log:
        log.write(10, {"train/domain_accuracy": 0.5})
    theirs = write_scores(str(tmp_path / "got"), scores_of(1), name="theirs", config="t" * 64)
    (tmp_path / "got" / "test-musan.embeddings.safetensors").unlink()
    comparison, written = report([str(run), theirs], tmp_path / "out")
    assert comparison.rows == ("mine", "theirs")
    names = {Path(url).name for url in written}
    assert names == {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= {"table.md", "scores.png", "training-my_run.svg", "map-test_musan.png"}
    assert "theirs: no embedding sample beside its scores" in caplog.text
    svg = (tmp_path / "out" / "training-my_run.svg").read_text()
    assert "Stage domain" in svg
    assert "Stage dat" in svg


def test_a_noisy_set_without_tags_is_in_the_table_and_on_no_plot_of_scores(tmp_path: Path) -> None:
    """As ``extra-target`` is: its clips have an agreement under noise, and no tag to score."""
    run, clips = tmp_path / "run", scores_of()
    bare = replace(clips, labels=np.zeros_like(clips.labels))
    write_scores(str(run / "evaluation"), bare, label=replace(LABEL, name="extra"))
    write_scores(str(run / "evaluation"), clips)
    comparison, written = report([str(run)], tmp_path / "out")
    assert [note.set for note in comparison.sets] == ["extra", "test-musan"]
    assert [a.get_title() for a in plot_scores(comparison).axes[:1]] == ["test-musan"]
    table = (tmp_path / "out" / "table.md").read_text()
    assert "extra: agreement of noisy clips with their clean versions" in table
    names = {Path(url).name for url in written}
    assert names >= {"scores.png", "map-extra.png", "map-test_musan.png"}
    alone = write_scores(str(tmp_path / "alone"), bare)
    assert not any("scores" in url for url in report([alone], tmp_path / "b")[1])


def test_the_curves_of_a_run_show_all_its_stages_in_order(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_scores(str(run / "evaluation"))
    stages = {"teacher": "baseline", **{f"round-{n}": f"round-{n}" for n in (10, 2, 1)}}
    for folder, stage in {**stages, "round-off": "none", ".": "noisy-student"}.items():
        (run / folder).mkdir(exist_ok=True)
        with MetricsLog(RunFolder(run / folder), stage) as log:
            log.write(10, {"train/loss": 0.5})
    report([str(run)], tmp_path / "out")
    svg = (tmp_path / "out" / "training-run.svg").read_text()
    assert re.findall(r"Stage ([\w-]+)<", svg) == [
        "baseline", "round-1", "round-2", "round-10", "noisy-student",
    ]  # fmt: skip


def test_a_report_on_real_recordings_has_no_plot_of_snrs(tmp_path: Path) -> None:
    url = write_scores(str(tmp_path / "a"), scores_of(members=["audio"]))
    _, written = report([url], tmp_path / "out")
    assert {Path(one).suffix for one in written} == {".txt", ".md", ".json", ".csv"}


def test_damaged_files_beside_the_scores_take_no_table_with_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs = [tmp_path / name for name in ("a", "b")]
    for number, run in enumerate(runs):
        write_scores(str(run / "evaluation"), name=run.name, config=f"{number}" * 64)
    sample = runs[0] / "evaluation/test-musan.embeddings.safetensors"
    sample.write_bytes(sample.read_bytes()[:-9])
    (runs[0] / "metrics.jsonl").write_text("{}\n{\n{}\n")
    for place in ("best", "last"):
        one = TrainingState({"encoder": torch.nn.Linear(1, 1)}, {})
        save_checkpoint(runs[0] / "checkpoints" / place, one, {})
    (runs[0] / "checkpoints/best/weights.safetensors").unlink()
    comparison, written = report([str(run) for run in runs], tmp_path / "out")
    assert comparison.rows == ("a", "b") and not comparison.costs
    assert {Path(url).name for url in written} >= {"table.txt", "map-test_musan.png"}
    for said in ("a: cost left out: ", "a is left out of the map", "no training curves of a"):
        assert said in caplog.text
    assert "remove" not in caplog.text, "the last checkpoint is whole"
