"""MUSAN: music, speech and noise under Creative Commons (Snyder, Chen & Povey, arXiv 1510.08484).

The paper counts 929 noises, the tar holds 930. ``noise-sound-bible-0000.wav`` is the one without an
entry in its folder's LICENSE: without it the number is the paper's and all rights are documented.
MUSAN has no splits, so every clip may serve any.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from manifests.errors import ManifestError, UsageError
from manifests.rows import ANY_SPLIT, Clip
from pipeline.corpora.files import FileTree, is_audio
from pipeline.corpora.listing import CorpusOption, Listing, chosen_options, make_listing
from pipeline.corpora.metadata_rows import one_line
from pipeline.corpora.musan_licences import (
    Credits,
    annotated_artists,
    background_ids,
    read_credits,
)
from pipeline.corpora.presence import unknown_files

NAME: Final = "musan"
TITLE: Final = "MUSAN"
CITATION: Final = """@misc{snyder2015musan,
  title = {{MUSAN}: {A} {M}usic, {S}peech, and {N}oise {C}orpus},
  author = {Snyder, David and Chen, Guoguo and Povey, Daniel},
  eprint = {1510.08484},
  archiveprefix = {arXiv},
  year = {2015}
}"""
LICENCE: Final = "per file: Creative Commons (no NC) or US public domain, see the LICENSE files"
URL: Final = "https://www.openslr.org/17/"
LAYOUT: Final = """
noise/{free-sound,sound-bible}/*.wav, also under musan/
speech/{librivox,us-gov}/*.wav
music/{fma,fma-western-art,hd-classical,jamendo,rfm}/*.wav
a LICENSE beside the files of each folder
"""
ROLE: Final = ("noise",)
DEFAULT_TAGS: Final = "all"
MISSING_IS_NORMAL: Final = False
KINDS: Final = ("noise", "speech", "music")
OPTIONS: Final = (
    CorpusOption(
        "musan_subset",
        "noise",
        "comma-separated list of noise, speech, music",
    ),
    CorpusOption(
        "musan_unlicensed",
        "drop",
        "noise-sound-bible-0000, which has no licence entry: drop (929 noises) or keep (930)",
        choices=("keep", "drop"),
    ),
)

UNLICENSED: Final = "noise-sound-bible-0000"
OFFICIAL: Final = {
    "noise/free-sound": ("noise-free-sound", 843),
    "noise/sound-bible": ("noise-sound-bible", 87),
    "speech/librivox": ("speech-librivox", 173),
    "speech/us-gov": ("speech-us-gov", 253),
}
"""Name and number of files, counted from 0000. Music is listed by its LICENSE files instead."""

_PATH = re.compile(r"(?:musan/)?(noise|speech|music)/([^/]+)/(\1-[a-z-]+-\d{4})\.[^./]+")


@dataclass(frozen=True)
class _Entry:
    clip_id: str
    folder: str
    path: str


def list_clips(
    tree: FileTree, metadata: FileTree, options: Mapping[str, Any], *, with_audio: bool = True
) -> Listing:
    """List the recordings of MUSAN; there is no table, so the files on disk are the list.

    Tags are the folder, ``noise/free-sound``, and ``background`` where ANNOTATIONS says so. The
    artist is who recorded a sound-bible noise and who plays a piece, for attribution.

    Args:
        tree: the corpus root.
        metadata: folder with the LICENSE and ANNOTATIONS files, in the same layout.
        options: ``musan_subset``, ``musan_unlicensed``.
        with_audio: list the files on disk; without it the official names are listed.

    Raises:
        ManifestError: there is no audio of the subset.
        UsageError: an option's value is not allowed.
    """
    chosen = chosen_options(OPTIONS, options, prefix="musan_")
    kinds = _kinds(chosen["musan_subset"])
    entries = list(_on_disk(tree, kinds)) if with_audio else list(_official(metadata, kinds))
    if not entries:
        raise ManifestError(
            f"{NAME}: expected files such as noise/free-sound/noise-free-sound-0000.wav of "
            f"{', '.join(kinds)} in {tree.root}, got none; the folder should hold: "
            f"{one_line(LAYOUT)}"
        )
    notes: list[str] = []
    if chosen["musan_unlicensed"] == "drop" and any(e.clip_id == UNLICENSED for e in entries):
        entries = [entry for entry in entries if entry.clip_id != UNLICENSED]
        notes.append(f"{UNLICENSED} left out: its folder's LICENSE has no entry for it")
    folders = sorted({entry.folder for entry in entries})
    clips: list[Clip] = []
    for folder in folders:
        members = [entry for entry in entries if entry.folder == folder]
        clips += _folder_clips(metadata, folder, members)
        notes.append(_folder_note(folder, len(members), with_audio=with_audio))
    if without := [clip.clip_id for clip in clips if not clip.licence]:
        notes.append(f"{len(without):,} clips without a licence entry, e.g. {min(without)}")
    if with_audio:
        notes += unknown_files(tree, {path for path in tree.paths if _PATH.fullmatch(path)})
    return make_listing(clips, (), notes, licence=LICENCE, trees=(tree, metadata))


def _kinds(subset: str) -> tuple[str, ...]:
    kinds = tuple(dict.fromkeys(kind.strip() for kind in subset.split(",")))
    if wrong := [kind for kind in kinds if kind not in KINDS]:
        raise UsageError(f"--musan-subset: expected {', '.join(KINDS)}, got {wrong[0]!r}")
    return kinds


def _on_disk(tree: FileTree, kinds: tuple[str, ...]) -> Iterator[_Entry]:
    for path in tree.paths:
        match = _PATH.fullmatch(path)
        if match and match[1] in kinds and is_audio(path):
            yield _Entry(match[3], f"{match[1]}/{match[2]}", path)


def _official(metadata: FileTree, kinds: tuple[str, ...]) -> Iterator[_Entry]:
    for folder, (prefix, n_files) in OFFICIAL.items():
        if folder.split("/")[0] in kinds:
            for number in range(n_files):
                clip_id = f"{prefix}-{number:04d}"
                yield _Entry(clip_id, folder, f"{folder}/{clip_id}.wav")
    if "music" in kinds:
        for rel in metadata.paths:
            match = re.fullmatch(r"(?:musan/)?(music/[^/]+)/LICENSE", rel)
            if match:
                for clip_id in read_credits(metadata.read_text(rel)).ids:
                    yield _Entry(clip_id, match[1], f"{match[1]}/{clip_id}.wav")


def _folder_clips(metadata: FileTree, folder: str, entries: list[_Entry]) -> list[Clip]:
    licence_text = _beside(metadata, folder, "LICENSE")
    annotations = _beside(metadata, folder, "ANNOTATIONS")
    found = read_credits(licence_text) if licence_text else Credits((), {}, {}, "")
    background = background_ids(annotations)
    artists = {**annotated_artists(annotations), **found.authors}
    return [
        Clip(
            corpus=NAME,
            clip_id=entry.clip_id,
            path=entry.path,
            song=entry.clip_id,
            artist=artists.get(entry.clip_id, ""),
            split=ANY_SPLIT,
            tags=tuple(sorted({folder, *(["background"] if entry.clip_id in background else [])})),
            licence=found.licences.get(entry.clip_id, found.default),
        )
        for entry in entries
    ]


def _beside(metadata: FileTree, folder: str, name: str) -> str:
    """Return the text of a file of a corpus folder, or an empty text."""
    for base in ("", "musan/"):
        if metadata.exists(f"{base}{folder}/{name}"):
            return metadata.read_text(f"{base}{folder}/{name}")
    return ""


def _folder_note(folder: str, n_clips: int, *, with_audio: bool) -> str:
    official = OFFICIAL.get(folder)
    # sound-bible's 87 include the one without a licence entry.
    of_all = f" of {official[1]:,} official" if official and with_audio else ""
    return f"{folder}: {n_clips:,}{of_all} files"
