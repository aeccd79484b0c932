"""Write all demo corpora into a folder, whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from manifests.errors import ManifestError, UsageError
from pipeline.demo.audioset import plan_audioset
from pipeline.demo.jamendo import plan_jamendo
from pipeline.demo.mtat import plan_mtat
from pipeline.demo.musan import plan_musan
from pipeline.demo.plans import AudioFile, CorpusPlan
from pipeline.demo.recordings import plan_recordings
from pipeline.engine import run_tasks

_MARK: Final = ".demo-corpora-unfinished"
"""A file that says that a ``.partial`` folder is ours, hence may be deleted."""

_WITHIN: Final = ".partial"
"""Name of the unfinished folder within a folder that was there."""

PRETRAIN_SONGS: Final = 150
"""Further songs of MTG-Jamendo by default: enough for a short stage 1 to beat a random encoder."""


@dataclass(frozen=True)
class DemoSummary:
    """What was written.

    Attributes:
        corpora: by corpus name: number of audio files, their length in seconds (that of the intact
            files, where they are broken), their size in bytes.
        expected_rejects: (corpus, path, reason) of all that a scan has to reject. The path is below
            the corpus' folder; for a ``ragged`` row it is the path of its table, for a ``missing``
            file the path where it should be.
    """

    corpora: dict[str, tuple[int, float, int]]
    expected_rejects: tuple[tuple[str, str, str], ...]


def plan_demo_corpora(
    seed: int, train_scale: int = 1, pretrain_songs: int = PRETRAIN_SONGS
) -> tuple[CorpusPlan, ...]:
    """Plan every corpus of the demo; nothing is rendered or written.

    Args:
        seed: every file is a function of the seed and its own name.
        train_scale: factor on the training songs of MagnaTagATune and the training segments of
            AudioSet. The files of factor 1 are among those of every other, unchanged.
        pretrain_songs: further training songs of MTG-Jamendo, which change no other file.

    Raises:
        UsageError: the seed or the number of songs is negative, or the factor below 1.
    """
    if seed < 0:
        raise UsageError(f"--seed: expected 0 or more, got {seed}")
    if train_scale < 1:
        raise UsageError(f"--train-scale: expected 1 or more, got {train_scale}")
    if pretrain_songs < 0:
        raise UsageError(f"--pretrain-songs: expected 0 or more, got {pretrain_songs}")
    return (
        plan_mtat(seed, train_scale),
        plan_jamendo(seed, pretrain_songs),
        plan_audioset(seed, train_scale),
        plan_musan(seed),
        plan_recordings(seed),
    )


def write_demo_corpora(
    directory: Path,
    *,
    seed: int = 0,
    train_scale: int = 1,
    pretrain_songs: int = PRETRAIN_SONGS,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> DemoSummary:
    """Write the demo corpora.

    The folders are ``magnatagatune``, ``mtg-jamendo``, ``audioset``, ``musan`` and ``recordings``.
    Everything is written to ``DIRECTORY.partial`` and renamed at the end. Where the folder is there
    (a shell may stand in it, or a disk be mounted) it stays, and ``.partial`` lies within.

    Args:
        directory: a folder that does not exist yet, or an empty one.
        seed: every file is a function of the seed and its own name.
        train_scale: factor on the training songs and training noises.
        pretrain_songs: further training songs of MTG-Jamendo.
        jobs: worker processes; they do not change a byte.
        progress: called with (files done, files in all) after each audio file.

    Returns:
        What was written and what of it is broken.

    Raises:
        ManifestError: the folder is not empty, is a file or cannot be written, or what lies where
            the unfinished folder goes is not ours.
        UsageError: the seed or the number of songs is negative, the factor below 1, or there are no
            workers.
    """
    if jobs < 1:
        raise UsageError(f"--jobs: expected 1 or more, got {jobs}")
    plans = plan_demo_corpora(seed, train_scale, pretrain_songs)
    directory = directory.resolve()
    _require_empty(directory)
    is_there = directory.is_dir()
    partial = directory / _WITHIN if is_there else directory.with_name(directory.name + ".partial")
    _clear_partial(partial)
    try:
        partial.mkdir(parents=True)
        (partial / _MARK).touch()
        corpora = write_corpora(plans, partial, seed=seed, jobs=jobs, progress=progress)
        _write(partial / "README.md", _readme(plans).encode())
        if is_there:
            for entry in sorted(partial.iterdir()):
                if entry.name != _MARK:
                    entry.rename(directory / entry.name)
        (partial / _MARK).unlink()
        if is_there:
            partial.rmdir()
        else:
            partial.replace(directory)
    except OSError as error:
        raise ManifestError(
            f"{directory}: expected to write the demo corpora there, got {error}; "
            "free space or name another folder, then run the same command again"
        ) from error
    rejects = tuple(row for plan in plans for row in plan.expected_rejects)
    return DemoSummary(corpora, rejects)


def write_corpora(
    plans: Sequence[CorpusPlan],
    root: Path,
    *,
    seed: int,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, tuple[int, float, int]]:
    """Render and write planned corpora below a folder.

    Args:
        plans: the corpora.
        root: existing folder.
        seed: seed of the plans.
        jobs: worker processes.
        progress: called with (files done, files in all).

    Returns:
        Number of audio files, seconds and bytes by corpus name.
    """
    tasks = [(root / plan.folder / file.path, file) for plan in plans for file in plan.files]
    for plan in plans:
        for path, text in plan.texts.items():
            _write(root / plan.folder / path, text.encode())
    sizes = [0] * len(tasks)
    work = run_tasks(_render, [(i, *task, seed) for i, task in enumerate(tasks)], jobs=jobs)
    for n_done, (i, n_bytes) in enumerate(work, start=1):
        sizes[i] = n_bytes
        if progress is not None:
            progress(n_done, len(tasks))
    corpora = {}
    for plan in plans:
        own, sizes = sizes[: len(plan.files)], sizes[len(plan.files) :]
        length_s = round(sum(file.duration_s for file in plan.files), 2)
        corpora[plan.corpus] = (len(plan.files), length_s, sum(own))
    return corpora


def _render(number: int, path: Path, file: AudioFile, seed: int) -> tuple[int, int]:
    data = file.to_bytes(seed)
    _write(path, data)
    return number, len(data)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _readme(plans: Sequence[CorpusPlan]) -> str:
    lines = [
        "# Demo corpora",
        "",
        "Synthetic audio in the official layouts of MagnaTagATune, MTG-Jamendo, AudioSet and",
        "MUSAN, and recordings without labels, written by `prep demo-corpora`. No file holds the",
        "work of any artist; names, ids and addresses are invented.",
        "",
        "Broken on purpose, to be rejected by `prep scan`:",
        "",
        "| corpus | path | reason |",
        "|---|---|---|",
    ]
    rows = [row for plan in plans for row in plan.expected_rejects]
    lines += [f"| {corpus} | `{path}` | {reason} |" for corpus, path, reason in rows]
    return "\n".join(lines) + "\n"


def _require_empty(directory: Path) -> None:
    if directory.exists() and not directory.is_dir():
        raise ManifestError(f"{directory}: expected a new or empty folder, got a file")
    if not directory.is_dir():
        return
    if n_entries := sum(entry.name != _WITHIN for entry in directory.iterdir()):
        raise ManifestError(
            f"{directory}: expected a new or empty folder, got one with {n_entries} entries; "
            "name another or empty it"
        )


def _clear_partial(partial: Path) -> None:
    """Delete what a killed run has left; never a folder that merely has its name."""
    if not partial.exists():
        return
    if not (partial / _MARK).is_file():
        raise ManifestError(
            f"{partial}: expected nothing or an unfinished folder of ours, got something else; "
            "move it away"
        )
    shutil.rmtree(partial)
