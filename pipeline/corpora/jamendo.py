"""MTG-Jamendo: full tracks under Creative Commons with genre, instrument and mood/theme tags.

The thesis' set, reproduced to the track: ids in both ``autotagging_genre.tsv`` and
``autotagging_moodtheme.tsv`` (18,255 tracks, 1,108.8 h), with the 87 genre and 56 mood/theme tags
that survive in the splits. Tags keep their category: ``genre---rock``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from manifests.errors import ManifestError
from manifests.rows import Clip, Reject
from pipeline.corpora.checked_in import JAMENDO_GENRE_MOODTHEME, checked_in_list
from pipeline.corpora.duplicates import duplicate_groups, duplicate_notes
from pipeline.corpora.files import FileTree, base_name
from pipeline.corpora.jamendo_tables import (
    PARTS,
    Track,
    read_checksums,
    read_licences,
    read_split_parts,
    read_tracks,
)
from pipeline.corpora.listing import CorpusOption, Listing, chosen_options, make_listing
from pipeline.corpora.metadata_rows import missing_file, require_file
from pipeline.corpora.presence import locate, place_clips, require_some, unknown_files

NAME: Final = "mtg-jamendo"
TITLE: Final = "MTG-Jamendo"
CITATION: Final = """@inproceedings{bogdanov2019mtg,
  title = {The {MTG-Jamendo} Dataset for Automatic Music Tagging},
  author = {Bogdanov, Dmitry and Won, Minz and Tovstogan, Philip and Porter, Alastair and
            Serra, Xavier},
  booktitle = {Machine Learning for Music Discovery Workshop, ICML},
  year = {2019}
}"""
LICENCE: Final = (
    "audio: Creative Commons, per track (audio_licenses.txt); metadata: CC-BY-NC-SA-4.0"
)
URL: Final = "https://github.com/MTG/mtg-jamendo-dataset"
LAYOUT: Final = """
data/autotagging*.tsv (metadata of the upstream repository)
data/splits/split-N/autotagging*-{train,validation,test}.tsv
audio NN/ID.mp3 or NN/ID.low.mp3, also under audio/, audio-low/, raw_30s/audio/, raw_30s/audio-low/
audio_licenses.txt (optional)
"""
ROLE: Final = ("music",)
DEFAULT_TAGS: Final = "thesis"
MISSING_IS_NORMAL: Final = False
OPTIONS: Final = (
    CorpusOption(
        "jamendo_split_number",
        0,
        "which of the five official splits, 0 to 4",
        choices=("0", "1", "2", "3", "4"),
        kind=int,
    ),
    CorpusOption(
        "jamendo_subset",
        "thesis",
        "thesis: the 18,255 tracks with genre and mood/theme tags, those tags alone; all: every "
        "track of the split (55,525), instrument tags too",
        choices=("thesis", "all"),
    ),
)

GENRE: Final = "autotagging_genre.tsv"
MOOD: Final = "autotagging_moodtheme.tsv"
BASES: Final = ("", "audio/", "raw_30s/audio/", "audio-low/", "raw_30s/audio-low/")
"""Where the folders 00 to 99 may lie below the root."""


def list_clips(
    tree: FileTree, metadata: FileTree, options: Mapping[str, Any], *, with_audio: bool = True
) -> Listing:
    """List the tracks of MTG-Jamendo.

    A full-quality file is taken over the low one of the same track.

    Args:
        tree: the corpus root.
        metadata: folder that holds ``data/`` or the TSV files themselves.
        options: ``jamendo_split_number``, ``jamendo_subset``.
        with_audio: look for the files; without it paths are those of the metadata.

    Raises:
        ManifestError: a table is missing or unusable, or no audio is there at all.
        UsageError: an option's value is not allowed.
    """
    chosen = chosen_options(OPTIONS, options, prefix="jamendo_")
    rejects: list[Reject] = []
    split_number = int(chosen["jamendo_split_number"])
    if chosen["jamendo_subset"] == "thesis":
        parts, tracks, known = _thesis_tracks(metadata, split_number, rejects)
    else:
        parts, tracks, known = _all_tracks(metadata, split_number, rejects)
    licences, notes = read_licences((metadata, tree))
    clips = [
        _clip(track, parts[track_id], licences.get(track_id, ""))
        for track_id, track in tracks.items()
    ]
    if licences and (without := sum(not clip.licence for clip in clips)):
        notes.append(f"{without:,} tracks have no licence line")
    hours = sum(clip.expected_s for clip in clips) / 3600
    notes.append(f"split-{split_number}, {hours:,.2f} h by the metadata")
    if not with_audio:
        # With audio the scan looks at the hashes of the files themselves.
        notes += duplicate_notes(duplicate_groups(clips, read_checksums(metadata)))
    else:
        wanted = clips
        clips, lost = place_clips(wanted, (locate(tree, _places(clip.path)) for clip in wanted))
        require_some(clips, wanted, corpus=NAME, tree=tree, layout=LAYOUT)
        rejects += lost
        if low := sum(clip.path.endswith(".low.mp3") for clip in clips):
            notes.append(f"{low:,} of {len(clips):,} tracks are low-quality copies (.low.mp3)")
        notes += unknown_files(tree, {place for path in known for place in _places(path)})
    return make_listing(clips, rejects, notes, licence=LICENCE, trees=(tree, metadata))


def _metadata_base(metadata: FileTree, name: str) -> str:
    """Return the folder of the TSV files below the metadata root, with its slash, or empty."""
    rel = require_file(metadata, (f"data/{name}", name), corpus=NAME, layout=LAYOUT)
    return rel.removesuffix(base_name(rel))


def _thesis_tracks(
    metadata: FileTree, split_number: int, rejects: list[Reject]
) -> tuple[dict[str, str], dict[str, Track], set[str]]:
    """Return split and track by id, and every path that the tables know."""
    base = _metadata_base(metadata, GENRE)
    require_file(metadata, (base + MOOD,), corpus=NAME, layout=LAYOUT)
    genre = read_tracks(metadata, base + GENRE, rejects)
    mood = read_tracks(metadata, base + MOOD, rejects)
    kinds = _split_kinds(metadata, base, split_number, (("",), ("_genre", "_moodtheme")))
    parts, in_split = read_split_parts(metadata, base, split_number, kinds, rejects)
    kept_tags = frozenset(checked_in_list(JAMENDO_GENRE_MOODTHEME))
    tracks: dict[str, Track] = {}
    rejected = {reject.clip_id for reject in rejects}
    for track_id in genre:
        if track_id not in mood:
            continue
        tags = kept_tags.intersection(genre[track_id].tags + mood[track_id].tags)
        track = replace(genre[track_id], tags=tuple(sorted(tags)))
        if track_id in parts:
            tracks[track_id] = track
        elif track_id not in rejected:
            rejects.append(_without_split(track, split_number))
    if not tracks:
        raise ManifestError(
            f"{NAME}: expected tracks that have genre and mood/theme tags and are in "
            f"split-{split_number}, got none; fetch the metadata again"
        )
    known = {track.path for table in (genre, mood, in_split) for track in table.values()}
    return parts, tracks, known


def _all_tracks(
    metadata: FileTree, split_number: int, rejects: list[Reject]
) -> tuple[dict[str, str], dict[str, Track], set[str]]:
    """The same for every track of the split, with the 183 tags that survive in it."""
    base = "data/" if metadata.under("data/splits") else ""
    kinds = _split_kinds(
        metadata, base, split_number, (("",), ("_genre", "_instrument", "_moodtheme"))
    )
    parts, tracks = read_split_parts(metadata, base, split_number, kinds, rejects)
    return parts, tracks, {track.path for track in tracks.values()}


def _split_kinds(
    metadata: FileTree, base: str, split_number: int, choices: tuple[tuple[str, ...], ...]
) -> tuple[str, ...]:
    """Return the first of the choices whose split files are all there.

    Raises:
        ManifestError: none is complete; one line with the first file that is missing.
    """
    folder = f"{base}splits/split-{split_number}/"
    for kinds in choices:
        names = [f"{folder}autotagging{kind}-{part}.tsv" for kind in kinds for part, _ in PARTS]
        if all(metadata.exists(name) for name in names):
            return kinds
    lacking = next(
        name for part, _ in PARTS if not metadata.exists(name := f"{folder}autotagging-{part}.tsv")
    )
    raise missing_file(metadata, (lacking,), corpus=NAME, layout=LAYOUT)


def _without_split(track: Track, split_number: int) -> Reject:
    return Reject(
        corpus=NAME,
        clip_id=track.track_id,
        path=track.path,
        stage="metadata",
        reason="no-split",
        detail=f"expected {track.track_id} in a part of split-{split_number}, got it in none",
        tags=track.tags,
    )


def _clip(track: Track, split: str, licence: str) -> Clip:
    return Clip(
        corpus=NAME,
        clip_id=track.track_id,
        path=track.path,
        song=track.track_id,
        artist=track.artist_id,
        split=split,
        tags=track.tags,
        licence=licence,
        expected_s=track.duration_s,
    )


def _places(path: str) -> list[str]:
    """Return where a track may lie: the full file in every folder first, then the low one."""
    low = path.removesuffix(".mp3") + ".low.mp3"
    return [base + name for name in (path, low) for base in BASES]
