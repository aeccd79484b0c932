"""Scan: a corpus in its official layout -> a table of clips and a table of rejects.

Every file is decoded once, in parallel, so that every reject is known before anything is planned.
"""

from __future__ import annotations

import contextlib
import functools
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from manifests import store
from manifests.audio import AudioError, decoder_version, expect_decoder
from manifests.errors import ManifestError
from manifests.measure import Measurement, measure
from manifests.rows import Clip, Reject
from pipeline.corpora import corpus
from pipeline.corpora.duplicates import duplicate_groups, duplicate_notes
from pipeline.corpora.files import FileTree
from pipeline.engine import run_tasks
from pipeline.progress import Reporter, SilentReporter
from pipeline.scan_cache import Failure, Result, ScanCache
from pipeline.sources import absolute_url

FILES_PER_TASK: Final = 8
MAY_PASS: Final = ("unreadable", "missing", "empty")
"""Reasons that may be the machine's: another time or place may find a file of the same stamp whole,
so they are not cached, nor believed of a cache of an older version."""


@dataclass(frozen=True)
class Scan:
    """What a corpus holds.

    Attributes:
        corpus: name of the corpus.
        root: path or URL of its folder.
        clips: usable clips, sorted by id.
        rejects: files and metadata rows that cannot be used, and why.
        notes: facts for people, one line each.
        licence: licence of the corpus as a whole.
    """

    corpus: str
    root: str
    clips: tuple[Clip, ...]
    rejects: tuple[Reject, ...]
    notes: tuple[str, ...]
    licence: str


@dataclass(frozen=True)
class ScanOptions:
    """How files are scanned; ``decoder`` is part of a set's identity, the rest is not."""

    with_audio: bool = True
    decoder: str = "soundfile"
    jobs: int = 1
    engine: str = "loky"
    scheduler: str | None = None


def scan(
    name: str,
    root: str,
    *,
    metadata: str | None = None,
    corpus_options: Mapping[str, Any] | None = None,
    options: ScanOptions | None = None,
    reporter: Reporter | None = None,
) -> Scan:
    """Scan one corpus.

    Args:
        name: corpus name, see ``pipeline.corpora.CORPORA``.
        root: folder or URL of the corpus.
        metadata: folder of its metadata where that is elsewhere.
        corpus_options: the corpus' own options, e.g. ``{"mtat_untagged": "drop"}``.
        options: decode or not, workers.
        reporter: shows progress.

    Raises:
        ManifestError: wrong folder or unusable metadata, or a worker that does not see a file that
            was listed, or has another decoder.
        UsageError: unknown corpus or option, or the decoder's program is missing.
    """
    options = options or ScanOptions()
    if options.with_audio:
        expect_decoder(options.decoder)
    root = absolute_url(root)
    module = corpus(name)
    tree = FileTree(root)
    listing = module.list_clips(
        tree,
        FileTree(metadata) if metadata else tree,
        corpus_options or {},
        with_audio=options.with_audio,
    )
    if not options.with_audio:
        return Scan(name, root, listing.clips, listing.rejects, listing.notes, listing.licence)
    results, problem = _measure_all(listing.clips, tree, options, reporter or SilentReporter())
    clips, rejects = [], list(listing.rejects)
    for clip, result in zip(listing.clips, results, strict=True):
        if isinstance(result, Measurement):
            clips.append(replace(clip, **vars(result)))
        else:
            rejects.append(
                Reject(
                    corpus=clip.corpus,
                    clip_id=clip.clip_id,
                    path=clip.path,
                    stage="scan",
                    reason=result.reason,
                    detail=result.detail,
                    split=clip.split,
                    tags=clip.tags,
                )
            )
    groups = duplicate_groups(clips, {clip.clip_id: clip.source_sha256 for clip in clips})
    notes = [*listing.notes, *duplicate_notes(groups), *([problem] if problem else [])]
    return Scan(name, root, tuple(clips), tuple(rejects), tuple(notes), listing.licence)


def _measure_all(
    clips: tuple[Clip, ...], tree: FileTree, options: ScanOptions, reporter: Reporter
) -> tuple[list[Result], str]:
    """Measure all clips, in order, those in the cache without decoding."""
    version = decoder_version(options.decoder)
    keys = [(store.join(tree.root, clip.path), _stamp(tree, clip, version)) for clip in clips]
    cache = ScanCache()
    known = {key: found for key, found in cache.get(keys).items() if not _may_pass(found)}
    todo = [(key, clip) for key, clip in zip(keys, clips, strict=True) if key not in known]
    tasks = [todo[i : i + FILES_PER_TASK] for i in range(0, len(todo), FILES_PER_TASK)]
    arguments = [
        (
            [(url, stamp, clip.path, clip.expected_s) for (url, stamp), clip in task],
            options.decoder,
            version,
        )
        for task in tasks
    ]
    label = f"scan {clips[0].corpus}" if clips else "scan"
    with contextlib.closing(cache), reporter.track(label, len(clips), "files") as advance:
        advance(len(clips) - len(todo))
        for measured in run_tasks(
            measure_files,
            arguments,
            jobs=options.jobs,
            engine=options.engine,
            scheduler=options.scheduler,
        ):
            cache.put(m for m in measured if not _may_pass(m[2]))
            known.update({(url, stamp): result for url, stamp, result in measured})
            advance(len(measured))
    return [known[key] for key in keys], cache.problem


def _stamp(tree: FileTree, clip: Clip, version: str) -> str:
    """Return what tells that a file is still the one that was measured."""
    return "|".join([*tree.stamp(clip.path), f"{clip.expected_s:g}", version])


def _may_pass(result: Result) -> bool:
    """Tell whether a failure may pass without the file's size or time changing."""
    return isinstance(result, Failure) and result.reason in MAY_PASS


def measure_files(
    files: list[tuple[str, str, str, float]], decoder: str, version: str
) -> list[tuple[str, str, Result]]:
    """Measure a few files: one task.

    Args:
        files: (url, stamp, path below the root, expected duration in seconds) of each.
        decoder: see ``manifests.audio.DECODERS``.
        version: of the decoder, where the scan was started.

    Returns:
        (url, stamp, measurement or failure) of each.

    Raises:
        ManifestError: this machine does not see a file that was listed, or has another decoder.
    """
    if (here := _version_here(decoder)) != version:
        raise ManifestError(
            f"worker on {socket.gethostname()}: expected the decoder {version}, got {here}; "
            "install the same versions on every machine"
        )
    results: list[tuple[str, str, Result]] = []
    for url, stamp, path, expected_s in files:
        try:
            result: Result = measure(url, path, expected_s=expected_s, decoder=decoder)
        except AudioError as error:
            _check_seen(error, url, stamp, path)
            result = Failure(error.reason, str(error))
        results.append((url, stamp, result))
    return results


@functools.cache
def _version_here(decoder: str) -> str:
    """Return the decoder's version on this machine; ffmpeg is a program to be started for it."""
    return decoder_version(decoder)


def _check_seen(error: AudioError, url: str, stamp: str, path: str) -> None:
    """Raise where a file is gone or empty that was listed: the machine's fault, not the file's.

    A worker without the corpus, or a mount that drops for a moment, must not turn into rejects.
    """
    was_empty = stamp.startswith("0|")
    is_empty = error.reason == "empty" and store.size_bytes(url) == 0
    if error.reason == "missing" or (is_empty and not was_empty):
        found = "0 bytes" if is_empty else "nothing"
        raise ManifestError(
            f"{path}: expected the file that was listed, {socket.gethostname()} finds {found}; "
            "every worker needs the corpora under the same paths: mend that and run the same "
            "command again, finished work is kept"
        ) from error
