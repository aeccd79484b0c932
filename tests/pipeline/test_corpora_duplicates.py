"""Byte-identical files."""

from __future__ import annotations

from manifests.rows import Clip
from pipeline.corpora.duplicates import DuplicateGroup, duplicate_groups, duplicate_notes


def clip(clip_id: str, split: str) -> Clip:
    return Clip("x", clip_id, f"{clip_id}.mp3", clip_id, "", split, (), "")


def test_groups_and_the_splits_that_they_straddle() -> None:
    clips = [
        clip("e", "train"), clip("a", "test"), clip("b", "train"), clip("c", "train"),
        clip("d", "any"), clip("f", "valid"), clip("g", "train"), clip("h", "train"),
    ]  # fmt: skip
    hashes = {"a": "1", "b": "1", "f": "1", "c": "2", "e": "2", "d": "3", "g": "3", "h": ""}
    three = (("train", "valid"), ("train", "test"), ("valid", "test"))
    assert duplicate_groups(clips, hashes) == (
        DuplicateGroup("1", ("a", "b", "f"), three),
        DuplicateGroup("2", ("c", "e"), ()),
        DuplicateGroup("3", ("d", "g"), ()),
    )  # fmt: skip


def test_notes_count_groups_clips_and_pairs() -> None:
    groups = duplicate_groups(
        [clip("a", "train"), clip("b", "test"), clip("c", "train"), clip("d", "train")],
        {"a": "1", "b": "1", "c": "2", "d": "2"},
    )
    assert duplicate_notes(groups) == [
        "2 groups of byte-identical files, 4 clips",
        "byte-identical files in two splits: train|test 1 (a = b)",
    ]
    assert duplicate_notes(()) == []


def test_clips_without_a_hash_are_never_equal() -> None:
    clips = [clip("a", "train"), clip("b", "test")]
    assert duplicate_groups(clips, {"a": "", "b": ""}) == ()
    assert duplicate_groups(clips, {}) == ()
