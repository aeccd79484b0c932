"""Score files and tables of strangers: nothing is believed that the table does not show."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from score_cases import LABEL, METRIC, SNRS_DB, TAGS, run_label, scores_of

from manifests.canonical import canonical_json
from manifests.errors import ManifestError
from trainer.evaluation.figures import SetEvaluation
from trainer.evaluation.measure import measure_set
from trainer.evaluation.score_file import ScoreFile, load_score_file
from trainer.evaluation.score_table import decode_scores, encode_scores


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


@pytest.mark.parametrize("absent", ["aggregate", "backbone", "chunk_samples"])
def test_a_run_says_how_its_scores_came_about(url: str, absent: str) -> None:
    edit(url, lambda record: record["run"].pop(absent))
    with pytest.raises(ManifestError, match=rf"expected fields .*missing \['{absent}'\]"):
        load_score_file(url)


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


def test_a_set_whose_name_is_no_file_name_is_refused() -> None:
    clips = scores_of()
    found = SetEvaluation(replace(LABEL, name="a/b"), measure_set(clips, SNRS_DB, METRIC))
    with pytest.raises(ManifestError, match="no folder"):
        ScoreFile.of(run_label("r", "m", 0, ""), "", METRIC, "linear", found, TAGS)
