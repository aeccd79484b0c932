"""Score files: exact round trip, and nothing believed that the table does not show."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from score_cases import LABEL, METRIC, SNRS_DB, TAGS, reordered, run_label, scores_of, write_scores

from manifests.canonical import canonical_json
from manifests.errors import ManifestError
from trainer.evaluation.embedding_sample import load_sample, sample_embeddings, write_sample
from trainer.evaluation.figures import CLIP_SCORE, SetEvaluation, SetLabel
from trainer.evaluation.measure import measure_set
from trainer.evaluation.paired import compare_pair
from trainer.evaluation.score_file import ScoreFile, load_score_file
from trainer.evaluation.score_table import decode_scores, encode_scores
from trainer.evaluation.scored import Scored
from trainer.metrics import macro_metrics


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(write_scores(str(tmp_path_factory.mktemp("scores")))).parent


@pytest.fixture
def url(written: Path, tmp_path: Path) -> str:
    """A score file with its table, free to be changed."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return str(tmp_path / "test-musan.scores")


def scored(url: str) -> Scored:
    return Scored(url, *load_score_file(url))


def test_a_score_file_comes_back_as_it_was(url: str) -> None:
    clips = scores_of()
    file, table = load_score_file(url)
    assert Path(url).name == "test-musan.scores"
    assert file.run == run_label("dat", "dat", 0, "c" * 64)
    assert file.set == LABEL
    assert file.metric == METRIC
    assert file.figures == measure_set(clips, SNRS_DB, METRIC)
    assert (table.keys, table.clusters, table.tags) == (clips.keys, clips.clusters, TAGS)
    np.testing.assert_array_equal(table.labels, clips.labels)
    for member, values in clips.scores.items():
        np.testing.assert_array_equal(table.scores[member], values)


def test_it_is_canonical_json_with_the_hash_of_its_table(url: str) -> None:
    text = Path(url).read_text()
    assert text == canonical_json(json.loads(text))
    record = json.loads(text)
    table = Path(url).with_name(record["table"])
    assert record["table_sha256"] == hashlib.sha256(table.read_bytes()).hexdigest()
    assert record["set"]["recipe_id"] == "r" * 64
    assert record["metric"]["clip_score"].startswith("mean of sigmoids over all whole chunks")


def test_the_same_scores_give_the_same_bytes(tmp_path: Path) -> None:
    first = Path(write_scores(str(tmp_path / "a")))
    second = Path(write_scores(str(tmp_path / "b")))
    assert first.read_bytes() == second.read_bytes()


def test_the_table_is_plain_pandas(url: str) -> None:
    frame = pd.read_parquet(f"{url}.parquet")
    clips = scores_of()
    clean = frame[frame.member == "clean"]
    assert list(clean.key) == list(clips.keys)
    np.testing.assert_array_equal(clean["score.female voice"], clips.scores["clean"][:, 3])
    carried = clean["tags"].map(lambda tags: "guitar" in tags).to_numpy(bool)
    np.testing.assert_array_equal(carried, clips.labels[:, 0])


@pytest.mark.parametrize("absent", ["aggregate", "backbone", "chunk_samples"])
def test_a_run_says_how_its_scores_came_about(url: str, absent: str) -> None:
    edit(url, lambda record: record["run"].pop(absent))
    with pytest.raises(ManifestError, match=rf"expected fields .*missing \['{absent}'\]"):
        load_score_file(url)


def test_attention_has_its_own_files_beside_the_means(tmp_path: Path) -> None:
    mean = write_scores(str(tmp_path))
    url = write_scores(str(tmp_path), aggregate="attention")
    assert Path(url).name == "test-musan.attention.scores"
    label = replace(LABEL, subset_id="5" * 64)
    both = write_scores(str(tmp_path), label=label, aggregate="attention")
    assert Path(both).name == "test-musan.555555555555.attention.scores"
    assert load_score_file(mean)[0].run.shown == "dat"
    assert load_score_file(url)[0].run.shown == "dat (attention)"


def test_a_subset_has_its_own_file(tmp_path: Path) -> None:
    label = replace(LABEL, subset_id="5" * 64)
    assert Path(write_scores(str(tmp_path), label=label)).name == "test-musan.555555555555.scores"


def test_noisy_mean_and_left_out_tags_are_as_measured(url: str) -> None:
    figures = load_score_file(url)[0].figures
    clips = scores_of()
    macros = [macro_metrics(clips.scores[name], clips.labels, TAGS) for name in SNRS_DB]
    assert figures.noisy_mean_auc is not None
    assert figures.noisy_mean_auc.value == pytest.approx(np.mean([m.auc for m in macros]))
    assert (figures.n_tags, figures.n_left_out, figures.n_clusters) == (4, 1, 12)
    assert [noise.snr_db for noise in figures.noise] == [10.0, -10.0]
    assert figures.noise[0].consistency is not None


def test_real_recordings_have_one_member_and_no_noise(tmp_path: Path) -> None:
    url = write_scores(str(tmp_path), scores_of(members=["audio"]))
    figures = load_score_file(url)[0].figures
    assert [member.member for member in figures.members] == ["audio"]
    assert (figures.noisy_mean_auc, figures.noise) == (None, ())


def test_a_set_without_tags_still_has_consistency(tmp_path: Path) -> None:
    clips = scores_of()
    bare = replace(clips, labels=np.zeros_like(clips.labels))
    figures = load_score_file(write_scores(str(tmp_path), bare))[0].figures
    assert figures.members[0].auc is None
    assert figures.noisy_mean_ap is None
    assert figures.noise[0].consistency is not None


def edit(url: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a score file and keep it canonical."""
    record = json.loads(Path(url).read_text())
    change(record)
    Path(url).write_text(canonical_json(record))


def set_at(*place: Any) -> Callable[[dict[str, Any]], None]:
    """An edit that sets the value at a place."""
    *path, last, value = place

    def change(record: Any) -> None:
        for step in path:
            record = record[step]
        record[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_at("figures", "members", 1, "auc", "value", 0.99), "noisy.snr_10 auc: expected 0"),
        (set_at("figures", "members", 0, "ap", "value", 0.99), "clean ap: expected 0"),
        (set_at("figures", "members", 0, "ap", None), "clean ap: expected 0.*got None"),
        (set_at("figures", "members", 0, "tags", 2, "auc", 0.99), "clean drums auc: expected"),
        (set_at("figures", "members", 0, "tags", 2, "n_positive", 1), "clean drums n_positive"),
        (set_at("figures", "members", 0, "tags", 0, "tag", "kazoo"), "clean guitar n_positive"),
        (set_at("figures", "members", 0, "tags", []), "clean tags: expected 5"),
        (set_at("figures", "noisy_mean_auc", "value", 0.99), "noisy mean auc"),
        (set_at("figures", "n_left_out", 0), "n_left_out: expected 1"),
        (set_at("figures", "n_clusters", 60), "n_clusters: expected 12"),
        (set_at("figures", "n_clips", 61), "expected 61 clips × 3 members, got 180 rows"),
        (set_at("figures", "members", 0, "member", "audio"), "expected the same clips for"),
        (set_at("tags", 0, "kazoo"), "expected columns key, cluster, member"),
        (set_at("format_version", 2), "expected score file version 1, got 2"),
        (set_at("table", "../elsewhere.parquet"), "no folder"),
        (set_at("table", "missing.parquet"), "cannot be read"),
        (set_at("table_sha256", "0" * 64), "expected SHA-256 000000000000…"),
        (set_at("run", "name", "dat\x1b[2J"), "expected printable names"),
        (set_at("run", "method", ""), "expected printable names"),
        (set_at("set", "name", "../x"), "expected letters, digits"),
        (set_at("metric", "n_draws", 10**9), "expected 1 to 100000 draws"),
        (set_at("metric", "level", 1.5), "a level between 0 and 1, got 100 and 1.5"),
        (set_at("surprise", 1), "expected fields"),
        (set_at("run", "aggregate", "max"), "expected an aggregate of mean, attention, got 'max'"),
        (set_at("run", "aggregate", 1), "aggregate: expected str"),
        (set_at("run", "seed", "0"), "seed: expected int"),
    ],
)
def test_edited_score_files_are_refused(
    url: str, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    edit(url, change)
    with pytest.raises(ManifestError, match=message):
        load_score_file(url)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (',"format_version"', ', "format_version"', "expected canonical JSON"),
        ('"level":0.95', '"level":0.950', "expected canonical JSON"),
        ('"level":0.95', '"level":NaN', "NaN is not a number"),
        ('"level":0.95', '"level":1e999', "1e999 is out of range"),
        ('{"checkpoint_sha256"', '{"tags":[],"checkpoint_sha256"', "a key stands twice"),
        ("}", "", "expected JSON"),
    ],
)
def test_other_spellings_are_refused(url: str, old: str, new: str, message: str) -> None:
    text = Path(url).read_text()
    assert old in text
    Path(url).write_text(text.replace(old, new, 1))
    with pytest.raises(ManifestError, match=message):
        load_score_file(url)


def test_a_huge_score_file_is_not_read(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.evaluation.score_file.MAX_BYTES", 100)
    with pytest.raises(ManifestError, match="expected at most 100 bytes"):
        load_score_file(url)


def table_of(columns: dict[str, Any]) -> bytes:
    clips = scores_of(n_clips=2, members=["clean"])
    table = pq.read_table(io.BytesIO(encode_scores(clips)))
    for name, values in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, table.schema.field(place), pa.array(values))
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PAR1 but no", "expected a Parquet table"),
        (table_of({"score.guitar": [0.1, 1.5]}), r"expected scores in \[0, 1\]"),
        (table_of({"score.guitar": [0.1, np.nan]}), r"expected scores in \[0, 1\]"),
        (table_of({"score.guitar": pa.array([0.1, None])}), "got nulls"),
        (table_of({"key": ["clip-0", "clip-0"]}), "expected each key once"),
        (table_of({"key": ["clip-0", "../x"]}), r"key '\.\./x'"),
        (table_of({"tags": [["guitar"], ["kazoo"]]}), r"clip-1: .*got \['kazoo'\]"),
        (table_of({"member": ["clean", "audio"]}), "expected the same clips"),
    ],
)
def test_hostile_tables_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        decode_scores(data, "x.parquet", TAGS, ["clean"], 2)


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


def test_a_set_whose_name_is_no_file_name_is_refused() -> None:
    clips = scores_of()
    found = SetEvaluation(replace(LABEL, name="a/b"), measure_set(clips, SNRS_DB, METRIC))
    with pytest.raises(ManifestError, match="no folder"):
        ScoreFile.of(run_label("r", "m", 0, ""), "", METRIC, "linear", found, TAGS)


def test_embedding_sample_is_the_same_clips_for_every_run(tmp_path: Path) -> None:
    clips = scores_of()
    sample = sample_embeddings(clips, max_clips=7)
    turned = sample_embeddings(reordered(clips, list(range(59, -1, -1))), max_clips=7)
    url = str(tmp_path / "x.safetensors")
    write_sample(url, sample)
    found = load_sample(url).embeddings
    assert found.keys() == clips.embeddings.keys()
    for member, rows in found.items():
        assert rows.shape == (7, 8)
        np.testing.assert_array_equal(rows, sample.embeddings[member])
        np.testing.assert_array_equal(rows, turned.embeddings[member])


@pytest.mark.parametrize("kind", ["garbage", "nan", "ragged", "double", "large"])
def test_hostile_samples_are_refused(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = str(tmp_path / "x.safetensors")
    sample = sample_embeddings(scores_of(), 5)
    clean = sample.embeddings["clean"]
    changed = {
        "nan": clean * np.float32(np.nan),
        "ragged": clean[:3],
        "double": clean.astype(np.float64),
    }
    write_sample(url, replace(sample, embeddings=sample.embeddings | {"clean": clean}))
    message = "expected finite float32 members of one shape"
    if kind in changed:
        write_sample(url, replace(sample, embeddings=sample.embeddings | {"clean": changed[kind]}))
    elif kind == "garbage":
        Path(url).write_bytes(b"\xff" * 100)
        message = "expected safetensors"
    else:
        monkeypatch.setattr("trainer.evaluation.embedding_sample.MAX_BYTES", 10)
        message = "expected at most 10 bytes"
    with pytest.raises(ManifestError, match=message):
        load_sample(url)
