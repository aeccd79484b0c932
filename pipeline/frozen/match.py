"""What is looked for in a team's own copies of the corpora, and what a search finds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from manifests import store
from manifests.errors import UsageError
from pipeline.corpora import CORPORA, corpus
from pipeline.frozen.rows import FrozenRow, FrozenSource, SourceKey, source_keys
from pipeline.sources import Sources

SAME: Final = "same"
CHANGED: Final = "changed"
MISSING: Final = "missing"


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


def check_roots(wanted: Iterable[Wanted], roots: Sources) -> None:
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


def with_recipe_options(roots: Sources, config: Mapping[str, Any]) -> Sources:
    """Return roots whose corpus readers list what those of the recipe listed.

    Values from elsewhere: only declared options are taken, none that names a file, and the readers
    check them. What was given here wins.
    """
    said = config.get("corpus_options")
    declared = {o.name for module in CORPORA.values() for o in module.OPTIONS}
    taken = {
        name: value
        for name, value in (said.items() if isinstance(said, dict) else ())
        if name in declared and not name.endswith(("_file", "_csv"))
    }
    return replace(roots, corpus_options={**taken, **roots.corpus_options})
