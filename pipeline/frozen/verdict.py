"""The verdict on a rebuilt example: is its *output* that of the recipe, and what of its sources.

Two columns that say different things. ``verdict`` compares samples: ``identical`` by hash, ``1lsb``
(no sample off by more than 1 LSB, how many are), ``differs``, or ``missing`` where nothing could be
rendered for want of a source. ``source`` compares files: ``same`` bytes; ``retagged``, other bytes
that decode to the same samples; ``other``, other bytes and other samples; ``missing``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from manifests.member_audio import pcm_sha256
from manifests.signal import Pcm
from manifests.subset import IDENTICAL as IDENTICAL
from manifests.subset import ONE_LSB as ONE_LSB
from pipeline.frozen.match import CHANGED, MISSING, SAME, Match
from pipeline.frozen.rows import FrozenRow, SourceKey, source_keys
from pipeline.frozen.sketch import compare

DIFFERS: Final = "differs"
NOT_THERE: Final = "missing"
VERDICTS: Final = (IDENTICAL, ONE_LSB, DIFFERS, NOT_THERE)

RETAGGED: Final = "retagged"
OTHER: Final = "other"
STATES: Final = (SAME, RETAGGED, OTHER, MISSING)
"""States of a source, from best to worst."""
ACCEPTS: Final = {IDENTICAL: (IDENTICAL,), ONE_LSB: (IDENTICAL, ONE_LSB)}
"""Verdicts that are taken, by what ``--accept`` says."""


@dataclass(frozen=True)
class ExampleVerdict:
    """One row of the table of verdicts.

    Attributes:
        key: key of the example.
        verdict: ``identical``, ``1lsb``, ``differs`` or ``missing``.
        n_differ: samples that differ over all members where the verdict is ``1lsb``; an estimate
            above about five a member. 0 else.
        rms_lsb: RMS of the difference of the worst member, LSB; estimated, above about 100 only
            "large"; None where nothing was rendered.
        source: worst state of its sources.
        sources: state of each source, the music first.
        clips: ``corpus clip_id`` of each source.
        detail: what is wrong, one line.
        first_identical: whether the first member (clean, audio) came out identical.
    """

    key: str
    verdict: str
    n_differ: int
    rms_lsb: float | None
    source: str
    sources: tuple[str, ...]
    clips: tuple[str, ...]
    detail: str
    first_identical: bool


def missing_verdict(row: FrozenRow, matches: Sequence[Match]) -> ExampleVerdict:
    """Return the verdict on an example of which a source was not found."""
    gone = [f"{m.corpus} {m.clip_id}" for m in matches if m.state == MISSING]
    return _verdict(row, matches, NOT_THERE, 0, None, f"not found: {', '.join(gone)}", False)


def failed_verdict(row: FrozenRow, matches: Sequence[Match], error: str) -> ExampleVerdict:
    """Return the verdict on an example that could not be rendered from the files found."""
    return _verdict(row, matches, DIFFERS, 0, None, error, False)


def output_verdict(
    row: FrozenRow, matches: Sequence[Match], sketches: Sequence[str], pcms: Mapping[str, Pcm]
) -> ExampleVerdict:
    """Compare what came out with the recipe's hashes, and what differs with its sketches.

    Args:
        row: the example.
        matches: the files it was rendered from.
        sketches: the recipe's sketch of each member.
        pcms: samples by member, in the same order.
    """
    n_differ, worst, detail, lsb = 0, 0.0, "", True
    first_identical = False
    for number, (name, pcm) in enumerate(pcms.items()):
        if pcm_sha256(pcm) == row.pcm_sha256[number]:
            first_identical |= number == 0
            continue
        apart = compare(sketches[number], pcm, f"{row.key}.{name}")
        n_differ += apart.n_differ
        worst = max(worst, apart.rms_lsb)
        lsb &= apart.within_1lsb
        detail = detail or f"{name} is off by {_shown(apart.rms_lsb)} LSB RMS"
    if not detail:
        return _verdict(row, matches, IDENTICAL, 0, 0.0, "", True)
    if lsb:
        detail = f"within 1 LSB, {n_differ:,} samples differ"
        return _verdict(row, matches, ONE_LSB, n_differ, worst, detail, first_identical)
    return _verdict(row, matches, DIFFERS, 0, worst, detail, first_identical)


def _shown(rms_lsb: float) -> str:
    return "over 100" if rms_lsb > 100 else f"about {rms_lsb:.2g}"


def _verdict(
    row: FrozenRow,
    matches: Sequence[Match],
    verdict: str,
    n_differ: int,
    rms_lsb: float | None,
    detail: str,
    first_identical: bool,
) -> ExampleVerdict:
    return ExampleVerdict(
        key=row.key,
        verdict=verdict,
        n_differ=n_differ,
        rms_lsb=rms_lsb,
        source="",
        sources=(),
        clips=tuple(f"{match.corpus} {match.clip_id}" for match in matches),
        detail=detail,
        first_identical=first_identical,
    )


def with_sources(
    rows: Sequence[FrozenRow],
    verdicts: Mapping[str, ExampleVerdict],
    matches: Mapping[SourceKey, Match],
) -> list[ExampleVerdict]:
    """Fill in the state of every source, over all examples: a source is judged by its best use.

    A changed file is ``retagged`` where an example came out identical with it (for music the clean
    member is enough), else ``other``.

    Returns:
        Verdicts in the order of the rows.
    """
    proven: set[SourceKey] = set()
    for row in rows:
        keys = source_keys(row)
        if verdicts[row.key].verdict == IDENTICAL:
            proven.update(keys)
        elif verdicts[row.key].first_identical:
            proven.add(keys[0])
    states = {key: _state(match, key in proven) for key, match in matches.items()}
    found = []
    for row in rows:
        sources = tuple(states[key] for key in source_keys(row))
        worst = max(sources, key=STATES.index)
        found.append(replace(verdicts[row.key], source=worst, sources=sources))
    return found


def _state(match: Match, proven: bool) -> str:
    if match.state != CHANGED:
        return match.state
    return RETAGGED if proven else OTHER


@dataclass(frozen=True)
class Tally:
    """Verdicts in numbers.

    Attributes:
        n_examples: examples asked for.
        verdicts: examples by verdict.
        sources: examples by the worst state of their sources.
        n_accepted: examples that are taken.
    """

    n_examples: int
    verdicts: dict[str, int]
    sources: dict[str, int]
    n_accepted: int

    @property
    def complete(self) -> bool:
        """Whether every example is taken."""
        return self.n_accepted == self.n_examples


def tally(verdicts: Iterable[ExampleVerdict], accept: str) -> Tally:
    """Count verdicts; those up to ``accept`` (``identical`` or ``1lsb``) are taken."""
    every = list(verdicts)
    by_verdict = Counter(v.verdict for v in every)
    by_source = Counter(v.source for v in every)
    return Tally(
        n_examples=len(every),
        verdicts={name: by_verdict[name] for name in VERDICTS},
        sources={name: by_source[name] for name in STATES},
        n_accepted=sum(by_verdict[name] for name in ACCEPTS[accept]),
    )
