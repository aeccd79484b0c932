"""A user's own folder of audio, with and without a table."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from manifests.errors import ManifestError, UsageError
from pipeline.corpora import FileTree, folder
from pipeline.corpora.listing import Listing


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def listed(root: Path, *, audio: bool = True, **options: object) -> Listing:
    tree = FileTree(root)
    return folder.list_clips(tree, tree, options, with_audio=audio)


def write(root: Path, *rows: str, header: str = "path,split,tags,song,artist,licence") -> None:
    (root / "metadata.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def test_all_audio_below_the_root(tmp_path: Path) -> None:
    names = ["a.wav", "b/c.FLAC", "b/d.ogg", "e.opus", "f.Mp3", "g.aif", "h.aiff", "i.m4a",
             "j.mp4", "k.webm", "l.wma", "m.wave", "n.rf64", "o.w64", "p.oga", "q.mp2", "r.mpga",
             "s.aifc", "t.aac", "u.mkv", "v.au", "w.caf"]  # fmt: skip
    touch(tmp_path, *names, "notes.txt", ".hidden.wav")
    listing = listed(tmp_path)
    assert [clip.path for clip in listing.clips] == names
    clip = listing.clips[1]
    assert (clip.clip_id, clip.song, clip.split, clip.tags) == ("b/c", "b/c", "any", ())
    assert (clip.licence, clip.expected_s, clip.artist) == ("", 0.0, "")


def test_files_that_differ_by_extension_alone_keep_it(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "a.flac", "b.wav", "c.d.wav")
    assert [clip.clip_id for clip in listed(tmp_path).clips] == ["a.flac", "a.wav", "b", "c.d"]


def test_ids_are_whole_paths_where_they_would_be_those_of_others(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "a.flac", "a.wav.flac", "a.wav.flac.ogg", "b.wav.flac")
    listing = listed(tmp_path)
    assert [clip.clip_id for clip in listing.clips] == [
        "a.flac", "a.wav", "a.wav.flac", "a.wav.flac.ogg", "b.wav",
    ]  # fmt: skip
    assert listing.rejects == ()


def test_split_of_files_without_one(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "b.wav")
    assert {c.split for c in listed(tmp_path, folder_split="test").clips} == {"test"}
    write(tmp_path, "a.wav,train,,,,", "b.wav,,,,,")
    assert [c.split for c in listed(tmp_path, folder_split="valid").clips] == ["train", "valid"]
    with pytest.raises(UsageError, match="--folder-split: expected one of train, valid, test, any"):
        listed(tmp_path, folder_split="dev")


def test_a_table_in_the_root_names_the_clips(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "b/c.wav", "extra.wav")
    write(
        tmp_path,
        "b/c.wav,train,rock; happy|rock|,My Song,An Artist,CC BY 4.0",
        "a.wav,test,,,,all rights reserved",
    )
    listing = listed(tmp_path)
    first, second = listing.clips
    assert (first.clip_id, first.song, first.licence) == ("a", "a", "all rights reserved")
    assert (second.clip_id, second.song, second.artist) == ("b/c", "My Song", "An Artist")
    assert (second.tags, second.licence) == (("happy", "rock"), "CC-BY-4.0")
    assert listing.notes[-1] == "1 audio files that the tables read do not name: extra.wav"


def test_a_table_elsewhere_takes_the_place_of_the_one_in_the_root(tmp_path: Path) -> None:
    touch(tmp_path / "audio", "a.wav", "b.wav")
    write(tmp_path / "audio", "a.wav,train,,,,")
    (tmp_path / "mine.csv").write_bytes(b"\xef\xbb\xbftags,path\r\nx,b.wav\r\n")
    listing = listed(tmp_path / "audio", folder_csv=str(tmp_path / "mine.csv"))
    assert [(c.clip_id, c.tags) for c in listing.clips] == [("b", ("x",))]
    with pytest.raises(ManifestError, match=r"nowhere\.csv"):
        listed(tmp_path / "audio", folder_csv=str(tmp_path / "nowhere.csv"))


def test_files_that_do_not_exist_are_rejects_unless_no_audio_is_asked_for(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    write(tmp_path, "a.wav,,,,,", "gone.wav,test,x,,,")
    listing = listed(tmp_path)
    assert [c.clip_id for c in listing.clips] == ["a"]
    assert [(r.clip_id, r.path, r.reason, r.stage, r.split, r.tags) for r in listing.rejects] == [
        ("gone", "gone.wav", "missing", "scan", "test", ("x",))
    ]
    without = listed(tmp_path, audio=False)
    assert [c.path for c in without.clips] == ["a.wav", "gone.wav"] and without.rejects == ()


def test_unknown_columns_are_a_note_and_names_are_free_of_case_and_space(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    write(tmp_path, "a.wav,7,x", header=" Path ,rating, TAGS")
    listing = listed(tmp_path)
    assert "metadata.csv: columns passed over: rating" in listing.notes
    assert listing.clips[0].tags == ("x",)


def test_cells_that_look_like_formulas_are_plain_text(tmp_path: Path) -> None:
    touch(tmp_path, "=1+1.wav")
    write(tmp_path, '=1+1.wav,train,=cmd|@SUM(A1),"=HYPERLINK(""http://x"",""y"")",+1,')
    (clip,) = listed(tmp_path).clips
    assert (clip.clip_id, clip.tags) == ("=1+1", ("=cmd", "@SUM(A1)"))
    assert (clip.song, clip.artist) == ('=HYPERLINK("http://x","y")', "+1")


def test_spellings_of_one_path(tmp_path: Path) -> None:
    composed = unicodedata.normalize("NFC", "café")
    touch(tmp_path, f"b/{unicodedata.normalize('NFD', composed)}.wav", "b/d.wav", "e.wav")
    write(tmp_path, f"b/{composed}.wav,,,,,", "b\\d.wav,,,,,", "./e.wav,,,,,")
    listing = listed(tmp_path)
    assert listing.rejects == ()
    assert [clip.clip_id for clip in listing.clips] == [f"b/{composed}", "b/d", "e"]
    (tmp_path / "metadata.csv").unlink()
    assert [clip.clip_id for clip in listed(tmp_path).clips] == [f"b/{composed}", "b/d", "e"]


def test_a_file_named_twice_is_one_clip(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    write(tmp_path, "a.wav,train,,,,", "./a.wav,test,,,,")
    listing = listed(tmp_path)
    assert [(c.clip_id, c.split) for c in listing.clips] == [("a", "train")]
    assert [(r.clip_id, r.reason) for r in listing.rejects] == [("a", "duplicate-id")]


def test_a_table_that_is_not_utf8(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    (tmp_path / "metadata.csv").write_bytes(b"path,artist\na.wav,Beyonc\xe9\n")
    with pytest.raises(ManifestError, match="expected UTF-8 text, got byte 0xe9"):
        listed(tmp_path)


def test_a_table_of_another_folder_is_a_wrong_folder(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    write(tmp_path, "other/x.wav,,,,,")
    with pytest.raises(ManifestError, match=r"^folder: expected audio such as other/x\.wav in "):
        listed(tmp_path)


def test_real_noises(shared_dir: Path) -> None:
    listing = listed(shared_dir / "audio" / "esc-10")
    assert len(listing.clips) == 100
    assert listing.clips[0].clip_id.startswith("001_dog_bark/")
