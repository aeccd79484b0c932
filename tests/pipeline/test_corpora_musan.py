"""MUSAN: trees of empty files named as the real ones, and the real LICENSE files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from manifests.errors import ManifestError, UsageError
from pipeline.corpora import FileTree, musan
from pipeline.corpora.listing import Listing
from pipeline.corpora.musan_licences import annotated_artists, background_ids, read_credits

SOUND_BIBLE = """noise-sound-bible-0001
Title: Public Domain Radio
License: Attribution 3.0
Recorded by Mike Koenig
http://soundbible.com/1.html
========================================================================
noise-sound-bible-0002
Title: Hammering
License: Public Domain
Recorded: Ann Lee
"""


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def official_noise(base: str = "") -> list[str]:
    free = [f"{base}noise/free-sound/noise-free-sound-{i:04d}.wav" for i in range(843)]
    bible = [f"{base}noise/sound-bible/noise-sound-bible-{i:04d}.wav" for i in range(87)]
    return free + bible


def listed(
    root: Path, *, audio: bool = True, metadata: Path | None = None, **options: str
) -> Listing:
    tree = FileTree(root)
    return musan.list_clips(
        tree, FileTree(metadata) if metadata else tree, options, with_audio=audio
    )


@pytest.mark.parametrize("base", ["", "musan/"])
def test_929_noises_as_in_the_paper(tmp_path: Path, base: str) -> None:
    touch(tmp_path, *official_noise(base))
    touch(tmp_path, f"{base}speech/us-gov/speech-us-gov-0000.wav", f"{base}README")
    listing = listed(tmp_path)
    assert len(listing.clips) == 929 and listing.rejects == ()
    assert {clip.split for clip in listing.clips} == {"any"}
    assert len(listed(tmp_path, musan_unlicensed="keep").clips) == 930
    assert any(note.startswith("noise-sound-bible-0000 left out") for note in listing.notes)
    assert "noise/sound-bible: 86 of 87 official files" in listing.notes
    clip = next(c for c in listing.clips if c.clip_id == "noise-free-sound-0007")
    assert clip.path == f"{base}noise/free-sound/noise-free-sound-0007.wav"
    assert (clip.tags, clip.song, clip.expected_s) == (("noise/free-sound",), clip.clip_id, 0.0)


def test_without_audio_the_official_names_are_listed(tmp_path: Path) -> None:
    listing = listed(tmp_path, audio=False)
    assert [clip.path for clip in listing.clips] == sorted(
        path for path in official_noise() if "bible-0000" not in path
    )
    assert len(listed(tmp_path, audio=False, musan_subset="speech").clips) == 426


def test_subset(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "noise/free-sound/noise-free-sound-0000.wav",
        "speech/librivox/speech-librivox-0000.wav",
        "music/rfm/music-rfm-0000.wav",
        "music/fma-western-art/music-fma-wa-0000.WAV",
    )
    assert [c.clip_id for c in listed(tmp_path, musan_subset="noise, speech").clips] == [
        "noise-free-sound-0000",
        "speech-librivox-0000",
    ]
    assert [c.clip_id for c in listed(tmp_path, musan_subset="music").clips] == [
        "music-fma-wa-0000",
        "music-rfm-0000",
    ]
    with pytest.raises(UsageError, match="--musan-subset: expected noise, speech, music, got 'x'"):
        listed(tmp_path, musan_subset="noise,x")
    with pytest.raises(UsageError, match="--musan-unlicensed: expected one of keep, drop"):
        listed(tmp_path, musan_unlicensed="maybe")


def test_licences_authors_and_background(tmp_path: Path) -> None:
    touch(tmp_path, *official_noise()[:3], *official_noise()[843:847])
    bible = tmp_path / "noise" / "sound-bible"
    (bible / "LICENSE").write_text(SOUND_BIBLE)
    free = tmp_path / "noise" / "free-sound"
    (free / "LICENSE").write_text("All selected recordings were marked as in the Public Domain\n")
    (free / "ANNOTATIONS").write_text("Background noises:\nnoise-free-sound-0001\n")
    listing = listed(tmp_path, musan_unlicensed="keep")
    facts = {clip.clip_id: (clip.licence, clip.artist, clip.tags) for clip in listing.clips}
    assert facts == {
        "noise-free-sound-0000": ("Public-Domain", "", ("noise/free-sound",)),
        "noise-free-sound-0001": ("Public-Domain", "", ("background", "noise/free-sound")),
        "noise-free-sound-0002": ("Public-Domain", "", ("noise/free-sound",)),
        "noise-sound-bible-0000": ("", "", ("noise/sound-bible",)),
        "noise-sound-bible-0001": ("CC-BY-3.0", "Mike Koenig", ("noise/sound-bible",)),
        "noise-sound-bible-0002": ("Public-Domain", "Ann Lee", ("noise/sound-bible",)),
        "noise-sound-bible-0003": ("", "", ("noise/sound-bible",)),
    }
    assert "2 clips without a licence entry, e.g. noise-sound-bible-0000" in listing.notes


def test_metadata_elsewhere(tmp_path: Path) -> None:
    touch(tmp_path / "audio", *official_noise("musan/")[844:846])
    touch(tmp_path / "meta", "noise/sound-bible/LICENSE")
    (tmp_path / "meta" / "noise" / "sound-bible" / "LICENSE").write_text(SOUND_BIBLE)
    listing = listed(tmp_path / "audio", metadata=tmp_path / "meta")
    assert [clip.licence for clip in listing.clips] == ["CC-BY-3.0", "Public-Domain"]


def test_one_name_in_two_formats_is_one_clip(tmp_path: Path) -> None:
    stem = "noise/free-sound/noise-free-sound-0000"
    touch(tmp_path, f"{stem}.wav", f"{stem}.flac", "noise/free-sound/mine.wav")
    listing = listed(tmp_path)
    assert [clip.path for clip in listing.clips] == [f"{stem}.flac"]
    assert [(r.path, r.reason) for r in listing.rejects] == [(f"{stem}.wav", "duplicate-id")]
    assert (
        "1 audio files that the tables read do not name: noise/free-sound/mine.wav" in listing.notes
    )


def test_no_file_of_the_subset_is_one_line_with_the_layout(tmp_path: Path) -> None:
    touch(tmp_path, "noise/free-sound/noise-free-sound-0000.wav")
    with pytest.raises(ManifestError, match=r"^musan: .* of speech in .*, got none; the folder"):
        listed(tmp_path, musan_subset="speech")


def test_annotations_of_noise_and_of_music() -> None:
    assert background_ids("Background noises:\nnoise-free-sound-0001\n\nx\n") == {
        "noise-free-sound-0001"
    }
    assert background_ids("noise-free-sound-0001\n") == frozenset()
    text = "music-rfm-0000 electronica N Kevin_MacLeod\nspeech-librivox-0000 m english\n"
    assert annotated_artists(text) == {"music-rfm-0000": "Kevin MacLeod"}


def test_a_block_without_ids_gives_the_licence_of_the_folder() -> None:
    found = read_credits(
        'CC BY 3.0\n=====\nmusic-rfm-0001\n"A" (by B)\n=====\nmusic-rfm-0002\nCC0\n'
    )
    assert found.licences == {"music-rfm-0001": "CC-BY-3.0", "music-rfm-0002": "CC0-1.0"}
    assert found.default == "CC-BY-3.0"


# ---- the real files -----------------------------------------------------------------------------


def test_real_licence_files(shared_dir: Path) -> None:
    tree = FileTree(shared_dir / "metadata" / "musan")
    listing = musan.list_clips(tree, tree, {"musan_subset": "noise,speech,music"}, with_audio=False)
    licences = {clip.clip_id: clip.licence for clip in listing.clips}
    bible = [v for k, v in licences.items() if k.startswith("noise-sound-bible")]
    assert Counter(bible) == {"CC-BY-3.0": 66, "Public-Domain": 20}
    assert {v for k, v in licences.items() if k.startswith(("noise-free", "speech"))} == {
        "Public-Domain"
    }
    assert licences["music-rfm-0058"] == "CC-BY-3.0"
    assert licences["music-hd-0037"] == "CC-BY-SA-1.0"
    assert licences["music-fma-wa-0003"] == "CC-BY-SA-3.0-US"
    # Two blocks of music name no licence at all: eight pieces of fma-western-art, four of jamendo.
    without = Counter(k.rpartition("-")[0] for k, v in licences.items() if not v)
    assert without == {"music-fma-wa": 8, "music-jamendo": 4}


def test_real_subset_of_audio(shared_dir: Path) -> None:
    listing = listed(shared_dir / "audio" / "musan-subset", musan_subset="noise,speech,music")
    assert len(listing.clips) == 9 and listing.rejects == ()
    artists = {clip.clip_id: clip.artist for clip in listing.clips}
    assert artists["music-fma-wa-0000"] == "Aaron Dunn"
    assert artists["noise-sound-bible-0001"] in ("Mike Koenig", "Simon Craggs")
