"""Find what has another name *and* other bytes: by rendering with a file and comparing the result.

A song whose tags were edited and that was renamed has nothing left to find it by but its sound.
Files that nobody claimed, of the right rate and long enough, are rendered as the recipe says; the
one whose output has the recipe's hash is the source. Nearest lengths first, and no more than some
thousand trials, so that a team that lacks much does not wait for hours to hear that it does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from manifests import signal, store
from manifests.audio import AudioError, open_audio
from manifests.errors import ManifestError
from manifests.member_audio import pcm_sha256
from manifests.reading import resampled_length
from manifests.rows import SAMPLE_RATE
from pipeline.engine import run_tasks
from pipeline.frozen.examine import examine_files
from pipeline.frozen.frozen_config import FrozenConfig
from pipeline.frozen.match import CHANGED, MISSING, Match, Wanted, Workers
from pipeline.frozen.replay import music_span, replay
from pipeline.frozen.rows import MUSIC, FrozenRow, SourceKey, source_keys
from pipeline.progress import Reporter
from pipeline.render import Roots, read_music
from pipeline.sources import Sources

MAX_TRIALS: Final = 4_000
MAX_TRIALS_EACH: Final = 32
_BY_SOUND: Final = "sound"


@dataclass(frozen=True)
class Candidate:
    """A file that nobody claimed; ``n_samples`` at 22,050 Hz as its header announces."""

    path: str
    source_rate: int
    n_samples: int


@dataclass(frozen=True)
class Trial:
    """One source to be tried with several files: an example that needs it, its other sources."""

    row: FrozenRow
    matches: tuple[Match, ...]
    place: int
    looped: bool
    paths: tuple[str, ...]


def search_by_sound(
    rows: Sequence[FrozenRow],
    wanted: Iterable[Wanted],
    matches: Mapping[SourceKey, Match],
    unclaimed: Mapping[tuple[str, str], Sequence[str]],
    config: FrozenConfig,
    roots: Sources,
    *,
    workers: Workers,
    reporter: Reporter,
) -> tuple[dict[SourceKey, Match], list[str]]:
    """Look for missing sources among unclaimed files by what they render to.

    Args:
        rows: the examples.
        wanted: their sources.
        matches: what was found by name and content.
        unclaimed: files that are no clip known by name, by role and corpus.
        config: how sources are read.
        roots: corpora by role.
        workers: processes.
        reporter: shows progress.

    Returns:
        Matches with those found filled in, and facts for people.
    """
    found = dict(matches)
    missing = [w for w in wanted if found[w.source.key].state == MISSING]
    missing = [w for w in missing if unclaimed.get(w.source.key[:2])]
    if not missing:
        return found, []
    each = min(MAX_TRIALS_EACH, MAX_TRIALS // len(missing))
    if not each:
        return found, [f"{len(missing):,} missing sources are too many to be looked for by sound"]
    candidates = {
        key: _candidates(roots.roots[key[0]][key[1]], unclaimed[key], config.decoder, workers)
        for key in sorted({item.source.key[:2] for item in missing})
    }
    for role in (MUSIC, "noise"):  # a noise is only heard under music that was found
        items = [item for item in missing if item.source.role == role]
        trials = _trials(items, rows, found, candidates, each)
        arguments = [(trial, roots.roots, config) for trial in trials]
        with reporter.track(f"search {role}", len(trials), "sources") as advance:
            for match in run_tasks(
                try_files,
                arguments,
                jobs=workers.jobs,
                engine=workers.engine,
                scheduler=workers.scheduler,
            ):
                advance(1)
                if match is not None:
                    found[match.key] = match
    return found, []


def _candidates(root: str, paths: Sequence[str], decoder: str, workers: Workers) -> list[Candidate]:
    """Open the headers of files; what cannot be opened is no candidate."""
    tasks = [(root, list(paths[i : i + 32]), decoder) for i in range(0, len(paths), 32)]
    found: list[Candidate] = []
    for opened in run_tasks(
        open_headers,
        tasks,
        jobs=workers.jobs,
        engine=workers.engine,
        scheduler=workers.scheduler,
    ):
        found += opened
    return sorted(found, key=lambda candidate: candidate.path)


def open_headers(root: str, paths: list[str], decoder: str) -> list[Candidate]:
    """Return rate and length of files from their headers: one task."""
    found = []
    for path in paths:
        url = store.join(root, path)
        try:
            with store.open_read(url) as file:
                source = store.local_path(url) if store.is_local(url) else file
                with open_audio(source, path, decoder) as (header, _):
                    n_samples = resampled_length(header.n_samples or 0, header.sample_rate)
                    found.append(Candidate(path, header.sample_rate, n_samples))
        except (ManifestError, OSError):
            continue
    return found


def _trials(
    items: Sequence[Wanted],
    rows: Sequence[FrozenRow],
    found: Mapping[SourceKey, Match],
    candidates: Mapping[tuple[str, str], Sequence[Candidate]],
    each: int,
) -> list[Trial]:
    """Return a trial for each source that an example needs whose other sources are there."""
    uses: dict[SourceKey, FrozenRow] = {}
    wanted = {item.source.key for item in items}
    lengths: dict[SourceKey, int] = defaultdict(int)
    for row in rows:
        keys = source_keys(row)
        for place, key in enumerate(keys):
            if key not in wanted:
                continue
            lengths[key] = max(lengths[key], _span_end(row, place))
            others = (found[k].state for k in keys if k != key)
            if key[0] == MUSIC or MISSING not in others:
                uses.setdefault(key, row)
    trials = []
    for item in items:
        key = item.source.key
        if key not in uses:
            continue
        end = lengths[key]
        near = [
            c
            for c in candidates[key[:2]]
            if c.source_rate == item.source_rate and (not c.n_samples or c.n_samples >= end - 1)
        ]
        near.sort(key=lambda c: (abs(c.n_samples - end), c.path))
        row = uses[key]
        keys = source_keys(row)
        paths = tuple(c.path for c in near[:each])
        trials.append(
            Trial(row, tuple(found[k] for k in keys), keys.index(key), item.looped, paths)
        )
    return trials


def _span_end(row: FrozenRow, place: int) -> int:
    """Return the last sample at 22,050 Hz that an example needs of a source."""
    if place and row.noises[place - 1].looped:
        return 1
    start_s = row.noises[place - 1].start_s if place else row.music.start_s
    return round(start_s * SAMPLE_RATE) + row.music.n_samples


def try_files(trial: Trial, roots: Roots, config: FrozenConfig) -> Match | None:
    """Return the file that renders to the recipe's hash, or None: one task."""
    wanted = trial.matches[trial.place]
    root = roots[wanted.role][wanted.corpus]
    for path in trial.paths:
        try:
            match = _as_match(wanted, root, path, trial.looped, config.decoder)
            if _renders(trial, match, roots, config):
                return match
        except ManifestError:  # too short, does not decode, would clip: not this one
            continue
    return None


def _as_match(wanted: Match, root: str, path: str, looped: bool, decoder: str) -> Match:
    (facts,) = examine_files(root, [(path, looped)], decoder)
    if facts.error:
        raise AudioError("undecodable", facts.error)
    return replace(
        wanted,
        state=CHANGED,
        how=_BY_SOUND,
        path=path,
        sha256=facts.sha256,
        source_samples=facts.source_samples,
    )


def _renders(trial: Trial, match: Match, roots: Roots, config: FrozenConfig) -> bool:
    row = trial.row
    if trial.place == 0:
        music = read_music(music_span(row, match), roots, config.read)
        pcm = signal.to_pcm(signal.amplitude(row.gain_db) * music)
        return pcm_sha256(pcm) == row.pcm_sha256[0]
    matches = (*trial.matches[: trial.place], match, *trial.matches[trial.place + 1 :])
    replayed = replay(row, matches, config, roots)
    return pcm_sha256(list(replayed.pcms.values())[-1]) == row.pcm_sha256[-1]
