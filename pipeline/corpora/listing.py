"""What a corpus module declares and what it returns."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from manifests.errors import UsageError
from manifests.rows import ANY_SPLIT, SPLITS, Clip, Reject
from pipeline.corpora.files import FileTree

UNLISTED_SHOWN: Final = 20
"""A copy kept by git-annex may be dangling links by the thousand."""


@dataclass(frozen=True)
class CorpusOption:
    """An option of one corpus, for the command line and for notebooks.

    Attributes:
        name: Python identifier that starts with the corpus' prefix: ``mtat_untagged`` is
            ``--mtat-untagged``.
        default: value where the option is not given; an empty tuple where ``multiple``.
        help: one line, with units.
        choices: the allowed values as texts; empty where any value of ``kind`` will do.
        multiple: the option may be given several times; its value is a tuple.
        kind: type of the value, or of each value.
    """

    name: str
    default: object
    help: str
    choices: tuple[str, ...] = ()
    multiple: bool = False
    kind: type = str


@dataclass(frozen=True)
class Listing:
    """What a corpus' metadata and folder say.

    Attributes:
        clips: usable clips, sorted by ``clip_id``, ids unique; measured fields at their defaults.
        rejects: clips and metadata rows that cannot be used.
        notes: one-line facts for people: counts, files found, labels dropped. They hold no
            absolute path, so that they may be written into a set.
        licence: licence of the corpus as a whole.
    """

    clips: tuple[Clip, ...]
    rejects: tuple[Reject, ...]
    notes: tuple[str, ...]
    licence: str


def chosen_options(
    declared: Sequence[CorpusOption], options: Mapping[str, Any], *, prefix: str
) -> dict[str, Any]:
    """Return the value of every declared option, given or default.

    Args:
        declared: the corpus' ``OPTIONS``.
        options: values by name; those of other corpora are passed over, None counts as not given.
        prefix: how the corpus' option names begin, e.g. ``mtat_``.

    Raises:
        UsageError: an option with the prefix is not declared, or a value is not allowed.
    """
    names = [option.name for option in declared]
    for name in options:
        if name.startswith(prefix) and name not in names:
            raise UsageError(f"{name}: expected one of {', '.join(names)}, got an unknown option")
    return {option.name: _value(option, options.get(option.name)) for option in declared}


def _value(option: CorpusOption, given: object) -> object:
    if given is None:
        return option.default
    if option.multiple:
        values = [given] if isinstance(given, str) else list(given)  # type: ignore[call-overload]
        return tuple(_checked(option, value) for value in values)
    return _checked(option, given)


def _checked(option: CorpusOption, given: object) -> object:
    flag = "--" + option.name.replace("_", "-")
    try:
        value = option.kind(given)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{flag}: expected {option.kind.__name__}, got {given!r}") from error
    if option.choices and str(value) not in option.choices:
        raise UsageError(f"{flag}: expected one of {', '.join(option.choices)}, got {given!r}")
    return value


def make_listing(
    clips: Iterable[Clip],
    rejects: Iterable[Reject],
    notes: Iterable[str],
    *,
    licence: str,
    trees: Iterable[FileTree],
) -> Listing:
    """Sort the clips, move every second clip of an id to the rejects, and add the counts.

    Args:
        clips: in the metadata's order: of two with one id the first is kept.
        rejects: what the corpus module left out.
        notes: what it has to say.
        licence: licence of the corpus as a whole.
        trees: the listings that were read; what they could not list becomes a note.
    """
    kept: dict[str, Clip] = {}
    left_out = list(rejects)
    for clip in clips:
        first = kept.setdefault(clip.clip_id, clip)
        if first is not clip:
            left_out.append(_duplicate(clip, first))
    ordered = tuple(kept[clip_id] for clip_id in sorted(kept))
    unlisted = dict.fromkeys(entry for tree in trees for entry in tree.unlisted)
    lines = [f"{len(ordered):,} clips: {split_counts(ordered)}", *notes]
    lines += [f"not listed: {entry}" for entry in itertools.islice(unlisted, UNLISTED_SHOWN)]
    if len(unlisted) > UNLISTED_SHOWN:
        lines.append(f"not listed: {len(unlisted) - UNLISTED_SHOWN:,} more")
    return Listing(ordered, tuple(left_out), tuple(lines), licence)


def _duplicate(clip: Clip, first: Clip) -> Reject:
    return Reject(
        corpus=clip.corpus,
        clip_id=clip.clip_id,
        path=clip.path,
        stage="metadata",
        reason="duplicate-id",
        detail=f"expected one clip of id {clip.clip_id}, got a second; {first.path} is used",
        split=clip.split,
        tags=clip.tags,
    )


def split_counts(clips: Iterable[Clip]) -> str:
    """Return the number of clips per split, e.g. ``train 18,706, valid 1,825, test 5,329``."""
    counts = Counter(clip.split for clip in clips)
    return ", ".join(
        f"{split} {counts[split]:,}" for split in (*SPLITS, ANY_SPLIT) if counts[split]
    )
