"""The tag filter: which tags of a music corpus a set keeps, in which order, and what is lost.

Order of work: dropped tags go, synonyms are merged, the selection is applied, rare tags go. A
vocabulary is made once, over all clips of a corpus, and stored with the set as ``tags.json``;
``--tags tags.json`` uses it again for other sets. Names are stored, never positions alone: the
order of "the" top 50 differs between published lists.
"""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from manifests import store
from manifests.errors import ManifestError, UsageError
from manifests.rows import ANY_SPLIT, SPLITS, Clip
from pipeline.corpora import corpus as corpus_module
from pipeline.corpora.checked_in import (
    JAMENDO_GENRE_MOODTHEME,
    JAMENDO_TOP50,
    MTAT_TOP50,
    checked_in_list,
    composed,
    user_list,
)
from pipeline.corpora.files import base_name
from pipeline.tag_merges import read_merges
from pipeline.tag_vocabulary import Counts, TagVocabulary

__all__ = ["TagFilter", "TagVocabulary", "build_vocabulary"]

ALL: Final = "all"
FIXED_LISTS: Final[Mapping[str, Mapping[str, str]]] = {
    "top50": {"mtat": MTAT_TOP50, "mtg-jamendo": JAMENDO_TOP50},
    "thesis": {"mtat": MTAT_TOP50, "mtg-jamendo": JAMENDO_GENRE_MOODTHEME},
}
"""Checked-in list by selection and corpus."""


@dataclass(frozen=True)
class TagFilter:
    """What a user asks of the tags.

    Attributes:
        select: ``top50``, ``thesis``, ``all``, a text file with one name a line (order is kept) or
            the ``tags.json`` of a set; None is the corpus' ``DEFAULT_TAGS``.
        min_clips: tags on fewer training clips go; 0 keeps them all.
        merge: file of synonyms, see ``pipeline.tag_merges``.
        drop: names of tags that go, before or after merging.
    """

    select: str | None = None
    min_clips: int = 0
    merge: str | None = None
    drop: tuple[str, ...] = ()


def build_vocabulary(
    clips: Iterable[Clip],
    tag_filter: TagFilter,
    *,
    corpora: Sequence[str],
    elsewhere: Collection[str] = (),
) -> TagVocabulary:
    """Return the vocabulary of the music corpora of a set.

    Rare tags are counted on the clips that may train: split train or any; on all clips where
    there is none of those. Names of a list that no clip carries stay and are in ``absent``.
    Several corpora have no default in common, so without a selection all their tags are kept; a
    fixed list of several is theirs joined, in the order of their names, whatever order they are
    given in.

    Args:
        clips: all clips of the corpora, of every split.
        tag_filter: what is asked.
        corpora: names of the corpora, for their default and their fixed lists.
        elsewhere: tags of the other corpora that the filter is for: no misspellings.

    Raises:
        UsageError: no corpus has such a list, or an option names what does not exist.
        ManifestError: a file cannot be read, or no tag is left though some were asked for.
    """
    every = list(clips)
    default = corpus_module(corpora[0]).DEFAULT_TAGS if len(corpora) == 1 else ALL
    selected = tag_filter.select or default
    if selected.lower().endswith(".json"):
        return _reused(every, selected, tag_filter)
    if tag_filter.min_clips < 0:
        raise UsageError(f"--min-tag-clips: expected 0 or more, got {tag_filter.min_clips}")
    dropped = {composed(tag) for tag in tag_filter.drop}
    merge = read_merges(tag_filter.merge) if tag_filter.merge else {}
    merge = {tag: name for tag, name in merge.items() if tag not in dropped}
    counts = _count(every, merge)
    names = _names(selected, corpora)
    listed = list(dict.fromkeys(merge.get(name, name) for name in names))
    known = {*names, *elsewhere, *(tag for clip in every for tag in clip.tags)}
    _check_listed(selected, listed, counts, elsewhere)
    _check_known("--merge-tags", list(merge), known)
    _check_known("--drop-tag", sorted(dropped), known | set(merge.values()))

    trains = [clip for clip in every if clip.split in (SPLITS[0], ANY_SPLIT)]
    n_train = Counter(tag for clip in trains or every for tag in _merged(clip, merge))
    order = listed or sorted(counts, key=lambda tag: (-n_train[tag], tag))
    reasons: dict[str, str] = {}
    for tag in dict.fromkeys([*order, *counts]):
        if tag in dropped:
            reasons[tag] = "dropped"
        elif listed and tag not in listed:
            reasons[tag] = f"not in {base_name(selected)}"
        elif n_train[tag] < tag_filter.min_clips:
            reasons[tag] = f"fewer than {tag_filter.min_clips} clips"
    kept = tuple(tag for tag in order if tag not in reasons)
    ours = not listed or not counts or any(tag in counts for tag in listed)
    if not kept and ours and (counts or tag_filter.select):
        raise ManifestError(
            f"{', '.join(corpora)}: expected tags after --tags {selected}, --min-tag-clips "
            f"{tag_filter.min_clips} and --drop-tag, got none of {len(counts)}; ask for less"
        )
    zero = dict.fromkeys(sorted({clip.split for clip in every}), 0)
    return TagVocabulary(
        names=kept,
        counts={tag: {**zero, **counts.get(tag, {})} for tag in kept},
        lost=tuple((tag, reasons[tag], {**zero, **counts.get(tag, {})}) for tag in sorted(reasons)),
        merge=merge,
    )


def _reused(clips: list[Clip], url: str, tag_filter: TagFilter) -> TagVocabulary:
    """Return a stored vocabulary: its names, order and merges, with the counts of these clips."""
    if tag_filter.min_clips or tag_filter.merge or tag_filter.drop:
        raise UsageError(
            f"--tags {url}: expected no --min-tag-clips, --merge-tags or --drop-tag beside it, "
            "got one; a tags.json already holds what they did"
        )
    try:
        record = json.loads(composed(store.read_text(url).removeprefix("\ufeff")))
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{url}: expected the tags.json of a set, got: {error}") from error
    if not isinstance(record, dict):
        raise ManifestError(
            f"{url}: expected the tags.json of a set, got a {type(record).__name__}"
        )
    stored = TagVocabulary.from_dict(record)
    counts = _count(clips, stored.merge)
    zero = dict.fromkeys(sorted({clip.split for clip in clips}), 0)
    return TagVocabulary(
        names=stored.names,
        counts={name: {**zero, **counts.get(name, {})} for name in stored.names},
        lost=tuple(
            (tag, f"not in {base_name(url)}", {**zero, **counts[tag]})
            for tag in sorted(counts.keys() - set(stored.names))
        ),
        merge=stored.merge,
    )


def _count(clips: Iterable[Clip], merge: Mapping[str, str]) -> dict[str, Counter[str]]:
    """Return the number of clips by tag and split; a clip with two synonyms counts once."""
    counts: dict[str, Counter[str]] = {}
    for clip in clips:
        for tag in _merged(clip, merge):
            counts.setdefault(tag, Counter())[clip.split] += 1
    return counts


def _merged(clip: Clip, merge: Mapping[str, str]) -> set[str]:
    return {merge.get(tag, tag) for tag in clip.tags}


def _names(selected: str, corpora: Sequence[str]) -> list[str]:
    """Return the selection's names in order; an empty list stands for all tags."""
    if selected == ALL:
        return []
    if selected in FIXED_LISTS:
        lists = FIXED_LISTS[selected]
        have = sorted(name for name in corpora if name in lists)
        if not have:
            raise UsageError(
                f"--tags {selected}: expected a corpus that has it ({', '.join(lists)}), "
                f"got {', '.join(corpora)}; use all or a file"
            )
        return list(dict.fromkeys(tag for name in have for tag in checked_in_list(lists[name])))
    if not store.exists(selected):
        words = ", ".join((*FIXED_LISTS, ALL))
        raise UsageError(f"--tags {selected}: expected {words} or a file, got no such file")
    names = [composed(name) for name in user_list(selected)]
    if not names:
        raise ManifestError(f"{selected}: expected one tag a line, got an empty list")
    return names


def _check_listed(
    selected: str, listed: Sequence[str], counts: Mapping[str, Counts], elsewhere: Collection[str]
) -> None:
    """Refuse a list that fits no clip: misspelt, or of another corpus."""
    if listed and counts and not any(name in counts or name in elsewhere for name in listed):
        raise ManifestError(
            f"--tags {selected}: expected names of the corpus' tags, such as "
            f"{', '.join(sorted(counts)[:3])}, got {', '.join(listed[:3])}"
        )


def _check_known(option: str, tags: Sequence[str], known: Collection[str]) -> None:
    """Refuse tags that neither a clip nor the list has: misspelt."""
    for tag in tags:
        if tag not in known:
            near = difflib.get_close_matches(tag, sorted(known), n=3)
            hint = f"; near it: {', '.join(near)}" if near else ""
            raise UsageError(f"{option} {tag}: expected a tag of the corpus, got none{hint}")
