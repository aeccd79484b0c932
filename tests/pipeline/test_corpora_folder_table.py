"""The table of a user's folder, as spreadsheets and hands write it."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from manifests.errors import ManifestError
from pipeline.corpora import FileTree, folder
from pipeline.corpora.listing import Listing

HEADER = "path,split,tags,song,artist,licence"


def listed(root: Path, text: str) -> Listing:
    """List a folder of a.wav and b.wav with this table."""
    for name in ("a.wav", "b.wav"):
        (root / name).touch()
    (root / "metadata.csv").write_text(text, encoding="utf-8")
    tree = FileTree(root)
    return folder.list_clips(tree, tree, {})


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        ("a.wav", "expected 6 columns, got 1"),
        ("a.wav,training,,,,", "expected a split, one of train, valid, test, any, got 'training'"),
        (",train,,,,", "expected a path below the folder, got ''"),
        ("../a.wav,train,,,,", "expected a path below the folder, got '../a.wav'"),
        ("x/../../a.wav,train,,,,", "expected a path below the folder, got 'x/../../a.wav'"),
        ("/etc/passwd,train,,,,", "expected a path below the folder, got '/etc/passwd'"),
        (".,train,,,,", "expected a path below the folder, got '.'"),
    ],
)
def test_malformed_rows(tmp_path: Path, row: str, detail: str) -> None:
    listing = listed(tmp_path, f"{HEADER}\n{row}\nb.wav,,,,,\n")
    assert len(listing.clips) == 1
    (reject,) = listing.rejects
    assert (reject.reason, reject.stage, reject.path) == ("ragged", "metadata", "metadata.csv")
    assert reject.detail == f"metadata.csv line 2: {detail}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a header and rows, got an empty file"),
        ("file;split\na.wav;train\n", "expected a header with one column path, got: file;split"),
        ("path,path\n", "expected a header with one column path, got: path, path"),
        ("path,split\n", r"expected rows in metadata\.csv, got none usable$"),
        (
            "path\n/x/a.wav\n/x/b.wav\n",
            r"got none usable \(2 malformed, the first: metadata\.csv line 2: expected a path "
            r"below the folder, got '/x/a\.wav'\)",
        ),
        ("path,split\na.wav,train,\n", r"the first: .* line 2: expected 2 columns, got 3\)"),
    ],
)
def test_unusable_tables(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message) as caught:
        listed(tmp_path, text)
    assert "fetch" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "split"),
    [("Train", "train"), ("VALID", "valid"), ("val", "valid"), ("Validation", "valid"),
     ("test ", "test"), ("Any", "any")],
)  # fmt: skip
def test_splits_in_any_case(tmp_path: Path, said: str, split: str) -> None:
    assert listed(tmp_path, f"path,split\na.wav,{said}\n").clips[0].split == split


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators(tmp_path: Path, separator: str) -> None:
    rows = [("tags", "path", "song"), ('"x; y"', "a.wav", "One"), ("z", "b.wav", '"T, w;o"')]
    listing = listed(tmp_path, "".join(separator.join(row) + "\r\n" for row in rows))
    assert [(c.path, c.tags, c.song) for c in listing.clips] == [
        ("a.wav", ("x", "y"), "One"),
        ("b.wav", ("z",), "T, w;o"),
    ]
    assert listing.rejects == ()


def test_a_quoted_cell_may_hold_line_breaks(tmp_path: Path) -> None:
    text = 'path,song,artist\r\na.wav,"First\r\nsecond","x ""y"""\r\nb.wav,B,\r\n'
    listing = listed(tmp_path, text)
    assert [(c.path, c.song, c.artist) for c in listing.clips] == [
        ("a.wav", "First second", 'x "y"'),
        ("b.wav", "B", ""),
    ]


@pytest.mark.parametrize("rest", ["", ',"x\n', "\n" * 30 + '"\n'])
def test_a_quote_that_stays_open_costs_its_own_line_alone(tmp_path: Path, rest: str) -> None:
    listing = listed(tmp_path, f'path,song\na.wav,"cut\nb.wav,6" tape\n{rest}')
    assert [(c.path, c.song) for c in listing.clips] == [("b.wav", '6" tape')]
    assert "line 2: expected 2 columns, got 1" in listing.rejects[0].detail


def test_tags_are_composed(tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "café")
    assert listed(tmp_path, f"path,tags\na.wav,{apart}\n").clips[0].tags == ("café",)
