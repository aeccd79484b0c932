"""Which of a corpus' files are on disk, which are missing, and which nobody knows."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from manifests.errors import ManifestError
from manifests.rows import Clip, Reject
from pipeline.corpora.files import FileTree, is_audio
from pipeline.corpora.metadata_rows import one_line


def locate(tree: FileTree, candidates: Iterable[str]) -> str | None:
    """Return the first candidate path that is on disk, or None."""
    return next((rel for rel in candidates if tree.exists(rel)), None)


def missing(clip: Clip) -> Reject:
    """Return the reject of a clip whose file is not there; ``clip.path`` is the official path."""
    return Reject(
        corpus=clip.corpus,
        clip_id=clip.clip_id,
        path=clip.path,
        stage="scan",
        reason="missing",
        detail=f"expected {clip.path} or another of the layout's places, got no file",
        split=clip.split,
        tags=clip.tags,
    )


def place_clips(
    clips: Iterable[Clip], found: Iterable[str | None]
) -> tuple[list[Clip], list[Reject]]:
    """Give each clip the path that it was found at; those without one become rejects."""
    placed: list[Clip] = []
    rejects: list[Reject] = []
    for clip, path in zip(clips, found, strict=True):
        if path is None:
            rejects.append(missing(clip))
        else:
            placed.append(replace(clip, path=path))
    return placed, rejects


def require_some(
    placed: Collection[Clip], wanted: Collection[Clip], *, corpus: str, tree: FileTree, layout: str
) -> None:
    """Stop where not one clip has its file: that is a wrong folder, not a broken corpus.

    Raises:
        ManifestError: one line with what was looked for, where, and the layout.
    """
    if wanted and not placed:
        example = min(clip.path for clip in wanted)
        raise ManifestError(
            f"{corpus}: expected audio such as {example} in {tree.root}, got none of "
            f"{len(wanted):,} clips; the folder should hold: {one_line(layout)}"
        )


def unknown_files(tree: FileTree, known: Collection[str]) -> list[str]:
    """Return a note with the number of audio files outside ``known`` and the first three names."""
    unknown = [path for path in tree.paths if is_audio(path) and path not in known]
    if not unknown:
        return []
    names = ", ".join(unknown[:3]) + (", …" if len(unknown) > 3 else "")
    return [f"{len(unknown):,} audio files that the tables read do not name: {names}"]
