"""MTG-Jamendo: small tables in the official form (TAB, CRLF, ragged), and the real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from manifests.errors import ManifestError, UsageError
from pipeline.corpora import FileTree, jamendo
from pipeline.corpora.jamendo_tables import read_checksums, read_licences
from pipeline.corpora.listing import Listing

HEADER = "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS"
GENRES = {
    "214": "genre---rock",
    "215": "genre---metal\tgenre---gothic",
    "316": "genre---60s\tgenre---rock",
    "9": "genre---pop",
}
MOODS = {"214": "mood/theme---happy", "215": "mood/theme---horror", "316": "mood/theme---epic"}
PARTS = {"train": ("214", "9"), "validation": ("215",), "test": ("316",)}


def row(number: str, tags: str) -> str:
    path = f"{int(number) % 100:02d}/{number}.mp3"
    return f"track_{int(number):07d}\tartist_01\talbum_02\t{path}\t124.6\t{tags}"


def table(rows: list[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in [HEADER, *rows]).encode()


def write(root: Path, *, base: str = "data/", number: int = 0) -> None:
    """Write a corpus of four tracks: three of the thesis' set, one of genre alone."""
    split = root / base / "splits" / f"split-{number}"
    split.mkdir(parents=True, exist_ok=True)
    for name, tags in (("genre", GENRES), ("moodtheme", MOODS)):
        (root / base / f"autotagging_{name}.tsv").write_bytes(
            table([row(n, t) for n, t in tags.items()])
        )
    for part, numbers in PARTS.items():
        rows = [
            row(n, "\t".join(filter(None, (GENRES[n], MOODS.get(n, ""), "instrument---piano"))))
            for n in numbers
        ]
        (split / f"autotagging-{part}.tsv").write_bytes(table(rows))


def listed(
    root: Path, *, audio: bool = False, metadata: Path | None = None, **options: object
) -> Listing:
    tree = FileTree(root)
    return jamendo.list_clips(
        tree, FileTree(metadata) if metadata else tree, options, with_audio=audio
    )


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


@pytest.mark.parametrize("base", ["data/", ""])
def test_thesis_set_is_the_intersection_with_the_tags_of_the_splits(
    tmp_path: Path, base: str
) -> None:
    write(tmp_path, base=base)
    listing = listed(tmp_path)
    assert [(c.clip_id, c.split, c.tags) for c in listing.clips] == [
        ("track_0000214", "train", ("genre---rock", "mood/theme---happy")),
        ("track_0000215", "valid", ("genre---metal",)),
        ("track_0000316", "test", ("genre---60s", "genre---rock", "mood/theme---epic")),
    ]
    clip = listing.clips[0]
    assert (clip.path, clip.song, clip.artist) == ("14/214.mp3", "track_0000214", "artist_01")
    assert (clip.expected_s, clip.licence) == (124.6, "")
    assert listing.rejects == ()
    assert "split-0, 0.10 h by the metadata" in listing.notes


def test_subset_all_keeps_every_track_and_instrument_tags(tmp_path: Path) -> None:
    write(tmp_path)
    clips = {c.clip_id: c for c in listed(tmp_path, jamendo_subset="all").clips}
    assert len(clips) == 4
    assert clips["track_0000009"].tags == ("genre---pop", "instrument---piano")
    assert clips["track_0000009"].split == "train"


def test_parts_from_the_files_by_category_where_the_joint_ones_are_absent(tmp_path: Path) -> None:
    write(tmp_path)
    expected = listed(tmp_path).clips
    split = tmp_path / "data" / "splits" / "split-0"
    for part, numbers in PARTS.items():
        (split / f"autotagging-{part}.tsv").unlink()
        for name, tags in (("genre", GENRES), ("moodtheme", MOODS)):
            rows = [row(n, tags[n]) for n in numbers if n in tags]
            rows = rows or [row("777", f"{name}---other")]
            (split / f"autotagging_{name}-{part}.tsv").write_bytes(table(rows[:1]))
    assert len(expected) == len(listed(tmp_path).clips) == 3
    with pytest.raises(ManifestError, match=r"expected data/splits/split-0/autotagging-train\.tsv"):
        listed(tmp_path, jamendo_subset="all")


def test_split_number(tmp_path: Path) -> None:
    write(tmp_path, number=3)
    assert len(listed(tmp_path, jamendo_split_number=3).clips) == 3
    with pytest.raises(ManifestError, match=r"data/splits/split-1/autotagging-train\.tsv in "):
        listed(tmp_path, jamendo_split_number=1)
    with pytest.raises(UsageError, match="--jamendo-split-number: expected one of 0, 1, 2, 3, 4"):
        listed(tmp_path, jamendo_split_number=5)


def test_one_missing_part_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "data" / "splits" / "split-0" / "autotagging-test.tsv").unlink()
    with pytest.raises(ManifestError, match=r"expected data/splits/split-0/autotagging-test\.tsv"):
        listed(tmp_path)


def test_missing_moodtheme_file(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "data" / "autotagging_moodtheme.tsv").unlink()
    with pytest.raises(ManifestError, match=r"expected data/autotagging_moodtheme\.tsv in "):
        listed(tmp_path)


@pytest.mark.parametrize(
    ("bad", "detail", "clip_id"),
    [
        ("track_0000777\tartist", "expected 6 columns or more, got 2", ""),
        (row("777", "genre---rock").replace("track_", "t"), "got 't0000777'", ""),
        (row("777", "genre---rock").replace("77/777.mp3", "../777.mp3"), "got '../777.mp3'",
         "track_0000777"),
        (row("777", "genre---rock").replace("124.6", "nan"), "got 'nan'", "track_0000777"),
        (row("777", "rock"), "expected tags category---tag, got 'rock'", "track_0000777"),
    ],
)  # fmt: skip
def test_malformed_rows(tmp_path: Path, bad: str, detail: str, clip_id: str) -> None:
    write(tmp_path)
    file = tmp_path / "data" / "autotagging_genre.tsv"
    file.write_bytes(file.read_bytes() + bad.encode() + b"\r\n")
    listing = listed(tmp_path)
    assert len(listing.clips) == 3
    (reject,) = listing.rejects
    assert (reject.reason, reject.stage, reject.clip_id) == ("ragged", "metadata", clip_id)
    assert reject.detail.startswith("data/autotagging_genre.tsv line 6: expected ")
    assert reject.detail.endswith(detail)


def test_a_track_outside_the_split_is_a_reject(tmp_path: Path) -> None:
    write(tmp_path)
    part = tmp_path / "data" / "splits" / "split-0" / "autotagging-test.tsv"
    part.write_bytes(table([row("9", "genre---pop")]))
    listing = listed(tmp_path)
    rejects = {(r.clip_id, r.reason) for r in listing.rejects}
    # 9 stands in train and in test: it stays in the first; 316 stands in none.
    assert rejects == {("track_0000316", "no-split"), ("track_0000009", "duplicate-id")}
    assert [c.clip_id for c in listing.clips] == ["track_0000214", "track_0000215"]


def test_a_track_whose_split_row_is_ragged_is_rejected_once(tmp_path: Path) -> None:
    write(tmp_path)
    part = tmp_path / "data" / "splits" / "split-0" / "autotagging-train.tsv"
    part.write_bytes(table([row("9", "genre---pop"), row("214", "rock")]))
    assert [(r.clip_id, r.reason) for r in listed(tmp_path).rejects] == [
        ("track_0000214", "ragged")
    ]


def test_a_track_listed_twice_in_a_table(tmp_path: Path) -> None:
    write(tmp_path)
    file = tmp_path / "data" / "autotagging_genre.tsv"
    file.write_bytes(file.read_bytes() + row("214", "genre---pop").encode())
    listing = listed(tmp_path)
    assert [r.reason for r in listing.rejects] == ["duplicate-id"]
    assert "genre---rock" in listing.clips[0].tags


@pytest.mark.parametrize("text", ["", "<html>\n", HEADER, "A\tB\n1\t2"])
def test_unusable_table(tmp_path: Path, text: str) -> None:
    write(tmp_path)
    (tmp_path / "data" / "autotagging_genre.tsv").write_text(text)
    with pytest.raises(ManifestError, match=r"autotagging_genre\.tsv"):
        listed(tmp_path)


def test_tables_without_a_common_track(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "data" / "autotagging_moodtheme.tsv").write_bytes(
        table([row("5", "mood/theme---happy")])
    )
    with pytest.raises(ManifestError, match="expected tracks that have genre and mood/theme tags"):
        listed(tmp_path)


@pytest.mark.parametrize(
    "base", ["", "audio/", "raw_30s/audio/", "audio-low/", "raw_30s/audio-low/"]
)
@pytest.mark.parametrize("low", ["", ".low"])
def test_audio_in_all_its_places(tmp_path: Path, base: str, low: str) -> None:
    write(tmp_path)
    paths = [f"{base}{stem}{low}.mp3" for stem in ("14/214", "15/215")]
    touch(tmp_path, *paths, f"{base}99/99.mp3")
    listing = listed(tmp_path, audio=True)
    assert [clip.path for clip in listing.clips] == paths
    assert [(r.path, r.reason, r.split) for r in listing.rejects] == [
        ("16/316.mp3", "missing", "test")
    ]
    assert f"1 audio files that the tables read do not name: {base}99/99.mp3" in listing.notes
    assert ("2 of 2 tracks are low-quality copies (.low.mp3)" in listing.notes) == bool(low)


def test_the_full_file_is_taken_over_the_low_one(tmp_path: Path) -> None:
    write(tmp_path)
    touch(tmp_path, "14/214.low.mp3", "raw_30s/audio/14/214.mp3")
    assert listed(tmp_path, audio=True).clips[0].path == "raw_30s/audio/14/214.mp3"


def test_metadata_elsewhere_and_no_audio_at_all(tmp_path: Path) -> None:
    write(tmp_path / "meta")
    touch(tmp_path / "audio", "14/214.mp3")
    assert len(listed(tmp_path / "audio", audio=True, metadata=tmp_path / "meta").clips) == 1
    (tmp_path / "audio" / "14" / "214.mp3").unlink()
    with pytest.raises(ManifestError, match=r"expected audio such as 14/214\.mp3 in .* none of 3"):
        listed(tmp_path / "audio", audio=True, metadata=tmp_path / "meta")


LICENCES = """14/214.mp3
CC BY 4.0 blues by Some Artist from Jamendo: http://www.jamendo.com/track/214
Available under a Creative Commons license: http://creativecommons.org/licenses/by-nc-sa/3.0/

15/215.mp3
Song by Artist from Jamendo: http://www.jamendo.com/track/215
Available under a Creative Commons license: http://creativecommons.org/licenses/by-nd/2.5/
"""


@pytest.mark.parametrize(
    "place", ["audio_licenses.txt", "data/audio_licenses.txt", "x/audio_licenses.txt"]
)
def test_licences_of_the_official_blocks(tmp_path: Path, place: str) -> None:
    write(tmp_path)
    touch(tmp_path, place)
    (tmp_path / place).write_text(LICENCES)
    listing = listed(tmp_path)
    assert [clip.licence for clip in listing.clips] == ["CC-BY-NC-SA-3.0", "CC-BY-ND-2.5", ""]
    assert f"{place}: licences of 2 tracks" in listing.notes
    assert "1 tracks have no licence line" in listing.notes


def test_licences_of_the_audio_root_serve_too(tmp_path: Path) -> None:
    write(tmp_path / "meta")
    touch(tmp_path / "audio", "14/214.mp3")
    (tmp_path / "audio" / "audio_licenses.txt").write_text(LICENCES)
    listing = listed(tmp_path / "audio", audio=True, metadata=tmp_path / "meta")
    assert listing.clips[0].licence == "CC-BY-NC-SA-3.0"


@pytest.mark.parametrize(
    "line",
    [
        "track_0000214\tCC BY-SA 3.0",
        "14/214.low.mp3,http://creativecommons.org/licenses/by-sa/3.0/",
        "14/214.mp3 by X (http://www.jamendo.com/track/9) CC BY-SA 3.0",
    ],
)
def test_other_forms_of_the_licence_file(tmp_path: Path, line: str) -> None:
    (tmp_path / "audio_licenses.txt").write_text(line + "\n")
    licences, _ = read_licences([FileTree(tmp_path)])
    assert licences == {"track_0000214": "CC-BY-SA-3.0"}


def test_a_licence_file_of_unknown_form_is_a_note(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "audio_licenses.txt").write_text("nothing of use\n")
    notes = listed(tmp_path).notes
    assert any("audio_licenses.txt: expected tracks and Creative Commons" in n for n in notes)


def test_checksum_lists_give_duplicates_without_audio(tmp_path: Path) -> None:
    write(tmp_path)
    lists = tmp_path / "data" / "download"
    lists.mkdir()
    (lists / "x_audio-low_sha256_tracks.txt").write_text(f"{'a' * 64} 14/214.low.mp3\n")
    (lists / "x_melspecs_sha256_tracks.txt").write_text(f"{'b' * 64} 14/214.npy\n")
    assert read_checksums(FileTree(tmp_path)) == {"track_0000214": "a" * 64}
    (lists / "x_audio_sha256_tracks.txt").write_text(
        f"{'c' * 64}  14/214.mp3\n{'c' * 64} 16/316.mp3\n{'d' * 64} *./15/215.mp3\nodd line\n"
    )
    assert set(read_checksums(FileTree(tmp_path)).values()) == {"c" * 64, "d" * 64}
    notes = listed(tmp_path).notes
    assert "1 groups of byte-identical files, 2 clips" in notes
    pair = "train|test 1 (track_0000214 = track_0000316)"
    assert f"byte-identical files in two splits: {pair}" in notes
