"""The tables of MTG-Jamendo: tracks, split parts, licences and checksums of its files.

Formats from MTG/mtg-jamendo-dataset (Bogdanov et al. 2019), ``scripts/commons.py`` and the README.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from manifests.errors import ManifestError
from manifests.rows import Reject
from pipeline.corpora.files import FileTree, base_name
from pipeline.corpora.licences import named_in
from pipeline.corpora.metadata_rows import (
    FETCH_AGAIN,
    BadRowError,
    header_row,
    none_usable,
    parsed_rows,
    read_rows,
)

CORPUS: Final = "mtg-jamendo"
COLUMNS: Final = ("TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS")
LICENCE_FILE: Final = "audio_licenses.txt"
PARTS: Final = (("train", "train"), ("validation", "valid"), ("test", "test"))
"""Upstream's names of the split parts, and ours."""

_TRACK_ID = re.compile(r"track_\d+")
_PATH = re.compile(r"(\d\d/\d+)\.mp3")
_DURATION = re.compile(r"\d+(?:\.\d+)?")
_CHECKSUM = re.compile(r"([0-9a-f]{64})\s+\*?(?:\./)?\d\d/(\d+)(\.low)?\.mp3")
_LICENCE_PATH = re.compile(r"\b\d\d/(\d+)(?:\.low)?\.mp3\b")
_LICENCE_TRACK = re.compile(r"\btrack[_/](\d+)\b")


@dataclass(frozen=True)
class Track:
    """One row of an ``autotagging*.tsv``; ``path`` is ``NN/ID.mp3``, tags are sorted."""

    track_id: str
    artist_id: str
    path: str
    duration_s: float
    tags: tuple[str, ...]


def read_tracks(metadata: FileTree, rel: str, rejects: list[Reject]) -> dict[str, Track]:
    """Return the tracks of a table by id; rows that cannot be used are added to ``rejects``.

    Rows are as long as they have tags: every cell from the column TAGS on is a tag.

    Raises:
        ManifestError: the header is wrong, or no row can be used.
    """
    rows = read_rows(metadata.read_text(rel), delimiter="\t", quoted=False)
    header = header_row(rows, rel=rel)
    if tuple(header) != COLUMNS:
        shown = " ".join(header)[:120]
        raise ManifestError(
            f"{rel}: expected the columns {' '.join(COLUMNS)}, got {shown}; fetch the file again"
        )
    tracks: dict[str, Track] = {}
    for track in parsed_rows(CORPUS, rel, rows, _track, rejects):
        if tracks.setdefault(track.track_id, track) is not track:
            detail = f"{rel}: expected every track once, got {track.track_id} again; first is used"
            rejects.append(Reject(CORPUS, track.track_id, rel, "metadata", "duplicate-id", detail))
    if not tracks:
        raise none_usable(CORPUS, "tracks", rel, rejects, advice=FETCH_AGAIN)
    return tracks


def _track(cells: list[str]) -> Track:
    if len(cells) < len(COLUMNS):
        raise BadRowError(f"{len(COLUMNS)} columns or more", str(len(cells)))
    track_id, artist_id, _, path, duration, *tags = cells
    if not _TRACK_ID.fullmatch(track_id):
        raise BadRowError("a track id such as track_0000214", repr(track_id))
    if not _PATH.fullmatch(path):
        raise BadRowError("a path NN/ID.mp3", repr(path), clip_id=track_id)
    if not _DURATION.fullmatch(duration):
        raise BadRowError("a duration in seconds", repr(duration), clip_id=track_id)
    for tag in tags:
        if "---" not in tag:
            raise BadRowError("tags category---tag", repr(tag), clip_id=track_id)
    return Track(track_id, artist_id, path, float(duration), tuple(sorted(set(tags))))


def read_split_parts(
    metadata: FileTree, base: str, split_number: int, kinds: Sequence[str], rejects: list[Reject]
) -> tuple[dict[str, str], dict[str, Track]]:
    """Return the split of each track, and the tracks with the tags that survive in the split.

    Args:
        metadata: listing of the metadata folder.
        base: folder of the TSV files in it, with its slash, or empty.
        split_number: N of ``splits/split-N``.
        kinds: what stands after ``autotagging`` in the names of the files to join, e.g. ``("",)``
            or ``("_genre", "_moodtheme")``; tags of a track are joined over them.
        rejects: list to add to; a track in two parts stays in the first one.

    Raises:
        ManifestError: a file is missing (one line with its name), or unusable.
    """
    parts: dict[str, str] = {}
    tracks: dict[str, Track] = {}
    for upstream, split in PARTS:
        for kind in kinds:
            rel = f"{base}splits/split-{split_number}/autotagging{kind}-{upstream}.tsv"
            for track_id, track in read_tracks(metadata, rel, rejects).items():
                if parts.setdefault(track_id, split) != split:
                    detail = f"{rel}: expected {track_id} in {parts[track_id]} alone"
                    rejects.append(
                        Reject(CORPUS, track_id, rel, "metadata", "duplicate-id", detail)
                    )
                    continue
                before = tracks.get(track_id, track).tags
                tags = tuple(sorted({*before, *track.tags}))
                tracks[track_id] = replace(track, tags=tags)
    return parts, tracks


def read_licences(trees: Iterable[FileTree]) -> tuple[dict[str, str], list[str]]:
    """Return the licence by track id from ``audio_licenses.txt``, wherever it lies, and notes.

    The file is in blocks: the path ``NN/ID.mp3``, a line with title, artist and page, a line with
    the licence's URL. Lines with a track and a licence together are understood as well.
    """
    for tree in trees:
        rel = next((path for path in tree.paths if base_name(path) == LICENCE_FILE), None)
        if rel is not None:
            licences = _licence_blocks(tree.read_text(rel).split("\n"))
            if licences:
                return licences, [f"{rel}: licences of {len(licences):,} tracks"]
            return {}, [f"{rel}: expected tracks and Creative Commons URLs, got none; not used"]
    return {}, [f"{LICENCE_FILE} not found: licences of the tracks are unknown (a third are ND)"]


def _licence_blocks(lines: Iterable[str]) -> dict[str, str]:
    licences: dict[str, str] = {}
    current = ""
    for line in lines:
        if path := _LICENCE_PATH.search(line):
            current = _track_id(path[1])
        elif not current and (track := _LICENCE_TRACK.search(line)):
            current = _track_id(track[1])
        if not line.strip():
            current = ""
        # A title can hold the words of a licence, so only a URL may replace what was found first.
        licence = named_in(line) if current else ""
        if licence and ("creativecommons.org" in line.lower() or current not in licences):
            licences[current] = licence
    return licences


def _track_id(number: str) -> str:
    return f"track_{int(number):07d}"


def read_checksums(metadata: FileTree) -> dict[str, str]:
    """Return SHA-256 by track id from the ``*sha256_tracks.txt`` lists of MP3 files.

    The low-quality copies have hashes of their own; they are used only where no list of the full
    ones is there. Lists of spectrograms and features name other files and are passed over.
    """
    full: dict[str, str] = {}
    low: dict[str, str] = {}
    for rel in metadata.paths:
        if not rel.endswith("sha256_tracks.txt"):
            continue
        for line in metadata.read_text(rel).split("\n"):
            if match := _CHECKSUM.fullmatch(line.strip()):
                digest, number, is_low = match.groups()
                (low if is_low else full)[_track_id(number)] = digest
    return full or low
