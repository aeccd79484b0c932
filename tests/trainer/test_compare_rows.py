"""Rows of several sources of one run, their names, and what they rest on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from score_cases import LABEL, OTHER, REAL, run_label, scores_of, write_scores

from manifests.errors import ManifestError
from trainer.compare import Comparison, compare_runs
from trainer.compare_grid import markdown_lines, text_lines
from trainer.compare_rows import group_runs, told_apart
from trainer.compare_text import grids, text_table
from trainer.evaluation.score_file import load_score_file
from trainer.evaluation.scored import Scored, load_scores


def test_three_sources_of_two_seeds_are_three_rows(tmp_path: Path) -> None:
    urls = [
        write_scores(str(tmp_path / source / f"{seed}"), name=f"dat-s{seed}", seed=seed)
        for source in "abc"
        for seed in (0, 1)
    ]
    table = compare_runs(load_scores(urls), paired=False)
    assert table.rows == ("dat ×2", "dat #2 ×2", "dat #3 ×2")


def test_names_are_numbered_until_they_are_free() -> None:
    labels = [
        run_label(name, "dat", seed, f"111111{config}")
        for config in "abc"
        for seed, name in enumerate("xy")
    ]
    assert list(group_runs(labels)) == ["dat ×2", "dat ×2 111111", "dat ×2 111111 #2"]


def test_a_repetition_keeps_its_name(tmp_path: Path) -> None:
    """A run on a GPU and on a CPU: one configuration and seed, two folders."""
    urls = [
        write_scores(str(tmp_path / name), scores_of(seed), name=name, label=label)
        for seed, name in enumerate(("gpu", "cpu"))
        for label in (LABEL, OTHER)
    ]
    for order in (urls, urls[::-1]):
        table = compare_runs(load_scores(order), paired=False)
        assert set(table.rows) == {"gpu", "cpu"} and len(table.sets) == 2
        assert all(e.runs == (e.row,) for e in table.entries)


def test_scores_of_the_same_weights_elsewhere_are_the_same_row(tmp_path: Path) -> None:
    """``--out`` of another set: the run has one row with both sets."""
    urls = [write_scores(str(tmp_path / one.name), label=one) for one in (LABEL, OTHER)]
    assert compare_runs(load_scores(urls), paired=False).rows == ("dat",)


def test_telling_apart_twice_changes_nothing(tmp_path: Path) -> None:
    found = told_apart(load_scores([write_scores(str(tmp_path / team)) for team in "abc"]))
    assert [item.file.run.name for item in found] == ["dat", "dat #2", "dat #3"]
    assert told_apart(found) == found


def test_unlike_perturbations_are_found_whoever_comes_first(tmp_path: Path) -> None:
    """The first run has none, so it is alike to both of the others."""
    members = ("clean", "noisy.snr_10", "noisy.snr_-10", "drc:speech")
    urls = [write_scores(str(tmp_path / "plain"), name="plain")]
    for name in ("one", "other"):
        clips = scores_of(members=members)
        urls.append(
            write_scores(str(tmp_path / name), clips, name=name, config=name, definition=name)
        )
    with pytest.raises(ManifestError, match="one and other: expected one drc:speech, got one and"):
        compare_runs(load_scores(urls), paired=False)


def of_artists(folder: Path, known: int, label: str = "test-musan") -> Scored:
    """Scores of 60 clips of which so many have an artist, 6 clips each."""
    clips = scores_of()
    clusters = tuple(f"artist {n // 6}" if n < known else f"clip {n}" for n in range(60))
    clips = replace(clips, clusters=clusters)
    url = write_scores(str(folder / f"{known}"), clips, label=replace(LABEL, name=label))
    return load_scores([url])[0]


@pytest.mark.parametrize(
    ("known", "clips", "drawn"),
    [
        (60, "60 clips of 10 artists", "artists"),
        (0, "60 clips (artist unknown)", "clips"),
        (54, "60 clips of 9 artists and 6 without one", "artists and such clips"),
    ],
)
def test_what_is_drawn_is_said(tmp_path: Path, known: int, clips: str, drawn: str) -> None:
    text = text_table(compare_runs([of_artists(tmp_path, known)]))
    said = f": {clips}, 4 tags (1 left out); 95% intervals from 100 draws over {drawn}, ± is the"
    assert said in text


def test_recordings_have_a_line_of_their_own(table: Comparison, tmp_path: Path) -> None:
    for grid in grids(table)[:2]:
        (line,) = grid.below
        assert line.startswith("videos recipe vvvvvvvvvvvv…: 60 clips of 12 artists, ")
        assert list(text_lines(grid))[1] == line
        assert list(markdown_lines(grid))[1:3] == ["", line]
    more = [
        write_scores(str(tmp_path), scores_of(members=("audio",)), label=replace(REAL, name=name))
        for name in ("films", "videos")
    ]
    (first, *_) = grids(compare_runs(load_scores(more)))
    assert first.title.startswith("films") and first.below[0].startswith("videos")


def one_artist(folder: Path, name: str, skill: float) -> str:
    clips = scores_of(skill=skill, members=("clean", "noisy.snr_10", "noisy.snr_-10", "drc:speech"))
    alone = replace(clips, clusters=("artist x",) * len(clips.keys))
    return write_scores(str(folder / name), alone, name=name, config=name)


def test_one_artist_gives_no_interval_and_no_asterisk(tmp_path: Path) -> None:
    urls = [one_artist(tmp_path, name, skill) for name, skill in (("a", 0.1), ("b", 9.0))]
    figures = load_score_file(urls[1])[0].figures
    held = [figure for one in (*figures.members, *figures.changes) for figure in (one.auc, one.ap)]
    assert held and all(f is not None and f.low is None and f.high is None for f in held)
    table = compare_runs(load_scores(urls))
    (difference,) = table.differences
    assert abs(difference.differences[0].auc.value) > 0.1
    assert all(d.auc.low is None and d.ap.low is None for d in difference.differences)
    assert not any(
        cell.figure.endswith("*") for g in grids(table) for _, rows in g.sections
        for _, cells in rows for cell in cells
    )  # fmt: skip


def test_older_scores_of_one_artist_lose_their_empty_interval(tmp_path: Path) -> None:
    (item,) = load_scores([one_artist(tmp_path, "a", 2.0)])
    figures = item.file.figures
    changes = tuple(
        replace(one, auc=replace(one.auc, low=one.auc.value, high=one.auc.value))
        for one in figures.changes
        if one.auc
    )
    older = replace(item, file=replace(item.file, figures=replace(figures, changes=changes)))
    entries = compare_runs([older]).entries
    assert np.all([e.low is None for e in entries if e.metric == "auc_change"])
