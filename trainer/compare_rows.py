"""Which score files make a row of the table, and what the row is called."""

from __future__ import annotations

import itertools
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from trainer.evaluation.figures import RunLabel
from trainer.evaluation.score_file import ScoreFile
from trainer.evaluation.scored import Scored

_NUMBER: Final = re.compile(r" #\d+\Z")


def set_name(file: ScoreFile) -> str:
    """Return the name of a set in the table; a subset is a set of its own."""
    subset_id = file.set.subset_id
    return f"{file.set.name} (subset {subset_id[:8]})" if subset_id else file.set.name


def group_runs(labels: Sequence[RunLabel]) -> dict[str, tuple[RunLabel, ...]]:
    """Return rows of the table in order: runs that differ by the seed alone share one."""
    groups: dict[tuple[str, str], list[RunLabel]] = {}
    for label in labels:
        group = groups.setdefault((label.method, label.config_sha256), [])
        if label not in group:
            group.append(label)
    rows: dict[str, tuple[RunLabel, ...]] = {}
    for (_, config_sha256), group in groups.items():
        name = group[0].shown if len(group) == 1 else f"{_stem(group)} ×{len(group)}"
        if name in rows:
            name = f"{name} {config_sha256[:6]}"
        numbered = (f"{name} #{number}" for number in itertools.count(2))
        rows[name if name not in rows else next(n for n in numbered if n not in rows)] = tuple(
            group
        )
    return rows


def _stem(group: Sequence[RunLabel]) -> str:
    """Return what the names of runs share before their seeds (``dat-s0``), else the method.

    What follows a slash is an earlier tagger of the run (``student-s0/round-1``), and stays, as
    does the number of a source (``told_apart``).
    """
    numbers = {_NUMBER.search(label.name) for label in group}
    marks = {found[0] if found else "" for found in numbers}
    parts = [_NUMBER.sub("", label.name).partition("/") for label in group]
    stems = {
        run.removesuffix(f"-s{label.seed}") for (run, *_), label in zip(parts, group, strict=True)
    }
    alone = len(stems) == 1 and stems.isdisjoint(run for run, *_ in parts)
    stem = stems.pop() if alone else group[0].method
    mark = marks.pop() if len(marks) == 1 else ""
    return replace(group[0], name=stem + "".join(parts[0][1:]) + mark).shown


@dataclass
class _Source:
    """Where scores of a run come from: a folder, or several with scores of the same weights."""

    folder: str
    name: str
    weights_sha256: str
    urls: dict[str, str] = field(default_factory=dict)

    def holds(self, item: Scored) -> bool:
        file = item.file
        same = self.folder == posixpath.dirname(item.url) or (
            (self.name, self.weights_sha256) == (file.run.name, file.checkpoint_sha256)
        )
        return same and self.urls.get(set_name(file), item.url) == item.url


def told_apart(scored: Sequence[Scored]) -> list[Scored]:
    """Number runs of one method, configuration and seed, so that they become a row each.

    They are two teams' scores of one run, or a run and its repetition, e.g. on another machine.
    Where their names differ, these stay.
    """
    sources: dict[tuple[str, str, int], list[_Source]] = {}
    found = []
    for item in scored:
        run = item.file.run
        mine = sources.setdefault((run.method, run.config_sha256, run.seed), [])
        place = next((n for n, source in enumerate(mine) if source.holds(item)), len(mine))
        if place == len(mine):
            weights = item.file.checkpoint_sha256
            mine.append(_Source(posixpath.dirname(item.url), run.name, weights))
        mine[place].urls[set_name(item.file)] = item.url
        if place:
            number = f" #{place + 1}"
            twice = any(source.name == run.name for source in mine[:place])
            own = replace(
                run,
                name=run.name + number * twice,
                config_sha256=run.config_sha256 + number,
            )
            item = replace(item, file=replace(item.file, run=own))
        found.append(item)
    return found
