"""Rejects by reason, with examples: what a set does not hold, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from manifests.canonical import hash64
from manifests.rows import Reject
from pipeline.report.contents import SetContents

EXAMPLES_EACH: Final = 3
DETAIL_LENGTH: Final = 300


@dataclass(frozen=True)
class RejectExample:
    """One reject as it is shown."""

    path: str
    detail: str


@dataclass(frozen=True)
class RejectGroup:
    """Rejects of one corpus for one reason."""

    corpus: str
    reason: str
    stage: str
    count: int
    examples: tuple[RejectExample, ...]


@dataclass(frozen=True)
class Rejects:
    """Rejects of a set.

    Attributes:
        count: all of them.
        groups: by corpus and reason, most first.
        music_clips: different music clips in the set.
        music_share: rejects of the music corpora over these and the set's clips; None for a set
            cut down by ``--limit``, which holds a part of its clips but lists all rejects.
    """

    count: int
    groups: tuple[RejectGroup, ...]
    music_clips: int
    music_share: float | None


def group_rejects(contents: SetContents) -> Rejects:
    """Group the rejects of a set; examples are drawn by hash of their path."""
    rejects = contents.rejects or ()
    by_reason: dict[tuple[str, str, str], list[Reject]] = defaultdict(list)
    for reject in rejects:
        by_reason[reject.corpus, reject.reason, reject.stage].append(reject)
    groups = [
        RejectGroup(corpus, reason, stage, len(found), _examples(found))
        for (corpus, reason, stage), found in by_reason.items()
    ]
    groups.sort(key=lambda group: (-group.count, group.corpus, group.reason))
    corpora = {row.corpus for row in contents.rows}
    clips = {(row.corpus, row.clip_id) for row in contents.rows}
    lost = sum(reject.corpus in corpora for reject in rejects)
    share = None
    if contents.rejects is not None and not contents.index.config.get("limit"):
        share = round(lost / (lost + len(clips)), 4)
    return Rejects(len(rejects), tuple(groups), len(clips), share)


def _examples(rejects: Sequence[Reject]) -> tuple[RejectExample, ...]:
    drawn = sorted(rejects, key=lambda r: hash64("report", r.path, r.detail))[:EXAMPLES_EACH]
    return tuple(RejectExample(r.path, _without_path(r)[:DETAIL_LENGTH]) for r in drawn)


def _without_path(reject: Reject) -> str:
    """Return the detail; most begin with the path, which stands beside it."""
    return reject.detail.removeprefix(f"{reject.path}: ")
