"""How the table is printed and stored."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from score_cases import write_scores

from trainer.compare import Comparison, compare_runs
from trainer.compare_text import grids, markdown_table, text_table, write_comparison
from trainer.evaluation.scored import Scored, load_scores


def test_a_row_that_misses_a_set_shows_a_dash(scored: list[Scored]) -> None:
    kept = [
        item for item in scored if (item.file.run.name, item.file.set.name) != ("dat", "videos")
    ]
    lines = text_table(compare_runs(kept, paired=False)).splitlines()
    assert any(line.startswith("dat ") and line.endswith("–") for line in lines)


def test_text_is_aligned_and_holds_every_figure(table: Comparison) -> None:
    text = text_table(table)
    lines = text.splitlines()
    head = next(line for line in lines if "noisy mean" in line)
    assert head.split() == ["clean", "10", "dB", "-10", "dB", "noisy", "mean", "videos"]
    cell = next(
        e
        for e in table.entries
        if (e.row, e.set, e.column, e.metric) == ("dat", "test-audioset", "-10", "auc")
    )
    start = lines.index(head)
    row = next(line for line in lines[start:] if line.startswith("dat "))
    end = head.index("-10 dB") + len("-10 dB")
    assert row[:end].endswith(f"{cell.value:.3f}")
    assert f"[{cell.low:.3f}, {cell.high:.3f}]" in lines[lines.index(row) + 1]
    assert "60 clips of 12 artists, 4 tags (1 left out); 95% intervals from 100 draws" in text
    assert "Fresh domain classifier" in text
    assert "paired difference to baseline ×2" in text
    assert not any(line != line.rstrip() for line in lines)


def test_tables_come_in_the_order_of_the_report(table: Comparison) -> None:
    titles = [grid.title for grid in grids(table)]
    assert [title.split(":")[0].split(" recipe")[0] for title in titles] == [
        "test-audioset",
        "test-musan",
        "test-audioset",
        "test-musan",
        "test-audioset",
        "test-musan",
        "videos",
    ]


def test_an_asterisk_marks_intervals_without_zero(table: Comparison) -> None:
    (grid,) = [g for g in grids(table) if g.title.startswith("test-musan: paired")]
    decided = {
        (row, cells[0].figure.endswith("*")) for _, rows in grid.sections for row, cells in rows
    }
    assert ("random", True) in decided
    for difference in table.differences:
        if difference.set == "test-musan":
            figure = difference.differences[0].auc
            assert figure.low is not None
            assert figure.high is not None
            rows = dict(grid.sections[0][1])
            starred = rows[difference.row][0].figure.endswith("*")
            assert starred == (figure.low > 0 or figure.high < 0)


def test_real_recordings_alone_make_a_table(scored: list[Scored]) -> None:
    real = [item for item in scored if item.file.set.name == "videos"]
    text = text_table(compare_runs(real))
    assert "videos" in text.splitlines()[3]
    assert "noisy mean" not in text


def test_markdown_is_a_table_and_names_cannot_break_it(tmp_path: Path) -> None:
    url = write_scores(str(tmp_path), name="a|b")
    text = markdown_table(compare_runs(load_scores([url])))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert lines[0] == "| ROC-AUC | clean | 10 dB | -10 dB | noisy mean |"
    assert lines[1] == "| --- | ---: | ---: | ---: | ---: |"
    assert lines[2].startswith("| a\\|b | 0.")


def test_files_hold_the_same_figures(table: Comparison, tmp_path: Path) -> None:
    urls = write_comparison(str(tmp_path), table)
    assert sorted(Path(url).name for url in urls) == [
        "table.csv",
        "table.json",
        "table.md",
        "table.txt",
    ]
    assert (tmp_path / "table.txt").read_text() == text_table(table)
    record = json.loads((tmp_path / "table.json").read_text())
    frame = pd.read_csv(tmp_path / "table.csv")
    assert len(frame) == len(table.entries) + len(table.runs)
    assert frame["value"].tolist() == [e.value for e in (*table.entries, *table.runs)]
    assert record["entries"][0]["value"] == table.entries[0].value
    assert record["differences"][0]["reference"] == "baseline ×2"
