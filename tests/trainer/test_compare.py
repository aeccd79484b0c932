"""The table: rows, columns, seeds, and what is refused."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from score_cases import LABEL, METRIC, run_label, scores_of, write_scores

from manifests.errors import ManifestError, UsageError
from trainer.compare import Comparison, compare_runs
from trainer.compare_rows import group_runs
from trainer.evaluation.figures import CLIP_SCORE
from trainer.evaluation.scored import Scored, load_scores


def test_rows_keep_the_order_given_and_join_seeds(table: Comparison) -> None:
    assert table.rows == ("random", "baseline ×2", "dat")
    assert {note.set for note in table.sets} == {"test-musan", "test-audioset", "videos"}


def test_cells_are_the_figures_of_the_score_files(table: Comparison, scored: list[Scored]) -> None:
    found = {(e.row, e.set, e.column, e.metric): e for e in table.entries}
    (file,) = [
        item.file
        for item in scored
        if (item.file.run.name, item.file.set.name) == ("dat", "test-musan")
    ]
    figures = file.figures
    for member, column in zip(figures.members, ("clean", "10", "-10"), strict=True):
        cell = found["dat", "test-musan", column, "ap"]
        assert member.ap is not None
        assert (cell.value, cell.low, cell.high, cell.spread) == (
            member.ap.value,
            member.ap.low,
            member.ap.high,
            None,
        )
    assert figures.noisy_mean_auc is not None
    mean = found["dat", "test-musan", "noisy mean", "auc"]
    assert mean.value == figures.noisy_mean_auc.value
    noise = figures.noise[1]
    assert noise.consistency is not None
    assert found["dat", "test-musan", "-10", "probe_auc"].value == noise.probe_auc
    for metric in ("cosine_margin", "retrieval_at_1", "tag_change"):
        cell = found["dat", "test-musan", "-10", metric]
        assert cell.value == getattr(noise.consistency, metric)
    assert ("dat", "videos", "real", "auc") in found
    assert ("dat", "videos", "clean", "auc") not in found


def test_seeds_give_mean_and_spread_and_stay_in_the_data(table: Comparison) -> None:
    place = ("test-audioset", "10", "auc")
    (row,) = [
        e for e in table.entries if (e.set, e.column, e.metric) == place and e.row == "baseline ×2"
    ]
    single = [e for e in table.runs if (e.set, e.column, e.metric) == place]
    assert [e.runs for e in single] == [("base0",), ("base1",)]
    values = [e.value for e in single]
    assert row.value == pytest.approx(statistics.fmean(values))
    assert row.spread == pytest.approx(statistics.stdev(values))
    assert (row.low, row.high, row.runs, row.seeds) == (None, None, ("base0", "base1"), (0, 1))
    assert all(e.low is not None for e in single)


def test_differences_are_to_the_baseline(table: Comparison) -> None:
    pairs = {(d.set, d.row): d for d in table.differences}
    assert {d.reference for d in table.differences} == {"baseline ×2"}
    assert len(pairs) == 3 * 2
    cells = {(e.row, e.set, e.column, e.metric): e.value for e in table.entries}
    found = pairs["test-musan", "dat"].differences
    assert [d.member for d in found] == ["clean", "noisy.snr_10", "noisy.snr_-10", "noisy mean"]
    for difference, column in zip(found, ("clean", "10", "-10", "noisy mean"), strict=True):
        for metric in ("auc", "ap"):
            place = ("test-musan", column, metric)
            expected = cells["dat", *place] - cells["baseline ×2", *place]
            assert getattr(difference, metric).value == pytest.approx(expected)


def test_without_a_baseline_the_first_row_is_the_reference(scored: list[Scored]) -> None:
    kept = [item for item in scored if item.file.run.method != "baseline"]
    assert {d.reference for d in compare_runs(kept).differences} == {"random"}
    assert compare_runs(kept, paired=False).differences == ()


def test_attention_is_a_row_of_its_own_and_never_the_reference(tmp_path: Path) -> None:
    """The mean comes first, whatever the files are called, and is what others differ from."""
    runs = []
    for seed in (0, 1):
        out = str(tmp_path / f"base-s{seed}" / "evaluation")
        for aggregate, config in (("attention", "a" * 64), ("mean", "m" * 64)):
            metric = replace(METRIC, clip_score=CLIP_SCORE[aggregate])
            write_scores(
                out, scores_of(seed, skill=2.0 + (aggregate == "attention")), name=f"base-s{seed}",
                method="baseline", seed=seed, config=config, metric=metric, aggregate=aggregate,
            )  # fmt: skip
        runs.append(str(tmp_path / f"base-s{seed}"))
    found = compare_runs(load_scores(runs))
    assert found.rows == ("base ×2", "base (attention) ×2")
    assert {(d.row, d.reference) for d in found.differences} == {
        ("base (attention) ×2", "base ×2"),
    }
    single = compare_runs(load_scores(runs[:1]))
    assert single.rows == ("base-s0", "base-s0 (attention)")
    assert {e.runs for e in single.entries} == {("base-s0",), ("base-s0 (attention)",)}


def test_same_method_with_another_config_is_another_row() -> None:
    labels = [
        run_label("a", "dat", 0, "1" * 64),
        run_label("b", "dat", 1, "1" * 64),
        run_label("c", "dat", 0, "2" * 64),
        run_label("d", "dat", 1, "2" * 64),
        run_label("a", "dat", 0, "1" * 64),
    ]
    assert {name: len(runs) for name, runs in group_runs(labels).items()} == {
        "dat ×2": 2,
        "dat ×2 222222": 2,
    }


def test_one_run_twice_is_refused(scored: list[Scored]) -> None:
    with pytest.raises(UsageError, match=r"dat: expected each run once on .*seed 0 twice"):
        compare_runs([*scored, scored[-1], scored[-2]])


def test_a_set_that_not_all_seeds_have_is_left_out_of_their_row(scored: list[Scored]) -> None:
    kept = [
        item for item in scored if (item.file.run.name, item.file.set.name) != ("base1", "videos")
    ]
    table = compare_runs(kept)
    assert {e.row for e in table.entries if e.set == "videos"} == {"random", "dat"}
    assert {(d.row, d.reference) for d in table.differences if d.set == "videos"} == {
        ("dat", "random"),
    }
    assert table.notes == (
        "videos: baseline ×2: left out, for 1 of 2 seeds were evaluated on it; evaluate the others "
        "on it too",
    )
    seeds = [item for item in kept if item.file.run.method == "baseline"]
    assert [note.set for note in compare_runs(seeds).sets] == ["test-audioset", "test-musan"]
    alone = [item for item in seeds if item.file.set.name == "videos"]
    other = [item for item in scored if item.file.run.name == "base1"][:1]
    with pytest.raises(ManifestError, match=r"expected a set that all seeds have; .*ev"):
        compare_runs([*alone, *other])


def test_sets_that_only_share_their_name_are_refused(scored: list[Scored], tmp_path: Path) -> None:
    label = replace(LABEL, recipe_id="x" * 64)
    url = write_scores(str(tmp_path), name="theirs", label=label)
    with pytest.raises(ManifestError, match="and theirs: expected one recipe id"):
        compare_runs([*scored, *load_scores([url])])


def test_a_subset_is_a_column_of_its_own(scored: list[Scored], tmp_path: Path) -> None:
    label = replace(LABEL, subset_id="5" * 64)
    url = write_scores(str(tmp_path), name="dat", label=label, config=f"{'dat':c<64}")
    table = compare_runs([*scored, *load_scores([url])], paired=False)
    assert "test-musan (subset 55555555)" in [note.set for note in table.sets]


def test_two_teams_scores_of_one_run_are_two_rows(tmp_path: Path) -> None:
    urls = [write_scores(str(tmp_path / team), name="dat") for team in "ab"]
    table = compare_runs(load_scores(urls))
    assert table.rows == ("dat", "dat #2")
    (difference,) = table.differences
    assert (difference.row, difference.reference) == ("dat #2", "dat")
    found = [(row.auc.value, row.auc.low, row.auc.high) for row in difference.differences]
    assert found and set(found) == {(0.0, 0.0, 0.0)}


def test_runs_on_a_subset_each_are_refused(tmp_path: Path) -> None:
    ours, theirs = replace(LABEL, subset_id="5" * 64), replace(LABEL, subset_id="6" * 64)
    urls = [
        write_scores(str(tmp_path / "a"), name="a", label=ours),
        write_scores(str(tmp_path / "b"), name="b", label=theirs, config="d" * 64),
    ]
    with pytest.raises(ManifestError, match=r"on one subset, got 5{64}, 6{64}"):
        compare_runs(load_scores(urls))
    both = write_scores(str(tmp_path / "c"), name="a", label=theirs)
    table = compare_runs(load_scores([*urls, both]), paired=False)
    assert len(table.sets) == 2


@pytest.mark.parametrize(
    ("urls", "error", "message"),
    [
        ([], UsageError, "expected runs or score files, got none"),
        (["nowhere"], ManifestError, "run train evaluate --checkpoint nowhere first"),
        (["nowhere.scores"], ManifestError, "cannot be read"),
    ],
)
def test_what_was_not_evaluated_is_said(
    urls: list[str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load_scores(urls)


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(UsageError, match="expected score files, got none"):
        compare_runs([])
