"""What is known before anything is rendered: what was found, whether tools and copy are alike."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from pipeline.frozen.match import CHANGED, MISSING, SAME, Match, Wanted
from pipeline.frozen.rows import SourceKey
from pipeline.frozen.untrusted import printable

_MEANING: Final = {
    "decoder": "decoders of MP3 differ by rounding (within 1 LSB) or by where they begin (sox "
    "starts 2,257 samples later than libsndfile, measured)",
    "resampler": "resamplers differ in their filters, so samples differ by many LSB; versions of "
    "one often by rounding only",
    "numpy": "sums may round otherwise in the last digit: seldom a sample, by 1 LSB",
    "scipy": "the band filter may round otherwise in the last digit: seldom a sample, by 1 LSB",
    "machine": "floating point of another processor may round otherwise: seldom a sample, by "
    "1 LSB, more where MP3 is decoded",
}
_HARMLESS: Final = ("encoder", "robust-tagger")


def tool_lines(expected: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """Return what differs between the tools of a recipe and those here, and what it means."""
    lines = []
    for name in sorted(expected.keys() | here.keys()):
        theirs, ours = expected.get(name, "none"), here.get(name, "none")
        if theirs == ours or name in _HARMLESS:
            continue
        meaning = _MEANING.get(name, "samples may differ")
        lines.append(
            f"{name}: the recipe was made with {printable(theirs)}, here is {printable(ours)}; "
            f"{meaning}. If examples come out as differing, install the recipe's version"
        )
    return lines


def copy_lines(wanted: Iterable[Wanted], matches: Mapping[SourceKey, Match]) -> list[str]:
    """Return what was found of each corpus, and whether the copy is of another kind."""
    groups: dict[tuple[str, str], list[tuple[Wanted, Match]]] = defaultdict(list)
    for item in wanted:
        groups[item.source.key[:2]].append((item, matches[item.source.key]))
    lines = []
    for (role, name), items in sorted(groups.items()):
        states = Counter((match.state, match.how) for _, match in items)
        lines.append(
            f"{role} {name}: {len(items):,} sources: {states[SAME, 'name']:,} found by name, "
            f"{states[SAME, 'content']:,} by content, {_count(states, 'sound'):,} by sound, "
            f"{states[CHANGED, 'name']:,} with other bytes, {_count(states, '', MISSING):,} missing"
        )
        lines += _kind_lines(name, items)
    return lines


def _count(states: Mapping[tuple[str, str], int], how: str, state: str = CHANGED) -> int:
    return states.get((state, how), 0)


def _kind_lines(name: str, items: list[tuple[Wanted, Match]]) -> list[str]:
    """Say it where a copy as a whole is of another kind: coding, rate or names."""
    lines = []
    changed = [(item, match) for item, match in items if match.state == CHANGED]
    if len(changed) * 2 > len(items):
        kinds = Counter(
            f"{match.format or 'undecodable'} at {match.source_rate:,} Hz" for _, match in changed
        )
        rates = sorted({item.source_rate for item, _ in changed})
        lines.append(
            f"  this copy of {name} is of another kind: {kinds.most_common(1)[0][0]} where the "
            f"recipe has {', '.join(f'{rate:,}' for rate in rates[:3])} Hz files with other bytes; "
            "audio that was encoded or resampled again has other samples, so expect 'differs'; "
            "files that only carry other tags come out identical"
        )
    by_content = sum(match.how in ("content", "sound") for _, match in items)
    if by_content * 2 > len(items):
        lines.append(f"  this copy of {name} is named otherwise: most files were found by content")
    return lines
