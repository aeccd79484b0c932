"""Find a recipe's sources in one's own copy of a corpus: by name, then by content.

By name is free: the corpus reader knows which file is which clip, whatever the naming of the copy,
and nothing is decoded. A file of that name and size is hashed. Only what is not found so is looked
for by the hash of its content, among files that are not known to be another clip.
"""

from __future__ import annotations

import posixpath
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from manifests import store
from manifests.errors import ManifestError
from pipeline.corpora import corpus
from pipeline.corpora.files import FileTree, base_name, is_audio
from pipeline.frozen.examine import FileFacts, examine_all
from pipeline.frozen.match import (
    CHANGED,
    MISSING,
    SAME,
    Found,
    Match,
    Wanted,
    Workers,
    check_roots,
)
from pipeline.frozen.rows import FrozenSource, SourceKey, is_below
from pipeline.progress import Reporter, SilentReporter
from pipeline.sources import Sources

UNNAMED: Final = ("folder",)
"""Corpora whose clip ids are file names: a file of another name may be any clip."""


def match_sources(
    wanted: Sequence[Wanted],
    roots: Sources,
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
        copy = _OwnCopy(role, name, roots, decoder, workers or Workers(), reporter)
        own = copy.match(items)
        matches |= own
        notes += copy.notes
        unclaimed[role, name] = copy.unclaimed({match.path for match in own.values()})
    return Found(matches, tuple(notes), unclaimed)


def locate_originals(
    sources: Sequence[FrozenSource], roots: Sources, jobs: int
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
            path = match.path if is_below(match.path) else None  # load_recipe refuses such
            found[source.key] = replace(source, path=path, n_bytes=store.size_bytes(url))
    lost = len(sources) - len(found)
    note = f"{lost:,} sources are not in the corpora given: the set was built from other files"
    return found, [note] if lost else []


class _OwnCopy:
    """One team's copy of one corpus."""

    def __init__(
        self,
        role: str,
        name: str,
        roots: Sources,
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
        metadata, options = roots.metadata_of(role, name), roots.options_of(role, name)
        self._names = self._read_names(name, metadata, options)
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
        """Hash files, and decode those marked; by path."""
        return examine_all(
            self._root,
            files,
            self._decoder,
            workers=self._workers,
            reporter=self._reporter,
            label=self._label,
        )


def _stem(path: str) -> str:
    """Return a file's name without folder and extension, as names agree between systems."""
    name = posixpath.splitext(base_name(path))[0] if is_audio(path) else base_name(path)
    return unicodedata.normalize("NFC", name).casefold()
