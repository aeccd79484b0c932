"""Any folder of audio, as music or as noise, with an optional table of what is in it.

The table is a CSV file with a header; columns ``path,split,tags,song,artist,licence``, of which
only ``path`` must be there; tags are separated by ``;`` or ``|``. Where there is a table, the files
that it names are the corpus; otherwise all audio below the root is.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from manifests import store
from manifests.errors import ManifestError
from manifests.rows import ANY_SPLIT, SPLITS, Clip, Reject
from pipeline.corpora.checked_in import composed
from pipeline.corpora.files import FileTree, base_name, is_audio
from pipeline.corpora.licences import spdx
from pipeline.corpora.listing import CorpusOption, Listing, chosen_options, make_listing
from pipeline.corpora.metadata_rows import (
    BadRowError,
    check_length,
    column_places,
    header_row,
    one_line,
    parsed_rows,
    read_rows,
)
from pipeline.corpora.presence import place_clips, require_some, unknown_files

NAME: Final = "folder"
TITLE: Final = "A folder of audio"
CITATION: Final = ""
LICENCE: Final = "as the folder's table says, else unknown"
URL: Final = ""
LAYOUT: Final = """
audio files anywhere below (wav flac ogg opus mp3 aiff au caf w64 m4a aac mp4 webm mkv wma)
metadata.csv (optional; path,split,tags,song,artist,licence)
"""
ROLE: Final = ("music", "noise")
DEFAULT_TAGS: Final = "all"
MISSING_IS_NORMAL: Final = False
OPTIONS: Final = (
    CorpusOption(
        "folder_csv",
        None,
        "table of the folder's files (the music's, where noise is a folder too); default: "
        "metadata.csv in the folder, where there is one",
    ),
    CorpusOption(
        "folder_split",
        ANY_SPLIT,
        "split of the files for which the table states none (the music's, likewise)",
        choices=(*SPLITS, ANY_SPLIT),
    ),
)

METADATA: Final = "metadata.csv"
COLUMNS: Final = ("path", "split", "tags", "song", "artist", "licence")


@dataclass(frozen=True)
class _Row:
    path: str
    split: str = ""
    tags: tuple[str, ...] = ()
    song: str = ""
    artist: str = ""
    licence: str = ""


def list_clips(
    tree: FileTree, metadata: FileTree, options: Mapping[str, Any], *, with_audio: bool = True
) -> Listing:
    """List the audio files of a folder.

    ``clip_id`` is the path without its extension; where two files differ by the extension alone
    both keep it. A song that is not stated is the clip itself.

    Args:
        tree: the corpus root.
        metadata: folder in which ``metadata.csv`` is looked for.
        options: ``folder_csv``, ``folder_split``.
        with_audio: check that the table's files exist. Without a table the files on disk are the
            corpus either way.

    Raises:
        ManifestError: the table is unusable, or no audio is there at all.
        UsageError: an option's value is not allowed.
    """
    chosen = chosen_options(OPTIONS, options, prefix="folder_")
    rejects: list[Reject] = []
    notes: list[str] = []
    table = _table(metadata, chosen["folder_csv"])
    if table is None:
        rows = [_Row(path) for path in tree.paths if is_audio(path)]
    else:
        rows = _read_table(*table, rejects, notes)
    clips = _clips(rows, chosen["folder_split"])
    if table is not None and with_audio:
        on_disk = {_plain(path): path for path in tree.paths}
        wanted = clips
        clips, lost = place_clips(wanted, (on_disk.get(clip.path) for clip in wanted))
        require_some(clips, wanted, corpus=NAME, tree=tree, layout=LAYOUT)
        rejects += lost
        notes += unknown_files(tree, {clip.path for clip in clips})
    if not clips:
        raise ManifestError(
            f"{NAME}: expected audio files in {tree.root}, got none; the folder should hold: "
            f"{one_line(LAYOUT)}"
        )
    return make_listing(clips, rejects, notes, licence=LICENCE, trees=(tree, metadata))


def _table(metadata: FileTree, given: str | None) -> tuple[str, str] | None:
    """Return name and text of the table, or None where there is none."""
    if given:
        return base_name(given), store.read_text(given).removeprefix("\ufeff")
    if metadata.exists(METADATA):
        return METADATA, metadata.read_text(METADATA)
    return None


def _read_table(name: str, text: str, rejects: list[Reject], notes: list[str]) -> list[_Row]:
    lines = read_rows(text, delimiter=",")
    header = [cell.strip().lower() for cell in header_row(lines, rel=name)]
    column_places(header, ("path",), rel=name)
    if unknown := [cell for cell in header if cell not in COLUMNS]:
        notes.append(f"{name}: columns passed over: {', '.join(unknown)}")

    def parse(cells: list[str]) -> _Row:
        check_length(cells, header)
        row = {column: cell.strip() for column, cell in zip(header, cells, strict=True)}
        path = _plain(posixpath.normpath(row["path"].replace("\\", "/")))
        if not row["path"] or path.startswith(("/", "../")) or path in (".", ".."):
            raise BadRowError("a path below the folder", repr(row["path"]))
        split = row.get("split", "")
        if split not in ("", *SPLITS, ANY_SPLIT):
            allowed = ", ".join((*SPLITS, ANY_SPLIT))
            raise BadRowError(f"a split, one of {allowed}", repr(split), clip_id=path)
        tags = {tag.strip() for tag in re.split("[;|]", composed(row.get("tags", "")))} - {""}
        song, artist, licence = (row.get(column, "") for column in COLUMNS[3:])
        return _Row(path, split, tuple(sorted(tags)), song, artist, spdx(licence) or licence)

    rows = list(parsed_rows(NAME, name, lines, parse, rejects))
    if not rows:
        raise ManifestError(f"{NAME}: expected rows in {name}, got none usable")
    return rows


def _plain(path: str) -> str:
    """Return a path as tables and disks agree on it: macOS writes é as e and an accent."""
    return composed(path).replace("\\", "/")


def _clips(rows: list[_Row], default_split: str) -> list[Clip]:
    stems = Counter(_stem(path) for path in {row.path for row in rows})
    clips: list[Clip] = []
    for row in rows:
        stem = _stem(row.path)
        clip_id = stem if stems[stem] == 1 else _plain(row.path)
        clips.append(
            Clip(
                corpus=NAME,
                clip_id=clip_id,
                path=row.path,
                song=row.song or clip_id,
                artist=row.artist,
                split=row.split or default_split,
                tags=row.tags,
                licence=row.licence,
            )
        )
    return clips


def _stem(path: str) -> str:
    return _plain(path.removesuffix(posixpath.splitext(path)[1]))
