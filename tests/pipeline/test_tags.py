"""The tag filter: selection, merging, dropping, counting; and the vocabulary's round trip."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import ManifestError, UsageError
from manifests.rows import Clip
from pipeline.corpora import FileTree, corpus
from pipeline.corpora.checked_in import MTAT_TOP50, checked_in_list
from pipeline.tags import TagFilter, TagVocabulary, build_vocabulary


def clips(*rows: tuple[str, str]) -> list[Clip]:
    """One clip per (split, "tag tag")."""
    return [
        Clip("x", str(i), f"{i}.wav", str(i), "", split, tuple(sorted(tags.split())), "")
        for i, (split, tags) in enumerate(rows)
    ]


CLIPS = clips(
    ("train", "rock loud"), ("train", "rock"), ("train", "pop loud"), ("valid", "jazz pop"),
    ("test", "jazz jazzy"),
)  # fmt: skip


def build(rows: Sequence[Clip] = CLIPS, name: str = "folder", **filters: Any) -> TagVocabulary:
    return build_vocabulary(rows, TagFilter(**filters), corpora=[name])


def test_all_tags_by_falling_train_count_then_name() -> None:
    vocabulary = build(select="all")
    assert vocabulary.names == ("loud", "rock", "pop", "jazz", "jazzy")
    assert vocabulary.counts["pop"] == {"train": 1, "valid": 1, "test": 0}
    assert vocabulary.lost == () and vocabulary.absent == ()
    assert build() == vocabulary  # the default of the corpus "folder"


def test_min_clips_counts_on_train() -> None:
    vocabulary = build(select="all", min_clips=2)
    assert vocabulary.names == ("loud", "rock")
    assert vocabulary.lost == (
        ("jazz", "fewer than 2 clips", {"train": 0, "valid": 1, "test": 1}),
        ("jazzy", "fewer than 2 clips", {"train": 0, "valid": 0, "test": 1}),
        ("pop", "fewer than 2 clips", {"train": 1, "valid": 1, "test": 0}),
    )


def test_clips_of_any_split_count_as_train_and_all_do_where_none_trains() -> None:
    assert build(clips(("any", "a"), ("test", "b")), min_clips=1).names == ("a",)
    assert build(clips(("valid", "a b"), ("test", "b")), min_clips=2).names == ("b",)


def test_a_list_file_fixes_names_and_order_and_absent_ones_stay(tmp_path: Path) -> None:
    (tmp_path / "tags.txt").write_text("# mine\nrock\n\nukulele\njazz\nrock\n")
    vocabulary = build(select=str(tmp_path / "tags.txt"))
    assert vocabulary.names == ("rock", "ukulele", "jazz")
    assert vocabulary.absent == ("ukulele",)
    assert vocabulary.counts["ukulele"] == {"train": 0, "valid": 0, "test": 0}
    assert [(tag, reason) for tag, reason, _ in vocabulary.lost] == [
        ("jazzy", "not in tags.txt"),
        ("loud", "not in tags.txt"),
        ("pop", "not in tags.txt"),
    ]
    rarer = build(select=str(tmp_path / "tags.txt"), min_clips=1)
    assert rarer.names == ("rock",)
    assert ("ukulele", "fewer than 1 clips") in [(t, r) for t, r, _ in rarer.lost]


def test_synonyms_are_merged_and_count_once(tmp_path: Path) -> None:
    (tmp_path / "merge.csv").write_text("tag,canonical\njazzy,jazz\nloud,noisy\n")
    vocabulary = build(merge=str(tmp_path / "merge.csv"))
    assert vocabulary.names == ("noisy", "rock", "pop", "jazz")
    assert vocabulary.counts["jazz"] == {"train": 0, "valid": 1, "test": 1}
    assert vocabulary.lost == ()
    assert vocabulary.select(["jazzy", "loud", "jazz"]) == ("noisy", "jazz")
    assert vocabulary.select(["unknown"]) == ()


def test_a_listed_name_that_is_merged_gives_its_place_to_the_canonical(tmp_path: Path) -> None:
    (tmp_path / "merge.tsv").write_text("jazzy\tjazz\n")
    (tmp_path / "tags.txt").write_text("jazzy\nrock\njazz\n")
    vocabulary = build(select=str(tmp_path / "tags.txt"), merge=str(tmp_path / "merge.tsv"))
    assert vocabulary.names == ("jazz", "rock")


def test_dropped_tags(tmp_path: Path) -> None:
    vocabulary = build(drop=("loud", "pop"))
    assert vocabulary.names == ("rock", "jazz", "jazzy")
    assert [(tag, reason) for tag, reason, _ in vocabulary.lost] == [
        ("loud", "dropped"),
        ("pop", "dropped"),
    ]
    (tmp_path / "merge.csv").write_text("jazzy,jazz\n")
    merged_away = build(merge=str(tmp_path / "merge.csv"), drop=("jazzy",))
    assert merged_away.counts["jazz"] == {"train": 0, "valid": 1, "test": 1}
    assert merged_away.select(["jazzy"]) == ()
    canonical = build(merge=str(tmp_path / "merge.csv"), drop=("jazz",))
    assert canonical.select(["jazzy", "jazz", "rock"]) == ("rock",)


def test_a_dropped_tag_that_nobody_has_is_misspelt() -> None:
    with pytest.raises(UsageError, match=r"^--drop-tag rok: .* got none; near it: rock"):
        build(drop=("rok",))


@pytest.mark.parametrize(
    ("name", "select", "n_names", "first"),
    [
        ("mtat", None, 50, "guitar"),
        ("mtat", "top50", 50, "guitar"),
        ("mtat", "thesis", 50, "guitar"),
        ("mtg-jamendo", None, 143, "genre---60s"),
        ("mtg-jamendo", "thesis", 143, "genre---60s"),
        ("mtg-jamendo", "top50", 50, "genre---alternative"),
    ],
)
def test_fixed_lists(name: str, select: str | None, n_names: int, first: str) -> None:
    rows = [Clip("x", "1", "1", "1", "", "train", ("genre---rock", "guitar", "other"), "")]
    vocabulary = build(rows, name, select=select)
    assert len(vocabulary.names) == n_names and vocabulary.names[0] == first
    assert "other" in [tag for tag, _, _ in vocabulary.lost]


@pytest.mark.parametrize("select", ["top50", "thesis"])
def test_corpora_without_a_fixed_list(select: str) -> None:
    with pytest.raises(
        UsageError,
        match=rf"^--tags {select}: expected a corpus that has it \(mtat, mtg-jamendo\), got folder",
    ):
        build(select=select)


def test_wrong_options(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--tags top5: expected top50, thesis, all or a file"):
        build(select="top5")
    with pytest.raises(UsageError, match="--min-tag-clips: expected 0 or more, got -1"):
        build(min_clips=-1)
    with pytest.raises(UsageError, match=r"^nowhere: expected a corpus"):
        build(name="nowhere")
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(ManifestError, match=r"empty\.txt: expected one tag a line, got an empty"):
        build(select=str(tmp_path / "empty.txt"))
    (tmp_path / "other.txt").write_text("Rock\n")
    with pytest.raises(
        ManifestError, match=r"expected names .*, such as jazz, jazzy, loud, got Rock"
    ):
        build(select=str(tmp_path / "other.txt"))


def test_no_tag_left_is_an_error_only_where_tags_were_asked_for() -> None:
    untagged = clips(("train", ""))
    assert build(untagged) == TagVocabulary((), {}, (), {})
    with pytest.raises(ManifestError, match=r"^folder: expected tags after --tags all"):
        build(untagged, select="all")
    with pytest.raises(ManifestError, match=r"--min-tag-clips 9 .* got none of 5; ask for less"):
        build(min_clips=9)


def test_a_stored_vocabulary_is_used_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "merge.csv").write_text("jazzy,jazz\n")
    first = build(merge=str(tmp_path / "merge.csv"), min_clips=1)
    path = tmp_path / "tags.json"
    path.write_text(json.dumps({**first.to_dict(), "format_version": 1}))
    again = build(clips(("test", "pop jazzy"), ("test", "rock")), select=str(path))
    assert (again.names, again.merge) == (first.names, first.merge)
    assert again.counts["pop"] == {"test": 1} and again.absent == ("loud",)
    assert again.lost == (("jazz", "not in tags.json", {"test": 1}),)
    for extra in ({"min_clips": 1}, {"drop": ("pop",)}, {"merge": "x"}):
        with pytest.raises(UsageError, match=r"a tags\.json already holds what they did"):
            build(select=str(path), **extra)


@pytest.mark.parametrize(
    "record",
    [
        [], {}, {"names": 3}, {"names": [1], "counts": {}, "lost": [], "merge": {}},
        {"names": ["a", "a"], "counts": {}, "lost": [], "merge": {}},
        {"names": ["a"], "counts": {"a": {"train": "x"}}, "lost": [], "merge": {}},
        {"names": ["a"], "counts": {}, "lost": [["a"]], "merge": {}},
        {"names": ["a"], "counts": {}, "lost": [], "merge": []},
    ],
)  # fmt: skip
def test_a_tags_json_that_is_none(tmp_path: Path, record: object) -> None:
    (tmp_path / "tags.json").write_text(json.dumps(record))
    with pytest.raises(ManifestError, match="expected "):
        build(select=str(tmp_path / "tags.json"))


def test_a_tags_json_that_is_not_json(tmp_path: Path) -> None:
    (tmp_path / "tags.json").write_text("{")
    with pytest.raises(ManifestError, match=r"tags\.json: expected the tags\.json of a set"):
        build(select=str(tmp_path / "tags.json"))


TAG = st.sampled_from(["a", "b", "c", "d"])
ROWS = st.lists(
    st.tuples(st.sampled_from(["train", "valid", "test", "any"]), st.sets(TAG)), max_size=12
)


@given(rows=ROWS, min_clips=st.integers(0, 3))
def test_kept_and_lost_partition_the_tags_and_the_record_round_trips(
    rows: list[tuple[str, set[str]]], min_clips: int
) -> None:
    made = clips(*((split, " ".join(tags)) for split, tags in rows))
    try:
        vocabulary = build(made, min_clips=min_clips)
    except ManifestError:
        assert min_clips > 0
        return
    every = {tag for clip in made for tag in clip.tags}
    lost = [tag for tag, _, _ in vocabulary.lost]
    assert sorted([*vocabulary.names, *lost]) == sorted(every)
    for tag in vocabulary.names:
        assert sum(vocabulary.counts[tag].values()) == sum(tag in clip.tags for clip in made)
    record: Mapping[str, Any] = json.loads(json.dumps(vocabulary.to_dict()))
    assert TagVocabulary.from_dict(record) == vocabulary
    assert build(made[::-1], min_clips=min_clips).to_dict() == vocabulary.to_dict()
    for clip in made:
        selected = vocabulary.select(clip.tags)
        assert set(selected) == set(clip.tags) & set(vocabulary.names)
        assert list(selected) == [name for name in vocabulary.names if name in selected]


def test_real_jamendo_vocabulary(shared_dir: Path) -> None:
    tree = FileTree(shared_dir / "metadata" / "mtg-jamendo")
    listing = corpus("mtg-jamendo").list_clips(tree, tree, {}, with_audio=False)
    vocabulary = build_vocabulary(listing.clips, TagFilter(), corpora=["mtg-jamendo"])
    assert len(vocabulary.names) == 143 and vocabulary.absent == () and vocabulary.lost == ()
    assert sum(len(vocabulary.select(c.tags)) for c in listing.clips) == sum(
        len(c.tags) for c in listing.clips
    )


def test_mtat_names_are_among_the_published_188(shared_dir: Path) -> None:
    columns = (shared_dir / "metadata/magnatagatune/tags_188_csv_order.txt").read_text()
    assert set(checked_in_list(MTAT_TOP50)) <= set(columns.splitlines())
