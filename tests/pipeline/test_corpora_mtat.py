"""MagnaTagATune: small tables in the official form, and the real index."""

from __future__ import annotations

import ast
import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from manifests.errors import ManifestError, UsageError
from pipeline.corpora import FileTree, mtat
from pipeline.corpora.checked_in import MTAT_KNOWN_BROKEN, MTAT_TOP50, checked_in_list
from pipeline.corpora.listing import Listing

TAGS = ["guitar", "plucking", "no vocals"]
ONE = "0/some_artist-an_album-03-a_song-0-29.mp3"
TWO = "c/other_artist-an_album-01-b_song-117-146.mp3"
THREE = "f/third_artist-an_album-01-c_song-29-58.mp3"
ROWS = [
    ["2", "1", "1", "0", ONE],
    ["10", "0", "1", "0", TWO],
    ["7", "0", "0", "1", THREE],
]
HEADER = ["clip_id", *TAGS, "mp3_path"]
INFO_HEADER = [
    "clip_id", "track_number", "title", "artist", "album", "url", "segmentStart", "segmentEnd",
    "original_url", "mp3_path",
]  # fmt: skip


def tsv(rows: Sequence[Sequence[str]]) -> str:
    """Every cell in quotes, TAB between them: as upstream writes its tables."""
    text = io.StringIO()
    csv.writer(text, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return text.getvalue()


def info_row(clip_id: str, artist: str, path: str) -> list[str]:
    return [clip_id, "1", "Title", artist, "Album", "http://x", "0", "29", "http://y", path]


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def write(root: Path, rows: Sequence[Sequence[str]] = ROWS, header: Sequence[str] = HEADER) -> None:
    (root / "annotations_final.csv").write_text(tsv([header, *rows]))


def listed(
    root: Path, *, audio: bool = False, metadata: Path | None = None, **options: str
) -> Listing:
    tree = FileTree(root)
    return mtat.list_clips(
        tree, FileTree(metadata) if metadata else tree, options, with_audio=audio
    )


def test_fields_come_from_header_names_and_file_names(tmp_path: Path) -> None:
    write(tmp_path)
    first = listed(tmp_path).clips
    assert [clip.clip_id for clip in first] == ["10", "2", "7"]
    clip = first[1]
    assert clip.song == "some_artist-an_album-03-a_song"
    assert (clip.path, clip.artist, clip.split) == (ONE, "some_artist", "train")
    assert (clip.tags, clip.expected_s) == (("guitar", "plucking"), 29.0)
    assert clip.licence == "CC-BY-NC-SA-3.0"
    assert [c.split for c in first] == ["valid", "train", "test"]
    order = [4, 2, 0, 3, 1]
    write(
        tmp_path,
        [[row[i] for i in order] for row in ROWS],
        [HEADER[i] for i in order],
    )
    assert listed(tmp_path).clips == first


def test_split_by_folder(tmp_path: Path) -> None:
    rows = [[str(i), "1", "0", "0", f"{i:x}/a-b-01-c-0-29.mp3"] for i in range(16)]
    write(tmp_path, rows)
    by_split: dict[str, str] = {}
    for clip in listed(tmp_path).clips:
        by_split[clip.split] = by_split.get(clip.split, "") + clip.path[0]
    assert {split: "".join(sorted(folders)) for split, folders in by_split.items()} == {
        "train": "0123456789ab",
        "valid": "c",
        "test": "def",
    }


def test_artists_from_clip_info_then_from_its_album_mates_then_from_the_name(
    tmp_path: Path,
) -> None:
    mate = "0/some_artist-an_album-03-a_song-29-58.mp3"
    write(tmp_path, [*ROWS, ["3", "0", "0", "0", mate]])
    info = [info_row("2", "Some Artist", ONE), ["3", "short row"], info_row("7", "", THREE)]
    (tmp_path / "clip_info_final.csv").write_text(tsv([INFO_HEADER, *info]))
    listing = listed(tmp_path)
    assert {clip.clip_id: clip.artist for clip in listing.clips} == {
        "2": "Some Artist",
        "3": "Some Artist",
        "7": "third_artist",
        "10": "other_artist",
    }
    assert (
        "clip_info_final.csv: 1 rows without 10 columns passed over, the first in line 3"
        in listing.notes
    )
    assert listing.rejects == ()


def test_without_clip_info_a_note_says_so(tmp_path: Path) -> None:
    write(tmp_path)
    assert any(note.startswith("clip_info_final.csv not found") for note in listed(tmp_path).notes)


def test_untagged_means_no_top50_tag(tmp_path: Path) -> None:
    write(tmp_path)
    assert len(listed(tmp_path, mtat_untagged="keep").clips) == 3
    listing = listed(tmp_path, mtat_untagged="drop")
    assert [clip.clip_id for clip in listing.clips] == ["2", "7"]
    assert "1 clips without a top-50 tag left out: valid 1" in listing.notes
    assert listing.rejects == ()
    with pytest.raises(UsageError, match="--mtat-untagged: expected one of keep, drop, got 'no'"):
        listed(tmp_path, mtat_untagged="no")


def test_known_broken_clips_are_rejects_by_id_or_path(tmp_path: Path) -> None:
    clip_id, path, why = checked_in_list(MTAT_KNOWN_BROKEN)[0].split("\t")
    write(
        tmp_path,
        [*ROWS, ["99999", "1", "0", "0", path], [clip_id, "0", "0", "0", "1/a-b-1-c-0-29.mp3"]],
    )
    listing = listed(tmp_path)
    assert len(listing.clips) == 3
    assert [(r.clip_id, r.stage, r.reason) for r in listing.rejects] == [
        ("99999", "metadata", "known-broken"),
        (clip_id, "metadata", "known-broken"),
    ]
    assert why in listing.rejects[0].detail
    assert (listing.rejects[0].split, listing.rejects[0].tags) == ("train", ("guitar",))


@pytest.mark.parametrize("base", ["", "mp3/"])
def test_audio_in_both_places_missing_and_unknown_files(tmp_path: Path, base: str) -> None:
    write(tmp_path)
    touch(tmp_path, base + ONE, base + TWO, base + "0/who-is-01-this-0-29.mp3")
    listing = listed(tmp_path, audio=True)
    assert [clip.path for clip in listing.clips] == [base + TWO, base + ONE]
    assert [(r.clip_id, r.path, r.stage, r.reason, r.split, r.tags) for r in listing.rejects] == [
        ("7", THREE, "scan", "missing", "test", ("no vocals",))
    ]
    assert listing.notes[-1] == (
        "1 audio files that the tables read do not name: " + base + "0/who-is-01-this-0-29.mp3"
    )


def test_files_of_left_out_clips_are_known(tmp_path: Path) -> None:
    write(tmp_path)
    touch(tmp_path, ONE, TWO, THREE)
    listing = listed(tmp_path, audio=True, mtat_untagged="drop")
    assert not any("do not name" in note for note in listing.notes)


def test_metadata_may_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "csv").mkdir()
    write(tmp_path / "csv")
    touch(tmp_path / "audio", ONE, TWO, THREE)
    listing = listed(tmp_path / "audio", audio=True, metadata=tmp_path / "csv")
    assert len(listing.clips) == 3 and listing.rejects == ()


@pytest.mark.parametrize(
    ("row", "detail", "clip_id"),
    [
        (["5", "1"], "expected 5 columns, got 2", ""),
        (["x5", "1", "0", "0", ONE], "expected a number as clip_id, got 'x5'", ""),
        (["5", "2", "0", "0", ONE], "expected 0 or 1 for guitar, got '2'", "5"),
        (["5", "1", "0", "0", "../../etc/passwd"], "got ../../etc/passwd", "5"),
        (["5", "1", "0", "0", "g/a-b-1-c-0-29.mp3"], "got g/a-b-1-c-0-29.mp3", "5"),
        (["5", "1", "0", "0", "0/a-b-1-c-58-29.mp3"], "got 0/a-b-1-c-58-29.mp3", "5"),
    ],
)
def test_malformed_rows_are_rejects_and_the_rest_goes_on(
    tmp_path: Path, row: list[str], detail: str, clip_id: str
) -> None:
    write(tmp_path, [row, *ROWS])
    listing = listed(tmp_path)
    assert len(listing.clips) == 3
    (reject,) = listing.rejects
    assert (reject.stage, reject.reason, reject.clip_id) == ("metadata", "ragged", clip_id)
    assert reject.detail.startswith("annotations_final.csv line 2: expected ")
    assert reject.detail.endswith(detail)


def test_a_second_clip_of_an_id_is_a_reject(tmp_path: Path) -> None:
    write(tmp_path, [*ROWS, ["2", "0", "0", "0", TWO]])
    listing = listed(tmp_path)
    assert len(listing.clips) == 3
    assert [(r.reason, r.path) for r in listing.rejects] == [("duplicate-id", TWO)]


@pytest.mark.parametrize("text", ["<html>404</html>\n", "", tsv([HEADER, ["1"]])])
def test_unusable_tables(tmp_path: Path, text: str) -> None:
    (tmp_path / "annotations_final.csv").write_text(text)
    with pytest.raises(ManifestError, match=r"annotations_final\.csv"):
        listed(tmp_path)


def test_a_missing_table_says_where_it_is_found_upstream(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"annotations_final\.csv is found at https://mirg"):
        listed(tmp_path)


def test_no_audio_at_all_is_a_wrong_folder(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(ManifestError, match=r"^mtat: expected audio such as 0/.* none of 3 clips"):
        listed(tmp_path, audio=True)


# ---- the real index -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real_root(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """annotations_final.csv as upstream has it, from the label files that are to be had.

    Valid and test labels are real. Of the training labels only which clips have a top-50 tag is
    known: these get "guitar".
    """
    source = shared_dir / "metadata" / "magnatagatune"
    labels_file = (source / "output_labels_mtt.txt").read_text()
    top50 = ast.literal_eval(labels_file[labels_file.index("[") :])
    columns = (source / "tags_188_csv_order.txt").read_text().splitlines()
    tags: dict[str, set[str]] = {}
    for part in ("val", "test"):
        for line in (source / f"{part}_gt_mtt.tsv").read_text().splitlines():
            clip_id, vector = line.split("\t")
            hot = ast.literal_eval(vector)
            tags[clip_id] = {tag for tag, value in zip(top50, hot, strict=True) if value == 1.0}
    tagged = (source / "tagged_top50_train.tsv").read_text().splitlines()
    with_tag = {line.split("\t")[1] for line in tagged}
    root = tmp_path_factory.mktemp("mtat")
    with (root / "annotations_final.csv").open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(["clip_id", *columns, "mp3_path"])
        for line in (source / "index_mtt.tsv").read_text().splitlines():
            clip_id, path = line.split("\t")
            own = tags.get(clip_id, {"guitar"} if path in with_tag else set())
            writer.writerow([clip_id, *("1" if tag in own else "0" for tag in columns), path])
    return root


def test_checked_in_top50_is_the_published_list(shared_dir: Path) -> None:
    folder = shared_dir / "metadata" / "magnatagatune"
    text = (folder / "output_labels_mtt.txt").read_text()
    assert checked_in_list(MTAT_TOP50) == ast.literal_eval(text[text.index("[") :])
    columns = (folder / "tags_188_csv_order.txt").read_text().splitlines()
    assert set(checked_in_list(MTAT_TOP50)) <= set(columns) and len(columns) == 188


def test_both_customs_have_the_published_numbers(real_root: Path) -> None:
    tree = FileTree(real_root)
    keep = mtat.list_clips(tree, tree, {}, with_audio=False)
    assert Counter(c.split for c in keep.clips) == {"train": 18_706, "valid": 1_825, "test": 5_329}
    assert sorted(r.clip_id for r in keep.rejects) == ["35644", "55753", "57881"]
    drop = mtat.list_clips(tree, tree, {"mtat_untagged": "drop"}, with_audio=False)
    assert Counter(c.split for c in drop.clips) == {"train": 15_244, "valid": 1_529, "test": 4_332}
    note = "4,755 clips without a top-50 tag left out: train 3,462, valid 296, test 997"
    assert note in drop.notes
    every = [*keep.clips, *keep.rejects]
    songs = {c.song for c in keep.clips}
    # Songs and artists of the whole index: no song has a broken clip alone.
    assert (len(every), len(songs), len({c.artist for c in keep.clips})) == (25_863, 5_405, 230)
    assert {c.expected_s for c in keep.clips} == {29.0}


def test_no_song_lies_in_two_splits(real_root: Path) -> None:
    tree = FileTree(real_root)
    splits: dict[str, set[str]] = {}
    for clip in mtat.list_clips(tree, tree, {}, with_audio=False).clips:
        splits.setdefault(clip.song, set()).add(clip.split)
    assert all(len(found) == 1 for found in splits.values())
