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
from collections.abc import Collection, Iterable, Mapping
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


def build_vocabulary(clips: Iterable[Clip], tag_filter: TagFilter, *, corpus: str) -> TagVocabulary:
    """Return the vocabulary of a corpus.

    Rare tags are counted on the clips that may train: split train or any; on all clips where
    there is none of those. Names of a list that no clip carries stay and are in ``absent``.

    Args:
        clips: all clips of the corpus, of every split.
        tag_filter: what is asked.
        corpus: corpus name, for its default and its fixed lists.

    Raises:
        UsageError: the corpus has no such list, or an option names what does not exist.
        ManifestError: a file cannot be read, or no tag is left though some were asked for.
    """
    every = list(clips)
    selected = tag_filter.select or corpus_module(corpus).DEFAULT_TAGS
    if selected.lower().endswith(".json"):
        return _reused(every, selected, tag_filter)
    if tag_filter.min_clips < 0:
        raise UsageError(f"--min-tag-clips: expected 0 or more, got {tag_filter.min_clips}")
    merge = read_merges(tag_filter.merge) if tag_filter.merge else {}
    merge = {tag: name for tag, name in merge.items() if tag not in tag_filter.drop}
    counts = _count(every, merge)
    listed = _listed(selected, corpus, merge)
    _check_names(selected, listed, counts, tag_filter)

    trains = [clip for clip in every if clip.split in (SPLITS[0], ANY_SPLIT)]
    n_train = Counter(tag for clip in trains or every for tag in _merged(clip, merge))
    order = listed or sorted(counts, key=lambda tag: (-n_train[tag], tag))
    reasons: dict[str, str] = {}
    for tag in dict.fromkeys([*order, *counts]):
        if tag in tag_filter.drop:
            reasons[tag] = "dropped"
        elif listed and tag not in listed:
            reasons[tag] = f"not in {base_name(selected)}"
        elif n_train[tag] < tag_filter.min_clips:
            reasons[tag] = f"fewer than {tag_filter.min_clips} clips"
    names = tuple(tag for tag in order if tag not in reasons)
    if not names and (counts or tag_filter.select):
        raise ManifestError(
            f"{corpus}: expected tags after --tags {selected}, --min-tag-clips "
            f"{tag_filter.min_clips} and --drop-tag, got none of {len(counts)}; ask for less"
        )
    zero = dict.fromkeys(sorted({clip.split for clip in every}), 0)
    return TagVocabulary(
        names=names,
        counts={tag: {**zero, **counts.get(tag, {})} for tag in names},
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
        record = json.loads(store.read_text(url))
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


def _listed(selected: str, corpus: str, merge: Mapping[str, str]) -> list[str]:
    """Return the selection's names in order, merged; an empty list stands for all tags."""
    if selected == ALL:
        return []
    if selected in FIXED_LISTS:
        lists = FIXED_LISTS[selected]
        if corpus not in lists:
            raise UsageError(
                f"--tags {selected}: expected a corpus that has it ({', '.join(lists)}), "
                f"got {corpus}; use all or a file"
            )
        names = checked_in_list(lists[corpus])
    elif store.exists(selected):
        names = user_list(selected)
    else:
        words = ", ".join((*FIXED_LISTS, ALL))
        raise UsageError(f"--tags {selected}: expected {words} or a file, got no such file")
    if not names:
        raise ManifestError(f"{selected}: expected one tag a line, got an empty list")
    return list(dict.fromkeys(merge.get(name, name) for name in names))


def _check_names(
    selected: str,
    listed: Collection[str],
    counts: Mapping[str, Counts],
    tag_filter: TagFilter,
) -> None:
    """Refuse a list that fits no clip and dropped tags that do not exist: misspelt, both."""
    if listed and counts and not any(name in counts for name in listed):
        raise ManifestError(
            f"--tags {selected}: expected names of the corpus' tags, such as "
            f"{', '.join(sorted(counts)[:3])}, got {', '.join(list(listed)[:3])}"
        )
    for tag in tag_filter.drop:
        if tag not in counts and tag not in listed:
            near = difflib.get_close_matches(tag, counts, n=3)
            hint = f"; near it: {', '.join(near)}" if near else ""
            raise UsageError(f"--drop-tag {tag}: expected a tag of the corpus, got none{hint}")
