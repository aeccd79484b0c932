"""The attribution file: one line per source with who made it and under which licence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pipeline.corpora.licences import spdx
from pipeline.frozen.rows import FrozenRow, FrozenSource, source_keys

_CC: Final = re.compile(r"CC-(BY(?:-NC)?(?:-SA|-ND)?)-(\d\.\d)(?:-([A-Z]{2,3}))?")


@dataclass(frozen=True)
class Attribution:
    """One row of ``attribution.csv``.

    Attributes:
        role: ``music`` or ``noise``.
        corpus: corpus name.
        clip_id: the corpus' own id.
        artist: who made it; empty where the corpus does not say.
        licence: SPDX-like id, ``unknown`` where none is known.
        licence_url: its text, where it is a Creative Commons one.
        examples: examples that hold it.
    """

    role: str
    corpus: str
    clip_id: str
    artist: str
    licence: str
    licence_url: str
    examples: int


def attributions(rows: Iterable[FrozenRow], sources: Iterable[FrozenSource]) -> list[Attribution]:
    """Return the attribution of every source, sorted by role, corpus and id."""
    uses = Counter(key for row in rows for key in set(source_keys(row)))
    return [
        Attribution(
            role=source.role,
            corpus=source.corpus,
            clip_id=source.clip_id,
            artist=source.artist,
            licence=source.licence or "unknown",
            licence_url=licence_url(source.licence),
            examples=uses[source.key],
        )
        for source in sorted(sources, key=lambda s: s.key)
    ]


def licence_url(licence: str) -> str:
    """Return the URL of a Creative Commons licence; empty for others."""
    name = spdx(licence) or licence
    if name == "CC0-1.0":
        return "https://creativecommons.org/publicdomain/zero/1.0/"
    match = _CC.fullmatch(name)
    if match is None:
        return ""
    terms, version, country = match.groups()
    return f"https://creativecommons.org/licenses/{terms.lower()}/{version}/" + (
        f"{country.lower()}/" if country else ""
    )
