"""Clips whose files are byte for byte the same.

MTG-Jamendo holds 465 groups of identical MP3s (its issue 52); a few lie in two splits, so that a
model is tested on what it was trained on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from manifests.rows import SPLITS, Clip


@dataclass(frozen=True)
class DuplicateGroup:
    """Clips of one corpus that share a hash.

    Attributes:
        sha256: hash of the file's bytes, hex.
        clip_ids: two or more ids, sorted.
        split_pairs: pairs of different splits that the group straddles, in the order train,
            valid, test; empty where it lies in one split. Clips of split ``any`` straddle nothing.
    """

    sha256: str
    clip_ids: tuple[str, ...]
    split_pairs: tuple[tuple[str, str], ...]


def duplicate_groups(
    clips: Iterable[Clip], sha256_by_clip: Mapping[str, str]
) -> tuple[DuplicateGroup, ...]:
    """Return the groups of clips with equal hashes, sorted by their first clip id.

    Args:
        clips: clips of one corpus.
        sha256_by_clip: hash by clip id; clips without one, or with an empty one, are left out.
    """
    by_hash: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        if digest := sha256_by_clip.get(clip.clip_id, ""):
            by_hash[digest].append(clip)
    groups = [
        DuplicateGroup(
            digest,
            tuple(sorted(clip.clip_id for clip in same)),
            tuple(combinations([s for s in SPLITS if any(clip.split == s for clip in same)], 2)),
        )
        for digest, same in by_hash.items()
        if len(same) > 1
    ]
    return tuple(sorted(groups, key=lambda group: group.clip_ids))


def duplicate_notes(groups: Iterable[DuplicateGroup]) -> list[str]:
    """Return one line with the counts, and one with the ids of groups that straddle splits."""
    found = list(groups)
    if not found:
        return []
    n_clips = sum(len(group.clip_ids) for group in found)
    notes = [f"{len(found):,} groups of byte-identical files, {n_clips:,} clips"]
    straddling = [group for group in found if group.split_pairs]
    if straddling:
        pairs = Counter(pair for group in straddling for pair in group.split_pairs)
        counts = ", ".join(f"{a}|{b} {n:,}" for (a, b), n in sorted(pairs.items()))
        ids = "; ".join(" = ".join(group.clip_ids) for group in straddling[:10])
        more = "; …" if len(straddling) > 10 else ""
        notes.append(f"byte-identical files in two splits: {counts} ({ids}{more})")
    return notes
