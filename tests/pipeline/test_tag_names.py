"""Names of tags in files and options: comments, synonyms, spelling, several corpora at once."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from tiny_clips import clip, scan_of

from manifests.errors import ManifestError, UsageError
from manifests.rows import Clip
from pipeline.corpora.checked_in import list_lines
from pipeline.stages.prepare import vocabulary_of
from pipeline.stages.scan import Scan
from pipeline.tag_merges import read_merges
from pipeline.tags import TagFilter, TagVocabulary, build_vocabulary


def clips(*tags: str) -> list[Clip]:
    return [clip(str(i), tags=tuple(sorted(t.split("|")))) for i, t in enumerate(tags)]


def build(rows: list[Clip], *corpora: str, **filters: Any) -> TagVocabulary:
    return build_vocabulary(rows, TagFilter(**filters), corpora=corpora or ("folder",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,c\n", r"line 1: expected two columns, tag and canonical, got 'a,b,c'"),
        ("# x\na\n", r"line 2: expected two columns, tag and canonical, got 'a'"),
        ("a,\n", r"expected two columns"),
        ("a,b\na,c\n", r"line 2: expected one canonical name for a, got b and c"),
        ("a,b\nb,c\n", r"expected b to stay, as a is merged into it, got it merged into c"),
        ("a,b\nb,a\n", r"expected b to stay"),
    ],
)
def test_merge_files_that_are_wrong(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "merge.csv").write_text(text)
    with pytest.raises(ManifestError, match=message):
        read_merges(str(tmp_path / "merge.csv"))


def test_merge_files_with_tab_comma_quotes_header_and_comments(tmp_path: Path) -> None:
    (tmp_path / "merge.csv").write_bytes(
        b'\xef\xbb\xbftag,canonical\r\n# synonyms\r\n\r\n"Male speech, man", Speech\r\n'
        b"a, b\tc\r\nsame,same\r\n"
    )
    assert read_merges(str(tmp_path / "merge.csv")) == {"Male speech, man": "Speech", "a, b": "c"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("# all\nrock  # loud\npop\t#x\n #y\n", ["rock", "pop"]),
        ("C#\nF#m\n", ["C#", "F#m"]),
        ("a\r\nb\rc\n", ["a", "b", "c"]),
        ("x\u2028y\nz\x85w\nu\x0bv\n", ["x\u2028y", "z\x85w", "u\x0bv"]),
    ],
)
def test_lines_and_comments_of_a_list(text: str, names: list[str]) -> None:
    assert list_lines(text) == names


def test_names_are_compared_composed(tmp_path: Path) -> None:
    """Decomposed as macOS writes it, in every place where a name may stand."""
    name = "café"
    apart = unicodedata.normalize("NFD", name)
    (tmp_path / "tags.txt").write_text(f"{apart}\n")
    assert build(clips(name), select=str(tmp_path / "tags.txt")).counts[name] == {"train": 1}
    (tmp_path / "merge.csv").write_text(f"{apart},bar\n")
    assert build(clips(name), merge=str(tmp_path / "merge.csv")).names == ("bar",)
    assert build(clips(name, "x"), drop=(apart,)).names == ("x",)
    record = json.dumps(build(clips(apart)).to_dict(), ensure_ascii=False)
    (tmp_path / "tags.json").write_text("\ufeff" + record)
    assert build(clips(name), select=str(tmp_path / "tags.json")).counts[name] == {"train": 1}


def test_a_merged_tag_that_nobody_has_is_misspelt(tmp_path: Path) -> None:
    (tmp_path / "merge.csv").write_text("rok,loud\n")
    with pytest.raises(UsageError, match=r"^--merge-tags rok: .* got none; near it: rock"):
        build(clips("rock"), merge=str(tmp_path / "merge.csv"))
    (tmp_path / "tags.txt").write_text("rok\nrock\n")  # of the list, if on no clip
    both = {"merge": str(tmp_path / "merge.csv"), "select": str(tmp_path / "tags.txt")}
    assert build(clips("rock"), **both).names == ("loud", "rock")


def test_a_fixed_list_of_several_corpora_is_theirs_joined() -> None:
    rows = clips("guitar|genre---rock")
    joined = build(rows, "mtg-jamendo", "mtat", select="top50")
    assert joined == build(rows, "mtat", "mtg-jamendo", select="top50")
    assert joined.names == (
        *build(rows, "mtat", select="top50").names,
        *build(rows, "mtg-jamendo", select="top50").names,
    )
    assert build(rows, "folder", "mtat", select="top50") == build(rows, "mtat", select="top50")
    assert build(rows, "mtg-jamendo", "mtat").names == ("genre---rock", "guitar")


@pytest.fixture
def suite_music() -> tuple[Scan, Scan]:
    return scan_of(clips("rock|slow"), "folder"), scan_of(clips("genre---rock|genre---ska"), "mtat")


def test_the_sets_of_a_suite_share_a_filter(suite_music: tuple[Scan, Scan], tmp_path: Path) -> None:
    """What it names need be a tag of one of the suite's corpora, not of each."""
    (tmp_path / "merge.csv").write_text("genre---ska,slow\n")
    (tmp_path / "tags.txt").write_text("rock\nslow\n")
    for tags, kept in (
        (TagFilter("all", drop=("slow",)), [("rock",), ("genre---rock", "genre---ska")]),
        (TagFilter("all", merge=str(tmp_path / "merge.csv")),
         [("rock", "slow"), ("genre---rock", "slow")]),
        (TagFilter(str(tmp_path / "tags.txt")), [("rock", "slow"), ("rock", "slow")]),
        (TagFilter(str(tmp_path / "tags.txt"), min_clips=1), [("rock", "slow"), ()]),
    ):  # fmt: skip
        found = [vocabulary_of([s], tags, beside=suite_music) for s in suite_music]
        assert [vocabulary.names for vocabulary in found] == kept
    for tags in (TagFilter("all", drop=("slo",)), TagFilter("all", drop=("ska",))):
        with pytest.raises(UsageError, match="expected a tag of the corpus, got none"):
            vocabulary_of(suite_music[:1], tags, beside=suite_music)
    with pytest.raises(ManifestError, match="expected names of the corpus' tags"):
        vocabulary_of(suite_music[1:], TagFilter(str(tmp_path / "tags.txt")))
