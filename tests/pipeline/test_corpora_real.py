"""MTG-Jamendo and AudioSet as they are: the counts of the real tables, and the checked-in lists."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pipeline.corpora import FileTree, audioset, jamendo
from pipeline.corpora.audioset_labels import labels_below, read_ontology
from pipeline.corpora.checked_in import (
    AUDIOSET_DROP,
    JAMENDO_GENRE_MOODTHEME,
    JAMENDO_TOP50,
    checked_in_list,
)

REAL_COUNTS = {
    0: (10_223, 3_821, 4_211),
    1: (10_475, 3_564, 4_216),
    2: (10_526, 4_303, 3_426),
    3: (11_197, 3_515, 3_543),
    4: (10_323, 3_786, 4_146),
}


def real_tree(shared_dir: Path) -> FileTree:
    return FileTree(shared_dir / "metadata" / "mtg-jamendo")


def test_checked_in_lists_are_those_of_the_real_tables(shared_dir: Path) -> None:
    top50 = (shared_dir / "metadata" / "mtg-jamendo" / "tags" / "top50.txt").read_text()
    assert checked_in_list(JAMENDO_TOP50) == top50.split()
    tree = real_tree(shared_dir)
    every = jamendo.list_clips(tree, tree, {"jamendo_subset": "all"}, with_audio=False)
    survivors = {tag for clip in every.clips for tag in clip.tags}
    assert (len(every.clips), len(survivors)) == (55_525, 183)
    fixed = checked_in_list(JAMENDO_GENRE_MOODTHEME)
    assert set(fixed) == {t for t in survivors if not t.startswith("instrument---")}
    assert Counter(t.split("---")[0] for t in fixed) == {"genre": 87, "mood/theme": 56}


def test_thesis_numbers(shared_dir: Path) -> None:
    tree = real_tree(shared_dir)
    held = [n for n in REAL_COUNTS if tree.under(f"splits/split-{n}")]
    assert 0 in held
    for number in held:
        listing = jamendo.list_clips(tree, tree, {"jamendo_split_number": number}, with_audio=False)
        splits = Counter(clip.split for clip in listing.clips)
        assert (splits["train"], splits["valid"], splits["test"]) == REAL_COUNTS[number]
        assert len(listing.clips) == 18_255 and listing.rejects == ()
        hours = sum(clip.expected_s for clip in listing.clips) / 3600
        assert hours == pytest.approx(1_108.80, abs=0.01)
        used = {tag for clip in listing.clips for tag in clip.tags}
        assert Counter(t.split("---")[0] for t in used) == {"genre": 87, "mood/theme": 56}
        assert len({clip.artist for clip in listing.clips}) == 1_513
        one_category = [c for c in listing.clips if len({t.split("---")[0] for t in c.tags}) == 1]
        assert len(one_category) == 519


def test_real_numbers_and_the_checked_in_list(shared_dir: Path) -> None:
    tree = FileTree(shared_dir / "metadata" / "audioset")
    listing = audioset.list_clips(tree, tree, {}, with_audio=False)
    splits = Counter(clip.split for clip in listing.clips)
    assert splits["train"] == 13_232
    assert splits["valid"] + splits["test"] == 12_454
    assert abs(splits["valid"] - splits["test"]) < 400
    train = {tag for clip in listing.clips if clip.split == "train" for tag in clip.tags}
    evaluation = {tag for clip in listing.clips if clip.split != "train" for tag in clip.tags}
    assert (len(train), len(evaluation)) == (368, 369)
    assert "balanced_train_segments: 13,232 of 22,160 clips kept, 368 labels" in listing.notes
    assert max(len(clip.tags) for clip in listing.clips) == 10
    short = [clip for clip in listing.clips if clip.expected_s < 10.0]
    # 311 by float subtraction: 132.700 - 122.700 is 9.999999999999986.
    assert Counter(clip.split == "train" for clip in short) == {True: 286, False: 310}

    ontology = read_ontology(tree)
    assert ontology is not None
    below = labels_below(ontology, ["/m/04rlf", "/m/015lz1"])
    used = {
        line.split(",")[1] for line in tree.read_text("class_labels_indices.csv").splitlines()[1:]
    }
    checked_in = [line.split("\t") for line in checked_in_list(AUDIOSET_DROP)]
    assert len(checked_in) == 157
    assert {mid for mid, _ in checked_in} == below & used
    assert all(ontology[mid]["name"] == name for mid, name in checked_in)


def test_checked_in_list_and_ontology_give_the_same_clips(shared_dir: Path, tmp_path: Path) -> None:
    source = FileTree(shared_dir / "metadata" / "audioset")
    for name in source.paths:
        if name != "ontology.json":
            (tmp_path / name).write_text(source.read_text(name))
    without = FileTree(tmp_path)
    assert (
        audioset.list_clips(without, without, {}, with_audio=False).clips
        == audioset.list_clips(source, source, {}, with_audio=False).clips
    )
