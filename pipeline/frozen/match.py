"""Find a recipe's sources in one's own copy of a corpus: by name, then by content.

By name is free: the corpus reader knows which file is which clip, whatever the naming of the copy,
and nothing is decoded. A file of that name and size is hashed. Only what is not found so is looked
for by the hash of its content, among files that are not known to be another clip.
"""

from __future__ import annotations

import hashlib
import posixpath
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from manifests import store
from manifests.audio import AudioError, open_audio
from manifests.errors import ManifestError, UsageError
from pipeline.corpora import corpus
from pipeline.corpora.files import FileTree, base_name, is_audio
from pipeline.engine import run_tasks
from pipeline.frozen.rows import FrozenRow, FrozenSource, SourceKey, source_keys
from pipeline.progress import Reporter, SilentReporter
from pipeline.sources import Sources

SAME: Final = "same"
CHANGED: Final = "changed"
MISSING: Final = "missing"
FILES_PER_TASK: Final = 8
UNNAMED: Final = ("folder",)
"""Corpora whose clip ids are file names: a file of another name may be any clip."""

Roots = Sources


@dataclass(frozen=True)
class Wanted:
    """A source to find.

    Attributes:
        source: what the recipe says of it.
        source_rate: its sample rate, Hz.
        looped: an example loops it, so its length counts.
    """

    source: FrozenSource
    source_rate: int
    looped: bool


@dataclass(frozen=True)
class Match:
    """What was found for a source.

    Attributes:
        role: ``music`` or ``noise``.
        corpus: corpus name.
        clip_id: the corpus' own id.
        state: ``same`` file, ``changed`` (of that name, with other bytes) or ``missing``.
        how: ``name``, ``content`` or ``sound``; empty where missing.
        path: path below the corpus root; empty where missing.
        sha256: hash of the file found.
        source_rate: its rate, Hz.
        source_samples: its length, where it was decoded; else 0.
        format: container and coding, where it was opened.
        detail: what is wrong with it, one line.
    """

    role: str
    corpus: str
    clip_id: str
    state: str
    how: str
    path: str
    sha256: str
    source_rate: int
    source_samples: int
    format: str
    detail: str

    @property
    def key(self) -> SourceKey:
        """What names the source within a recipe."""
        return self.role, self.corpus, self.clip_id


@dataclass(frozen=True)
class FileFacts:
    """One file as an examination found it; empty and 0 for what was not looked at."""

    path: str
    sha256: str = ""
    source_rate: int = 0
    source_samples: int = 0
    format: str = ""
    error: str = ""


@dataclass(frozen=True)
class Found:
    """What a team's copies hold of a recipe's sources.

    Attributes:
        matches: what was found for each source.
        notes: facts for people.
        unclaimed: paths of files that are no source and no other clip known by name, by role and
            corpus.
    """

    matches: dict[SourceKey, Match]
    notes: tuple[str, ...]
    unclaimed: dict[tuple[str, str], tuple[str, ...]]


@dataclass(frozen=True)
class Workers:
    """Where files are examined."""

    jobs: int = 1
    engine: str = "loky"
    scheduler: str | None = None


def wanted_sources(
    rows: Iterable[FrozenRow], sources: Mapping[SourceKey, FrozenSource]
) -> list[Wanted]:
    """Return the sources of examples, sorted, with their rate and whether they are looped."""
    rates: dict[SourceKey, int] = {}
    looped: set[SourceKey] = set()
    for row in rows:
        keys = source_keys(row)
        rates[keys[0]] = row.music.source_rate
        for key, noise in zip(keys[1:], row.noises, strict=True):
            rates[key] = noise.source_rate
            if noise.looped:
                looped.add(key)
    return [Wanted(sources[key], rates[key], key in looped) for key in sorted(rates)]


def check_roots(wanted: Iterable[Wanted], roots: Roots) -> None:
    """Check that a folder is given for every corpus that is wanted.

    Raises:
        UsageError: one is not given, is unknown here, or does not exist.
    """
    needed = sorted({(w.source.role, w.source.corpus) for w in wanted})
    for role, name in needed:
        corpus(name)
        if name not in roots.roots[role]:
            raise UsageError(f"--{role} {name}=DIR: expected the folder of {name}, got none")
    for role, named in roots.roots.items():
        for name, root in named.items():
            if (role, name) not in needed:
                shown = ", ".join(f"--{r} {n}" for r, n in needed)
                raise UsageError(f"--{role} {name}: the recipe does not use it; it needs {shown}")
            if not store.exists(root):
                raise UsageError(f"--{role} {name}={root}: no such folder")


def match_sources(
    wanted: Sequence[Wanted],
    roots: Roots,
    *,
    decoder: str,
    workers: Workers | None = None,
    reporter: Reporter | None = None,
) -> Found:
    """Find sources.

    Args:
        wanted: see ``wanted_sources``.
        roots: corpora by role, metadata folders, options of the corpus readers.
        decoder: opens what is not the same file.
        workers: processes.
        reporter: shows progress.

    Returns:
        What was found, see ``Found``.

    Raises:
        ManifestError: a folder cannot be listed.
    """
    groups: dict[tuple[str, str], list[Wanted]] = defaultdict(list)
    for item in wanted:
        groups[item.source.role, item.source.corpus].append(item)
    matches: dict[SourceKey, Match] = {}
    notes: list[str] = []
    unclaimed = {}
    for (role, name), items in sorted(groups.items()):
        copy = _Copy(role, name, roots, decoder, workers or Workers(), reporter)
        own = copy.match(items)
        matches |= own
        notes += copy.notes
        unclaimed[role, name] = copy.unclaimed({match.path for match in own.values()})
    return Found(matches, tuple(notes), unclaimed)


def locate_originals(
    sources: Sequence[FrozenSource], roots: Roots, jobs: int
) -> tuple[dict[SourceKey, FrozenSource], list[str]]:
    """Return sources with path and size, as the corpora that a set was built from hold them."""
    wanted = [Wanted(source, 0, False) for source in sources]
    check_roots(wanted, roots)
    here = match_sources(wanted, roots, decoder="soundfile", workers=Workers(jobs))
    found = {}
    for source in sources:
        match = here.matches[source.key]
        if match.state == SAME:
            url = store.join(roots.roots[source.role][source.corpus], match.path)
            found[source.key] = replace(source, path=match.path, n_bytes=store.size_bytes(url))
    lost = len(sources) - len(found)
    note = f"{lost:,} sources are not in the corpora given: the set was built from other files"
    return found, [note] if lost else []


class _Copy:
    """One team's copy of one corpus."""

    def __init__(
        self,
        role: str,
        name: str,
        roots: Roots,
        decoder: str,
        workers: Workers,
        reporter: Reporter | None,
    ) -> None:
        self.notes: list[str] = []
        self._label = f"match {name}"
        self._root = roots.roots[role][name]
        self._decoder = decoder
        self._workers = workers
        self._reporter = reporter or SilentReporter()
        self._tree = FileTree(self._root)
        metadata = roots.metadata.get(name)
        self._names = self._read_names(name, metadata, roots.corpus_options)
        self._official = set(self._names.values()) if name not in UNNAMED else set[str]()

    def _read_names(
        self, name: str, metadata: str | None, options: Mapping[str, Any]
    ) -> dict[str, str]:
        tree = FileTree(metadata) if metadata else self._tree
        try:
            listing = corpus(name).list_clips(self._tree, tree, options, with_audio=True)
        except ManifestError as error:
            self.notes.append(f"{name}: files are looked for by content: {error}")
            return {}
        return {clip.clip_id: clip.path for clip in listing.clips}

    def match(self, wanted: Sequence[Wanted]) -> dict[SourceKey, Match]:
        """Return a match for each."""
        named = self._by_name(wanted)
        facts = self._examine(
            [(path, False) for item in wanted if (path := named.get(item.source.key))
             and self._may_be(item, path)]
        )  # fmt: skip
        found = {
            item.source.key: named[item.source.key]
            for item in wanted
            if item.source.key in named
            and facts.get(named[item.source.key], FileFacts("")).sha256 == item.source.sha256
        }
        how = dict.fromkeys(found, "name")
        rest = [item for item in wanted if item.source.key not in found]
        for key, path in self._by_content(rest, set(found.values()), facts).items():
            found[key], how[key] = path, "content"
        return self._matches(wanted, found, how, named)

    def unclaimed(self, taken: set[str]) -> tuple[str, ...]:
        """Return audio files that are neither taken nor known to be another clip."""
        known = taken | self._official
        return tuple(p for p in self._tree.paths if is_audio(p) and p not in known)

    def _by_name(self, wanted: Sequence[Wanted]) -> dict[SourceKey, str]:
        """Return the path of each source whose name is known here, unread."""
        audio = [path for path in self._tree.paths if is_audio(path)]
        stems = Counter(_stem(path) for path in audio)
        taken = {self._names.get(item.source.clip_id) for item in wanted} | self._official
        unique = {_stem(p): p for p in audio if stems[_stem(p)] == 1 and p not in taken}
        named: dict[SourceKey, str] = {}
        for item in wanted:
            source = item.source
            hint = source.path or source.clip_id
            path = self._names.get(source.clip_id)
            if path is None and source.path is not None and self._tree.exists(source.path):
                path = source.path
            path = path or unique.get(_stem(hint))
            if path is not None:
                named[source.key] = path
        return named

    def _may_be(self, item: Wanted, path: str) -> bool:
        """Tell whether a file has the size that the source had, where that is known."""
        return item.source.n_bytes in (None, self._tree.paths[path])

    def _by_content(
        self, wanted: Sequence[Wanted], taken: set[str], facts: Mapping[str, FileFacts]
    ) -> dict[SourceKey, str]:
        """Look for files by hash, among those that are not known to be another clip."""
        if not wanted:
            return {}
        sizes = {item.source.n_bytes for item in wanted}
        candidates = [
            path
            for path in self.unclaimed(taken)
            if path not in facts and (None in sizes or self._tree.paths[path] in sizes)
        ]
        facts = {**facts, **self._examine([(path, False) for path in candidates])}
        by_hash: dict[str, str] = {}
        for path in sorted(facts):
            by_hash.setdefault(facts[path].sha256, path)
        keys = ((item.source.key, item.source.sha256) for item in wanted)
        return {key: by_hash[sha256] for key, sha256 in keys if sha256 in by_hash}

    def _matches(
        self,
        wanted: Sequence[Wanted],
        found: Mapping[SourceKey, str],
        how: Mapping[SourceKey, str],
        named: Mapping[SourceKey, str],
    ) -> dict[SourceKey, Match]:
        """Open what has to be opened: looped sources for their length, changed ones for all."""
        opened = [found[w.source.key] for w in wanted if w.looped and w.source.key in found]
        opened += [named[w.source.key] for w in wanted
                   if w.source.key not in found and w.source.key in named]  # fmt: skip
        facts = self._examine([(path, True) for path in opened])
        matches = {}
        for item in wanted:
            key = item.source.key
            path = found.get(key) or named.get(key, "")
            state = SAME if key in found else CHANGED if path else MISSING
            fact = facts.get(path, FileFacts(path))
            matches[key] = Match(
                *key,
                state=state,
                how=how.get(key, "name" if path else ""),
                path=path,
                sha256=item.source.sha256 if state == SAME else fact.sha256,
                source_rate=fact.source_rate or item.source_rate,
                source_samples=fact.source_samples,
                format=fact.format,
                detail=fact.error,
            )
        return matches

    def _examine(self, files: Sequence[tuple[str, bool]]) -> dict[str, FileFacts]:
        """Hash files, and decode those marked, in parallel; by path."""
        todo = sorted(set(files))
        tasks = [
            (self._root, todo[i : i + FILES_PER_TASK], self._decoder)
            for i in range(0, len(todo), FILES_PER_TASK)
        ]
        facts: dict[str, FileFacts] = {}
        with self._reporter.track(self._label, len(todo), "files") as advance:
            for examined in run_tasks(
                examine_files,
                tasks,
                jobs=self._workers.jobs,
                engine=self._workers.engine,
                scheduler=self._workers.scheduler,
            ):
                facts |= {fact.path: fact for fact in examined}
                advance(len(examined))
        return facts


def _stem(path: str) -> str:
    """Return a file's name without folder and extension, as names agree between systems."""
    name = posixpath.splitext(base_name(path))[0] if is_audio(path) else base_name(path)
    return unicodedata.normalize("NFC", name).casefold()


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
