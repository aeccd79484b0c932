"""AudioSet: file namings, the drop rule, and the numbers of the real tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manifests.errors import ManifestError, UsageError
from pipeline.corpora import FileTree, audioset
from pipeline.corpora.audioset_files import choose_file, files_by_id
from pipeline.corpora.audioset_labels import labels_below
from pipeline.corpora.listing import Listing

NAMES = {
    "/m/04rlf": "Music",
    "/m/015lz1": "Singing",
    "/m/0bell": "Bell",
    "/m/0choir": "Choir",
    "/m/09x0r": "Speech",
    "/m/dog": "Dog, barking",
}
# Bell has two parents: a tree walk from the top would find it under one of them alone.
CHILDREN = {
    "/m/04rlf": ["/m/0bell"],
    "/m/015lz1": ["/m/0choir"],
    "/m/09x0r": ["/m/015lz1"],
    "/m/dog": ["/m/0bell"],
}
HEAD = (
    "# Segments csv created\n# num_ytids=4\n# YTID, start_seconds, end_seconds, positive_labels\n"
)
TRAIN = [
    '-ab_defghij, 30.000, 40.000, "/m/dog"',
    'Yabcdefghij, 0.000, 10.000, "/m/dog,/m/09x0r"',
    'music000000, 0.000, 10.000, "/m/09x0r,/m/04rlf"',
    'bell0000000, 0.000, 10.000, "/m/0bell"',
]
EVAL = [
    'choir000000, 0.000, 10.000, "/m/0choir"',
    'short000000, 110.000, 111.500, "/m/09x0r"',
]


def write(root: Path, *, ontology: bool = True, class_labels: bool = True) -> None:
    root.mkdir(exist_ok=True)
    (root / "balanced_train_segments.csv").write_text(HEAD + "\n".join(TRAIN) + "\n")
    (root / "eval_segments.csv").write_text(HEAD + "\n".join(EVAL) + "\n")
    if ontology:
        nodes = [
            {"id": mid, "name": name, "child_ids": CHILDREN.get(mid, [])}
            for mid, name in NAMES.items()
        ]
        (root / "ontology.json").write_text(json.dumps(nodes))
    if class_labels:
        rows = [f'{i},{mid},"{name}"' for i, (mid, name) in enumerate(NAMES.items())]
        (root / "class_labels_indices.csv").write_text(
            "\n".join(["index,mid,display_name", *rows]) + "\n"
        )


def listed(root: Path, *, audio: bool = False, **options: object) -> Listing:
    tree = FileTree(root)
    return audioset.list_clips(tree, tree, options, with_audio=audio)


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


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


@pytest.mark.parametrize(
    ("name", "youtube_id", "holds"),
    [
        ("Y-ab_defghij.wav", "-ab_defghij", False),
        ("-ab_defghij.flac", "-ab_defghij", False),
        ("-ab_defghij_30000_40000.flac", "-ab_defghij", True),
        ("-ab_defghij_30.0-40.0.wav", "-ab_defghij", True),
        ("-ab_defghij_30-40.WAV", "-ab_defghij", True),
        ("-ab_defghij_30.000_40.000.wav", "-ab_defghij", True),
        ("Y-ab_defghij_30.000_40.000.wav", "-ab_defghij", True),
        ("-ab_defghij_50.000_60.000.wav", "-ab_defghij", False),
        ("-ab_defghij.16k.wav", "-ab_defghij", False),
        ("YYabcdefghij.wav", "Yabcdefghij", False),
        ("Yabcdefghij.wav", "Yabcdefghij", False),
        ("Yabcdefghij_0_10000.flac", "Yabcdefghij", False),
        ("YYabcdefghij_0.000_10.000.wav", "Yabcdefghij", False),
    ],
)
def test_namings(tmp_path: Path, name: str, youtube_id: str, holds: bool) -> None:
    touch(tmp_path, f"any/where/{name}", "unknown.wav", "Yabcdefghij.txt")
    known = {"-ab_defghij", "Yabcdefghij", "abcdefghij_"}
    found = files_by_id(FileTree(tmp_path), known)
    assert list(found) == [youtube_id]
    (file,) = found[youtube_id]
    assert file.path == f"any/where/{name}"
    assert file.holds(30.0, 40.0) == holds


YOUTUBE_ID = st.text("Y-_a0", min_size=11, max_size=11)


@given(youtube_id=YOUTUBE_ID, start=st.integers(0, 600), style=st.integers(0, 5))
def test_every_naming_of_every_id_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, youtube_id: str, start: int, style: int
) -> None:
    end = start + 10
    stem = (
        f"Y{youtube_id}",
        youtube_id,
        f"{youtube_id}_{start * 1000}_{end * 1000}",
        f"{youtube_id}_{start:.1f}-{end:.1f}",
        f"{youtube_id}_{start:.3f}_{end:.3f}",
        f"Y{youtube_id}_{start:.3f}_{end:.3f}",
    )[style]
    # The other reading of the same name is a known id as well, wherever there is one.
    known = {youtube_id, ("Y" + youtube_id)[:11], youtube_id[1:] + "_"}
    tree = FileTree.__new__(FileTree)
    tree.paths = {f"{stem}.wav": 1}
    found = files_by_id(tree, known)
    assert list(found) == [youtube_id]
    assert style < 2 or found[youtube_id][0].holds(start, end)


def test_of_several_files_the_one_with_the_times_else_the_first(tmp_path: Path) -> None:
    touch(tmp_path, "a/-ab_defghij_0_10.wav", "b/-ab_defghij_30_40.wav", "c/-ab_defghij.wav")
    files = files_by_id(FileTree(tmp_path), {"-ab_defghij"})["-ab_defghij"]
    assert choose_file(files, 30.0, 40.0).path == "b/-ab_defghij_30_40.wav"
    assert choose_file(files, 50.0, 60.0).path == "a/-ab_defghij_0_10.wav"


def test_sound_goes_before_the_video_that_it_was_taken_from(tmp_path: Path) -> None:
    for name in ("-ab_defghij.mkv", "-ab_defghij.wav"):
        (tmp_path / name).touch()
    (files,) = files_by_id(FileTree(tmp_path), {"-ab_defghij"}).values()
    assert [file.path for file in files] == ["-ab_defghij.mkv", "-ab_defghij.wav"]
    assert choose_file(files, 30.0, 40.0).path == "-ab_defghij.wav"


def test_missing_files_are_rejects_and_the_report_counts(tmp_path: Path) -> None:
    write(tmp_path)
    touch(
        tmp_path,
        "audio/-ab_defghij_10.0-20.0.wav",
        "audio/-ab_defghij.wav",
        "audio/Ymusic000000.wav",
        "audio/short000000_110.000_111.500.wav",
        "audio/other.wav",
    )
    listing = listed(tmp_path, audio=True)
    assert audioset.MISSING_IS_NORMAL
    assert [(clip.clip_id, clip.path) for clip in listing.clips] == [
        ("-ab_defghij", "audio/-ab_defghij.wav"),
        ("short000000", "audio/short000000_110.000_111.500.wav"),
    ]
    assert [(r.clip_id, r.reason, r.split) for r in listing.rejects] == [
        ("Yabcdefghij", "missing", "train")
    ]
    for note in (
        "balanced_train_segments: audio for 2 of 4 listed and 1 of 2 kept clips",
        "eval_segments: audio for 1 of 2 listed and 1 of 1 kept clips",
        "1 audio files that the tables read do not name: audio/other.wav",
    ):
        assert note in listing.notes
    assert any(note.startswith("1 ids with several files") for note in listing.notes)
    assert not any("other times" in note for note in listing.notes)


def test_files_with_other_times_are_counted(tmp_path: Path) -> None:
    write(tmp_path)
    touch(tmp_path, "-ab_defghij_10.0-20.0.wav")
    notes = listed(tmp_path, audio=True).notes
    assert "1 files carry other times in their names than the segment's" in notes


def test_no_audio_at_all_is_a_wrong_folder(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(ManifestError, match=r"^audioset: expected audio such as balanced_train"):
        listed(tmp_path, audio=True)
