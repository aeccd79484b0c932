"""Lists that are checked in under ``manifests/`` and those that a user writes in the same form.

One entry a line; ``#`` at the beginning of a line or after white space begins a comment; blank
lines are passed over; columns, where a list has several, are separated by TAB.
"""

from __future__ import annotations

import re
import unicodedata
from importlib import resources
from typing import Final

from manifests import store

MTAT_TOP50: Final = "tags/mtat-top50.txt"
JAMENDO_TOP50: Final = "tags/mtg-jamendo-top50.txt"
JAMENDO_GENRE_MOODTHEME: Final = "tags/mtg-jamendo-genre-moodtheme.txt"
AUDIOSET_DROP: Final = "audioset/drop-music-singing.v1.txt"
MTAT_KNOWN_BROKEN: Final = "known_broken/mtat.txt"


def list_lines(text: str) -> list[str]:
    """Return the entries of a list's text, without white space at their ends."""
    lines = re.split(r"\r\n?|\n", text.removeprefix("\ufeff"))
    entries = (re.sub(r"(^|\s)#.*", "", line).strip() for line in lines)
    return [entry for entry in entries if entry]


def composed(text: str) -> str:
    """Return a name as it is compared: macOS and some editors write é as e and an accent."""
    return unicodedata.normalize("NFC", text)


def checked_in_list(name: str) -> list[str]:
    """Return the entries of a list under ``manifests/``, e.g. ``tags/mtat-top50.txt``."""
    return list_lines(resources.files("manifests").joinpath(name).read_text(encoding="utf-8"))


def user_list(url: str) -> list[str]:
    """Return the entries of a user's list; raises ManifestError where it cannot be read."""
    return list_lines(store.read_text(url))
