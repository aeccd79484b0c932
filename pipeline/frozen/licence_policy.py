"""Which sources' licences let audio be passed on, and which do not; no legal advice."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from pipeline.corpora import CORPORA
from pipeline.corpora.licences import spdx
from pipeline.frozen.rows import FrozenSource

NOT_SHARED_CORPORA: Final = {
    "audioset": "AudioSet's audio belongs to the uploaders of the videos",
}
_OPEN: Final = re.compile(r"CC0-1\.0|Public-Domain|CC-BY(-NC)?(-SA)?(-\d\.\d)?(-[A-Z]{2,3})?")
_NO_DERIVATIVES: Final = re.compile(r"(^|-)ND(-|$)")


def refusal(source: FrozenSource) -> str:
    """Return why a source's audio may not be passed on; empty where its licence lets it.

    Mixing and cutting make a derivative, so NoDerivatives forbids it. NonCommercial and ShareAlike
    permit it under their terms, which the attribution file names.
    """
    if reason := NOT_SHARED_CORPORA.get(source.corpus):
        return reason
    licence = spdx(source.licence) or source.licence.strip()
    if not licence or licence.lower() == "unknown":
        return "no licence is known"
    if _NO_DERIVATIVES.search(licence):
        return f"{licence} forbids derivatives, and a mix is one"
    if not _OPEN.fullmatch(licence):
        return f"{licence!r:.60} is no licence that is known to permit it"
    return ""


def refusals(sources: Iterable[FrozenSource]) -> dict[str, list[FrozenSource]]:
    """Return the sources whose audio may not be passed on, by reason."""
    found: dict[str, list[FrozenSource]] = {}
    for source in sources:
        if reason := refusal(source):
            found.setdefault(reason, []).append(source)
    return found


def corpus_licences(names: Iterable[str]) -> dict[str, str]:
    """Return the licence of each corpus as a whole, ``unknown`` for one that is not ours."""
    return {
        name: CORPORA[name].LICENCE if name in CORPORA else "unknown" for name in sorted(set(names))
    }
