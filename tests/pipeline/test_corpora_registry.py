"""What holds for every corpus, and for options, listings and metadata rows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from manifests.errors import ManifestError, UsageError
from manifests.rows import Clip, Reject
from pipeline.corpora import CORPORA, FileTree, corpus
from pipeline.corpora.listing import (
    CorpusOption,
    chosen_options,
    make_listing,
    split_counts,
)
from pipeline.corpora.metadata_rows import (
    BadRowError,
    check_length,
    column_places,
    header_row,
    missing_file,
    none_usable,
    parsed_rows,
    read_rows,
    require_file,
)

PREFIXES = {"mtg-jamendo": "jamendo"}


def clip(clip_id: str, *, split: str = "train", path: str = "") -> Clip:
    return Clip("x", clip_id, path or f"{clip_id}.wav", clip_id, "", split, (), "")


@pytest.mark.parametrize("name", CORPORA)
def test_every_module_has_the_same_names(name: str) -> None:
    module = corpus(name)
    assert name == module.NAME
    assert module.TITLE and module.LICENCE and module.LAYOUT.strip()
    assert set(module.ROLE) <= {"music", "noise"} and module.ROLE
    assert module.DEFAULT_TAGS in ("top50", "thesis", "all")
    for option in module.OPTIONS:
        assert option.name.startswith(PREFIXES.get(name, name) + "_")
        assert option.name.isidentifier() and option.help
        assert not option.choices or str(option.default) in option.choices
        assert not option.multiple or option.default == ()


@pytest.mark.parametrize(
    ("name", "with_audio"),
    # MUSAN's names are official: none of its files is needed to list them without audio.
    [(n, a) for n in CORPORA for a in (True, False) if (n, a) != ("musan", False)],
)
def test_an_empty_folder_is_one_line_that_names_it_and_the_layout(
    name: str, with_audio: bool, tmp_path: Path
) -> None:
    tree = FileTree(tmp_path)
    with pytest.raises(ManifestError) as error:
        corpus(name).list_clips(tree, tree, {}, with_audio=with_audio)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(f"{name}: expected ") and ", got " in message
    assert str(tmp_path) in message and "the folder should hold: " in message


@pytest.mark.parametrize("name", CORPORA)
def test_an_undeclared_option_of_the_corpus_is_refused(name: str, tmp_path: Path) -> None:
    prefix = PREFIXES.get(name, name)
    with pytest.raises(UsageError, match=f"^{prefix}_typo: expected one of .* unknown option"):
        corpus(name).list_clips(
            FileTree(tmp_path), FileTree(tmp_path), {f"{prefix}_typo": 1}, with_audio=False
        )


def test_unknown_corpus_lists_the_known_ones() -> None:
    with pytest.raises(
        UsageError,
        match=r"^mtt: expected a corpus, one of mtat, mtg-jamendo, audioset, musan, folder; .*mtat",
    ):
        corpus("mtt")


class TestOptions:
    declared = (
        CorpusOption("x_how", "keep", "", choices=("keep", "drop")),
        CorpusOption("x_number", 0, "", choices=("0", "1"), kind=int),
        CorpusOption("x_label", (), "", multiple=True),
    )

    def test_defaults_where_nothing_or_none_is_given(self) -> None:
        expected = {"x_how": "keep", "x_number": 0, "x_label": ()}
        assert chosen_options(self.declared, {}, prefix="x_") == expected
        assert chosen_options(self.declared, {"x_how": None}, prefix="x_") == expected

    def test_values_are_converted_and_those_of_other_corpora_passed_over(self) -> None:
        given = {"x_how": "drop", "x_number": "1", "x_label": ["a", "b"], "y_other": 3}
        expected = {"x_how": "drop", "x_number": 1, "x_label": ("a", "b")}
        assert chosen_options(self.declared, given, prefix="x_") == expected

    def test_one_text_is_one_value_of_a_multiple_option(self) -> None:
        assert chosen_options(self.declared, {"x_label": "ab"}, prefix="x_")["x_label"] == ("ab",)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"x_how": "both"}, "--x-how: expected one of keep, drop, got 'both'"),
            ({"x_number": 7}, "--x-number: expected one of 0, 1, got 7"),
            ({"x_number": "one"}, "--x-number: expected int, got 'one'"),
        ],
    )
    def test_wrong_values(self, given: dict[str, object], message: str) -> None:
        with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
            chosen_options(self.declared, given, prefix="x_")


class TestListing:
    def test_sorted_unique_and_the_second_of_an_id_is_a_reject(self) -> None:
        clips = [clip("b"), clip("a", split="test"), clip("b", path="other.wav", split="valid")]
        listing = make_listing(clips, [], ["fact"], licence="CC0-1.0", trees=())
        assert [c.clip_id for c in listing.clips] == ["a", "b"]
        assert listing.clips[1].path == "b.wav"
        assert [(r.reason, r.path, r.split) for r in listing.rejects] == [
            ("duplicate-id", "other.wav", "valid")
        ]
        assert listing.notes == ("2 clips: train 1, test 1", "fact")
        assert listing.licence == "CC0-1.0"

    def test_what_could_not_be_listed_is_noted_once(self, tmp_path: Path) -> None:
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        tree = FileTree(tmp_path)
        listing = make_listing([clip("a")], [], [], licence="", trees=(tree, tree))
        assert len(listing.notes) == 2 and listing.notes[1].startswith("not listed: loop: ")

    def test_what_could_not_be_listed_by_the_thousand_is_counted(self, tmp_path: Path) -> None:
        for number in range(1_025):
            (tmp_path / f"{number:04d}.wav").symlink_to(tmp_path / "unfetched")
        notes = make_listing([], [], [], licence="", trees=(FileTree(tmp_path),)).notes
        assert notes[1] == "not listed: 0000.wav: dangling link"
        assert (len(notes), notes[-1]) == (22, "not listed: 1,005 more")

    def test_counts_in_the_order_of_the_splits(self) -> None:
        splits = ["any", "test", "train", "train"]
        clips = [clip(str(i), split=split) for i, split in enumerate(splits)]
        assert split_counts(clips) == "train 2, test 1, any 1"


class TestRows:
    def test_a_stray_quote_costs_its_own_line_alone(self) -> None:
        rows = list(read_rows('a\tb\n"x\ty\n1\t2\r\n\n', delimiter="\t"))
        assert rows == [(1, ["a", "b"]), (2, ["x\ty"]), (3, ["1", "2"])]

    def test_unquoted_tables_keep_quotes(self) -> None:
        assert list(read_rows('a "b"\t"c', delimiter="\t", quoted=False)) == [(1, ['a "b"', '"c'])]

    def test_a_line_that_csv_refuses_is_a_row_of_one_cell(self) -> None:
        huge = "x" * 200_000 + ",y"
        assert list(read_rows(f"{huge}\na,b", delimiter=",")) == [(1, [huge]), (2, ["a", "b"])]

    def test_bad_rows_become_rejects_with_file_and_line(self) -> None:
        def parse(cells: list[str]) -> int:
            check_length(cells, ["a", "b"])
            if not cells[0].isdecimal():
                raise BadRowError("a number", repr(cells[0]), clip_id=cells[1])
            return int(cells[0])

        rejects: list[Reject] = []
        rows = read_rows("1,x\n2\nz,y\n3,x", delimiter=",")
        assert list(parsed_rows("c", "t.csv", rows, parse, rejects)) == [1, 3]
        assert [(r.corpus, r.clip_id, r.path, r.stage, r.reason, r.detail) for r in rejects] == [
            ("c", "", "t.csv", "metadata", "ragged", "t.csv line 2: expected 2 columns, got 1"),
            ("c", "y", "t.csv", "metadata", "ragged", "t.csv line 3: expected a number, got 'z'"),
        ]

    def test_no_usable_row_says_what_is_wrong_with_the_first(self) -> None:
        rejects = [Reject("c", "", rel, "metadata", "ragged", f"{rel} line {n}: expected x, got y")
                   for n, rel in enumerate(("other", "t", "t"))]  # fmt: skip
        assert str(none_usable("c", "rows", "t", rejects, advice="fetch it")) == (
            "c: expected rows in t, got none usable (2 malformed, the first: t line 1: expected x, "
            "got y); fetch it"
        )
        assert str(none_usable("c", "rows", "t", [])) == "c: expected rows in t, got none usable"

    def test_header_errors(self) -> None:
        with pytest.raises(ManifestError, match=r"^t: expected a header and rows, got an empty"):
            header_row(read_rows("\n \n", delimiter=","), rel="t")
        with pytest.raises(ManifestError, match=r"^t: .*one column b, got: <html>; fetch"):
            column_places(["<html>"], ("b",), rel="t")
        with pytest.raises(ManifestError, match="one column b, got: b, b"):
            column_places(["b", "b"], ("b",), rel="t")
        assert column_places(["c", "b"], ("b", "c"), rel="t") == {"b": 1, "c": 0}

    def test_a_missing_table_says_where_one_of_its_name_lies(self, tmp_path: Path) -> None:
        (tmp_path / "deep").mkdir()
        (tmp_path / "deep" / "t.csv").write_text("x")
        tree = FileTree(tmp_path)
        assert require_file(tree, ("t.csv", "deep/t.csv"), corpus="c", layout="") == "deep/t.csv"
        error = missing_file(tree, ("t.csv", "data/t.csv"), corpus="c", layout="\na  b\nc\n")
        assert str(error) == (
            f"c: expected t.csv or data/t.csv in {tmp_path}, got no such file; deep/t.csv is "
            "there: name the folder that the layout starts at; the folder should hold: a b; c; "
            "metadata elsewhere: --metadata c=DIR"
        )
