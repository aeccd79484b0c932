"""Score files: an exact round trip, under names that tell subsets and aggregates apart."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from score_cases import LABEL, METRIC, SNRS_DB, TAGS, run_label, scores_of, write_scores

from manifests.canonical import canonical_json
from trainer.evaluation.measure import measure_set
from trainer.evaluation.score_file import load_score_file
from trainer.metrics import macro_metrics


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
