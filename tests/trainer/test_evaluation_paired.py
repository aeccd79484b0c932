"""Paired differences of two score files: the second minus the first, on the same clips alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from score_cases import LABEL, METRIC, SNRS_DB, TAGS, reordered, scores_of, write_scores

from manifests.errors import ManifestError
from trainer.evaluation.figures import CLIP_SCORE, SetLabel
from trainer.evaluation.paired import compare_pair
from trainer.evaluation.score_file import load_score_file
from trainer.evaluation.scored import Scored


def scored(url: str) -> Scored:
    return Scored(url, *load_score_file(url))


def test_paired_difference_with_itself_is_zero(url: str) -> None:
    found = compare_pair(scored(url), scored(url))
    assert [row.member for row in found.differences] == ["clean", *SNRS_DB, "noisy mean"]
    for row in found.differences:
        assert (row.auc.value, row.auc.low, row.auc.high) == (0, 0, 0)
        assert (row.ap.value, row.ap.low, row.ap.high) == (0, 0, 0)


def test_paired_difference_is_second_minus_first(tmp_path: Path) -> None:
    weak = scored(write_scores(str(tmp_path / "a"), scores_of(skill=0.5), name="weak"))
    strong = scored(write_scores(str(tmp_path / "b"), scores_of(skill=4.0), name="strong"))
    found = compare_pair(weak, strong)
    assert (found.first[0].name, found.second[0].name) == ("weak", "strong")
    for row, first, second in zip(
        found.differences, weak.file.figures.members, strong.file.figures.members, strict=False
    ):
        assert first.auc is not None
        assert second.auc is not None
        assert row.auc.value == pytest.approx(second.auc.value - first.auc.value)
        assert row.auc.low is not None
        assert 0 < row.auc.low < row.auc.value
    mean = np.mean([row.auc.value for row in found.differences[1:3]])
    assert found.differences[3].auc.value == pytest.approx(mean)


def test_the_order_of_clips_and_tags_does_not_matter(tmp_path: Path) -> None:
    first = scored(write_scores(str(tmp_path / "a")))
    clips = reordered(scores_of(seed=1), list(range(59, -1, -1)))
    columns = [4, 2, 0, 1, 3]
    shuffled = replace(
        clips,
        tags=tuple(TAGS[column] for column in columns),
        labels=clips.labels[:, columns],
        scores={name: values[:, columns] for name, values in clips.scores.items()},
    )
    straight = compare_pair(first, scored(write_scores(str(tmp_path / "b"), scores_of(seed=1))))
    turned = compare_pair(first, scored(write_scores(str(tmp_path / "c"), shuffled)))
    for a, b in zip(straight.differences, turned.differences, strict=True):
        assert a.auc.value == pytest.approx(b.auc.value, abs=1e-12)
        assert a.auc.low == pytest.approx(b.auc.low, abs=1e-12)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (replace(LABEL, recipe_id="x" * 64), "expected one recipe id"),
        (replace(LABEL, subset_id="5" * 64), "expected one subset id, got whole set and 555"),
        (replace(LABEL, recipe_id=None, plan_id="q" * 64), "expected one plan id"),
    ],
)
def test_scores_of_other_sets_are_not_compared(
    url: str, tmp_path: Path, label: SetLabel, message: str
) -> None:
    other = write_scores(str(tmp_path / "other"), label=label)
    with pytest.raises(ManifestError, match=message):
        compare_pair(scored(url), scored(other))


def test_one_recipe_is_one_set_whatever_its_plan(url: str, tmp_path: Path) -> None:
    """A thawed copy has the recipe's id; its own plan hash may differ."""
    other = write_scores(str(tmp_path / "other"), label=replace(LABEL, plan_id="q" * 64))
    assert compare_pair(scored(url), scored(other)).n_clips == 60


def test_other_definitions_are_not_compared(url: str, tmp_path: Path) -> None:
    other = write_scores(str(tmp_path / "other"), metric=replace(METRIC, n_draws=99))
    with pytest.raises(ManifestError, match="expected one metric"):
        compare_pair(scored(url), scored(other))


def test_how_a_run_aggregates_is_part_of_the_run_and_not_of_the_metric(
    url: str, tmp_path: Path
) -> None:
    """Mean and attention are compared; a clip score that the aggregate does not explain is not."""
    own = replace(METRIC, clip_score=CLIP_SCORE["attention"])
    folder = str(tmp_path / "other")
    attention = write_scores(folder, scores_of(1), metric=own, aggregate="attention")
    assert compare_pair(scored(url), scored(attention)).second[0].aggregate == "attention"
    claimed = write_scores(folder, metric=own)
    with pytest.raises(ManifestError, match="expected one metric"):
        compare_pair(scored(url), scored(claimed))


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        (scores_of(n_clips=59), "expected the 60 clips .* got 59 clips"),
        (scores_of(members=["clean"]), r"members \['clean', .* got 60 clips and \['clean'\]"),
        (scores_of(set_seed=1), "expected the artists and tags of the other run"),
        (
            replace(scores_of(), clusters=tuple(f"artist {n % 7}" for n in range(60))),
            "expected the artists and tags of the other run",
        ),
    ],
)
def test_tables_of_other_clips_are_not_compared(
    url: str, tmp_path: Path, clips: Any, message: str
) -> None:
    other = write_scores(str(tmp_path / "other"), clips)
    with pytest.raises(ManifestError, match=message):
        compare_pair(scored(url), scored(other))


def test_sets_without_tags_have_nothing_to_compare(tmp_path: Path) -> None:
    clips = scores_of()
    bare = write_scores(str(tmp_path), replace(clips, labels=np.zeros_like(clips.labels)))
    with pytest.raises(ManifestError, match="expected a tag with positive and negative clips"):
        compare_pair(scored(bare), scored(bare))
