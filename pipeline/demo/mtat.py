"""MagnaTagATune in little: 150 songs of three 9-second clips, tags by its own names.

Layout and formats as in the official download: ``annotations_final.csv`` and
``clip_info_final.csv`` (TAB-separated, every field quoted) and one folder per hexadecimal digit,
0 to b for training, c for validation, d to f for testing; no song lies in two folders, some artists
do. Audio is 16 kHz mono MP3 at 32 kbps.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from importlib import resources
from typing import Final

import numpy as np

from pipeline.demo.encoding import Encoding
from pipeline.demo.names import invented_names, slug
from pipeline.demo.plans import AudioFile, CorpusPlan, MusicContent
from pipeline.demo.seeding import generator_for
from pipeline.demo.traits import BELLS, Traits, deal_traits, mtat_tags

CLIP_S: Final = 9.05
"""Length of a clip; its file name says 9 s, as the official names say 29 s of 29.1 s."""

_WINDOW_S: Final = 9
_CLIPS_PER_SONG: Final = 3
_TRAIN_DIRS: Final = "0123456789ab"
_GROUPS: Final = (("train", _TRAIN_DIRS, 98, 2), ("valid", "c", 14, 0), ("test", "def", 35, 1))
"""Split, its folders, its songs, and further songs with none of the fifty frequent tags."""

_N_ARTISTS: Final = {"train": 40, "valid": 8, "test": 28}
_SHARED_ARTISTS: Final = 4
"""Artists of the training set who are heard in testing, too: the official folders leak as well."""

_BROKEN: Final = {
    "train": ("empty", "cut", "holed", "headerless vbr", "silent", "renamed"),
    "valid": (),
    "test": ("undecodable",),
}
_CLIP_INFO: Final = (
    "clip_id", "track_number", "title", "artist", "album", "url", "segmentStart", "segmentEnd",
    "original_url", "mp3_path",
)  # fmt: skip


@dataclass(frozen=True)
class _Song:
    split: str
    folder: str
    artist: str
    album: str
    track_number: int
    title: str
    traits: Traits

    @property
    def stem(self) -> str:
        number = f"{self.track_number:02d}"
        return "-".join((slug(self.artist), slug(self.album), number, slug(self.title)))


@dataclass(frozen=True)
class _Clip:
    clip_id: int
    song: _Song
    start_s: int
    tags: tuple[str, ...]
    breakage: str = ""

    @property
    def path(self) -> str:
        stop_s = self.start_s + _WINDOW_S
        return f"{self.song.folder}/{self.song.stem}-{self.start_s}-{stop_s}.mp3"


def tag_names() -> tuple[str, ...]:
    """Return the 188 tags in the order of the columns of ``annotations_final.csv``."""
    text = resources.files("manifests").joinpath("tags/mtat-188.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def plan_mtat(seed: int, train_scale: int = 1) -> CorpusPlan:
    """Plan the corpus: songs, clips, the two CSV files, and what is broken.

    Args:
        seed: seed of the corpora.
        train_scale: factor on the regular training songs; the others stay as they are.

    Returns:
        The plan; audio is rendered later.
    """
    songs = (*_songs(seed), *_further_songs(seed, train_scale - 1))
    clips = _clips(songs, generator_for(seed, "mtat", "clips"))
    encoding = Encoding("MP3", 16_000, 1, "32k")
    files = tuple(
        AudioFile(
            clip.path,
            MusicContent(clip.song.traits, f"mtat/{clip.song.stem}"),
            CLIP_S,
            encoding,
            clip.breakage,
        )
        for clip in clips
    )
    ragged = next(
        c for c in clips if c.song.split == "train" and not c.breakage and len(c.tags) > 3
    )
    tested = next(c for c in clips if c.song.split == "test")
    missing = _Clip(clips[-1].clip_id + 7, tested.song, 32 * _WINDOW_S, tested.tags)
    texts = {
        "annotations_final.csv": _annotations((*clips, missing), ragged),
        "clip_info_final.csv": _clip_info((*clips, missing)),
    }
    rejects = (("annotations_final.csv", "ragged"), (missing.path, "missing"))
    return CorpusPlan("mtat", "magnatagatune", files, texts, rejects)


def _songs(seed: int) -> tuple[_Song, ...]:
    rng = generator_for(seed, "mtat", "songs")
    names = iter(invented_names(400, rng))
    artists = {split: [next(names) for _ in range(n)] for split, n in _N_ARTISTS.items()}
    artists["test"][:_SHARED_ARTISTS] = artists["train"][:_SHARED_ARTISTS]
    songs: list[_Song] = []
    for split, folders, n_regular, n_bells in _GROUPS:
        traits = (*deal_traits(n_regular, generator_for(seed, "mtat", split)), *(BELLS,) * n_bells)
        for i, song_traits in enumerate(traits):
            artist = artists[split][i % len(artists[split])]
            songs.append(
                _Song(
                    split,
                    folders[i % len(folders)],
                    artist,
                    next(names) if i < len(artists[split]) else _album_of(artist, songs),
                    1 + i // len(artists[split]),
                    next(names),
                    song_traits,
                )
            )
    return tuple(songs)


def _further_songs(seed: int, n_times: int) -> tuple[_Song, ...]:
    """Deal further training songs, each artist with one album."""
    split, folders, n_regular, _ = _GROUPS[0]
    n = n_times * n_regular
    rng = generator_for(seed, "mtat", "further songs")
    n_artists = n_times * _N_ARTISTS[split]
    artists, titles = invented_names(n_artists, rng, "II"), invented_names(n, rng, "III")
    traits = deal_traits(n, generator_for(seed, "mtat", "further", split)) if n else ()
    return tuple(
        _Song(
            split,
            folders[i % len(folders)],
            artists[i % n_artists],
            f"{artists[i % n_artists]} Sings",
            1 + i // n_artists,
            titles[i],
            song_traits,
        )
        for i, song_traits in enumerate(traits)
    )


def _album_of(artist: str, songs: list[_Song]) -> str:
    return next(song.album for song in reversed(songs) if song.artist == artist)


def _clips(songs: tuple[_Song, ...], rng: np.random.Generator) -> tuple[_Clip, ...]:
    """Cut three windows of each song, leave a few without tags, mark the broken ones."""
    clips: list[_Clip] = []
    clip_id = 2
    broken = {split: list(kinds) for split, kinds in _BROKEN.items()}
    for song in songs:
        starts = sorted(rng.permutation(20)[:_CLIPS_PER_SONG] * _WINDOW_S)
        for i, start in enumerate(starts):
            tags = mtat_tags(song.traits)
            if song.traits == BELLS:
                tags = ("bells", "chimes") if i else ()
            breakage = ""
            if i == 1 and song.traits != BELLS and broken[song.split]:
                breakage = broken[song.split].pop(0)
            clips.append(_Clip(clip_id, song, int(start), tags, breakage))
            clip_id += int(rng.integers(1, 9))
    return tuple(clips)


def _table(rows: list[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    return out.getvalue()


def _annotations(clips: tuple[_Clip, ...], ragged: _Clip) -> str:
    names = tag_names()
    rows = [["clip_id", *names, "mp3_path"]]
    for clip in clips:
        marks = ["1" if name in clip.tags else "0" for name in names]
        # Columns that were lost from the middle: the tags after them can not be told any more.
        marks = marks[:90] + marks[97:] if clip is ragged else marks
        rows.append([str(clip.clip_id), *marks, clip.path])
    return _table(rows)


def _clip_info(clips: tuple[_Clip, ...]) -> str:
    """Write the second table; like the official one it has rows of clips without a file."""
    rows = [list(_CLIP_INFO)]
    for clip in clips:
        song = clip.song
        url = f"https://example.org/artists/{slug(song.artist)}"
        start, stop = str(clip.start_s), str(clip.start_s + _WINDOW_S)
        about = [str(song.track_number), song.title, song.artist, song.album, url]
        original = f"{url}/{song.stem}.mp3"
        rows.append([str(clip.clip_id), *about, start, stop, original, clip.path])
        if clip.clip_id % 11 == 0:
            rest = [str(clip.start_s + 900), str(clip.start_s + 909), original, ""]
            rows.append([str(clip.clip_id + 100_000), *about, *rest])
    return _table(rows)
