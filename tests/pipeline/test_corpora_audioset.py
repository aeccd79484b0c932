"""AudioSet's tables: the labels, the drop rule, and rows that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_audioset import HEAD, TRAIN, listed, write

from manifests.errors import ManifestError, UsageError
from pipeline.corpora.audioset_labels import labels_below
from pipeline.corpora.listing import Listing


def ids(listing: Listing) -> list[str]:
    return [clip.clip_id for clip in listing.clips]


def test_clips_with_a_label_under_music_or_singing_are_left_out(tmp_path: Path) -> None:
    write(tmp_path)
    listing = listed(tmp_path)
    assert ids(listing) == ["-ab_defghij", "Yabcdefghij", "short000000"]
    first, second, third = listing.clips
    assert (first.path, first.song) == ("balanced_train_segments/Y-ab_defghij.wav", "-ab_defghij")
    assert (second.tags, second.split) == (("Dog, barking", "Speech"), "train")
    assert third.split in ("valid", "test") and third.expected_s == 1.5
    assert third.path == "eval_segments/Yshort000000.wav"
    assert {clip.licence for clip in listing.clips} == {""} and listing.rejects == ()
    assert "balanced_train_segments: 2 of 4 clips kept, 2 labels" in listing.notes
    assert "eval_segments: 1 of 2 clips kept, 1 labels" in listing.notes


@pytest.mark.parametrize("label", ["Speech", "speech", "/m/09x0r"])
def test_more_labels_to_drop_by_mid_or_name_alone_or_in_a_file(tmp_path: Path, label: str) -> None:
    write(tmp_path)
    listing = listed(tmp_path, audioset_drop_label=[label])
    assert ids(listing) == ["-ab_defghij"]
    assert "also left out, clips labelled: Speech" in listing.notes
    (tmp_path / "drop.txt").write_text(f"# my list\n\n{label}\n")
    assert ids(listed(tmp_path, audioset_drop_labels_file=str(tmp_path / "drop.txt"))) == [
        "-ab_defghij"
    ]
    (tmp_path / "drop.txt").write_text("/m/dog\tDog, barking\n")
    both = listed(
        tmp_path,
        audioset_drop_label="Speech",
        audioset_drop_labels_file=str(tmp_path / "drop.txt"),
    )
    assert both.clips == ()


def test_a_label_that_does_not_exist_is_refused_with_the_nearest(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(
        UsageError, match=r"^Speach: expected a mid or a display .*; near it: Speech"
    ):
        listed(tmp_path, audioset_drop_label=["Speach"])
    with pytest.raises(ManifestError, match="nowhere"):
        listed(tmp_path, audioset_drop_labels_file=str(tmp_path / "nowhere.txt"))


def test_without_ontology_the_checked_in_list_is_used_and_said(tmp_path: Path) -> None:
    write(tmp_path, ontology=False)
    listing = listed(tmp_path)
    # /m/0bell and /m/0choir are made up, so not on the real list.
    assert "bell0000000" in ids(listing) and "music000000" not in ids(listing)
    assert any("drop-music-singing.v1.txt" in note for note in listing.notes)


def test_names_come_from_the_ontology_where_class_labels_are_missing(tmp_path: Path) -> None:
    write(tmp_path, class_labels=False)
    assert listed(tmp_path).clips[0].tags == ("Dog, barking",)
    (tmp_path / "ontology.json").unlink()
    with pytest.raises(ManifestError, match=r"class_labels_indices\.csv or ontology\.json in "):
        listed(tmp_path)


@pytest.mark.parametrize("text", ["{", "[1]", '[{"id": "x"}]', "[]", "[" * 100_000])
def test_an_ontology_that_is_none(tmp_path: Path, text: str) -> None:
    write(tmp_path)
    (tmp_path / "ontology.json").write_text(text)
    with pytest.raises(ManifestError, match=r"^ontology\.json: expected "):
        listed(tmp_path)


def test_class_labels_that_are_ragged(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "class_labels_indices.csv").write_text("index,mid,display_name\n1,/m/dog\n")
    with pytest.raises(
        ManifestError, match=r"class_labels_indices\.csv line 2: expected 3 columns"
    ):
        listed(tmp_path)


def test_the_walk_ends_on_a_cycle() -> None:
    nodes = {"a": {"child_ids": ["b", "gone"]}, "b": {"child_ids": ["a"]}, "c": {"child_ids": []}}
    assert labels_below(nodes, ["a"]) == {"a", "b"}


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        ("abc", 'expected 4 columns: id, start, end, "labels", got 1'),
        ("short, 0.0, 10.0, \"/m/dog\"", "expected an id of 11 characters, got 'short'"),
        ("abcdefghijk, 10.0, 0.0, \"/m/dog\"", "expected start before end, in s, got 10.0, 0.0"),
        ("abcdefghijk, nan, 10.0, \"/m/dog\"", "got nan, 10.0"),
        ("abcdefghijk, 0.0, 10.0, \"/m/dog,/m/no\"", "expected labels of AudioSet, got '/m/no'"),
        ("abcdefghijk, 0.0, 10.0, /m/dog,/m/09x0r", "got 5"),
    ],
)  # fmt: skip
def test_malformed_rows(tmp_path: Path, row: str, detail: str) -> None:
    write(tmp_path)
    with (tmp_path / "eval_segments.csv").open("a") as file:
        file.write(row + "\n")
    listing = listed(tmp_path)
    assert len(listing.clips) == 3
    (reject,) = listing.rejects
    assert (reject.reason, reject.path) == ("ragged", "eval_segments.csv")
    assert reject.detail.startswith("eval_segments.csv line 6: expected ")
    assert reject.detail.endswith(detail)


def test_a_table_without_rows(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "eval_segments.csv").write_text(HEAD)
    with pytest.raises(ManifestError, match=r"expected rows in eval_segments\.csv, got none"):
        listed(tmp_path)


def test_an_id_in_both_tables_is_a_reject(tmp_path: Path) -> None:
    write(tmp_path)
    with (tmp_path / "eval_segments.csv").open("a") as file:
        file.write(TRAIN[0] + "\n")
    listing = listed(tmp_path)
    assert [(r.clip_id, r.reason) for r in listing.rejects] == [("-ab_defghij", "duplicate-id")]
    assert listing.clips[0].split == "train"
