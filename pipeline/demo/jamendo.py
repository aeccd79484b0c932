"""MTG-Jamendo in little: tracks with genre, instrument and mood/theme tags, five splits.

Layout and formats as in the official repository: TSV files with CRLF line ends and as many tag
columns as a track has tags, artists in one part of a split only, tags that the splits discard, a
track that two artists uploaded. Audio is 44.1 kHz MP3: stereo ``NN/ID.mp3``, or the mono
``NN/ID.low.mp3`` of the low-quality copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.demo.encoding import Encoding
from pipeline.demo.plans import AudioFile, CorpusPlan, MusicContent
from pipeline.demo.seeding import generator_for
from pipeline.demo.traits import Traits, deal_traits

_HEADER: Final = ("TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS")
_CATEGORIES: Final = {"": "", "_genre": "genre---", "_moodtheme": "mood/theme---"}
_PARTS: Final = ("train", "validation", "test")
_N_SPLITS: Final = 5
_DISCARDED: Final = frozenset({"genre---tribal", "mood/theme---mellow"})
"""Two of the twelve tags that are in the official tables, but in no split."""

_N_FIXED: Final = 14
"""Artists with three tracks each, in the training part of every split."""
_N_MOVING: Final = 10
"""Artists with two tracks each, in other parts from split to split."""

# Places of the special tracks, all of fixed artists except the copy, which split 0 tests on.
_ORIGINAL, _CUT, _RAGGED, _GENRE_ONLY, _MOOD_ONLY, _LONG = 0, 3, 7, 10, 12, 16
_COPY: Final = 3 * _N_FIXED
_SONGS_PER_ARTIST: Final = 3
"""Of the further songs, whose artists come after those above."""
_LICENCES: Final = ("by-nc-sa/3.0", "by-sa/3.0", "by-nc-nd/3.0", "by/3.0", "by-nc-nd/2.5")


@dataclass(frozen=True)
class _Track:
    number: int
    artist: int
    duration_s: float
    traits: Traits
    low: bool = False
    breakage: str = ""
    name: str = ""
    only: str = ""

    @property
    def track_id(self) -> str:
        return f"track_{self.number:07d}"

    @property
    def path(self) -> str:
        return f"{self.number % 100:02d}/{self.number}.mp3"

    @property
    def tags(self) -> tuple[str, ...]:
        tags = jamendo_tags(self.traits)
        return tuple(tag for tag in tags if not self.only or tag.startswith(self.only))

    def audio(self) -> AudioFile:
        song = f"mtg-jamendo/{self.name or self.number}"
        encoding = Encoding("MP3", 44_100, 2, "96k")
        path = self.path
        if self.low:
            encoding = Encoding("MP3", 44_100, 1, "vbr")
            path = path.replace(".mp3", ".low.mp3")
        content = MusicContent(self.traits, song)
        return AudioFile(path, content, self.duration_s, encoding, self.breakage, song)


def jamendo_tags(traits: Traits) -> tuple[str, ...]:
    """Return genre, instrument and mood/theme tags of a song by MTG-Jamendo's names, sorted."""
    by_style = {
        "plain": (),
        "drums": ("genre---rock" if traits.dynamics == "loud" else "genre---pop",
                  "instrument---drums", "mood/theme---upbeat"),
        "techno": ("genre---techno", "genre---electronic", "instrument---drummachine",
                   "mood/theme---party"),
        "ambient": ("genre---ambient", "instrument---pad", "mood/theme---space"),
        "indian": ("genre---world", "genre---tribal", "mood/theme---meditative"),
    }  # fmt: skip
    by_instrument = {
        "guitar": ("genre---folk", "instrument---guitar"),
        "piano": ("instrument---piano", "mood/theme---romantic"),
        "strings": ("genre---orchestral", "instrument---strings"),
        "flute": ("genre---celtic", "instrument---flute"),
        "harpsichord": ("genre---classical", "instrument---keyboard"),
        "synth": ("genre---electronic", "instrument---synthesizer"),
        "sitar": ("genre---ethno",),
    }
    by_pace = {
        "slow": ("mood/theme---slow",), "fast": ("mood/theme---fast", "mood/theme---energetic"),
        "quiet": ("mood/theme---soft", "mood/theme---mellow"), "loud": ("mood/theme---powerful",),
        "choir": ("genre---choir",), "male": ("instrument---voice",),
        "female": ("instrument---voice",),
    }  # fmt: skip
    tags = set(by_style[traits.style])
    for instrument in traits.instruments:
        tags.update(by_instrument[instrument])
    for word in (traits.tempo, traits.dynamics, traits.voice):
        tags.update(by_pace.get(word, ()))
    # Every track of the set has a genre and a mood that survive in the splits.
    for category, default in (("genre---", "instrumentalpop"), ("mood/theme---", "melodic")):
        if not any(tag.startswith(category) for tag in tags - _DISCARDED):
            tags.add(category + default)
    return tuple(sorted(tags))


def plan_jamendo(seed: int, pretrain_songs: int = 0) -> CorpusPlan:
    """Plan the corpus: tracks, tables, splits, licences, and what is broken.

    Args:
        seed: seed of the corpora.
        pretrain_songs: further songs, in the training part of every split.

    Returns:
        The plan; audio is rendered later.
    """
    tracks = _tracks(seed)
    tracks = (*tracks, *_further_tracks(seed, pretrain_songs, tracks))
    ragged = tracks[_RAGGED]
    in_order = sorted(tracks, key=lambda track: track.number)
    texts = {}
    for suffix, prefix in _CATEGORIES.items():
        cut_row = ragged if suffix == "_genre" else None
        texts[f"data/autotagging{suffix}.tsv"] = _table(in_order, prefix, cut_row=cut_row)
        for split in range(_N_SPLITS):
            for part in _PARTS:
                rows = [track for track in in_order if _part(track.artist, split) == part]
                path = f"data/splits/split-{split}/autotagging{suffix}-{part}.tsv"
                texts[path] = _table(rows, prefix, drop=_DISCARDED)
    moods = sorted({tag for track in tracks for tag in track.tags if tag.startswith("mood")})
    texts["data/tags/moodtheme.txt"] = "".join(f"{tag}\n" for tag in moods)
    kept = [tag for tag in moods if tag not in _DISCARDED]
    texts["data/tags/moodtheme_split.txt"] = "".join(f"{tag}\n" for tag in kept)
    texts["audio_licenses.txt"] = _licences(in_order)
    files = tuple(track.audio() for track in tracks)
    rejects = (("data/autotagging_genre.tsv", "ragged"),)
    return CorpusPlan("mtg-jamendo", "mtg-jamendo", files, texts, rejects)


def _tracks(seed: int) -> tuple[_Track, ...]:
    rng = generator_for(seed, "mtg-jamendo", "tracks")
    artists = [*np.repeat(np.arange(_N_FIXED), 3), *np.repeat(_N_FIXED + np.arange(_N_MOVING), 2)]
    numbers = 214 + rng.choice(1_420_000, len(artists), replace=False)
    traits = deal_traits(len(artists), rng)
    tracks: list[_Track] = []
    for i, (number, artist, song) in enumerate(zip(numbers, artists, traits, strict=True)):
        if i == _COPY:
            first = tracks[_ORIGINAL]
            name = str(first.number)
            copy = _Track(int(number), int(artist), first.duration_s, first.traits, name=name)
            tracks.append(copy)
            continue
        tracks.append(
            _Track(
                int(number),
                int(artist),
                70.0 if i == _LONG else round(float(rng.uniform(12.0, 13.0)), 1),
                song,
                low=i % 3 == 2,
                breakage="cut" if i == _CUT else "",
                only={_GENRE_ONLY: "genre", _MOOD_ONLY: "mood"}.get(i, ""),
            )
        )
    return tuple(tracks)


def _further_tracks(seed: int, n: int, others: Sequence[_Track]) -> tuple[_Track, ...]:
    """Deal further songs of one excerpt each: contrastive learning needs many songs, not long ones.

    Args:
        seed: seed of the corpora.
        n: how many.
        others: the tracks whose numbers are taken.
    """
    rng = generator_for(seed, "mtg-jamendo", "further tracks")
    songs = deal_traits(n, rng) if n else ()
    taken = {track.number for track in others}
    numbers = [number for number in 214 + rng.permutation(1_420_000) if int(number) not in taken]
    first_artist = _N_FIXED + _N_MOVING
    return tuple(
        _Track(
            int(number),
            first_artist + i // _SONGS_PER_ARTIST,
            round(float(rng.uniform(4.5, 5.0)), 1),
            song,
            low=i % 3 == 2,
        )
        for i, (number, song) in enumerate(zip(numbers[:n], songs, strict=True))
    )


def _part(artist: int, split: int) -> str:
    """Return the part of a split that an artist is in; artists move on by two per split."""
    if artist < _N_FIXED or artist >= _N_FIXED + _N_MOVING:
        return "train"
    place = (artist - _N_FIXED - 2 * split) % _N_MOVING
    return "test" if place < 3 else "validation" if place < 6 else "train"


def _table(
    tracks: Iterable[_Track],
    prefix: str,
    drop: frozenset[str] = frozenset(),
    cut_row: _Track | None = None,
) -> str:
    """Write a table of the tracks that have a tag of the category; CRLF, ragged tag columns."""
    lines = ["\t".join(_HEADER)]
    for track in tracks:
        tags = [tag for tag in track.tags if tag.startswith(prefix) and tag not in drop]
        about = [track.track_id, f"artist_{track.artist + 5:06d}", f"album_{track.artist + 31:06d}"]
        cells = [*about, track.path, f"{track.duration_s:.1f}", *tags]
        if tags:
            # The broken row ends after the path, as if the line had been torn off.
            lines.append("\t".join(cells[:4] if track is cut_row else cells))
    return "".join(f"{line}\r\n" for line in lines)


def _licences(tracks: Iterable[_Track]) -> str:
    blocks = []
    for i, track in enumerate(tracks):
        url = f"http://creativecommons.org/licenses/{_LICENCES[i % len(_LICENCES)]}/"
        page = f"https://example.org/track/{track.number}"
        blocks.append(f'{track.path}\n"Track {track.number}" ({page})\n{url}\n\n')
    return "".join(blocks)
