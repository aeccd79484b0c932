"""Any folder of audio, as music or as noise, with an optional table of what is in it.

Where there is a table (see ``pipeline.corpora.folder_table``), the files that it names are the
corpus; otherwise all audio below the root is.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from manifests import store
from manifests.errors import ManifestError
from manifests.rows import ANY_SPLIT, SPLITS, Clip, Reject
from pipeline.corpora.files import FileTree, base_name, is_audio
from pipeline.corpora.folder_table import TableRow, plain_path, read_table
from pipeline.corpora.listing import CorpusOption, Listing, chosen_options, make_listing
from pipeline.corpora.metadata_rows import one_line
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
        rows = [TableRow(path) for path in tree.paths if is_audio(path)]
    else:
        rows = read_table(NAME, *table, rejects, notes)
    clips = _clips(rows, chosen["folder_split"])
    if table is not None and with_audio:
        on_disk = {plain_path(path): path for path in tree.paths}
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


def _clips(rows: list[TableRow], default_split: str) -> list[Clip]:
    ids = _clip_ids({row.path for row in rows})
    clips: list[Clip] = []
    for row in rows:
        clip_id = ids[row.path]
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


def _clip_ids(paths: set[str]) -> dict[str, str]:
    """Return an id by path: without the extension, or whole where that would be another's id."""
    stems = Counter(_stem(path) for path in paths)
    whole = {path for path in paths if stems[_stem(path)] > 1}
    while True:
        ids = {plain_path(path) for path in whole}
        more = {path for path in paths - whole if _stem(path) in ids}
        if not more:
            break
        whole |= more
    return {path: plain_path(path) if path in whole else _stem(path) for path in paths}


def _stem(path: str) -> str:
    return plain_path(path.removesuffix(posixpath.splitext(path)[1]))
