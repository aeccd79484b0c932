"""MagnaTagATune: 25,863 clips of 29 s, 188 tags (Law, West, Mandel, Bay & Downie, ISMIR 2009).

Split by folder as in all work since Dieleman & Schrauwen 2014: 0-b, c, d-f. What differs between
papers is whether clips without a top-50 tag stay (Pons et al. 2018: 18,706/1,825/5,329) or go (Won
et al. 2020, Lee et al. 2017: 15,244/1,529/4,332); hence ``--mtat-untagged``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from manifests.errors import ManifestError
from manifests.rows import Clip, Reject
from pipeline.corpora.checked_in import MTAT_KNOWN_BROKEN, MTAT_TOP50, checked_in_list
from pipeline.corpora.files import FileTree
from pipeline.corpora.listing import (
    CorpusOption,
    Listing,
    chosen_options,
    make_listing,
    split_counts,
)
from pipeline.corpora.metadata_rows import (
    FETCH_AGAIN,
    BadRowError,
    check_length,
    column_places,
    header_row,
    none_usable,
    parsed_rows,
    read_rows,
    require_file,
)
from pipeline.corpora.presence import locate, place_clips, require_some, unknown_files

NAME: Final = "mtat"
TITLE: Final = "MagnaTagATune"
CITATION: Final = """@inproceedings{law2009evaluation,
  title = {Evaluation of algorithms using games: the case of music tagging},
  author = {Law, Edith and West, Kris and Mandel, Michael and Bay, Mert and Downie, J. Stephen},
  booktitle = {Proc. 10th Int. Society for Music Information Retrieval Conference (ISMIR)},
  pages = {387--392},
  year = {2009}
}"""
LICENCE: Final = "CC-BY-NC-SA-3.0"
URL: Final = "https://mirg.city.ac.uk/codeapps/the-magnatagatune-dataset"
LAYOUT: Final = """
annotations_final.csv (clip_id, 188 tags, mp3_path; TAB-separated)
clip_info_final.csv (artists; optional)
0/ 1/ … f/ with the mp3 files, also under mp3/
"""
ROLE: Final = ("music",)
DEFAULT_TAGS: Final = "top50"
MISSING_IS_NORMAL: Final = False
OPTIONS: Final = (
    CorpusOption(
        "mtat_untagged",
        "keep",
        "clips without any top-50 tag: keep (pons2017: 18,706/1,825/5,329 clips) or drop "
        "(Won/Lee: 15,244/1,529/4,332)",
        choices=("keep", "drop"),
    ),
)

ANNOTATIONS: Final = "annotations_final.csv"
CLIP_INFO: Final = "clip_info_final.csv"
_PATH = re.compile(r"([0-9a-f])/([^/]+)-(\d+)-(\d+)\.mp3")
_PATH_FORM: Final = "a path <0-f>/<artist>-<album>-<track>-<title>-<start>-<end>.mp3"
_SPLITS: Final = {**dict.fromkeys("0123456789ab", "train"), "c": "valid",
                  **dict.fromkeys("def", "test")}  # fmt: skip


@dataclass(frozen=True)
class _Artists:
    by_clip: dict[str, str]
    by_name: dict[str, str]

    def of(self, clip_id: str, song: str) -> str:
        """Return clip_info's artist; that of another clip of the same name; else the name's."""
        name = _name_artist(song)
        return self.by_clip.get(clip_id) or self.by_name.get(name, name)


def list_clips(
    tree: FileTree, metadata: FileTree, options: Mapping[str, Any], *, with_audio: bool = True
) -> Listing:
    """List the clips of MagnaTagATune.

    Song = artist, album, track and title: the file's name without start and end (5,405 songs).
    Artist = that of clip_info_final.csv, else the name's first field. ``expected_s`` = end − start
    of the name: 29 s, where the files last about 29.1 s.

    Args:
        tree: the corpus root.
        metadata: folder with the two CSV files; the same tree where they lie together.
        options: ``mtat_untagged``.
        with_audio: look for the files; without it paths are those of annotations_final.csv.

    Raises:
        ManifestError: annotations_final.csv is missing or unusable, or no audio is there at all.
        UsageError: an option's value is not allowed.
    """
    chosen = chosen_options(OPTIONS, options, prefix="mtat_")
    artists, notes = _read_artists(metadata)
    clips, rejects = _read_annotations(metadata, artists)
    known = {base + clip.path for clip in clips for base in ("", "mp3/")}

    broken = _known_broken()
    rejects += [_broken_reject(clip, broken) for clip in clips if _is_broken(clip, broken)]
    clips = [clip for clip in clips if not _is_broken(clip, broken)]
    if chosen["mtat_untagged"] == "drop":
        top50 = frozenset(checked_in_list(MTAT_TOP50))
        untagged = [clip for clip in clips if top50.isdisjoint(clip.tags)]
        clips = [clip for clip in clips if not top50.isdisjoint(clip.tags)]
        notes.append(
            f"{len(untagged):,} clips without a top-50 tag left out: {split_counts(untagged)}"
        )
    if with_audio:
        wanted = clips
        found = (locate(tree, (clip.path, f"mp3/{clip.path}")) for clip in wanted)
        clips, lost = place_clips(wanted, found)
        require_some(clips, wanted, corpus=NAME, tree=tree, layout=LAYOUT)
        rejects += lost
        notes += unknown_files(tree, known)
    return make_listing(clips, rejects, notes, licence=LICENCE, trees=(tree, metadata))


def _read_annotations(metadata: FileTree, artists: _Artists) -> tuple[list[Clip], list[Reject]]:
    try:
        rel = require_file(metadata, (ANNOTATIONS,), corpus=NAME, layout=LAYOUT)
    except ManifestError as error:
        raise ManifestError(f"{error}; {ANNOTATIONS} is found at {URL}") from error
    rows = read_rows(metadata.read_text(rel), delimiter="\t")
    header = header_row(rows, rel=rel)
    places = column_places(header, ("clip_id", "mp3_path"), rel=rel)
    tag_places = [i for i in range(len(header)) if i not in places.values()]

    def parse(cells: list[str]) -> Clip:
        check_length(cells, header)
        clip_id, path = cells[places["clip_id"]], cells[places["mp3_path"]]
        if not clip_id.isdecimal():
            raise BadRowError("a number as clip_id", repr(clip_id))
        for i in tag_places:
            if cells[i] not in ("0", "1"):
                raise BadRowError(f"0 or 1 for {header[i]}", repr(cells[i]), clip_id=clip_id)
        tags = tuple(sorted(header[i] for i in tag_places if cells[i] == "1"))
        return _clip(clip_id, path, tags, artists)

    rejects: list[Reject] = []
    clips = list(parsed_rows(NAME, rel, rows, parse, rejects))
    if not clips:
        raise none_usable(NAME, "rows", rel, rejects, advice=FETCH_AGAIN)
    return clips, rejects


def _clip(clip_id: str, path: str, tags: tuple[str, ...], artists: _Artists) -> Clip:
    match = _PATH.fullmatch(path)
    if match is None or int(match[4]) <= int(match[3]):
        raise BadRowError(_PATH_FORM, path, clip_id=clip_id)
    folder, song, start_s, end_s = match.groups()
    return Clip(
        corpus=NAME,
        clip_id=clip_id,
        path=path,
        song=song,
        artist=artists.of(clip_id, song),
        split=_SPLITS[folder],
        tags=tags,
        licence=LICENCE,
        expected_s=float(int(end_s) - int(start_s)),
    )


def _read_artists(metadata: FileTree) -> tuple[_Artists, list[str]]:
    artists = _Artists({}, {})
    if not metadata.exists(CLIP_INFO):
        return artists, [f"{CLIP_INFO} not found: artists are the first field of the file names"]
    rows = read_rows(metadata.read_text(CLIP_INFO), delimiter="\t")
    header = header_row(rows, rel=CLIP_INFO)
    places = column_places(header, ("clip_id", "artist"), rel=CLIP_INFO)
    path_place = header.index("mp3_path") if "mp3_path" in header else None
    bad: list[int] = []
    for line, cells in rows:
        if len(cells) != len(header):
            bad.append(line)
            continue
        artist = cells[places["artist"]].strip()
        path = _PATH.fullmatch(cells[path_place]) if path_place is not None else None
        if artist:
            artists.by_clip[cells[places["clip_id"]]] = artist
        if artist and path:
            artists.by_name.setdefault(_name_artist(path[2]), artist)
    if not bad:
        return artists, []
    return artists, [
        f"{CLIP_INFO}: {len(bad):,} rows without {len(header)} columns passed over, "
        f"the first in line {bad[0]}"
    ]


def _name_artist(song: str) -> str:
    """Return a name's first field; no field holds a hyphen, so the first one ends it."""
    return song.partition("-")[0]


def _known_broken() -> dict[str, str]:
    """Return why, by clip id and by path."""
    why: dict[str, str] = {}
    for line in checked_in_list(MTAT_KNOWN_BROKEN):
        clip_id, path, reason = line.split("\t")
        why[clip_id] = why[path] = reason
    return why


def _is_broken(clip: Clip, broken: Mapping[str, str]) -> bool:
    return clip.clip_id in broken or clip.path in broken


def _broken_reject(clip: Clip, broken: Mapping[str, str]) -> Reject:
    why = broken.get(clip.clip_id) or broken[clip.path]
    return Reject(
        corpus=NAME,
        clip_id=clip.clip_id,
        path=clip.path,
        stage="metadata",
        reason="known-broken",
        detail=f"expected audio, got a clip on the list of known broken ones: {why}",
        split=clip.split,
        tags=clip.tags,
    )
