"""Where scores go: nothing of another set is replaced, and a place is tried before the work."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from score_cases import LABEL, run_label, scores_of, write_scores
from tiny_sets import TAGS, write_set
from tiny_suite import COMPARISON, SET, run, run_well

from manifests.errors import ManifestError
from manifests.shardset import load_set
from trainer.data import load_refs
from trainer.evaluation.evaluate import evaluate_run, load_evaluation
from trainer.evaluation.figures import CLIP_SCORE, MetricDefinition, SetLabel
from trainer.evaluation.score_file import check_place, load_score_file
from trainer.evaluation.set_clips import evaluation_set

RUN = run_label("dat", "dat", 0, "c" * 64)
METRIC = MetricDefinition(n_draws=20)


@pytest.fixture(scope="module")
def baseline(suite: Path, dat_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished baseline; read only."""
    out = tmp_path_factory.mktemp("places") / "baseline"
    run_well("baseline", "--out", out, "--shards", suite, "--encoder", dat_run, *COMPARISON)
    return out


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (LABEL, None),
        (replace(LABEL, plan_id="q" * 64), None),  # one recipe: thawed by another team
        (replace(LABEL, recipe_id=None), None),
        (replace(LABEL, recipe_id="x" * 64), r"\(recipe x{12}…\), got .* \(recipe r{12}…\); keep"),
        (replace(LABEL, recipe_id=None, plan_id="q" * 64), r"\(plan q{12}…\), got .* with another"),
        (replace(LABEL, subset_id="5" * 64, recipe_id="x" * 64), None),  # a file of its own
    ],
)
def test_scores_of_another_set_are_not_replaced(
    tmp_path: Path, label: SetLabel, message: str | None
) -> None:
    write_scores(str(tmp_path), scores_of())
    if message is None:
        check_place(str(tmp_path), label, "mean")
    else:
        with pytest.raises(ManifestError, match=message):
            check_place(str(tmp_path), label, "mean")
        check_place(str(tmp_path), label, "attention")
        (tmp_path / "test-musan.scores").write_text("{}")
        check_place(str(tmp_path), label, "mean")


def never(chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    raise AssertionError("no chunk may be scored")


def half(chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.full((len(chunks), len(TAGS)), 0.5), np.ones((len(chunks), 2), np.float32)


def test_it_is_said_before_anything_is_scored(tmp_path: Path) -> None:
    item = evaluation_set(write_set(str(tmp_path / "set"), halves=False), TAGS, chunk_samples=1_000)
    other = replace(item, label=replace(item.label, plan_id="q" * 64))
    out = str(tmp_path / "out")
    evaluate_run(RUN, "w" * 64, half, [item], out=out, metric=METRIC)
    with pytest.raises(ManifestError, match=r"tiny\.scores: .* another set of that name"):
        evaluate_run(RUN, "w" * 64, never, [other], out=out, metric=METRIC)
    file, _ = load_score_file(str(tmp_path / "out/tiny.scores"))
    assert file.set == item.label
    evaluate_run(RUN, "w" * 64, half, [item], out=out, metric=METRIC)


def test_a_place_that_cannot_be_written_is_told_first(tmp_path: Path) -> None:
    (tmp_path / "afile").write_text("x")
    item = evaluation_set(write_set(str(tmp_path / "set"), halves=False), TAGS, chunk_samples=1_000)
    with pytest.raises(ManifestError, match="afile/x: cannot be written: Not a directory"):
        evaluate_run(RUN, "w" * 64, never, [item], out=str(tmp_path / "afile/x"))


def test_every_set_says_its_own_metric_and_older_files_are_read(tmp_path: Path) -> None:
    item = evaluation_set(write_set(str(tmp_path / "set"), halves=False), TAGS, chunk_samples=1_000)
    narrow = replace(item, label=replace(item.label, name="narrow"), limit_hz=7_200.0)
    found = evaluate_run(RUN, "", half, [item, narrow], out=str(tmp_path / "out"), metric=METRIC)
    said = [one.metric.clip_score for one in found.sets if one.metric]
    assert said == [CLIP_SCORE["mean"], f"{CLIP_SCORE['mean']}, of audio limited to 7200 Hz"]
    file, _ = load_score_file(str(tmp_path / "out/narrow.scores"))
    assert file.metric == found.sets[1].metric
    path = tmp_path / "out/evaluation.json"
    assert load_evaluation(path) == found
    older = json.loads(path.read_text())
    for one in older["sets"]:
        del one["metric"]
    path.write_text(json.dumps(older))
    assert [one.metric for one in load_evaluation(path).sets] == [None, None]
    path.write_text('{"sets": 1}')
    with pytest.raises(ManifestError, match=r"evaluation\.json: Evaluation: expected fields"):
        load_evaluation(path)


def test_recordings_of_all_splits_are_no_training_set(
    baseline: Path, suite: Path, tmp_path: Path
) -> None:
    options = {**SET, "n_songs": 4, "halves": False}
    for name, more in (("real", {"snrs_db": ()}), ("mixed", {})):
        write_set(str(tmp_path / name), name=name, **{**options, **more})
        index = tmp_path / name / "index.json"
        index.write_text(json.dumps(json.loads(index.read_text()) | {"split": "all"}))
        told = run_well(
            "evaluate", "--checkpoint", baseline, "--out", tmp_path / f"of-{name}",
            "--shards", tmp_path / name,
        )  # fmt: skip
        assert ("a training set" in told.stderr) == (name == "mixed")


def test_a_grid_scores_whole_frozen_sets_and_tabulates_its_own(suite: Path, tmp_path: Path) -> None:
    """Ids of recipes are carried; what one seed was evaluated on by hand changes nothing."""
    own, out, recipe = tmp_path / "suite", tmp_path / "grid", "ab" * 32
    shutil.copytree(suite, own)
    (own / "test-musan/recipe.json").write_text(json.dumps({"recipe_id": recipe}))
    command = ("grid", "--shards", own, "--out", out, *COMPARISON, "--methods", "baseline")
    seeds = (*command, "--seeds", "0,1")
    first = run_well(*seeds).stdout
    scores = out / "baseline-k1-s0/evaluation/test-musan.scores"
    assert load_score_file(str(scores))[0].set.recipe_id == recipe
    by_hand = ("evaluate", "--checkpoint", out / "baseline-k1-s0", "--shards")
    run_well(*by_hand, suite / "valid")
    assert run_well(*seeds).stdout == first
    keys = [ref.key for ref in load_refs(load_set(str(own / "test-musan")))[:4]]
    subset = tmp_path / "subset.json"
    subset.write_text(json.dumps({"recipe_id": recipe, "accept": "identical", "keys": keys}))
    scores.unlink()
    run_well(*by_hand, own / "test-musan", "--subset", subset)
    assert run_well(*seeds).stdout == first and scores.is_file(), "the whole set is scored again"


def test_compare_tries_its_folder_first(tmp_path: Path) -> None:
    (tmp_path / "afile").write_text("x")
    url = write_scores(str(tmp_path / "scores"))
    result = run("compare", url, "--out", tmp_path / "afile/x")
    assert result.exit_code == 1 and "afile/x: cannot be written: Not a dir" in result.output
    assert result.stdout == ""
