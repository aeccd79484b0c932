"""Look at files: hash them, and decode those of which more must be known, a few in a task."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from manifests import store
from manifests.audio import AudioError, open_audio
from manifests.errors import ManifestError
from pipeline.engine import run_tasks
from pipeline.frozen.match import Workers
from pipeline.progress import Reporter

FILES_PER_TASK: Final = 8


@dataclass(frozen=True)
class FileFacts:
    """One file as an examination found it; empty and 0 for what was not looked at."""

    path: str
    sha256: str = ""
    source_rate: int = 0
    source_samples: int = 0
    format: str = ""
    error: str = ""


def examine_all(
    root: str,
    files: Sequence[tuple[str, bool]],
    decoder: str,
    *,
    workers: Workers,
    reporter: Reporter,
    label: str,
) -> dict[str, FileFacts]:
    """Hash files below a root, and decode those marked, in parallel; facts by path."""
    todo = sorted(set(files))
    tasks = [
        (root, todo[i : i + FILES_PER_TASK], decoder) for i in range(0, len(todo), FILES_PER_TASK)
    ]
    facts: dict[str, FileFacts] = {}
    with reporter.track(label, len(todo), "files") as advance:
        for examined in run_tasks(
            examine_files,
            tasks,
            jobs=workers.jobs,
            engine=workers.engine,
            scheduler=workers.scheduler,
        ):
            facts |= {fact.path: fact for fact in examined}
            advance(len(examined))
    return facts


def examine_files(root: str, files: list[tuple[str, bool]], decoder: str) -> list[FileFacts]:
    """Hash a few files, and decode those that are marked: one task."""
    return [_examine_file(root, path, decode, decoder) for path, decode in files]


def _examine_file(root: str, path: str, decode: bool, decoder: str) -> FileFacts:
    url = store.join(root, path)
    try:
        with store.open_read(url) as file:
            digest = hashlib.sha256()
            while data := file.read(1 << 20):
                digest.update(data)
            facts = FileFacts(path, digest.hexdigest())
            if not decode:
                return facts
            file.seek(0)
            source = store.local_path(url) if store.is_local(url) else file
            with open_audio(source, path, decoder) as (header, blocks):
                n_samples = sum(len(block) for block in blocks)
                return replace(
                    facts,
                    source_rate=header.sample_rate,
                    source_samples=n_samples,
                    format=header.format,
                )
    except AudioError as error:
        return replace(facts, error=str(error))
    except (ManifestError, OSError) as error:
        return FileFacts(path, error=f"{path}: cannot be read: {error}")
