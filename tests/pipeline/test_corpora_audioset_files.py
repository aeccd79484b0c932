"""AudioSet's files: how they are named, which is taken of several, and which are missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_audioset import listed, write

from manifests.errors import ManifestError
from pipeline.corpora import FileTree, audioset
from pipeline.corpora.audioset_files import choose_file, files_by_id

YOUTUBE_ID = st.text("Y-_a0", min_size=11, max_size=11)


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


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
