"""AudioSet: 10 s of YouTube sound with 527 labels, here as noise (Gemmeke et al., ICASSP 2017).

Every clip with a label under Music or Singing is left out: 13,232 of 22,160 balanced and 12,454 of
20,371 evaluation clips remain, with 368 and 369 labels. Which of them a copy holds differs, as
videos vanish: those are rejects of reason ``missing`` that count against nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from manifests.canonical import sha256_text
from manifests.rows import Clip, Reject
from pipeline.corpora.audioset_files import NamedFile, choose_file, files_by_id
from pipeline.corpora.audioset_labels import (
    music_labels,
    named_labels,
    read_label_names,
    read_ontology,
)
from pipeline.corpora.files import FileTree
from pipeline.corpora.listing import CorpusOption, Listing, chosen_options, make_listing
from pipeline.corpora.metadata_rows import (
    FETCH_AGAIN,
    BadRowError,
    none_usable,
    parsed_rows,
    read_rows,
    require_file,
)
from pipeline.corpora.presence import place_clips, require_some, unknown_files

NAME: Final = "audioset"
TITLE: Final = "AudioSet"
CITATION: Final = """@inproceedings{gemmeke2017audio,
  title = {Audio Set: An ontology and human-labeled dataset for audio events},
  author = {Gemmeke, Jort F. and Ellis, Daniel P. W. and Freedman, Dylan and Jansen, Aren and
            Lawrence, Wade and Moore, R. Channing and Plakal, Manoj and Ritter, Marvin},
  booktitle = {Proc. IEEE Int. Conf. on Acoustics, Speech and Signal Processing (ICASSP)},
  year = {2017}
}"""
LICENCE: Final = (
    "audio: rights of the uploaders, not to be shared; segments: CC-BY-4.0; ontology: CC-BY-SA-4.0"
)
URL: Final = "https://research.google.com/audioset/download.html"
LAYOUT: Final = """
balanced_train_segments.csv
eval_segments.csv
class_labels_indices.csv or ontology.json
audio anywhere below: Y<id>.wav, <id>.flac, <id>_<start>_<end>.flac, <id>_<start>-<end>.wav
"""
ROLE: Final = ("noise",)
DEFAULT_TAGS: Final = "all"
MISSING_IS_NORMAL: Final = True
OPTIONS: Final = (
    CorpusOption(
        "audioset_drop_label",
        (),
        "also drop clips with this label, a mid or a display name; the label alone, not those "
        "below it",
        multiple=True,
    ),
    CorpusOption(
        "audioset_drop_labels_file",
        None,
        "file with such labels, one a line; # begins a comment",
    ),
)

TABLES: Final = ("balanced_train_segments", "eval_segments")
_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_SECONDS = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class _Segment:
    youtube_id: str
    start_s: float
    end_s: float
    mids: tuple[str, ...]
    table: str

    @property
    def split(self) -> str:
        """Balanced is train; evaluation is halved by the hash of the id, for good."""
        if self.table == TABLES[0]:
            return "train"
        return "valid" if int(sha256_text(self.youtube_id)[:2], 16) % 2 == 0 else "test"


def list_clips(
    tree: FileTree, metadata: FileTree, options: Mapping[str, Any], *, with_audio: bool = True
) -> Listing:
    """List the clips of AudioSet's balanced and evaluation sets that hold no music.

    Args:
        tree: the corpus root.
        metadata: folder with the CSV and JSON files.
        options: ``audioset_drop_label``, ``audioset_drop_labels_file``.
        with_audio: look for the files; without it paths are PANNs' (``eval_segments/Y<id>.wav``),
            as AudioSet itself names no files.

    Raises:
        ManifestError: a table is missing or unusable, or no audio is there at all.
        UsageError: a label to drop does not exist.
    """
    chosen = chosen_options(OPTIONS, options, prefix="audioset_")
    ontology = read_ontology(metadata)
    names = read_label_names(metadata, ontology, corpus=NAME, layout=LAYOUT)
    music, origin = music_labels(ontology)
    extra = named_labels(chosen["audioset_drop_label"], chosen["audioset_drop_labels_file"], names)
    rejects: list[Reject] = []
    segments = [
        segment for table in TABLES for segment in _read_segments(metadata, table, names, rejects)
    ]
    kept = [segment for segment in segments if (music | extra).isdisjoint(segment.mids)]
    notes = _drop_notes(segments, kept, origin, sorted(names[mid] for mid in extra))
    clips = [_clip(segment, names) for segment in kept]
    if with_audio:
        files = files_by_id(tree, {segment.youtube_id for segment in segments})
        chosen_files = [_file_of(segment, files) for segment in kept]
        wanted = clips
        clips, lost = place_clips(wanted, (file.path if file else None for file in chosen_files))
        require_some(clips, wanted, corpus=NAME, tree=tree, layout=LAYOUT)
        rejects += lost
        notes += _found_notes(segments, kept, files)
        notes += unknown_files(tree, {file.path for same in files.values() for file in same})
    return make_listing(clips, rejects, notes, licence=LICENCE, trees=(tree, metadata))


def _read_segments(
    metadata: FileTree, table: str, names: Mapping[str, str], rejects: list[Reject]
) -> list[_Segment]:
    rel = require_file(metadata, (f"{table}.csv",), corpus=NAME, layout=LAYOUT)
    rows = read_rows(metadata.read_text(rel), delimiter=",")

    def parse(cells: list[str]) -> _Segment:
        if len(cells) != 4:
            raise BadRowError('4 columns: id, start, end, "labels"', str(len(cells)))
        youtube_id, start, end, labels = (cell.strip() for cell in cells)
        if not _ID.fullmatch(youtube_id):
            raise BadRowError("an id of 11 characters", repr(youtube_id))
        numbers = _SECONDS.fullmatch(start) and _SECONDS.fullmatch(end)
        if not numbers or float(end) <= float(start):
            raise BadRowError("start before end, in s", f"{start}, {end}", clip_id=youtube_id)
        mids = tuple(sorted({mid.strip() for mid in labels.split(",")}))
        for mid in mids:
            if mid not in names:
                raise BadRowError("labels of AudioSet", repr(mid), clip_id=youtube_id)
        return _Segment(youtube_id, float(start), float(end), mids, table)

    data = ((line, cells) for line, cells in rows if not cells[0].startswith("#"))
    segments = list(parsed_rows(NAME, rel, data, parse, rejects))
    if not segments:
        raise none_usable(NAME, "rows", rel, rejects, advice=FETCH_AGAIN)
    return segments


def _clip(segment: _Segment, names: Mapping[str, str]) -> Clip:
    return Clip(
        corpus=NAME,
        clip_id=segment.youtube_id,
        path=f"{segment.table}/Y{segment.youtube_id}.wav",
        song=segment.youtube_id,
        artist="",
        split=segment.split,
        tags=tuple(sorted(names[mid] for mid in segment.mids)),
        licence="",
        expected_s=round(segment.end_s - segment.start_s, 3),
    )


def _file_of(segment: _Segment, files: Mapping[str, list[NamedFile]]) -> NamedFile | None:
    same = files.get(segment.youtube_id)
    return choose_file(same, segment.start_s, segment.end_s) if same else None


def _drop_notes(
    segments: Iterable[_Segment], kept: Iterable[_Segment], origin: str, extra: list[str]
) -> list[str]:
    notes = [f"{origin}: every clip with one is left out"]
    if extra:
        notes.append(f"also left out, clips labelled: {'; '.join(extra)}")
    for table in TABLES:
        listed = [segment for segment in segments if segment.table == table]
        left = [segment for segment in kept if segment.table == table]
        labels = {mid for segment in left for mid in segment.mids}
        notes.append(
            f"{table}: {len(left):,} of {len(listed):,} clips kept, {len(labels):,} labels"
        )
    return notes


def _found_notes(
    segments: Iterable[_Segment],
    kept: Iterable[_Segment],
    files: Mapping[str, list[NamedFile]],
) -> list[str]:
    """Say how much of each table the copy holds, and what of its names is doubtful."""
    notes: list[str] = []
    for table in TABLES:
        listed = [segment for segment in segments if segment.table == table]
        left = [segment for segment in kept if segment.table == table]
        notes.append(
            f"{table}: audio for {sum(s.youtube_id in files for s in listed):,} of "
            f"{len(listed):,} listed and {sum(s.youtube_id in files for s in left):,} of "
            f"{len(left):,} kept clips"
        )
    several = sum(len(same) > 1 for same in files.values())
    if several:
        notes.append(f"{several:,} ids with several files: the one with the segment's times, or "
                     "the first by name, is used")  # fmt: skip
    other = 0
    for segment in kept:
        file = _file_of(segment, files)
        if file and file.times and not file.holds(segment.start_s, segment.end_s):
            other += 1
    if other:
        notes.append(f"{other:,} files carry other times in their names than the segment's")
    return notes
